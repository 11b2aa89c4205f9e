"""A masked column never leaves in clear, whatever way the rows take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.model.decision import MaskMethod, PolicyEffect
from enforcement.catalog import read_catalog
from enforcement.postgres.protocol import messages
from tests.clients.harness import RunningPoint, psql, running
from tests.clients.port import Rule, masks
from tests.clients.raw import RawClient, bind, close, describe, execute
from tests.clients.scenarios import uri
from tests.support.eventually import eventually

pytestmark = pytest.mark.postgres

SECRET = "carol@secret.example"
EMAIL = (2, MaskMethod.FULL)


@pytest.fixture(scope="module")
def people(postgres: BundledPostgres) -> Iterator[int]:
    """The OID of a table with one sensitive column, number 2."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create table people (id int primary key, email text, age int)")
        connection.execute("insert into people select g, %s, g from generate_series(1, 500) g", (SECRET,))
        row = connection.execute("select 'people'::regclass::oid::int").fetchone()
        assert row is not None
        yield row[0]
        connection.execute("drop table people")


@pytest.fixture(scope="module")
def shared(postgres: BundledPostgres, people: int) -> Iterator[RunningPoint]:
    with running({"shop": postgres.dsn("postgres")}, prompt=True, read_catalog=read_catalog) as one:
        yield one


@pytest.fixture
def point(shared: RunningPoint, people: int) -> RunningPoint:
    """Rules: whatever names `people` is masked in its second of three columns; `pair`: the second of two …"""
    guards = ((people, 2, MaskMethod.FULL),)
    full = masks(EMAIL, count=3, tables=(people,), guards=guards)
    pair = masks(EMAIL, count=2, tables=(people,), guards=guards)
    single = masks((1, MaskMethod.FULL), count=1, tables=(people,), guards=guards)
    no_mask = masks(count=1, tables=(people,), guards=guards)
    allow = PolicyEffect.ALLOW
    shared.port.rules = [
        Rule(r"/\* pair \*/", allow, statements=(pair,)),
        Rule(r"/\* single \*/", allow, statements=(single,)),
        Rule(r"/\* guards only \*/", allow, statements=(no_mask,)),
        Rule(r"/\* wrong table \*/", allow, statements=(masks(EMAIL, count=3, tables=(1,), guards=guards),)),
        Rule(r"^fetch .*people_cursor", allow, statements=(full,)),
        Rule(r"/\* second \*/", allow, statements=(masks(EMAIL, count=3, tables=(people,), index=1),)),
        Rule(r"^declare", allow),
        Rule(r"people", allow, statements=(full,)),
    ]
    return shared


def values(rows: list[Any]) -> set[Any]:
    return {row[1] for row in rows}


def test_simple_query_is_masked(point: RunningPoint) -> None:
    """Text rows of a simple query."""
    with point.connect() as connection:
        rows = connection.execute("select * from people").fetchall()
    assert values(rows) == {"***"} and len(rows) == 500
    eventually(lambda: point.port.executed(r"select \* from people$"))
    assert point.port.executed(r"select \* from people$")[-1].masked_cells == 500


def test_prepared_again_without_describe_is_masked(point: RunningPoint) -> None:
    """asyncpg describes once; later executions carry no RowDescription and are in binary format."""

    async def scenario() -> list[set[Any]]:
        connection = await asyncpg.connect(uri(point.dsn()))
        statement = await connection.prepare("select id, email, age from people where id > $1")
        seen = [values(await statement.fetch(n)) for n in range(3)]
        await connection.close()
        return seen

    assert asyncio.run(scenario()) == [{"***"}] * 3


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_prepared_is_masked(point: RunningPoint, binary: bool) -> None:
    """Parameters, prepared statements, text and binary results."""
    with point.connect(prepare_threshold=1) as connection:
        for n in range(4):
            cursor = connection.cursor(binary=binary)
            rows = cursor.execute("select id, email, age from people where id > %s", (n,)).fetchall()
            assert values(rows) == {"***"} and rows[0][0] == n + 1


def test_a_peer_that_never_describes_is_masked(point: RunningPoint) -> None:
    """Parse, Bind, Execute only: we describe the statement ourselves, and the client sees none of it."""
    with RawClient(point.host, point.tcp_port, "shop") as client:
        text = b"select id, email, age from people where id < 4"
        client.send(messages.parse(b"s", text) + bind(b"", b"s", [], [1, 0, 1]) + execute(b"") + messages.SYNC)
        answer = client.until_ready()
        assert SECRET.encode() not in answer and answer.count(b"***") == 3
        client.send(bind(b"", b"s", [], [1]) + execute(b"") + messages.SYNC)
        assert client.codes_until_ready() == "2DDDCZ"


def test_portal_in_portions_is_masked(point: RunningPoint) -> None:
    """Execute with a row limit, PortalSuspended, and on: one report with all rows."""
    with RawClient(point.host, point.tcp_port, "shop") as client:
        text = b"select id, email, age from people where id < 8 /* portions */"
        client.send(messages.parse(b"", text) + bind(b"p", b"", []) + execute(b"p", 3) + messages.FLUSH)
        first = b"".join(client.message() for _ in range(6))
        client.send(execute(b"p", 3) + execute(b"p", 3) + close(b"P", b"p") + messages.SYNC)
        rest = client.until_ready()
    assert SECRET.encode() not in first + rest and (first + rest).count(b"***") == 7
    eventually(lambda: point.port.executed("portions"))
    assert [(one.rows, one.masked_cells) for one in point.port.executed("portions")] == [(7, 7)]


