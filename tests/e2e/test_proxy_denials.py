"""Denials, holds, failures of the decision service and limits, as drivers meet them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.model.decision import Limits, MaskMethod, PolicyEffect
from decision.model.errors import JournalFull, ServiceUnavailable, SessionUnknown
from decision.model.session import ApprovalState, MessageKind, Outcome
from enforcement.postgres.protocol import messages
from tests.clients.harness import RunningPoint, running
from tests.clients.port import Rule, masks
from tests.clients.raw import RawClient, bind, execute
from tests.clients.scenarios import uri
from tests.support.eventually import eventually

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module", params=["prompt", "awaited"])
def shared(postgres: BundledPostgres, request: pytest.FixtureRequest) -> Iterator[RunningPoint]:
    with running({"shop": postgres.dsn("postgres")}, hold_notice_s=0.1, prompt=request.param == "prompt") as one:
        yield one


@pytest.fixture
def point(shared: RunningPoint) -> Iterator[RunningPoint]:
    port = shared.port
    port.rules, port.failing, port.approvals, port.delay_s, port.expires_unix = [], None, {}, 0.0, 0
    yield shared
    port.rules, port.failing, port.delay_s, port.expires_unix = [], None, 0.0, 0


def test_a_denied_parameterised_statement_keeps_the_session(point: RunningPoint) -> None:
    """Extended protocol: 42501, then the session goes on, prepared statements included."""
    point.port.rules = [Rule("forbidden")]
    with point.connect(prepare_threshold=1) as connection:
        for _ in range(3):
            assert connection.execute("select %s::int", (1,)).fetchone() == (1,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("select %s::int as forbidden", (1,))
        assert not connection.execute("select name from pg_prepared_statements where name like 'airlock%'").fetchall()


def test_a_denial_inside_a_pipeline_aborts_up_to_the_sync(point: RunningPoint) -> None:
    """What follows a denied statement before Sync is not executed; what follows Sync is."""
    point.port.rules = [Rule("forbidden")]
    with point.connect() as connection:
        connection.execute("create temp table d (a int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.pipeline() as pipeline:
            connection.execute("insert into d values (1)")
            connection.execute("select 1 as forbidden")
            connection.execute("insert into d values (2)")
            pipeline.sync()
        with connection.pipeline():
            connection.execute("insert into d values (3)")
        assert connection.execute("select array_agg(a) from d").fetchone() == ([3],)
    texts = [point.port.decisions[one.decision_id].text for one in point.port.reports]
    assert b"insert into d values (2)" not in texts


def test_asyncpg_meets_a_denial_as_insufficient_privilege(point: RunningPoint) -> None:
    """asyncpg raises its own class for 42501 and its transaction rolls back."""
    point.port.rules = [Rule("forbidden")]

    async def scenario() -> list[object]:
        connection = await asyncpg.connect(uri(point.dsn()))
        await connection.execute("create temp table d (a int)")
        seen: list[object] = []
        try:
            async with connection.transaction():
                await connection.execute("insert into d values ($1)", 1)
                await connection.fetch("select $1::int as forbidden", 2)
        except asyncpg.InsufficientPrivilegeError as error:
            seen.append(error.message)
        seen.append(await connection.fetchval("select count(*) from d"))
        await connection.close()
        return seen

    assert asyncio.run(scenario()) == ["refused by test rule", 0]


def test_a_bind_is_decided_with_its_values(point: RunningPoint) -> None:
    """Each execution of a prepared statement is decided with its own values, linked to its Parse."""
    with point.connect(prepare_threshold=0) as connection:
        for n in range(3):
            connection.execute("select %s::int8 + 0 as probe", (n,), prepare=True)
    binds = [one for one in point.port.requests if one.kind is MessageKind.BIND and b"as probe" in one.text]
    assert [one.parameters[0].value for one in binds][-3:] == [b"0", b"1", b"2"] or len(binds) >= 3
    assert binds[-1].parse_decision_id


def test_an_old_statement_can_not_be_smuggled_under_a_harmless_name(point: RunningPoint) -> None:
    """A second Parse under a taken name fails at the server; the name still stands for the first text."""
    point.port.rules = [Rule("secret")]
    with point.connect() as connection:
        raw = connection.pgconn
        assert raw.prepare(b"s1", b"select 'first'").status == psycopg.pq.ExecStatus.COMMAND_OK
        assert raw.prepare(b"s1", b"select 'second'").status == psycopg.pq.ExecStatus.FATAL_ERROR
        assert raw.exec_prepared(b"s1", []).get_value(0, 0) == b"first"
    assert point.port.texts(MessageKind.BIND)[-1] == "select 'first'"


def test_a_statement_prepared_by_sql_can_not_be_bound(point: RunningPoint) -> None:
    """Binding a name that was prepared by SQL is refused: its text was never seen as a Parse."""
    with point.connect() as connection:
        raw = connection.pgconn
        raw.prepare(b"s2", b"select 'harmless'")
        connection.execute("deallocate s2")
        connection.execute("prepare s2 as select 'other'")
        answer = raw.exec_prepared(b"s2", [])
        assert answer.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"26000"
        assert connection.execute("execute s2").fetchone() == ("other",)


def test_hold_waits_for_the_approval_and_then_runs(point: RunningPoint) -> None:
    """Outside a transaction the client is kept waiting with notices, and gets its rows once approved."""
    point.port.rules = [Rule("held", PolicyEffect.HOLD, "needs approval", wait_s=20)]
    notices: list[str] = []
    with point.connect() as connection:
        connection.add_notice_handler(lambda one: notices.append(str(one.message_primary)))
        timer = threading.Timer(0.4, lambda: point.port.approvals.update({"a-held": ApprovalState.GRANTED}))
        timer.start()
        assert connection.execute("select 1 as held").fetchone() == (1,)
        point.port.approvals["a-held"] = ApprovalState.REQUESTED
        threading.Timer(0.2, lambda: point.port.approvals.update({"a-held": ApprovalState.GRANTED})).start()
        assert connection.execute("select %s::int as held", (5,)).fetchone() == (5,)
    assert len(notices) >= 3 and "a-held" in notices[0]


def test_hold_in_a_transaction_answers_at_once(point: RunningPoint) -> None:
    """Inside a transaction nobody waits: 42501 with the approval's id; run again when it is granted."""
    point.port.rules = [Rule("held", PolicyEffect.HOLD, "needs approval", hint="approve it", wait_s=20)]
    with point.connect() as connection:
        connection.execute("begin")
        began = time.monotonic()
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            connection.execute("select 1 as held")
        assert time.monotonic() - began < 5
        assert "a-held" in (caught.value.diag.message_detail or "")
        connection.execute("rollback")
        point.port.approvals["a-held"] = ApprovalState.GRANTED
        assert connection.execute("select 1 as held").fetchone() == (1,)


