"""The dialects that have an engine at hand: what SQLite's authorizer and DuckDB say must be in the facts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import product

import duckdb
import pytest

from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.errors import AnalysisError
from decision.model.facts import Access, RelationKind, Statement, Usage

TABLES = {
    "users": ("id", "name", "email", "ssn", "org_id"), "orders": ("id", "user_id", "note", "total"),
    "secrets": ("id", "ssn"), "notes": ("id", "note"), "t": ("x",),
}  # fmt: skip
VIEW = "SELECT id, name, ssn AS hidden FROM users WHERE org_id = 1"
SETUP = [
    *(f"CREATE TABLE {name} ({', '.join(f'{one} INTEGER' for one in columns)})" for name, columns in TABLES.items()),
    f"CREATE VIEW v AS {VIEW}",
    "CREATE UNIQUE INDEX users_id ON users(id)",
]  # fmt: skip
SHAPES = (
    "SELECT {e} FROM users u", "SELECT * FROM users u JOIN orders o ON o.user_id = u.id",
    "SELECT {e} FROM (SELECT * FROM users) u", "WITH u AS (SELECT * FROM users) SELECT {e} FROM u",
    "WITH users AS (SELECT * FROM secrets) SELECT * FROM users", "WITH users AS (SELECT 1 AS id) DELETE FROM users",
    "SELECT name FROM users u WHERE {e} > 1", "SELECT count(*) FROM users u GROUP BY {e}",
    "SELECT id FROM users u ORDER BY {e}", "SELECT {e} FROM users u UNION SELECT ssn FROM secrets",
    "SELECT (SELECT {e}) FROM users u", "SELECT (SELECT max(s.ssn) FROM secrets s WHERE s.id = u.id), {e} FROM users u",
    "SELECT * FROM v u WHERE u.hidden > 1", "SELECT hidden FROM v", "INSERT INTO t SELECT {e} FROM users u",
    "UPDATE notes SET note = (SELECT {e} FROM users u LIMIT 1) WHERE id = 1",
    "DELETE FROM orders WHERE user_id IN (SELECT u.id FROM users u WHERE {e} = 2)",
    "SELECT sum({e}) OVER (PARTITION BY org_id ORDER BY ssn) FROM users u",
    "WITH RECURSIVE c(n) AS (SELECT ssn FROM secrets UNION ALL SELECT n + 1 FROM c WHERE n < 3) SELECT n FROM c",
    "SELECT a.note, b.ssn FROM notes a, secrets b WHERE a.id = b.id AND a.id IN (SELECT x FROM t)",
    "SELECT CASE WHEN {e} > 1 THEN 1 ELSE 0 END FROM users u",
    "SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM secrets s WHERE s.ssn = {e})",
    "SELECT * FROM users NATURAL JOIN secrets", "SELECT * FROM users u JOIN secrets USING (id)",
    "SELECT * FROM (SELECT id, {e} AS z FROM users u) q WHERE z > 0",
    "SELECT u.* FROM users u LEFT JOIN t ON {e} = t.x",
    "SELECT id AS ssn FROM users u WHERE ssn > 0", "SELECT max({e}) AS m FROM users u HAVING min(ssn) > 0",
    "DELETE FROM users WHERE {b} = 1 RETURNING *", "UPDATE users SET name = 1 WHERE {b} = 2 RETURNING ssn",
    "INSERT INTO users(id, ssn) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn + users.org_id",
    "SELECT * FROM (users u JOIN t ON t.x = u.id)", "SELECT (WITH q AS (SELECT {e} AS k) SELECT k FROM q) FROM users u",
    "VALUES (1, (SELECT ssn FROM secrets LIMIT 1))", "SELECT 1 WHERE (SELECT count(*) FROM secrets) > 0",
    "CREATE TABLE made AS SELECT {e} AS z FROM users u",
)  # fmt: skip
EXPRESSIONS = ("u.ssn", "u.name + u.ssn", "coalesce(u.email, u.ssn)", "max(u.ssn, u.id)", "(u.id)")
PLAIN = ("ssn", "id + org_id")


def statements() -> Iterator[str]:
    seen = set()
    for shape, expression, plain in product(SHAPES, EXPRESSIONS, PLAIN):
        text = shape.format(e=expression, b=plain)
        if text not in seen:
            seen.add(text)
            yield text


def snapshot(database: str, schema: str) -> CatalogSnapshot:
    def relation(name: str, columns: tuple[str, ...], definition: str = "") -> CatalogRelation:
        kind = RelationKind.VIEW if definition else RelationKind.TABLE
        found = tuple(CatalogColumn(column, number, 0, "int") for number, column in enumerate(columns, 1))
        return CatalogRelation(schema, name, 0, kind, found, definition)

    tables = tuple(relation(name, columns) for name, columns in TABLES.items())
    return CatalogSnapshot(database, 0, "1", (schema,), (*tables, relation("v", ("id", "name", "hidden"), VIEW)))


def used(statement: Statement, access: Access) -> set[str]:
    return {relation.name for relation in statement.relations if access in relation.access}


SQLITE_WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


def test_sqlites_authorizer_sees_nothing_that_the_facts_miss() -> None:
    """Every table and column that SQLite asks leave to read or write is in the facts, for all statements it takes."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for text in SETUP:
        connection.execute(text)
    asked: list[tuple[int, str | None, str | None, str | None, str | None]] = []

    def authorize(*call: object) -> int:
        asked.append(call)  # type: ignore[arg-type]
        return sqlite3.SQLITE_OK

    connection.set_authorizer(authorize)
    analyzer, catalog = Analyzer("sqlite"), snapshot("main", "main")
    taken = extra = told = 0
    for text in statements():
        asked.clear()
        try:
            connection.execute(f"EXPLAIN {text}")
        except sqlite3.Error:
            continue
        taken += 1
        (facts,) = analyzer.analyze(text.encode(), catalog, SessionState()).facts.statements
        assert facts.complete, (text, facts.unresolved)
        read = {
            (str(t), str(c)) for action, t, c, _, _ in asked if action == sqlite3.SQLITE_READ and t in (*TABLES, "v")
        }
        written = {str(t) for action, t, _, _, _ in asked if action in SQLITE_WRITES and t in TABLES}
        columns = {(column.table, column.column) for column in facts.columns}
        assert {table for table, _ in read} <= used(facts, Access.READ) | used(facts, Access.WRITE), text
        assert {(table, column) for table, column in read if column and column != "ROWID"} <= columns, text
        assert written <= used(facts, Access.WRITE), text
        changed = {(str(t), str(c)) for action, t, c, _, _ in asked if action == sqlite3.SQLITE_UPDATE and t in TABLES}
        assert changed <= {(c.table, c.column) for c in facts.columns if Usage.WRITE in c.usage}, text
        told += len(used(facts, Access.READ))
        extra += len(used(facts, Access.READ) - {table for table, _ in read} - {"v"} - written)
    assert taken >= 100
    assert extra <= 0.02 * told


