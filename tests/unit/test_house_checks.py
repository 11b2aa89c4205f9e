"""`airlock config check` finds what would fail later; the commands say where there is no issuer, database or port."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from airlock.main import run
from airlock.parts import check_free
from airlock.runtime import Address
from airlock.settings import load_settings
from decision.model.errors import SettingsError
from tests.support.certificates import Authority


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, and none in the environment."""
    for name in [name for name in os.environ if name.startswith("AIRLOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


Capture = pytest.CaptureFixture[str]


def checked(settings: str, capsys: Capture, *options: str) -> str:
    """What `config check` complains of, and that its exit status says so."""
    Path("airlock.toml").write_text(settings)
    status = run(["config", "check", *options])
    said = capsys.readouterr()
    assert status == (1 if said.err else 0)
    return said.err


DATABASE = '[[database]]\nname = "shop"\nupstream = "postgresql://u:needle@127.0.0.1:1/shop{options}"\n'


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("[proxy]\nmax_conections = 3\n", "proxy.max_conections: there is no such key; did you mean max_connections?"),
        ("[proxi]\n", "proxi: there is no such key; did you mean proxy?"),
        ('[[database]]\nname = "x"\nenviroment = "dev"\n', "database.0.enviroment: there is no such key"),
        ('[[grpc.tokens]]\nname = "x"\ntoken_fil = "y"\n', "did you mean token_file?"),
        ("[proxy]\nlisten_port = 1\n", "proxy.listen_port: there is no such key"),
        ("[proxy]\ndatabases = []\n", "proxy.databases: there is no such key"),
    ],
)
def test_an_unknown_key_is_refused_with_a_suggestion(settings: str, complaint: str, capsys: Capture) -> None:
    """A misspelt protection must not be silently off."""
    assert complaint in checked(settings, capsys)


def test_an_unknown_variable_gets_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for variables."""
    monkeypatch.setenv("AIRLOCK_PROXI__LISTEN", "127.0.0.1:1")
    with pytest.raises(SettingsError, match="did you mean AIRLOCK_PROXY__LISTEN"):
        load_settings()


def test_keys_of_the_enforcement_point_reach_it(tmp_path: Path) -> None:
    """What [proxy] takes is what the enforcement point is given."""
    Path("airlock.toml").write_text(DATABASE.format(options="") + "[proxy]\nmax_connections = 7\nplaintext = 'never'\n")
    settings = load_settings()
    made = settings.proxy.enforcement(tmp_path, settings.database)
    assert (made.max_connections, made.plaintext, made.listen_port) == (7, "never", 6432)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ('[[grpc.tokens]]\nname = "x"\ntoken_file = "none"\n', "none can't be read (No such file"),
        ('[[grpc.tokens]]\nname = "x"\ntoken_file = "short"\n', "the token is missing or shorter than"),
        ('[[grpc.tokens]]\nname = "x"\ntoken_file = "open"\n', "open holds a secret and can be read by everybody"),
        ('[proxy]\ntoken_file = "open"\n', "hint: chmod o= open"),
        ('[console]\nca_file = "none"\n', "console.ca_file: none can't be read"),
        ('[policy]\nbundle = "none"\n', "none"),
        ('[grpc]\nhost = "0.0.0.0"\n', "without TLS and authentication"),
        ('[proxy]\nlisten = "nowhere"\n', "proxy.listen: 'nowhere' is no address"),
        ('[proxy]\ntls_certificate = "a.pem"\ntls_key = "b.key"\n', "can't be used together"),
        (DATABASE.format(options="?sslmode=verify-full"), "needs sslrootcert"),
        (DATABASE.format(options="?sslmode=verify-full&sslrootcert=none"), "sslrootcert: none can't be read"),
        ('[[database]]\nname = "x"\nupstream_file = "none"\n', "upstream_file: none can't be read"),
        ('[[database]]\nname = "x"\nupstream_file = "nonsense"\n', "upstream is no connection string"),
    ],
)
def test_what_would_fail_later_is_found(settings: str, complaint: str, capsys: Capture, tmp_path: Path) -> None:
    """Files, rights, tokens, certificates, addresses; secrets are not shown."""
    for name, text, mode in (("short", "0" * 8, 0o600), ("open", "0" * 64, 0o644), ("nonsense", "needle x", 0o600)):
        Path(name).write_text(text)
        Path(name).chmod(mode)
    authority = Authority(tmp_path / "certificates")
    one, other = authority.pair("one"), authority.pair("other")
    Path("a.pem").write_bytes(one.certificate.read_bytes())
    Path("b.key").write_bytes(other.key.read_bytes())
    Path("b.key").chmod(0o600)
    said = checked(settings, capsys)
    assert complaint in said
    assert "needle" not in said


def test_good_settings_are_called_good(capsys: Capture) -> None:
    """With the files that they name in order; the database itself is not tried."""
    Path("ep.token").write_text("0" * 64)
    Path("ep.token").chmod(0o640)
    settings = DATABASE.format(options="") + '[[grpc.tokens]]\nname = "x"\ntoken_file = "ep.token"\n'
    assert checked(settings, capsys) == ""


def test_connecting_says_why_it_fails(capsys: Capture) -> None:
    """In libpq's words, without the password."""
    said = checked(DATABASE.format(options=""), capsys, "--connect")
    assert "can't be reached" in said and "Connection refused" in said and "needle" not in said