def test_cancel_ends_a_hold(point: RunningPoint) -> None:
    """Ctrl-C while waiting for an approval answers 57014 and the session goes on."""
    point.port.rules = [Rule("held", PolicyEffect.HOLD, wait_s=30)]
    with point.connect() as connection:
        threading.Timer(0.3, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select 1 as held")
        assert connection.execute("select 2").fetchone() == (2,)


def test_cancel_ends_a_hold_of_a_prepared_statement(point: RunningPoint) -> None:
    """So it does where the statement was sent to the server to be parsed, which runs nothing."""
    point.port.rules = [Rule("held", PolicyEffect.HOLD, wait_s=30)]
    with point.connect(prepare_threshold=0) as connection:
        threading.Timer(0.3, connection.cancel_safe).start()
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select %s::int as held", (1,))
        assert time.monotonic() - began < 20
        assert connection.execute("select %s::int", (2,)).fetchone() == (2,)


def test_a_client_that_leaves_during_a_hold_frees_the_session(point: RunningPoint) -> None:
    """A vanished client ends the wait; nothing runs afterwards."""
    point.port.rules = [Rule("held", PolicyEffect.HOLD, wait_s=30)]
    connection = point.connect()
    connection.pgconn.send_query(b"select 1 as held")
    connection.pgconn.flush()
    eventually(lambda: "a-held" in point.port.approvals)
    ended, executed = len(point.port.ended), len(point.port.executed("held"))
    connection.close()
    eventually(lambda: len(point.port.ended) > ended)
    assert len(point.port.executed("held")) == executed


def test_cancel_reaches_the_server(point: RunningPoint) -> None:
    """A cancel request stops a running statement, which is reported as cancelled."""
    with point.connect() as connection:
        threading.Timer(0.3, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(60) as cancelled")
        assert connection.execute("select 1").fetchone() == (1,)
    eventually(lambda: point.port.executed("as cancelled"))
    assert point.port.executed("as cancelled")[-1].outcome is Outcome.CANCELLED


@pytest.mark.parametrize(
    ("failure", "message"),
    [(JournalFull("over quota"), "audit log unavailable"), (ServiceUnavailable("no answer"), "no answer"),
     (RuntimeError("secret text"), "decision service unavailable")],
)  # fmt: skip
def test_without_a_decision_everything_is_denied_and_counted(
    point: RunningPoint, failure: Exception, message: str
) -> None:
    """Journal or service failing: denied with a clear reason, reported as a gap on repair, and work goes on."""
    with point.connect() as connection:
        point.port.failing = failure
        gaps = len(point.port.gaps)
        for _ in range(2):
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
                connection.execute("select 1")
            assert message in str(caught.value)
            assert "secret text" not in str(caught.value)
        point.port.failing = None
        assert connection.execute("select 1").fetchone() == (1,)
        eventually(lambda: len(point.port.gaps) > gaps)
        assert point.port.gaps[-1].denials == 2


def test_row_limit_sends_the_first_rows_and_then_an_error(point: RunningPoint) -> None:
    """Never silently cut: the rows up to the limit, then 54000 saying so; the session goes on."""
    point.port.rules = [Rule("as limited", PolicyEffect.ALLOW, limits=Limits(rows=10))]
    for size in (11, 100_000):
        with point.connect() as connection:
            received: list[object] = []
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="more than the 10 rows"):
                for row in connection.cursor().stream(f"select g as limited from generate_series(1, {size}) g"):
                    received.append(row[0])
            assert received == list(range(1, 11))
            with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                connection.execute(f"select g as limited from generate_series(1, {size}) g")
            assert len(connection.execute("select g as limited from generate_series(1, 10) g").fetchall()) == 10
            assert connection.execute("select 1").fetchone() == (1,)
    eventually(lambda: len(point.port.executed("as limited")) >= 6)
    outcomes = {one.outcome for one in point.port.executed("as limited")}
    assert outcomes == {Outcome.DENIED, Outcome.COMPLETED}


def test_row_limit_fails_the_open_transaction(point: RunningPoint) -> None:
    """An over-long result in a transaction fails it, so that a later COMMIT can't keep half of the work."""
    point.port.rules = [Rule("as limited", PolicyEffect.ALLOW, limits=Limits(rows=1))]
    with point.connect() as connection:
        connection.execute("create temp table l (a int)")
        connection.execute("begin")
        connection.execute("insert into l values (1)")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("select g as limited from generate_series(1, 3) g")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.execute("commit")
        assert connection.execute("select count(*) from l").fetchone() == (0,)


def test_byte_limit_ends_the_result(point: RunningPoint) -> None:
    """A result over its bytes ends with 54000."""
    point.port.rules = [Rule("as limited", PolicyEffect.ALLOW, limits=Limits(bytes=1000))]
    with point.connect() as connection:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="1000 bytes"):
            connection.execute("select repeat('x', 100) as limited from generate_series(1, 50)")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="1000 bytes"):
            connection.execute("select repeat('x', 10000000) as limited")
        assert connection.execute("select 1").fetchone() == (1,)


