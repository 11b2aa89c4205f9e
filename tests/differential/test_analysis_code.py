"""Code that a real catalog hides behind operators, casts, domains, defaults, checks, indexes and event triggers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogSnapshot
from decision.model.facts import Statement
from enforcement.catalog import read_catalog
from tests.conftest import NewDatabase

pytestmark = pytest.mark.postgres
SCHEMA = """
CREATE TABLE vault (id int PRIMARY KEY, secret text);
CREATE TABLE seen (id int, what text);
CREATE FUNCTION leak(a int, b int) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM vault WHERE id = a + b';
CREATE FUNCTION note(a text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (1, a); RETURN true; END';
CREATE FUNCTION pure(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(a)';
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (2, tg_tag); END';
CREATE OPERATOR @@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = leak);
CREATE TYPE wrapped AS (v int);
CREATE FUNCTION unwrap(a wrapped) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM vault WHERE id = (a).v';
CREATE CAST (wrapped AS text) WITH FUNCTION unwrap(wrapped);
CREATE DOMAIN noted AS text CHECK (note(VALUE));
CREATE DOMAIN twice AS noted;
CREATE TABLE defaults (id int, a text DEFAULT leak(1, 2), b serial);
CREATE TABLE checked (id int, a text CHECK (note(a)));
CREATE TABLE domained (id int, a twice);
CREATE TABLE indexed (id int, a text); CREATE INDEX indexed_a ON indexed (pure(a)) WHERE id > 0;
CREATE TABLE plain (id int PRIMARY KEY, a text DEFAULT upper('x'), s serial, CHECK (length(a) > 0));
CREATE TABLE tailed (id int, ssn text, tail text GENERATED ALWAYS AS (right(ssn, 4)) STORED);
CREATE TABLE child (id int, vault_id int REFERENCES vault);
"""


@pytest.fixture(scope="module")
def database(postgres: BundledPostgres) -> Iterator[tuple[CatalogSnapshot, str]]:
    """The snapshot of a database full of hidden code, and its DSN."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE hidden_code")
    dsn = postgres.dsn("hidden_code")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA)
    yield asyncio.run(read_catalog(dsn, "hidden")), dsn
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE hidden_code WITH (FORCE)")


def facts(catalog: CatalogSnapshot, text: str) -> Statement:
    found = Analyzer().analyze(text.encode(), catalog, SessionState()).facts.statements[0]
    assert found.complete, found.unresolved
    return found


def touched(statement: Statement) -> set[str]:
    return {f"{r.name} {a} {r.via}" for r in statement.relations for a in r.access if r.via != "direct"}


LEAKS, WRITES = "vault read function", "seen write function"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT 1 @@@ 2", {LEAKS}),
        ("SELECT 1 OPERATOR(public.@@@) 2", {LEAKS}),
        ("SELECT id FROM plain WHERE id @@@ 1 = 'x'", {LEAKS}),
        ("SELECT row(1)::wrapped::text", {LEAKS}),
        ("SELECT CAST(row(1)::wrapped AS text)", {LEAKS}),
        ("SELECT 'x'::noted", {WRITES}),
        ("SELECT 'x'::twice", {WRITES}),
        ("INSERT INTO defaults (id) VALUES (1)", {LEAKS}),
        ("INSERT INTO checked VALUES (1, 'x')", {WRITES}),
        ("UPDATE checked SET a = 'y' WHERE id = 1", {WRITES}),
        ("COPY checked FROM STDIN", {WRITES}),
        ("INSERT INTO domained VALUES (1, 'x')", {WRITES}),
        ("INSERT INTO indexed VALUES (1, 'x')", set()),
        ("INSERT INTO plain (id) VALUES (1)", set()),
        ("DELETE FROM checked WHERE id = 1", set()),
        ("SELECT a FROM checked", set()),
        ("SELECT 1 + 2, 'x'::text, id::text FROM plain", set()),
        ("SELECT (a || 'x')::text FROM plain", {LEAKS}),
    ],
)
def test_hidden_code(database: tuple[CatalogSnapshot, str], text: str, wanted: set[str]) -> None:
    """A function behind an operator, cast, domain, default, check or index adds what it touches; built-in ones don't.
    Where an operand's type isn't known, every cast to the type counts."""
    reached = {each for each in touched(facts(database[0], text)) if each in (LEAKS, WRITES)}
    assert reached == wanted


def test_the_functions_are_told(database: tuple[CatalogSnapshot, str]) -> None:
    """An index expression's function is among the statement's functions; an operator's value flows from its body."""
    indexed = facts(database[0], "INSERT INTO indexed VALUES (1, 'x')")
    assert ("public", "pure", ()) in {(f.schema, f.name, f.effects) for f in indexed.functions}
    output = facts(database[0], "SELECT 1 @@@ 2").output[0]
    assert ("vault", "secret") in {(source.table, source.column) for source in output.sources}


def test_generated_columns_flow(database: tuple[CatalogSnapshot, str]) -> None:
    """A generated column holds what it is computed from."""
    output = facts(database[0], "SELECT tail FROM tailed").output[0]
    assert {source.column for source in output.sources} == {"tail", "ssn"}


def test_keys_answer(database: tuple[CatalogSnapshot, str]) -> None:
    """Writing a unique or referencing column asks whether the value is there."""
    inserted = facts(database[0], "INSERT INTO child (vault_id) VALUES (1)")
    assert ("vault", "id", ("check",)) in {(c.table, c.column, c.usage) for c in inserted.columns}
    unique = facts(database[0], "INSERT INTO vault (id) VALUES (1)")
    assert ("vault", "id", ("write", "check")) in {(c.table, c.column, c.usage) for c in unique.columns}


def test_an_index_leads_to_its_table(database: tuple[CatalogSnapshot, str]) -> None:
    """DROP, ALTER and REINDEX of an index change its table."""
    for text in ("DROP INDEX indexed_a", "ALTER INDEX public.indexed_a RENAME TO b", "REINDEX INDEX indexed_a"):
        assert ("indexed", ("ddl",)) in {(r.name, r.access) for r in facts(database[0], text).relations}


def test_event_triggers(new_database: NewDatabase) -> None:
    """Every definition runs the database's event triggers; queries don't."""
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA + "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch();")
    catalog = asyncio.run(read_catalog(dsn, "hidden"))
    for text in ("CREATE TABLE fresh (a int)", "GRANT SELECT ON plain TO PUBLIC", "CREATE VIEW v AS SELECT 1 AS a"):
        assert "seen write trigger" in touched(facts(catalog, text)), text
    for text in ("SELECT id FROM plain", "DELETE FROM plain", "EXPLAIN SELECT 1"):
        assert "seen write trigger" not in touched(facts(catalog, text)), text


def test_reading_stays_quick(shop: str) -> None:
    """The shop's whole catalog, the system's views included, is read in well under a second."""
    asyncio.run(read_catalog(shop, "shop"))
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        asyncio.run(read_catalog(shop, "shop"))
        took.append(time.perf_counter() - begun)
    print(f"catalog read: {min(took) * 1000:.0f} ms")
    assert min(took) < 2
