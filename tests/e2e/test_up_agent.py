"""An agent reads masked values whatever the way, and is refused what could hurt; the session goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import asyncpg
import psycopg
import pytest

from tests.e2e.support import Running, eventually

CLEAR = re.compile(r"(?<!\*)\b[a-z0-9.]{2,}@[a-z0-9.-]+", re.IGNORECASE)


def clear_emails(text: str) -> list[str]:
    """Addresses whose local part is not masked."""
    return [found for found in CLEAR.findall(text) if not found.startswith("*")]


def simple(connection: psycopg.Connection) -> str:
    return str(psycopg.ClientCursor(connection).execute("SELECT email FROM customers ORDER BY id LIMIT 20").fetchall())


def extended_text(connection: psycopg.Connection) -> str:
    return str(connection.execute("SELECT email FROM customers WHERE id < %s", (20,)).fetchall())


def extended_binary(connection: psycopg.Connection) -> str:
    cursor = connection.cursor(binary=True)
    return str(cursor.execute("SELECT id, email FROM customers WHERE id < %s", (20,)).fetchall())


def prepared_again(connection: psycopg.Connection) -> str:
    rows = []
    for _ in range(4):
        rows += connection.execute("SELECT email FROM customers WHERE id < %s", (20,), prepare=True).fetchall()
    return str(rows)


def sql_prepared(connection: psycopg.Connection) -> str:
    connection.execute("PREPARE p(int) AS SELECT email FROM customers WHERE id < $1")
    return str([connection.execute("EXECUTE p(20)").fetchall() for _ in range(2)])


def cursor(connection: psycopg.Connection) -> str:
    with connection.transaction():
        connection.execute("DECLARE c CURSOR FOR SELECT email FROM customers ORDER BY id")
        return str(connection.execute("FETCH 20 FROM c").fetchall() + connection.execute("FETCH 5 FROM c").fetchall())


def server_side_cursor(connection: psycopg.Connection) -> str:
    with connection.transaction(), connection.cursor("named") as named:
        named.itersize = 5
        named.execute("SELECT email FROM customers ORDER BY id LIMIT 20")
        return str(list(named))


def pipeline(connection: psycopg.Connection) -> str:
    with connection.pipeline():
        first = connection.execute("SELECT email FROM customers WHERE id < 10")
        second = connection.execute("SELECT lower(email) FROM customers WHERE id < 10")
        return str(first.fetchall()) + str(second.fetchall())


def copy_out(statement: str) -> Callable[[psycopg.Connection], str]:
    def read(connection: psycopg.Connection) -> str:
        with connection.cursor().copy(statement) as copy:
            return b"".join(bytes(part) for part in copy).decode("utf-8", "replace")

    return read


def statement(text: str) -> Callable[[psycopg.Connection], str]:
    return lambda connection: str(connection.execute(text).fetchall())


WAYS = {
    "simple": simple,
    "extended text": extended_text,
    "extended binary": extended_binary,
    "prepared again": prepared_again,
    "PREPARE and EXECUTE": sql_prepared,
    "cursor": cursor,
    "server-side cursor": server_side_cursor,
    "pipeline": pipeline,
    "COPY table": copy_out("COPY customers (id, email) TO STDOUT"),
    "COPY query": copy_out("COPY (SELECT email FROM customers WHERE id < 50) TO STDOUT"),
    "COPY csv": copy_out("COPY (SELECT email FROM customers WHERE id < 50) TO STDOUT WITH (FORMAT csv, HEADER)"),
    "COPY binary": copy_out("COPY (SELECT email FROM customers WHERE id < 50) TO STDOUT WITH (FORMAT binary)"),
    "alias": statement("SELECT c.email AS harmless FROM customers c WHERE id < 20"),
    "star": statement("SELECT * FROM customers WHERE id < 20"),
    "expression": statement("SELECT upper(email) || '!' FROM customers WHERE id < 20"),
    "CTE": statement("WITH x AS (SELECT email AS e FROM customers WHERE id < 20) SELECT e FROM x"),
    "union": statement("SELECT 'x' UNION ALL (SELECT email FROM customers LIMIT 5)"),
    "aggregate": statement("SELECT string_agg(email, ',') FROM customers WHERE id < 20"),
    "array": statement("SELECT array_agg(email) FROM customers WHERE id < 20"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_an_email_never_comes_in_clear(up: Running, agent: str, way: Callable[[psycopg.Connection], str]) -> None:
    """By this way the agent gets masks, or a denial, and no address."""
    with psycopg.connect(up.conninfo(agent), autocommit=True) as connection:
        try:
            seen = way(connection)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ProgramLimitExceeded) as denial:
            seen = str(denial)
        assert clear_emails(seen) == []
        assert connection.execute("SELECT 'goes on'").fetchone() == ("goes on",)


@pytest.mark.parametrize(
    "way", [WAYS[name] for name in ("simple", "extended binary", "prepared again", "cursor", "COPY query", "pipeline")]
)
def test_a_masked_email_is_still_an_answer(up: Running, agent: str, way: Callable[[psycopg.Connection], str]) -> None:
    """Common ways are masked, not refused."""
    with psycopg.connect(up.conninfo(agent), autocommit=True) as connection:
        assert "***@" in way(connection)


async def test_asyncpg_executes_a_prepared_statement_again_masked(up: Running, agent: str) -> None:
    """asyncpg describes once; the later, binary executions carry no RowDescription and are masked all the same."""
    connection = await asyncpg.connect(
        host=up.host, port=up.port, user="me", database="shop", password=agent, ssl="prefer"
    )
    try:
        prepared = await connection.prepare("SELECT id, email FROM customers WHERE id = $1")
        rows = [await prepared.fetch(number) for number in range(1, 6)]
        assert clear_emails(str(rows)) == []
        assert "***@" in str(rows)
    finally:
        await asyncio.wait_for(connection.close(), 10)


def test_returning_is_masked_for_a_person_who_may_not_see(up: Running, human: str) -> None:
    """RETURNING gives the masked value of the written row."""
    with psycopg.connect(up.conninfo(human), autocommit=True) as connection:
        rows = connection.execute("UPDATE customers SET segment = segment WHERE id = 1 RETURNING email").fetchall()
    assert clear_emails(str(rows)) == []
    assert "***@" in str(rows)


@pytest.mark.parametrize(
    ("sql", "rule", "table"),
    [
        ("DROP TABLE payments", "guardrails.", "payments"),
        ("UPDATE customers SET email = 'x'", "guardrails.", "customers"),
        ("DELETE FROM orders WHERE true", "guardrails.", "orders"),
        ("TRUNCATE payments", "guardrails.", "payments"),
        ("DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE payments'; END $$", "", "payments"),
        ("COPY customers TO PROGRAM 'cat'", "", "customers"),
        ("SELECT pg_read_file('/etc/passwd')", "", "customers"),
    ],
)
def test_what_could_hurt_is_refused_and_named(up: Running, agent: str, sql: str, rule: str, table: str) -> None:
    """The message names the rule, the session goes on, the table is untouched."""
    with psycopg.connect(up.conninfo(agent), autocommit=True) as connection:
        before = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as denial:
            connection.execute(sql)
        assert f"denied by {rule}" in str(denial.value)
        assert denial.value.diag.message_detail
        assert "decision" in denial.value.diag.message_detail
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == before


def test_a_denial_in_a_transaction_fails_it_as_postgresql_would(up: Running, agent: str) -> None:
    """After the denial only ROLLBACK helps: nothing around it commits."""
    with psycopg.connect(up.conninfo(agent)) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE payments")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_audit_shows_who_what_why_and_which_rule(up: Running) -> None:
    """A denial is a row with agent and human, statement, intent, rule and policy revision, a second later."""
    token = up.token("audited-bot", "agent", on_behalf_of="bob")
    info = up.conninfo(token) + " options='-c airlock.intent=monthly-report'"
    with psycopg.connect(info, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DROP TABLE payments")
    rows = eventually(
        lambda: up.query("select * from denials where principal = 'audited-bot' order by time desc limit 5"),
        what="the denial in the view",
    )
    (row,) = rows
    text = str(row)
    assert "bob" in text
    assert "drop table payments" in text.lower()
    assert "monthly-report" in text
    assert "guardrails.drop_critical" in text
    assert row["policy_revision"]