def test_time_limit_cancels_the_statement(point: RunningPoint) -> None:
    """A statement over its time is cancelled with 57014, naming policy's limit."""
    point.port.rules = [Rule("pg_sleep", PolicyEffect.ALLOW, limits=Limits(timeout_ms=200))]
    with point.connect() as connection:
        for prepared in (False, True):
            with pytest.raises(psycopg.errors.QueryCanceled, match="200 ms set by policy"):
                connection.execute("select pg_sleep(30)", prepare=prepared)
            assert connection.execute("select pg_sleep(0), 1").fetchone() == ("", 1)


def test_statement_after_ddl_sees_the_new_catalog(point: RunningPoint) -> None:
    """A committed change of the catalog is read again before the session's next decision."""
    reads: list[int] = []
    port = point.port
    with point.connect() as connection:
        keeper = point.point._catalogs
        original = keeper.refresh

        async def counting(database: object) -> None:
            reads.append(len(port.requests))
            await original(database)  # type: ignore[arg-type]

        keeper.refresh = counting  # type: ignore[method-assign, assignment]
        try:
            connection.execute("create table catalog_probe (a int)")
            connection.execute("select * from catalog_probe")
            asked = len(port.requests)
            connection.execute("begin")
            connection.execute("alter table catalog_probe add b int")
            before_commit = len(reads)
            connection.execute("commit")
            connection.execute("drop table catalog_probe")
            connection.execute("select 1")
        finally:
            keeper.refresh = original  # type: ignore[method-assign]
    assert reads[0] < asked
    assert len(reads) > before_commit


def test_function_call_message_is_refused_with_an_event(point: RunningPoint) -> None:
    """The FunctionCall message is asked about, so that there is an event, and never forwarded."""
    body = (1598).to_bytes(4, "big") + b"\0\0" + b"\0\0" + b"\0\0"
    with RawClient(point.host, point.tcp_port, "shop") as client:
        client.send(messages.message(messages.Front.FUNCTION_CALL, body))
        answer = client.until_ready()
        assert b"C42501" in answer and b"function calls by protocol message" in answer
        client.send(messages.query(b"select 1"))
        assert client.codes_until_ready() == "TDCZ"
    assert MessageKind.FUNCTION_CALL in [one.kind for one in point.port.requests]