def test_tags_on_nothing_are_found(shop: str, capsys: Capture) -> None:
    """A tag on a table or column that does not exist protects nothing, and is probably misspelt."""
    tags = '"public.customers" = ["critical"]\n"public.custommers" = ["critical"]\n"public.customers.emial" = ["pii"]\n'
    settings = f'[[database]]\nname = "shop"\nupstream = "{shop}"\n[database.tags]\n'
    said = checked(settings + tags, capsys, "--connect")
    assert "the table public.custommers, which does not exist" in said
    assert "did you mean public.customers?" in said and "did you mean public.customers.email?" in said
    assert said.count("error: ") == 2
    assert checked(settings + tags.split("\n", 1)[0], capsys, "--connect") == ""


def test_a_token_is_not_made_where_nobody_would_believe_it(tmp_path: Path, capsys: Capture) -> None:
    """A wrong --data-dir is said, and nothing is made there; --create is the way to begin with the issuer."""
    wrong = tmp_path / "wrong"
    assert run(["token", "--data-dir", str(wrong), "--subject", "alice"]) == 1
    said = capsys.readouterr().err
    assert f"no development issuer in {wrong}" in said and "--data-dir" in said and "--create" in said
    assert not wrong.exists()
    assert run(["token", "--data-dir", str(wrong), "--subject", "alice", "--create"]) == 0
    assert run(["token", "--data-dir", str(wrong), "--subject", "bob"]) == 0


@pytest.mark.parametrize(
    ("dsn", "cause"),
    [
        ("postgresql://u:needle@127.0.0.1:1/shop", "Connection refused"),
        ("postgresql://u:needle@127.0.0.1:1/shop?nonsense=1", "no connection string"),
        ("needle", "no connection string"),
    ],
)
def test_a_catalog_that_cannot_be_read_says_why(dsn: str, cause: str, capsys: Capture) -> None:
    """The cause and the way out, without the password."""
    assert run(["catalog", "dump", dsn]) == 1
    said = capsys.readouterr().err
    assert cause in said and "\nhint: " in said and "needle" not in said


def test_a_password_that_is_refused_is_said_without_it(shop: str, capsys: Capture) -> None:
    """By the server's own words."""
    assert run(["catalog", "dump", make_conninfo(shop, password="needle")]) == 1
    said = capsys.readouterr().err
    assert "password authentication failed" in said and "needle" not in said


def test_a_taken_port_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    """For gRPC before gRPC says so in its own way, with the option that takes another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(SettingsError, match=f"can't listen on {address}") as caught:
            check_free(address, "the decision service", "--grpc 127.0.0.1:0")
    assert "--grpc 127.0.0.1:0 takes a free port" in caught.value.hint
    check_free(Address("127.0.0.1", 0), "the decision service", "--grpc 127.0.0.1:0")
    assert capfd.readouterr().err == ""


def test_a_demo_database_that_is_there_is_not_loaded_again(shop: str) -> None:
    """Loading is said when it happens, and only then."""
    from airlock.demo.shop import SMALL, load_shop

    told: list[str] = []
    load_shop(shop, "shop", SMALL, told=told.append)
    assert told == []
    load_shop(shop, "shop_told", SMALL, told=told.append)
    assert told == ["loading the demo database shop_told …"]


def test_doctor_looks_at_the_files_of_the_settings(capsys: Capture) -> None:
    """As `config check` does: the first mistake, and how many more there are."""
    Path("airlock.toml").write_text('[proxy]\ntoken_file = "none"\nca_file = "none"\n')
    assert run(["doctor", "--format", "json"]) == 1
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["settings"]["state"] == "bad"
    assert "proxy.token_file: none can't be read" in rows["settings"]["found"] and "1 more" in rows["settings"]["found"]


def test_doctor_says_when_the_journal_is_almost_full(capsys: Capture) -> None:
    """Beyond nine tenths of its quota, before every statement is denied."""
    Path("airlock.toml").write_text("[journal]\nquota_bytes = 1048576\n")
    Path("airlock-data/journal").mkdir(parents=True)
    database = Path("airlock-data/journal/journal.db")
    for size, state in ((900_000, "good"), (1_000_000, "bad")):
        database.write_bytes(bytes(size))
        run(["doctor", "--data-dir", "airlock-data", "--format", "json"])
        rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
        assert rows["disk"]["state"] == state, rows["disk"]
    assert "raise [journal] quota_bytes" in rows["disk"]["remedy"]


def test_doctor_beside_kafka_sends_nobody_to_the_embedded_form(capsys: Capture) -> None:
    """Where the log and the audit store are kept elsewhere, it says by what."""
    Path("airlock.toml").write_text('[kafka]\nbootstrap_servers = ["127.0.0.1:1"]\n')
    run(["doctor", "--data-dir", "airlock-data", "--format", "json"])
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert "airlock ingest sequencer keeps it" in rows["log"]["found"]
    assert "airlock ingest sink writes it" in rows["audit store"]["found"]
    assert not rows["log"]["remedy"] and not rows["audit store"]["remedy"]