def test_sqlites_outputs_follow_the_values() -> None:
    """Whatever changes in a result when only users.ssn and secrets.ssn change has them among its sources."""
    first, second = (sqlite3.connect(":memory:", isolation_level=None) for _ in range(2))
    for connection, ssn in ((first, 3), (second, 777)):
        for text in SETUP:
            connection.execute(text)
        for row in range(1, 4):
            connection.execute("INSERT INTO users VALUES (?, ?, NULL, ?, 1)", (row, row, ssn + row))
            connection.execute("INSERT INTO secrets VALUES (?, ?)", (row, ssn * row))
            connection.execute("INSERT INTO orders VALUES (?, ?, 5, 6)", (row, row))
            connection.execute("INSERT INTO notes VALUES (?, 7)", (row,))
    analyzer, catalog = Analyzer("sqlite"), snapshot("main", "main")
    moved = 0
    for text in statements():
        if not text.startswith(("SELECT", "WITH", "VALUES")) or "DELETE" in text:
            continue
        try:
            rows = [connection.execute(text).fetchall() for connection in (first, second)]
        except sqlite3.Error:
            continue
        (facts,) = analyzer.analyze(text.encode(), catalog, SessionState()).facts.statements
        inferring = {Usage.FILTER, Usage.JOIN, Usage.GROUP, Usage.ORDER, Usage.WINDOW}
        filtered = any(c.column == "ssn" and set(c.usage) & inferring for c in facts.columns)
        if not rows[0] or not rows[1]:
            continue
        assert len(rows[0][0]) == len(facts.output) or any(one.opaque for one in facts.output), text
        for ordinal in range(len(rows[0][0])):
            values = [sorted(str(row[ordinal]) for row in found) for found in rows]
            if values[0] != values[1]:
                moved += 1
                one = facts.output[ordinal]
                assert one.opaque or filtered or any(source.column == "ssn" for source in one.sources), (text, ordinal)
    assert moved >= 30