def test_replication_is_refused(point: RunningPoint) -> None:
    """A replication connection is asked about as such and refused."""
    with pytest.raises(psycopg.OperationalError, match="replication is not allowed"):
        point.connect(replication="database")
    assert point.port.opened[-1].replication


def test_an_expired_credential_ends_the_session(point: RunningPoint) -> None:
    """The session ends when the credential does, also in the middle of a statement."""
    point.port.expires_unix = int(time.time()) + 2
    with point.connect() as connection, pytest.raises(psycopg.Error, match="expired"):
        connection.execute("select pg_sleep(30)")
    eventually(lambda: point.port.ended and point.port.ended[-1].reason == "expired")


def test_read_only_is_the_servers_own(point: RunningPoint) -> None:
    """Under read_only even a function that writes fails, by every protocol and in every transaction state."""
    with point.connect() as connection:
        connection.execute("create table ro (a int)")
        connection.execute(
            "create function sneaky(int) returns int language sql as 'insert into ro values ($1) returning a'"
        )
        point.port.rules = [Rule("sneaky|read only", PolicyEffect.ALLOW, limits=Limits(read_only=True))]
        try:
            for parameters in (None, (1,)):
                text = "select sneaky(%s)" if parameters else "select sneaky(1)"
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    connection.execute(text, parameters)
                connection.execute("begin read write")
                connection.execute("insert into ro values (7)")
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    connection.execute(text, parameters)
                connection.execute("rollback")
                connection.execute("insert into ro values (%s)", (8,))
                connection.execute("insert into ro values (9)")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("begin read write; select sneaky(1); commit")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), connection.pipeline():
                connection.execute("select sneaky(%s)", (2,))
                connection.execute("insert into ro values (100)")
            assert connection.execute("select count(*), max(a) from ro").fetchone() == (4, 9)
        finally:
            point.port.rules = []
            connection.execute("drop function sneaky; drop table ro")


def test_a_restarted_decision_service_ends_sessions_and_gets_the_catalog_again(point: RunningPoint) -> None:
    """A session that the service has forgotten ends, so that pools connect again; the snapshot is sent anew."""
    synced = len(point.port.synced)
    with pytest.raises(psycopg.Error, match=r"started anew|refused|unknown"), point.connect() as connection:
        point.port.failing = SessionUnknown("the session is unknown")
        connection.execute("select 1")
        connection.execute("select 2")
    point.port.failing = None
    with point.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert len(point.port.synced) > synced


def test_a_decision_that_never_comes_is_a_denial(postgres: BundledPostgres) -> None:
    """A decision service that hangs: denied in time, and the session goes on."""
    with (
        running({"shop": postgres.dsn("postgres")}, decision_timeout_s=0.3) as hanging,
        hanging.connect() as connection,
    ):
        hanging.port.delay_s = 30.0
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no decision in time"):
            connection.execute("select 1")
        hanging.port.delay_s = 0.0
        assert connection.execute("select 1").fetchone() == (1,)


def test_an_update_over_the_row_limit_says_that_it_was_completed(point: RunningPoint) -> None:
    """Rows of RETURNING over the limit: the error says that the change stands."""
    point.port.rules = [Rule("as limited", PolicyEffect.ALLOW, limits=Limits(rows=1))]
    with point.connect() as connection:
        connection.execute("create temp table u (a int)")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded) as caught:
            connection.execute("insert into u select generate_series(1, 3) returning a as limited")
        assert "had completed the statement (INSERT 0 3)" in (caught.value.diag.message_detail or "")


@pytest.mark.parametrize("masked", [False, True])
def test_row_limit_holds_for_all_portions_of_a_portal(point: RunningPoint, masked: bool) -> None:
    """Fetching a portal in small portions does not get more than the limit out."""
    statements = (masks((1, MaskMethod.FULL), count=1),) if masked else ()
    point.port.rules = [Rule("as limited", PolicyEffect.ALLOW, limits=Limits(rows=5), statements=statements)]
    with RawClient(point.host, point.tcp_port, "shop") as client:
        text = b"select g::text as limited from generate_series(1, 100) g"
        client.send(messages.parse(b"", text) + bind(b"p", b"", []))
        client.send(execute(b"p", 3) * 4 + messages.SYNC)
        codes = client.codes_until_ready()
        assert codes.replace("N", "") in ("12DDDsDDEZ", "12DDDsDDsEZ")
        client.send(messages.query(b"select 1"))
        assert client.codes_until_ready() == "TDCZ"
