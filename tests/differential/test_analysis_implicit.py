"""Casts that nobody wrote: what their functions touch is told wherever the server may run one."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogSnapshot
from enforcement.catalog import read_catalog
from tests.conftest import NewDatabase

pytestmark = pytest.mark.postgres
SCHEMA = """
CREATE TABLE vault (id int PRIMARY KEY, secret text);
INSERT INTO vault VALUES (1, 'one'), (2, 'two');
CREATE TYPE sealed AS (v int);
CREATE FUNCTION opened(a sealed) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM vault WHERE id = (a).v';
CREATE CAST (sealed AS text) WITH FUNCTION opened(sealed) AS IMPLICIT;
CREATE TYPE boxed AS (v int);
CREATE FUNCTION unboxed(a boxed) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM vault WHERE id = (a).v';
CREATE CAST (boxed AS text) WITH FUNCTION unboxed(boxed) AS ASSIGNMENT;
CREATE TABLE holding (id int, s sealed, b boxed, plain text);
CREATE TABLE target (id int, a text);
INSERT INTO holding VALUES (1, ROW(1), ROW(2), 'x');
"""
CASES = [
    ("SELECT s LIKE 'o%' FROM holding", True),
    ("SELECT upper(s) FROM holding", True),
    ("SELECT id FROM holding WHERE s = 'one'::text", True),
    ("INSERT INTO target SELECT id, s FROM holding", True),
    ("INSERT INTO target SELECT id, b FROM holding", True),
    ("UPDATE target SET a = b FROM holding", True),
    ("SELECT s, b, plain || 'x' FROM holding", False),
    ("INSERT INTO target VALUES (1, 'x')", False),
    ("SELECT upper(plain) FROM holding", False),
]


@pytest.fixture
def database(new_database: NewDatabase) -> tuple[CatalogSnapshot, str]:
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA)
    return asyncio.run(read_catalog(dsn, "implicit")), dsn


def test_a_cast_that_nobody_wrote_is_told(database: tuple[CatalogSnapshot, str]) -> None:
    """Each statement runs on the server, and says that it reads the vault where a cast's function does."""
    catalog, dsn = database
    with psycopg.connect(dsn, autocommit=True) as connection:
        for text, reads in CASES:
            connection.execute(text.encode())
            facts = Analyzer().analyze(text.encode(), catalog, SessionState()).facts.statements[0]
            assert facts.complete, text
            assert ("vault" in {relation.name for relation in facts.relations}) == reads, text


def test_the_casts_value_flows(database: tuple[CatalogSnapshot, str]) -> None:
    """What the cast's function reads is a source of the output."""
    facts = Analyzer().analyze(b"SELECT lower(s) FROM holding", database[0], SessionState()).facts.statements[0]
    assert ("vault", "secret") in {(source.table, source.column) for source in facts.output[0].sources}