def test_duckdbs_binder_names_no_table_that_the_facts_miss() -> None:
    """The tables that DuckDB's own parser finds are in the facts, and each statement gives as many columns."""
    connection = duckdb.connect(":memory:")
    for text in SETUP:
        connection.execute(text)
    analyzer, catalog = Analyzer("duckdb"), snapshot("memory", "main")
    taken = 0
    for text in statements():
        text = text.replace("max(u.ssn, u.id)", "greatest(u.ssn, u.id)")
        try:
            names = connection.get_table_names(text)
            described = connection.execute(f"DESCRIBE {text}").fetchall() if text.startswith("SELECT") else None
        except duckdb.Error:
            continue
        taken += 1
        (facts,) = analyzer.analyze(text.encode(), catalog, SessionState()).facts.statements
        assert facts.complete, (text, facts.unresolved)
        assert names <= used(facts, Access.READ) | used(facts, Access.WRITE) | {"made"}, text
        if described is not None and not any(one.opaque for one in facts.output):
            assert len(described) == len(facts.output), text
    assert taken >= 60


DUCKDB_OUT = (
    "SELECT * FROM read_csv('x.csv')", "SELECT * FROM 'x.csv'", 'SELECT * FROM "x.parquet"', "FROM 'x.json'",
    "SELECT * FROM glob('*')", "SELECT * FROM read_text('/etc/passwd')", "SELECT content FROM read_blob('x')",
    "COPY users TO 'x.csv'", "COPY (SELECT ssn FROM users) TO 'x.parquet'", "COPY users FROM 'x.csv'",
    "ATTACH 'x.db' AS y", "INSTALL httpfs", "LOAD httpfs", "EXPORT DATABASE 'd'", "IMPORT DATABASE 'd'",
    "SELECT * FROM query('SELECT 1')", "SELECT getenv('HOME')", "PRAGMA enable_profiling",
    "SELECT * FROM sniff_csv('x')",
    "CREATE TABLE z AS FROM 'x.csv'", "INSERT INTO t SELECT x FROM read_csv_auto('x.csv')", "CALL pragma_version()",
    "SET enable_external_access = true", "SELECT * FROM parquet_scan(['a', 'b'])", "CREATE SECRET s (TYPE s3)",
)  # fmt: skip


@pytest.mark.parametrize("text", DUCKDB_OUT)
def test_what_duckdb_takes_out_of_its_tables_is_no_plain_read(text: str) -> None:
    """Files, other databases, extensions and settings show in the facts, or the statement is incomplete."""
    try:
        (facts,) = (
            Analyzer("duckdb").analyze(text.encode(), snapshot("memory", "main"), SessionState()).facts.statements
        )
    except AnalysisError:
        return
    effects = {effect for function in facts.functions for effect in function.effects}
    assert not facts.complete or effects or facts.settings or {"file", "remote"} & set(facts.flags), facts
