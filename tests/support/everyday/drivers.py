"""Drivers: what they ask the server of their own accord, and how they send queries."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import asyncpg
import pg8000.dbapi
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.range import RangeInfo


def psycopg3(dsn: str) -> None:
    """Type look-ups, server-side cursors, COPY, pipelines and two-phase transactions."""
    with psycopg.connect(dsn) as connection:
        for kind, name in (
            (TypeInfo, "order_status"),
            (EnumInfo, "order_status"),
            (RangeInfo, "int4range"),
            (CompositeInfo, "orders"),
        ):
            kind.fetch(connection, name)
        connection.execute("SELECT id, full_name FROM customers WHERE id = %s", (1,))
        connection.execute("SELECT status, count(*) FROM orders GROUP BY status ORDER BY 2 DESC")
        with connection.cursor("few") as cursor:
            cursor.execute("SELECT id, total FROM orders WHERE total > %s", (10,))
            cursor.fetchmany(5)
            cursor.fetchall()
        with connection.cursor("far", scrollable=True) as cursor:
            cursor.execute("SELECT id FROM products ORDER BY id")
            cursor.scroll(10)
            cursor.fetchone()
        with connection.cursor() as cursor, cursor.copy("COPY (SELECT sku, price FROM products) TO STDOUT") as rows:
            list(rows)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE incoming (sku text, price numeric) ON COMMIT DROP")
            with cursor.copy("COPY incoming (sku, price) FROM STDIN") as rows:
                rows.write_row(("SKU-1", 1))
            cursor.execute("UPDATE products p SET price = i.price FROM incoming i WHERE i.sku = p.sku")
            cursor.executemany(
                "INSERT INTO payments (order_id, method, amount, paid_at) VALUES (%s, %s, %s, now())",
                [(1, "card", 5), (2, "transfer", 6)],
            )
        with connection.transaction(), connection.transaction("inner"):
            connection.execute("SELECT id FROM orders WHERE id = %s FOR UPDATE", (1,))
        connection.rollback()


async def _drop(data: bytes) -> None:
    """Take rows and keep nothing."""


async def _asyncpg(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.fetch("SELECT id, status FROM orders WHERE status = $1", "paid")  # looks up the enum
        await connection.fetch("SELECT o FROM orders o LIMIT 1")  # and the composite
        await connection.fetch("SELECT $1::int4range, $2::order_status[]", None, ["paid"])
        await connection.set_type_codec("jsonb", encoder=str, decoder=str, schema="pg_catalog")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for _ in connection.cursor("SELECT id FROM customers ORDER BY id"):
                pass
        async with connection.transaction(), connection.transaction():
            await connection.execute("UPDATE products SET stock = stock - 1 WHERE id = $1", 1)
        await connection.copy_from_query("SELECT id, name FROM products", output=_drop)
        await connection.executemany("UPDATE orders SET note = $2 WHERE id = $1", [(1, "a"), (2, "b")])
        await connection.add_listener("shop_events", lambda *_: None)
        await connection.reset()
    finally:
        await connection.close()


def asyncpg_(dsn: str) -> None:
    """Its introspection of types, cursors, savepoints, listeners and the reset of a pooled connection."""
    asyncio.run(_asyncpg(dsn))


def pg8000_(dsn: str) -> None:
    """Prepared by name, with its own transaction handling."""
    parts = conninfo_to_dict(dsn)
    connection = pg8000.dbapi.connect(
        user=str(parts["user"]), password=str(parts["password"]), host=str(parts["host"]),
        port=int(str(parts["port"])), database=str(parts["dbname"]),
    )  # fmt: skip
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT id, total FROM orders WHERE customer_id = %s ORDER BY placed_at DESC LIMIT 10", (1,))
        cursor.executemany("UPDATE orders SET note = %s WHERE id = %s", [("x", 1), ("y", 2)])
        connection.commit()
    finally:
        connection.close()


def pgjdbc_metadata(dsn: str, java: Path, jar: Path) -> None:
    """DatabaseMetaData as database browsers over JDBC use it, and a result set that is updated."""
    parts = conninfo_to_dict(dsn)
    url = f"jdbc:postgresql://{parts['host']}:{parts['port']}/{parts['dbname']}"
    source = Path(__file__).with_name("Metadata.java")
    done = subprocess.run(
        [str(java), "-cp", str(jar), str(source), url, str(parts["user"]), str(parts["password"])],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
