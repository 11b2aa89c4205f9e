"""The way to a real PostgreSQL server over TLS: what is verified, what is refused, and what is said of it."""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr, ValidationError

from enforcement.config import UpstreamDatabase
from enforcement.postgres import upstream as upstreams
from enforcement.postgres.protocol.messages import query
from tests.clients.harness import running
from tests.clients.scenarios import code_of
from tests.support.certificates import Authority, Pair
from tests.support.eventually import eventually
from tests.support.system_postgres import TlsPostgres, tls_postgres

PASSWORD = "needle-4711"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(installed_postgres: Path, authority: Authority) -> Iterator[TlsPostgres]:
    with tls_postgres(installed_postgres, authority) as running_server:
        with psycopg.connect(running_server.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute("CREATE ROLE certified LOGIN")
        yield running_server


@pytest.fixture
def entry(server: TlsPostgres, authority: Authority) -> Mapping[str, str]:
    """The parameters of a connection with everything verified."""
    return {
        "host": "localhost", "hostaddr": "127.0.0.1", "port": str(server.port), "dbname": "postgres", "user": "app",
        "password": PASSWORD, "sslmode": "verify-full", "sslrootcert": str(authority.certificate),
    }  # fmt: skip


def attempt(entry: Mapping[str, str], **changed: str) -> str:
    """The TLS version of a new connection, as the server sees it; empty without TLS. Raises UpstreamFailed."""
    parts = {name: value for name, value in {**entry, **changed}.items() if value}

    async def seen() -> str:
        database = UpstreamDatabase(name="x", upstream=SecretStr(make_conninfo("", **parts)))
        ready = await upstreams.connect(database, {}, os.urandom, 10)
        try:
            ready.link.write(query(b"SELECT coalesce(version, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
            await ready.link.read_message()
            return (await ready.link.read_message())[11:].decode()
        finally:
            ready.link.abort()

    return asyncio.run(seen())


def refusal(entry: Mapping[str, str], **changed: str) -> str:
    """What is said of a connection that must not come about; never with the password."""
    with pytest.raises(upstreams.UpstreamFailed) as caught:
        attempt(entry, **changed)
    said = f"{caught.value.message}; {caught.value.hint}"
    assert PASSWORD not in said
    return said


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_a_verified_server_is_spoken_to_over_tls(entry: Mapping[str, str], mode: str) -> None:
    """Every mode that may use TLS does, where the server offers it."""
    assert attempt(entry, sslmode=mode).startswith("TLSv1.")


def test_tls_can_be_switched_off(entry: Mapping[str, str]) -> None:
    """sslmode=disable goes without, as with libpq."""
    assert attempt(entry, sslmode="disable", sslrootcert="") == ""


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_another_authority_is_refused(entry: Mapping[str, str], tmp_path: Path, mode: str) -> None:
    """Also under require, where an authority is named: libpq reads it so."""
    other = str(Authority(tmp_path, "another authority").certificate)
    assert "certificate of the database 'x' is refused" in refusal(entry, sslmode=mode, sslrootcert=other)


def test_another_host_is_refused_by_verify_full_only(entry: Mapping[str, str]) -> None:
    """The certificate must name the host that the settings name; verify-ca asks for the authority only."""
    assert "Hostname mismatch" in refusal(entry, host="db.example.com")
    assert attempt(entry, host="db.example.com", sslmode="verify-ca")


def test_an_address_is_a_host_too(entry: Mapping[str, str]) -> None:
    """With hostaddr alone, the certificate must name the address."""
    assert attempt(entry, host="")


def test_an_expired_certificate_is_refused(server: TlsPostgres, authority: Authority, entry: Mapping[str, str]) -> None:
    """By the modes that verify; and a renewed one is taken at once."""
    server.show(authority.pair("expired", "localhost", ends_in=-datetime.timedelta(minutes=1)))
    assert "expired" in refusal(entry)
    server.show(authority.pair("renewed", "localhost"))
    assert attempt(entry)


@contextmanager
def listener_between(server: TlsPostgres, pair: Pair) -> Iterator[int]:
    """The port of somebody who ends our TLS with `pair` and speaks TLS of their own to the server."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(upstreams.SSL_REQUEST))
        writer.write(b"S")
        await writer.drain()
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(pair.certificate, pair.key)
        await writer.start_tls(ours)
        further, onwards = await asyncio.open_connection("127.0.0.1", server.port)
        onwards.write(upstreams.SSL_REQUEST)
        assert await further.readexactly(1) == b"S"
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
        await onwards.start_tls(theirs)
        await asyncio.gather(pump(reader, onwards), pump(further, writer))

    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(between, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        loop.close()


def test_the_password_is_bound_to_the_channel(
    server: TlsPostgres, authority: Authority, entry: Mapping[str, str]
) -> None:
    """SCRAM-SHA-256-PLUS: somebody between us and the server, even with a certificate that we trust, is found out."""
    assert attempt(entry, channel_binding="require")
    with listener_between(server, authority.pair("between", "localhost")) as port:
        assert "refused Airlock's own credentials" in refusal(entry, port=str(port))
        assert attempt(entry, port=str(port), channel_binding="disable")


def test_a_certificate_by_rsa_is_bound_too(server: TlsPostgres, authority: Authority, entry: Mapping[str, str]) -> None:
    """Most authorities use it."""
    server.show(authority.pair("by rsa", "localhost", rsa_key=True))
    assert attempt(entry, channel_binding="require")


def test_channel_binding_can_be_demanded(entry: Mapping[str, str]) -> None:
    """Without TLS there is none: refused before a password is proven."""
    said = refusal(entry, sslmode="disable", sslrootcert="", channel_binding="require")
    assert "no channel binding" in said


def test_a_client_certificate_signs_in(entry: Mapping[str, str], authority: Authority) -> None:
    """sslcert and sslkey, without any password; without them the server refuses."""
    pair = authority.pair("certified")
    files = {"sslcert": str(pair.certificate), "sslkey": str(pair.key)}
    assert attempt(entry, user="certified", password="", **files)
    assert "refused Airlock's own credentials" in refusal(entry, user="certified", password="")


def test_a_client_certificate_of_another_authority_is_refused(entry: Mapping[str, str], tmp_path: Path) -> None:
    """The server ends it; that is said as a failure of TLS or of the connection."""
    pair = Authority(tmp_path, "another authority").pair("certified")
    files = {"sslcert": str(pair.certificate), "sslkey": str(pair.key)}
    assert "'x'" in refusal(entry, user="certified", password="", **files)


@pytest.mark.parametrize("key", ["sslrootcert", "sslcert"])
def test_a_missing_certificate_file_is_said(entry: Mapping[str, str], key: str) -> None:
    """Which settings to look at."""
    said = refusal(entry, **{"sslkey": "none" if key == "sslcert" else "", key: "none"})
    assert "certificate files for the database can't be used" in said and key in said


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_a_server_without_tls_is_refused(
    server: TlsPostgres, authority: Authority, entry: Mapping[str, str], mode: str
) -> None:
    """Nothing is sent in clear where TLS is demanded; prefer goes on without."""
    server.show(None)
    try:
        assert "does not offer TLS" in refusal(entry, sslmode=mode)
        assert attempt(entry, sslmode="prefer") == ""
    finally:
        server.show(authority.pair("again", "localhost"))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"sslrootcert": ""}, "needs sslrootcert"),
        ({"sslrootcert": "system", "sslmode": "require"}, "needs sslmode=verify-full"),
        ({"sslcrl": "revoked.pem"}, "sslcrl of upstream is not supported"),
        ({"target_session_attrs": "read-write"}, "target_session_attrs of upstream is not supported"),
        ({"host": "a,b", "hostaddr": ""}, "names several hosts"),
        ({"sslcert": "client.pem"}, "belong together"),
        ({"channel_binding": "yes"}, "channel_binding of upstream is unknown"),
    ],
)
def test_what_would_have_no_effect_is_refused(
    entry: Mapping[str, str], changed: dict[str, str], complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A protection that was asked for is never off in silence."""
    monkeypatch.setenv("HOME", str(tmp_path))
    parts = {name: value for name, value in {**entry, **changed}.items() if value}
    with pytest.raises(ValidationError, match=complaint) as caught:
        UpstreamDatabase(name="x", upstream=SecretStr(make_conninfo("", **parts)))
    assert PASSWORD not in str(caught.value)


def test_a_session_and_its_cancel_request_go_over_tls(entry: Mapping[str, str]) -> None:
    """Through the enforcement point: rows, and Ctrl-C."""
    with running({"x": make_conninfo("", **entry)}) as point, point.connect() as connection:
        assert connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone() == (True,)
        sleeping = threading.Thread(
            target=lambda: codes.append(code_of(lambda: connection.execute("select pg_sleep(60)")))
        )
        codes: list[str] = []
        sleeping.start()
        eventually(lambda: connection.info.transaction_status.name == "ACTIVE")

        def cancelled() -> bool:
            connection.cancel_safe(timeout=5)
            sleeping.join(0.1)
            return not sleeping.is_alive()

        eventually(cancelled)
        assert codes == ["57014"]


def test_the_search_path_is_known_whatever_the_server_reports(entry: Mapping[str, str]) -> None:
    """Servers before version 18 don't report it: it is asked for, so that names are read as the server reads them."""
    with running({"x": make_conninfo("", **entry)}) as point:
        for options, path in (("-c search_path=pg_temp,audit", "pg_temp,audit"), ("", '"$user", public')):
            with point.connect(options=options) as connection:
                connection.execute("select 'probe'")
            assert dict(point.port.requests[-1].settings)["search_path"] == path


def test_options_of_the_entry_are_the_sessions(entry: Mapping[str, str]) -> None:
    """`options` and `application_name` of the upstream entry reach the server."""
    own = {"options": "-c work_mem=7MB", "application_name": "through airlock"}
    with running({"x": make_conninfo("", **entry, **own)}) as point, point.connect() as connection:
        assert connection.execute("show work_mem").fetchone() == ("7MB",)
        assert connection.execute("show application_name").fetchone() == ("through airlock",)
