"""Scenarios that Python's drivers run, through the enforcement point and directly; both must say the same.

A scenario takes a DSN and returns what it saw, as plain values that can be compared. SCENARIOS lists them by driver.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import asyncpg
import pg8000.dbapi
import psycopg
from psycopg.conninfo import conninfo_to_dict

Seen = list[Any]


def uri(dsn: str, **extra: str) -> str:
    parts = {**{name: str(value) for name, value in conninfo_to_dict(dsn).items()}, **extra}
    host = f"{parts['host']}:{parts['port']}"
    mode = parts.get("sslmode", "disable")
    return f"postgresql://{quote(parts['user'])}:{quote(parts['password'])}@{host}/{parts['dbname']}?sslmode={mode}"


def code_of(work: Callable[[], Any]) -> str:
    try:
        work()
    except psycopg.Error as error:
        return error.sqlstate or "none"
    return "no error"


# ── psycopg 3 ───────────────────────────────────────────────────────────────────────────────────────────────────────


def psycopg_simple(dsn: str) -> Seen:
    with psycopg.connect(dsn, autocommit=True) as connection:
        several = connection.execute("select 1; select 'two', 2.5; select null")
        seen: Seen = [several.fetchall()]
        while several.nextset():
            seen.append(several.fetchall())
        seen.append(code_of(lambda: connection.execute("select 1/0")))
        seen.append(connection.execute("").statusmessage)
        seen.append(connection.execute("select %s::int + 1, %s", (41, "text")).fetchone())
        seen.append(code_of(lambda: connection.execute("select * from no_such_table")))
        seen.append(code_of(lambda: connection.execute("selekt")))
        return seen


def psycopg_prepared(dsn: str) -> Seen:
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=1) as connection:
        seen: Seen = [connection.execute("select %s::int * 2", (n,), prepare=True).fetchone() for n in range(6)]
        seen.append(connection.execute("select %b::int * 2", (3,), binary=True).fetchone())
        connection.prepared_max = 2
        for n in range(6):
            seen.append(connection.execute(f"select {n}::text || %s", ("x",), prepare=True).fetchone())
        connection.execute("deallocate all")
        seen.append(connection.execute("select count(*) from pg_prepared_statements").fetchone())
        return seen


def psycopg_transaction(dsn: str) -> Seen:
    with psycopg.connect(dsn) as connection:
        connection.execute("create temp table t (a int primary key)")
        with connection.transaction():
            connection.execute("insert into t values (1)")
            seen: Seen = [code_of(lambda: nested(connection))]
            connection.execute("insert into t values (2)")
        seen.append(connection.execute("select a from t order by a").fetchall())
        seen.append(connection.info.transaction_status.name)
        seen.append(code_of(lambda: connection.execute("insert into t values (1)")))
        seen.append(connection.info.transaction_status.name)
        seen.append(code_of(lambda: connection.execute("select 1")))
        connection.rollback()
        seen.append(connection.info.transaction_status.name)
        return seen


def nested(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("insert into t values (3)")
        connection.execute("insert into t values (1)")


def psycopg_pipeline(dsn: str) -> Seen:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create temp table p (a int)")
        seen: Seen = []
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("insert into p values (%s) returning a * 10", (n,)) for n in range(20)]
            pipeline.sync()
            seen.append([cursor.fetchall() for cursor in cursors])
        with connection.cursor() as cursor:
            cursor.executemany("insert into p values (%s)", [(n,) for n in range(100)])
            seen.append(cursor.rowcount)
        seen.append(code_of(lambda: failing_pipeline(connection)))
        seen.append(connection.execute("select count(*), sum(a) from p").fetchone())
        return seen


def failing_pipeline(connection: psycopg.Connection[Any]) -> None:
    with connection.pipeline() as pipeline:
        connection.execute("insert into p values (1000)")
        connection.execute("select 1/0")
        connection.execute("insert into p values (2000)")
        pipeline.sync()
        connection.execute("insert into p values (3000)")


def psycopg_copy(dsn: str) -> Seen:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create temp table c (a int, b text)")
        with connection.cursor().copy("copy c from stdin") as copy:
            for n in range(1000):
                copy.write_row((n, f"row {n}"))
        seen: Seen = [connection.execute("select count(*), sum(a) from c").fetchone()]
        with connection.cursor().copy("copy (select a, b from c order by a limit 3) to stdout") as copy:
            seen.append(list(copy.rows()))
        with connection.cursor().copy("copy c to stdout (format binary)") as copy:
            seen.append(sum(len(bytes(block)) for block in copy))
        seen.append(code_of(lambda: bad_copy(connection)))
        seen.append(connection.execute("select 'alive'").fetchone())
        with connection.cursor().copy("copy c (a, b) from stdin (format csv)") as copy:
            copy.write("7,seven\n8,eight\n")
        seen.append(connection.execute("select count(*) from c").fetchone())
        return seen


def bad_copy(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor().copy("copy c from stdin") as copy:
        copy.write("not a number\tx\n")
        for _ in range(100):
            copy.write("1\ty\n")


def psycopg_cursors(dsn: str) -> Seen:
    with psycopg.connect(dsn) as connection:
        with connection.cursor(name="server_side") as cursor:
            cursor.itersize = 10
            cursor.execute("select g, 'v' || g from generate_series(1, 35) g")
            seen: Seen = [sum(row[0] for row in cursor)]
        with connection.cursor(name="scrolled", scrollable=True) as cursor:
            cursor.execute("select g from generate_series(1, 10) g")
            cursor.scroll(5)
            seen.append(cursor.fetchmany(2))
        connection.commit()
        with psycopg.connect(dsn, autocommit=True) as other:
            stream = other.cursor().stream("select g from generate_series(1, 50) g")
            seen.append(sum(row[0] for row in stream))
        return seen


def psycopg_notify(dsn: str) -> Seen:
    notices: list[str] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.add_notice_handler(lambda diagnostic: notices.append(str(diagnostic.message_primary)))
        connection.execute("listen room")
        connection.execute("notify room, 'hello'")
        found = next(iter(connection.notifies(timeout=5, stop_after=1)))
        connection.execute("do $$ begin raise notice 'from the server'; end $$")
        connection.execute("set timezone to 'Europe/Berlin'")
        return [found.channel, found.payload, notices, connection.info.parameter_status("TimeZone")]


def psycopg_large(dsn: str) -> Seen:
    with psycopg.connect(dsn, autocommit=True) as connection:
        big = "x" * 3_000_000
        seen: Seen = [connection.execute("select length(%s::text), md5(%s::text)", (big, big)).fetchone()]
        row = connection.execute("select repeat('y', 20000000), 5").fetchone()
        seen.append((len(row[0]), row[1]) if row else None)
        seen.append(connection.execute("select sum(length(t)) from (select repeat('z', 100) t, g from "
                                       "generate_series(1, 20000) g) s").fetchone())  # fmt: skip
        seen.append(len(connection.execute("select g, repeat('w', 50) from generate_series(1, 30000) g").fetchall()))
        return seen


# ── asyncpg ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def asyncpg_all(dsn: str) -> Seen:
    return asyncio.run(asyncpg_scenario(dsn))


async def asyncpg_scenario(dsn: str) -> Seen:
    connection = await asyncpg.connect(uri(dsn))
    seen: Seen = []
    try:
        seen.append(await connection.fetchval("select $1::int + 1", 41))
        seen.append([tuple(row) for row in await connection.fetch("select g, g::text t from generate_series(1,3) g")])
        statement = await connection.prepare("select $1::text || 'x'")
        seen.append([await statement.fetchval(str(n)) for n in range(3)])
        async with connection.transaction():
            seen.append([row[0] async for row in connection.cursor("select generate_series(1, 120)", prefetch=50)][-1])
        await connection.execute("create temp table k (a int, b text)")
        seen.append(await connection.copy_records_to_table("k", records=[(n, str(n)) for n in range(500)]))
        out = io.BytesIO()
        await connection.copy_from_query("select * from k order by a limit 2", output=out, format="csv")
        seen.append(out.getvalue())
        await connection.executemany("insert into k values ($1, $2)", [(n, "m") for n in range(50)])
        seen.append(await connection.fetchval("select count(*) from k"))
        for text in ("select 1/0", "select * from no_such_table", "selekt"):
            try:
                await connection.fetch(text)
            except asyncpg.PostgresError as error:
                seen.append(error.sqlstate)
        try:
            async with connection.transaction():
                await connection.execute("insert into k values (1000, 'gone')")
                await connection.fetch("select 1/0")
        except asyncpg.PostgresError as error:
            seen.append(error.sqlstate)
        seen.append(await connection.fetchval("select count(*) from k where a = 1000"))
        await connection.execute("select 1; select 2")
        await connection.reset()
        seen.append(await connection.fetchval("select 'after reset'"))
    finally:
        await connection.close()
    return seen


# ── pg8000 ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def pg8000_all(dsn: str) -> Seen:
    parts = conninfo_to_dict(dsn)
    connection = pg8000.dbapi.connect(
        user=str(parts["user"]), password=str(parts["password"]), host=str(parts["host"]), port=int(str(parts["port"])),
        database=str(parts["dbname"]),
    )  # fmt: skip
    try:
        cursor = connection.cursor()
        cursor.execute("create temp table e (a int, b text)")
        cursor.executemany("insert into e values (%s, %s)", [(n, f"v{n}") for n in range(5)])
        cursor.execute("select a, b from e where a > %s order by a", (2,))
        seen: Seen = [list(map(tuple, cursor.fetchall()))]
        connection.commit()
        try:
            cursor.execute("select 1/0")
        except pg8000.dbapi.DatabaseError as error:
            seen.append(error.args[0]["C"])
        connection.rollback()
        stream = io.BytesIO(b"10\tten\n11\televen\n")
        cursor.execute("copy e from stdin", stream=stream)
        cursor.execute("select count(*) from e")
        seen.append(list(map(tuple, cursor.fetchall())))
        return seen
    finally:
        connection.close()


SCENARIOS: dict[str, Callable[[str], Seen]] = {
    name: found
    for name, found in list(globals().items())
    if callable(found) and name.startswith(("psycopg_", "asyncpg_all", "pg8000_"))
}
