"""What comes before a session, and what surrounds it: parameters, negotiation, several databases, cancel keys, stop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from struct import pack

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.model.decision import PolicyEffect
from decision.model.session import MessageKind
from enforcement.config import UpstreamDatabase
from enforcement.postgres import upstream as upstreams
from enforcement.postgres.protocol import messages
from tests.clients.harness import RunningPoint, psql, running
from tests.clients.port import TOKEN, Rule
from tests.clients.raw import RawClient
from tests.support.eventually import eventually

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def two(postgres: BundledPostgres) -> Iterator[dict[str, str]]:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create database proxy_two")
    yield {"shop": postgres.dsn("postgres"), "shop_dev": postgres.dsn("proxy_two")}
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("drop database proxy_two with (force)")


@pytest.fixture(scope="module")
def point(two: dict[str, str]) -> Iterator[RunningPoint]:
    with running(two) as one:
        yield one


def test_databases_are_routed_by_name(point: RunningPoint) -> None:
    """Several databases behind one listener; each has its catalog synced."""
    with point.connect("shop") as first, point.connect("shop_dev") as second:
        assert first.execute("select current_database()").fetchone() == ("postgres",)
        assert second.execute("select current_database()").fetchone() == ("proxy_two",)
    assert {one.database for one in point.port.opened[-2:]} == {"shop", "shop_dev"}
    assert {one.database for one in point.port.synced} == {"shop", "shop_dev"}


def test_an_unknown_database_is_refused(point: RunningPoint) -> None:
    """The decision service says so, with what is known."""
    done = psql(point.dsn("nowhere"), "-c", "select 1")
    assert done.returncode == 2 and "there is no database entry" in done.stderr and "known are" in done.stderr


def test_intent_and_ticket_reach_the_decision_service(point: RunningPoint) -> None:
    """From start-up options, changed by SET, back by RESET; SHOW tells them."""
    options = r"-c airlock.intent=fix\ order -c airlock.ticket=T-1 -c search_path=pg_catalog"
    with point.connect(options=options) as connection:
        opened = point.port.opened[-1]
        assert (opened.intent, opened.ticket) == ("fix order", "T-1")
        assert connection.execute("show airlock.intent").fetchone() == ("fix order",)
        assert connection.execute("show search_path").fetchone() == ("pg_catalog",)
        connection.execute("set airlock.intent = 'it''s another'")
        connection.execute("select 'probe one'")
        connection.execute("reset airlock.intent")
        connection.execute("select 'probe two'")
    by_text = {one.text: one for one in point.port.requests}
    assert by_text[b"select 'probe one'"].intent == "it's another"
    assert by_text[b"select 'probe two'"].intent == "fix order"
    assert dict(by_text[b"select 'probe one'"].settings)["search_path"] == "pg_catalog"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-c standard_conforming_strings=off", "standard_conforming_strings"),
        ("-c session_preload_libraries=x", "session_preload_libraries"),
        ("-c role=postgres", "role"),
        ("-c client_encoding=LATIN1", "client_encoding"),
        ("-x", "not of the form"),
    ],
)
def test_start_up_parameters_that_change_the_reading_are_refused(
    point: RunningPoint, options: str, message: str
) -> None:
    """What could change how texts are read, or who one is, can't come by start-up options."""
    with pytest.raises(psycopg.OperationalError, match=message):
        point.connect(options=options)


def test_settings_as_the_server_reports_them_are_asked_with(point: RunningPoint) -> None:
    """A changed search_path is part of the next question."""
    with point.connect() as connection:
        connection.execute("set search_path = pg_temp, public")
        connection.execute("select 'after search path'")
    asked = next(one for one in point.port.requests if one.text == b"select 'after search path'")
    assert dict(asked.settings)["search_path"] == "pg_temp, public"


def test_a_changed_encoding_locks_the_session(point: RunningPoint) -> None:
    """Whatever is allowed: texts are analysed as UTF-8, so another encoding ends all statements."""
    with point.connect() as connection:
        connection.execute("set client_encoding = 'LATIN1'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must stay UTF8"):
            connection.execute("select 1")


def test_plaintext_is_for_loopback_unless_forbidden(point: RunningPoint, two: dict[str, str]) -> None:
    """Without TLS a token is taken on loopback only, or never when so set."""
    with point.connect(sslmode="disable") as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with running({"shop": two["shop"]}, plaintext="never") as strict:
        with pytest.raises(psycopg.OperationalError, match="TLS is required"):
            strict.connect(sslmode="disable")
        assert not strict.port.opened


