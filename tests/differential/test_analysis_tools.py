"""What psql, pg_dump and pgbench really send analyses completely, so that nobody's everyday tools are denied."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres, bin_folder
from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogSnapshot
from enforcement.catalog import read_catalog
from tests.conftest import NewDatabase

pytestmark = pytest.mark.postgres
COMMANDS = (Path(__file__).parents[1] / "cases" / "analysis" / "psql_commands.txt").read_text()
_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)")


def logged(text: str) -> list[str]:
    """The statements in a server log, continuation lines included."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        match = _STATEMENT.search(line)
        if match:
            found.append(match.group(1))
        elif inside and line.startswith("\t"):
            found[-1] += "\n" + line[1:]
        inside = bool(match) or (inside and line.startswith("\t"))
    return found


def run(tool: str, *arguments: str, given: str = "") -> str:
    environment = {**os.environ, "PAGER": "cat", "PSQLRC": "/dev/null"}
    done = subprocess.run(
        [str(bin_folder(18) / tool), *arguments],
        input=given,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout + done.stderr


def snapshot(dsn: str) -> CatalogSnapshot:
    return asyncio.run(read_catalog(dsn, "shop"))


def troubles(statements: list[str], catalog: CatalogSnapshot) -> list[str]:
    """Everything that keeps one of the statements, sent in this order, from being complete."""
    analyzer, state, found = Analyzer(), SessionState(), []
    for text in statements:
        analysis = analyzer.analyze(text.encode(), catalog, state)
        state = state.advance(analysis, "I")
        for statement in analysis.facts.statements:
            found += [f"{u.what}: {u.why} in {text[:200]}" for u in statement.unresolved]
            found += [f"opaque {o.name} in {text[:200]}" for o in statement.output if o.opaque]
    return found


@pytest.fixture
def logging_database(postgres: BundledPostgres, shop: str, new_database: NewDatabase) -> str:
    dsn = new_database(template="shop")
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(psycopg.sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(
            psycopg.sql.Identifier(name)))  # fmt: skip
    return dsn


def captured(postgres: BundledPostgres, *runs: tuple[str, ...], given: str = "") -> list[str]:
    log = postgres.data_dir / "server.log"
    before = len(log.read_bytes())
    for tool, *arguments in runs:
        run(tool, *arguments, given=given)
    return logged(log.read_bytes()[before:].decode(errors="replace"))


def test_psql(postgres: BundledPostgres, logging_database: str) -> None:
    """Every \\d command's queries are complete: no unresolved name, no opaque output."""
    statements = captured(postgres, ("psql", "-X", logging_database), given=COMMANDS)
    assert len(statements) > 100
    assert troubles(statements, snapshot(logging_database)) == []


def test_pg_dump(postgres: BundledPostgres, logging_database: str) -> None:
    """A whole dump and one table's dump are complete."""
    statements = captured(
        postgres,
        ("pg_dump", "-d", logging_database),
        ("pg_dump", "-d", logging_database, "-t", "orders", "--inserts"),
    )
    assert any(text.startswith("COPY") for text in statements)
    assert troubles(statements, snapshot(logging_database)) == []


def test_pgbench(postgres: BundledPostgres, logging_database: str) -> None:
    """pgbench makes its tables and uses them in one session, before any new snapshot is read."""
    before = snapshot(logging_database)
    statements = captured(
        postgres, ("pgbench", "-q", "-i", logging_database), ("pgbench", "-n", "-t", "3", logging_database)
    )
    assert troubles(statements, before) == []
