"""Built-in functions whose bodies are SQL that reads system relations: ours are those of each server that is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.analysis.catalog import CatalogIndex
from decision.analysis.limits import Budget, Limits
from decision.analysis.postgres.bodies import body_statements
from decision.analysis.postgres.effects import READERS
from decision.analysis.postgres.walk import Walk
from decision.analysis.session import SessionState
from decision.model.catalog import CatalogSnapshot
from enforcement.catalog import read_catalog
from tests.support.servers import started

pytestmark = pytest.mark.postgres
BODIES = """SELECT p.proname, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)
            FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
            WHERE l.lanname = 'sql' AND p.pronamespace = 'pg_catalog'::regnamespace"""


def _read(snapshot: CatalogSnapshot, name: str, body: str) -> dict[str, set[str]]:
    """Relations and their columns that the body reads; what it calls of its own name is left out."""
    walk = Walk(CatalogIndex(snapshot), SessionState(), Budget(Limits()))
    assert body_statements(walk, body, "sql"), name
    found: dict[str, set[str]] = {relation: set() for _, relation, _ in walk.relations}
    for schema, relation, column in walk.columns:
        assert schema == "pg_catalog"
        found[relation].add(column)
    return found


def check(dsn: str) -> None:
    snapshot = asyncio.run(read_catalog(dsn, "postgres"))
    reads: dict[str, dict[str, set[str]]] = {}
    with psycopg.connect(dsn) as connection:
        for name, body in connection.execute(BODIES.encode()).fetchall():
            for relation, columns in _read(snapshot, name, body).items():
                reads.setdefault(name, {}).setdefault(relation, set()).update(columns)
    ours = {name: {relation: set(columns) for relation, columns in held.items()} for name, held in READERS.items()}
    assert reads == ours


def test_bundled_server(postgres: BundledPostgres) -> None:
    """PostgreSQL 18: every built-in function in SQL that reads a relation is known, with the columns that it reads."""
    check(postgres.dsn("postgres"))


def test_installed_server(installed_postgres: Path) -> None:
    """The same of the server that this machine's packages have."""
    with started(lambda folder: BundledPostgres(folder, installation=installed_postgres)) as server:
        check(server.dsn("postgres"))


def test_bundled_sixteen() -> None:
    """The same of PostgreSQL 16, which the wheel brings, too."""
    with started(lambda folder: BundledPostgres(folder, version=16)) as server:
        check(server.dsn("postgres"))