def test_bytes_stuffed_behind_the_ssl_request_are_no_statements(point: RunningPoint) -> None:
    """Plaintext sent along with SSLRequest is taken for TLS, which fails; it never becomes a startup packet."""
    with socket.create_connection((point.host, point.tcp_port), timeout=10) as plain:
        plain.sendall(pack("!II", 8, 80877103) + messages.startup({"user": "eve", "database": "shop"}))
        answer = b""
        while len(answer) < 100:
            try:
                data = plain.recv(100)
            except ConnectionResetError:
                break
            if not data:
                break
            answer += data
    assert answer[:1] == b"S" and b"R\x00\x00\x00\x08" not in answer


def test_gssenc_request_is_answered_no_then_ssl_works(point: RunningPoint) -> None:
    """GSSENCRequest gets N, and SSLRequest after it gets S."""
    with socket.create_connection((point.host, point.tcp_port), timeout=10) as plain:
        plain.sendall(pack("!II", 8, 80877104))
        assert plain.recv(1) == b"N"
        plain.sendall(pack("!II", 8, 80877103))
        assert plain.recv(1) == b"S"
        context = ssl.create_default_context(cafile=str(point.certificate))
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(messages.startup({"user": "alice", "database": "shop"}))
            assert secure.recv(9) == messages.ASK_CLEARTEXT_PASSWORD


def test_a_newer_protocol_is_negotiated_down(point: RunningPoint) -> None:
    """3.9999 with an unknown _pq_ option is told 3.2 and the option's name; cancel keys are long then."""

    class Newer(RawClient):
        def _start(self, parameters: dict[str, str]) -> None:
            packet = messages.startup({**parameters, "_pq_.unheard": "x"})
            self.send(packet[:4] + pack("!HH", 3, 9999) + packet[8:])
            self.greeting.append(self.message())
            assert self.message() == messages.ASK_CLEARTEXT_PASSWORD
            self.send(messages.password(TOKEN.encode()))
            while self.greeting[-1][:1] != b"Z":
                self.greeting.append(self.message())

    with Newer(point.host, point.tcp_port, "shop") as client:
        assert client.greeting[0] == messages.negotiate_protocol_version(2, ["_pq_.unheard"])
        key = next(raw for raw in client.greeting if raw[:1] == b"K")
        assert len(key) == 1 + 4 + 4 + 32
        client.send(messages.query(b"select 1"))
        assert client.codes_until_ready() == "TDCZ"


def test_a_guessed_cancel_key_cancels_nothing(point: RunningPoint) -> None:
    """A wrong secret is ignored; ours is never the server's."""
    with RawClient(point.host, point.tcp_port, "shop") as client:
        key = next(raw for raw in client.greeting if raw[:1] == b"K")
        client.send(messages.query(b"select pg_backend_pid(), pg_sleep(0.5)"))
        with socket.create_connection((point.host, point.tcp_port), timeout=10) as other:
            other.sendall(messages.cancel_request(int.from_bytes(key[5:9], "big"), b"\0\0\0\0"))
            assert other.recv(1) == b""
        answer = client.until_ready()
        assert b"57014" not in answer
        row = answer[answer.index(b"D\0\0\0") :]
        length = int.from_bytes(row[7:11], "big")
        assert int(row[11 : 11 + length]) != int.from_bytes(key[5:9], "big")


def test_broken_messages_end_the_session_cleanly(point: RunningPoint) -> None:
    """What the protocol does not allow gets one FATAL error."""
    for broken in (b"\x00\x00\x00\x00\x04", b"Q\x00\x00\x00\x03", b"Q\x00\x00\x00\x06ab", b"P\x00\x00\x00\x05x"):
        with RawClient(point.host, point.tcp_port, "shop") as client:
            client.send(broken)
            assert b"C08P01" in client.message()
            with pytest.raises((EOFError, ConnectionResetError)):
                client.message()
    with RawClient(point.host, point.tcp_port, "shop") as client:
        client.send(b"Q\x7f\xff\xff\xff")
        assert b"C54000" in client.message()


def test_an_unreachable_database_is_said_cleanly(postgres: BundledPostgres) -> None:
    """No upstream: a FATAL error with a hint, and the opened session is closed again."""
    with running({"shop": "postgresql://someone:secretpass@127.0.0.1:1/none"}) as lonely:
        done = psql(lonely.dsn(), "-c", "select 1")
        assert "can't be reached" in done.stderr and "secretpass" not in done.stderr
        eventually(lambda: lonely.port.ended)
    parts = postgres.dsn("postgres").replace(postgres.password, "wrong")
    with running({"shop": parts}) as refused:
        done = psql(refused.dsn(), "-c", "select 1")
        assert "refused Airlock's own credentials" in done.stderr and "wrong" not in done.stderr