def test_cursor_is_masked(point: RunningPoint) -> None:
    """DECLARE and FETCH, forwards and by psycopg's server-side cursor."""
    with point.connect(autocommit=False) as connection:
        with connection.cursor(name="people_cursor") as cursor:
            cursor.execute("select * from people")
            assert values(cursor.fetchmany(10)) == {"***"}
        connection.execute("declare people_cursor binary cursor for select * from people")
        found = connection.execute("fetch 5 from people_cursor")
        assert found.pgresult is not None and found.pgresult.get_value(0, 1) == b"***"


def test_returning_is_masked(point: RunningPoint) -> None:
    """Rows that a writing statement returns."""
    with point.connect() as connection:
        connection.execute("begin")
        rows = connection.execute("update people set age = age + 1 where id < 5 returning id, email, age").fetchall()
        assert values(rows) == {"***"}
        connection.execute("rollback")


def test_second_statement_of_a_message_is_masked(point: RunningPoint) -> None:
    """Obligations go to the result set of their statement."""
    with point.connect() as connection:
        cursor = connection.execute("select 1, 'clear', 2; select * from people /* second */ where id = 1")
        assert cursor.fetchall() == [(1, "clear", 2)]
        assert cursor.nextset() and values(cursor.fetchall()) == {"***"}


def test_a_guarded_column_that_lineage_missed_is_masked(point: RunningPoint) -> None:
    """The server's description names the table's column: masked though no ordinal was given."""
    with point.connect() as connection:
        assert connection.execute("select email from people /* guards only */ limit 1").fetchone() == ("***",)
        assert connection.execute("select email from people /* guards only */ where id = %s", (1,)).fetchone() == (
            "***",
        )


@pytest.mark.parametrize("mark", ["pair", "wrong table"])
@pytest.mark.parametrize("prepared", [False, True])
def test_another_shape_than_decided_is_withheld(point: RunningPoint, mark: str, prepared: bool) -> None:
    """Another number of columns, or a table that the decision did not know: an error instead of rows."""
    text = f"select * from people /* {mark} */ where id > %s" if prepared else f"select * from people /* {mark} */"
    with point.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            connection.execute(text, (1,) if prepared else None)
        assert SECRET not in str(caught.value)
        assert connection.execute("select 1").fetchone() == (1,)
        connection.execute("begin")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(text, (1,) if prepared else None)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.execute("rollback")


def test_a_withheld_insert_by_the_extended_protocol_has_not_run(point: RunningPoint) -> None:
    """The shape is checked before anything is executed."""
    with point.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("insert into people values (%s, 'x', 1) returning * /* pair */", (9999,))
        assert connection.execute("select count(*) from pg_class where %s > 0", (1,)).fetchone()
    with psycopg.connect(point.settings.databases[0].reading_dsn()) as direct:
        assert direct.execute("select count(*) from people where id = 9999").fetchone() == (0,)


def test_error_texts_hold_no_masked_value(point: RunningPoint) -> None:
    """A cast that fails tells the value in PostgreSQL; here it does not."""
    with point.connect() as connection:
        for text, parameters in (
            ("select email::int from people /* single */", None),
            ("select email::int from people /* single */ where id > %s", (0,)),
            ("select 1 from people /* guards only */ where email::int = 1", None),
        ):
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(text, parameters)
            assert caught.value.sqlstate == "22P02"
            assert SECRET not in str(caught.value) + str(vars(caught.value.diag) if caught.value.diag else "")


def test_a_portal_can_not_be_moved_to_another_cursor(point: RunningPoint) -> None:
    """A portal over FETCH is refused once something else has run since it was bound."""
    with RawClient(point.host, point.tcp_port, "shop") as client:
        client.send(messages.query(b"begin"))
        client.until_ready()
        client.send(messages.query(b"declare c cursor for select 1, 'clear', 3"))
        client.until_ready()
        client.send(messages.parse(b"f", b"fetch 1 from c") + bind(b"p", b"f", []) + messages.SYNC)
        client.until_ready()
        client.send(messages.query(b"close c"))
        client.until_ready()
        client.send(messages.query(b"declare c cursor for select * from people"))
        client.until_ready()
        client.send(execute(b"p") + messages.SYNC)
        answer = client.until_ready()
        assert b"C34000" in answer and SECRET.encode() not in answer


def test_copy_out_is_masked(point: RunningPoint) -> None:
    """COPY of a query and of a table, as text, CSV and binary."""
    with point.connect() as connection:
        for source in ("people", "(select id, email, age from people)"):
            for options in ("", "(format csv, header)", "(format csv, force_quote *)", "(format binary)"):
                with connection.cursor().copy(f"copy {source} to stdout {options}") as copy:  # type: ignore[arg-type]
                    data = b"".join(bytes(block) for block in copy)
                assert SECRET.encode() not in data, (source, options)
                untold = "binary" in options and source != "people"  # the types of a query's columns
                mark = b"\xff\xff\xff\xff" if untold else b"***"
                assert data.count(mark) >= 500, (source, options)


def test_psql_copy_is_masked(point: RunningPoint) -> None:
    r"""psql's \copy to standard output."""
    done = psql(point.dsn(), "-c", r"\copy people to stdout")
    assert done.returncode == 0 and SECRET not in done.stdout and done.stdout.count("***") == 500


def test_describe_does_not_change_what_is_masked(point: RunningPoint) -> None:
    """A client that describes statement and portal sees the server's own description."""
    with RawClient(point.host, point.tcp_port, "shop") as client:
        text = b"select id, email, age from people where id = 1"
        client.send(
            messages.parse(b"", text) + describe(b"S", b"") + bind(b"", b"", []) + describe(b"P", b"") + execute(b"")
            + messages.SYNC
        )  # fmt: skip
        assert client.codes_until_ready() == "1tT2TDCZ"
