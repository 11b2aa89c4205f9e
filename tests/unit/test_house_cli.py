"""The command line itself: quick, tidy, with exit statuses and errors that say what to do."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from airlock.commands.common import show_rows
from airlock.commands.config import toml
from airlock.main import COMMANDS, cli, run

PROGRAM = Path(sys.executable).with_name("airlock")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, and none in the environment."""
    for name in [name for name in os.environ if name.startswith("AIRLOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_is_quick() -> None:
    """The list of commands imports none of them: under 0.3 s of processor time, the best of three runs."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    took = []
    for _ in range(3):
        before = spent()
        done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True)
        took.append(spent() - before)
    assert min(took) < 0.3
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` says it, with status 0."""
    from importlib.metadata import version

    assert run(["--version"]) == 0
    assert version("airlock") in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works everywhere."""
    assert run([name, "--help"]) == 0
    assert "Usage: airlock" in capsys.readouterr().out


def options(name: str, command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Every option that a person sees, with the command that it belongs to."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from options(f"{name} {child}", found)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            yield name, parameter


def test_every_option_is_explained_with_its_default() -> None:
    """No option without a help text; a default that means something is shown, or said in it."""
    bare, undefaulted = [], []
    for name, option in options("airlock", cli):
        where = f"{name} {option.opts[0]}"
        if not option.help:
            bare.append(where)
        default = option.to_info_dict()["default"]
        said = option.show_default or "default" in (option.help or "")
        if not option.is_flag and default not in (None, "", ()) and not said:
            undefaulted.append(where)
    assert (bare, undefaulted) == ([], [])


@pytest.mark.parametrize("given", ["", 'data_dir = "elsewhere"\n'])
def test_commands_look_where_the_settings_say(elsewhere: Path, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What runs by the airlock.toml here is found by the commands here, without --data-dir."""
    (elsewhere / "airlock.toml").write_text(given)
    assert run(["token", "--subject", "alice"]) == 1
    assert f"no development issuer in {'elsewhere' if given else '.airlock'}" in capsys.readouterr().err


def test_a_misspelt_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and what was probably meant."""
    assert run(["tokn"]) == 2
    assert "did you mean 'token'?" in capsys.readouterr().err


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, with the way to the help."""
    assert run(["verify", "--nonsense"]) == 2
    assert "hint: airlock verify --help" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["demo"], ["approvals", "list"], ["psql", "--subject", "a"], ["verify"]])
def test_failing_says_what_to_do(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, an error and a hint, no traceback, where nothing runs."""
    assert run(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "\nhint: " in said and "Traceback" not in said


def test_a_port_in_use_is_said_with_the_way_out(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where something else listens, the enforcement point names the address and another one to take."""
    (elsewhere / "ep.token").write_text("0" * 64)
    settings = '[[database]]\nname = "x"\nupstream = "postgresql://a:b@127.0.0.1:1/x"\n[proxy]\n'
    settings += 'decision_service = "127.0.0.1:1"\ntoken_file = "ep.token"\n'
    (elsewhere / "airlock.toml").write_text(settings)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(["proxy", "--listen", address]) == 1
    said = capsys.readouterr().err
    assert f"can't listen on {address} (Address already in use)" in said and "--listen 127.0.0.1:0" in said


def test_a_data_folder_that_cannot_be_made_is_an_error_with_a_hint(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback where the data folder's place is a file."""
    (elsewhere / "file").write_text("")
    assert run(["up", "--data-dir", str(elsewhere / "file" / "data")]) == 1
    said = capsys.readouterr().err
    assert "can't be used (Not a directory)" in said and "--data-dir" in said


def test_a_group_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and the subcommands, without an error that says nothing."""
    assert run(["policy"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Usage: airlock policy") and "explain" in said and "error:" not in said


def test_config_check_names_file_and_key(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake is named; its value, which may be a secret, is not."""
    (elsewhere / "airlock.toml").write_text('[journal]\nquota_bytes = "needle"\n')
    assert run(["config", "check"]) == 1
    said = capsys.readouterr().err
    assert "airlock.toml" in said and "journal.quota_bytes" in said and "needle" not in said


def test_config_show_hides_secrets_and_can_be_read_again(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints is TOML; upstream credentials are stars."""
    import tomllib

    (elsewhere / "airlock.toml").write_text(
        '[[database]]\nname = "shop"\nupstream = "postgresql://u:needle@db/shop"\n'
        '[database.tags]\n"public.t" = ["critical"]\n'
    )
    assert run(["config", "check"]) == 0
    assert run(["config", "show"]) == 0
    out = capsys.readouterr().out
    shown = tomllib.loads(out.split("\n", 1)[1])
    assert shown["database"][0]["tags"] == {"public.t": ["critical"]}
    assert "needle" not in out


def test_toml_of_nested_tables_is_read_back() -> None:
    """Lists of tables in tables, odd keys, empty lists."""
    import tomllib

    table: dict[str, object] = {"a": 1, "b": [], "c": {"d e": ["x"], "f": [{"g": True}, {"g": False}]}}
    assert tomllib.loads("\n".join(toml(table))) == table


def test_doctor_finds_a_folder_that_others_may_enter(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, with the command that closes it."""
    (elsewhere / "d" / "keys").mkdir(parents=True, mode=0o755)
    (elsewhere / "d" / "keys").chmod(0o755)
    assert run(["doctor", "--data-dir", "d", "--format", "json"]) == 1
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["data folder"]["state"] == "bad" and "chmod 700" in rows["data folder"]["remedy"]
    assert rows["policy"]["state"] == "good"


def test_rows_are_printed_as_table_json_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows; markup in a value is text, control characters are not sent to the terminal."""
    rows = [{"a": "[red]x[/red]\x1b[31m", "b": None}]
    show_rows(("a", "b"), rows, "table")
    table = capsys.readouterr().out
    show_rows(("a", "b"), rows, "json")
    as_json = json.loads(capsys.readouterr().out)
    show_rows(("a", "b"), rows, "csv")
    as_csv = capsys.readouterr().out
    assert "[red]x[/red]" in table and "\x1b" not in table + as_csv
    assert as_json == [{"a": "[red]x[/red]\x1b[31m", "b": None}]
    assert as_csv.splitlines()[0] == "a,b"


def test_colours_are_for_terminals_only() -> None:
    """Piped output and errors hold no escape sequence."""
    done = subprocess.run([PROGRAM, "demo", "--data-dir", "none"], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout + done.stderr