def test_db_role_is_the_role_of_the_session(point: RunningPoint) -> None:
    """The granted db_role is what runs upstream, and RESET ROLE does not leave it."""
    with point.connect() as connection:
        connection.execute("create role reader")
    point.port.db_role = "reader"
    point.port.upstream_parameters = (("statement_timeout", "4321"),)
    try:
        with point.connect() as connection:
            assert connection.execute("select current_user").fetchone() == ("reader",)
            connection.execute("reset role")
            assert connection.execute("select current_user").fetchone() == ("reader",)
            assert connection.execute("show statement_timeout").fetchone() == ("4321ms",)
    finally:
        point.port.db_role = ""
        point.port.upstream_parameters = ()
        with point.connect() as connection:
            connection.execute("drop role reader")


def test_stop_ends_idle_sessions_and_waits_for_busy_ones(two: dict[str, str]) -> None:
    """On stop an idle session is told 57P01 at once; a running statement may end; everything is recorded."""
    one = RunningPoint({"shop": two["shop"]}).start()
    idle = one.connect()
    busy = one.connect()
    busy.pgconn.send_query(b"select pg_sleep(0.6), 'finished'")
    busy.pgconn.flush()
    eventually(lambda: any(b"finished" in request.text for request in one.port.requests))
    one.stop(grace=5)
    with pytest.raises(psycopg.OperationalError, match="shutting down"):
        idle.execute("select 1")
    result = busy.pgconn.get_result()
    assert result is not None and result.get_value(0, 1) == b"finished"
    assert [end.reason for end in one.port.ended] == ["shutdown", "shutdown"]
    assert one.port.executed("finished")


def test_a_killed_backend_leaves_an_unknown_outcome(point: RunningPoint, two: dict[str, str]) -> None:
    """When the server goes in the middle of a statement, its outcome is reported as unknown or failed, never lost."""
    connection = point.connect()
    row = connection.execute("select pg_backend_pid()").fetchone()
    assert row is not None
    connection.pgconn.send_query(b"select pg_sleep(60), 'killed'")
    connection.pgconn.flush()
    with psycopg.connect(two["shop"], autocommit=True) as direct:
        sleeping = "select count(*) from pg_stat_activity where pid = %s and query like '%%killed%%'"
        eventually(lambda: direct.execute(sleeping, row).fetchone() == (1,))
        direct.execute("select pg_terminate_backend(%s)", row)
    eventually(lambda: point.port.executed("killed"))
    connection.pgconn.finish()
    assert point.port.executed("killed")[-1].outcome.value in ("failed", "unknown")


def test_upstream_over_tls_with_a_cleartext_password(point: RunningPoint) -> None:
    """An enforcement point can stand behind another one: TLS by sslmode, verified, password inside it."""
    dsn = point.dsn(sslmode="verify-full", sslrootcert=str(point.certificate), host="localhost")
    with running({"chained": dsn}) as outer, outer.connect() as connection:
        assert connection.execute("select %s::int", (5,)).fetchone() == (5,)
    assert [one for one in point.port.requests if one.kind is MessageKind.BIND]


def test_upstream_tls_is_refused_when_it_is_not_offered(postgres: BundledPostgres) -> None:
    """sslmode=require against a server without TLS fails; prefer goes on without."""
    for mode, works in (("require", False), ("prefer", True)):
        database = UpstreamDatabase(name="x", upstream=postgres.dsn("postgres") + f"?sslmode={mode}")

        async def attempt(entry: UpstreamDatabase = database) -> bool:
            try:
                ready = await upstreams.connect(entry, {}, lambda count: b"r" * count, 10)
            except upstreams.UpstreamFailed as error:
                assert "does not offer TLS" in error.message
                return False
            ready.link.abort()
            return True

        assert asyncio.run(attempt()) is works


def test_development_certificate_is_kept(two: dict[str, str]) -> None:
    """A second start in the same folder uses the same certificate and mask key."""
    from pathlib import Path

    from enforcement.postgres.masks import mask_key
    from enforcement.postgres.tls import development_certificate
    from tests.clients.port import RealClock

    folder = Path(tempfile.mkdtemp())
    read: Callable[[], bytes] = lambda: development_certificate(folder, RealClock())[0].read_bytes()  # noqa: E731
    assert read() == read()
    assert mask_key(folder, lambda count: b"a" * count) == mask_key(folder, lambda count: b"b" * count)


def test_a_hold_waits_for_what_is_under_way(point: RunningPoint) -> None:
    """Pipelined behind BEGIN, a held statement is answered at once: it is inside the transaction."""
    point.port.rules = [Rule("held", PolicyEffect.HOLD, wait_s=30)]
    try:
        with RawClient(point.host, point.tcp_port, "shop") as client:
            client.send(messages.query(b"begin") + messages.query(b"select 1 as held"))
            assert client.codes_until_ready() == "CZ"
            assert client.codes_until_ready() == "EZ"
    finally:
        point.port.rules = []
