"""Of what everyday tools, drivers, ORMs and BI tools send over the demo shop, at most 2 % can't be fully known.

Not known: a kind `unknown`, something unresolved, an opaque output, or a refusal. Statements count once in a source,
whatever literals they hold. `pytest -s` prints the figures.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from airlock.demo.postgres import BundledPostgres
from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError
from decision.model.facts import Kind, Statement
from enforcement.catalog import read_catalog
from tests.conftest import NewDatabase
from tests.support.everyday import drivers, introspection, orm_sqlalchemy, tools
from tests.support.everyday.recorder import Sessions, log_everything, recorded

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Step = Callable[[str], object]
SHARE = 0.02


def django(dsn: str) -> None:
    """In a process of its own, since Django is set up once in a process."""
    command = [sys.executable, "-m", "tests.support.everyday.orm_django", dsn]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


# The steps of each source. Before each step the catalog is read anew, as the enforcement point does after a change.
SOURCES: dict[str, tuple[Step, ...]] = {
    "psql": (tools.psql,),
    "psql completion": (tools.psql_completion,),
    "pgbench": (tools.pgbench_made, tools.pgbench_run),
    "pg_dump": (tools.pg_dump,),
    "pg_restore": (tools.emptied, tools.pg_restore),
    "maintenance": (tools.maintenance,),
    "psycopg": (drivers.psycopg3,),
    "asyncpg": (drivers.asyncpg_,),
    "pg8000": (drivers.pg8000_,),
    "SQLAlchemy inspection": (orm_sqlalchemy.inspection,),
    "SQLAlchemy": (orm_sqlalchemy.orm,),
    "Django": (django,),
    "BI": (introspection.bi,),
    "database browser": (introspection.browser,),
    "dashboard": (introspection.dashboard,),
    "type loader": (introspection.type_loader,),
}
LEAST = {"psql": 60, "psql completion": 22, "SQLAlchemy inspection": 30, "SQLAlchemy": 40, "Django": 100, "BI": 18}
# Gaps that are known, by source: how many of its statements may be unknown. All others: none.
FEW: dict[str, int] = {}


class Tally:
    """Distinct statements, and what keeps some of them from being known."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    def add(self, text: str, why: list[str]) -> None:
        known = self.seen.setdefault(text, [])
        known += [reason for reason in why if reason not in known]

    def offenders(self) -> list[str]:
        return [f"{'; '.join(why)}\n      in {text[:300]}" for text, why in self.seen.items() if why]


@pytest.fixture(scope="module")
def total() -> Iterator[dict[str, Tally]]:
    yield {}


def count(sessions: Sessions, catalog: CatalogSnapshot, tally: Tally) -> None:
    for texts in sessions.values():
        analyzer, state = Analyzer(), SessionState()
        for text in texts:
            try:
                analysis = analyzer.analyze(text.encode(), catalog, state)
            except AnalysisError as error:
                tally.add(text, [f"refused: {error.message}"])
                continue
            state = state.advance(analysis, "I")
            for statement in analysis.facts.statements:
                tally.add(statement.normalized_text, gaps(statement))


def gaps(statement: Statement) -> list[str]:
    """Everything that is not known of a statement."""
    found = [f"{gap.what}: {gap.why}" for gap in statement.unresolved]
    found += [f"opaque output {column.name}" for column in statement.output if column.opaque]
    return found + ["kind unknown"] * (Kind.UNKNOWN in statement.kinds)


def tally_of(steps: tuple[Step, ...], postgres: BundledPostgres, dsn: str) -> Tally:
    """What the steps send, counted."""
    log_everything(dsn)
    log, tally = postgres.data_dir / "server.log", Tally()
    for step in steps:
        catalog = asyncio.run(read_catalog(dsn, "shop"))
        count(recorded(log, partial(step, dsn)), catalog, tally)
    return tally


@pytest.mark.parametrize("source", SOURCES)
def test_everyday_statements_are_known(
    source: str, postgres: BundledPostgres, shop: str, new_database: NewDatabase, total: dict[str, Tally]
) -> None:
    """Nothing that this source sends is unknown, unresolved or opaque, but for its listed gaps."""
    total[source] = tally = tally_of(SOURCES[source], postgres, new_database(template="shop"))
    offenders = tally.offenders()
    print(f"{source}: {len(tally.seen)} statements, {len(offenders)} not fully known")
    assert len(tally.seen) >= LEAST.get(source, 4)
    assert len(offenders) <= FEW.get(source, 0), "\n".join(offenders)


@pytest.mark.java
def test_pgjdbc_metadata_is_known(
    java: Path, pgjdbc: Path, postgres: BundledPostgres, shop: str, new_database: NewDatabase, total: dict[str, Tally]
) -> None:
    """What DatabaseMetaData asks, as database browsers over JDBC do, is known but for the listed gaps."""
    steps = (lambda dsn: drivers.pgjdbc_metadata(dsn, java, pgjdbc),)
    total["pgjdbc"] = tally = tally_of(steps, postgres, new_database(template="shop"))
    offenders = tally.offenders()
    print(f"pgjdbc: {len(tally.seen)} statements, {len(offenders)} not fully known")
    assert len(tally.seen) >= 25
    assert len(offenders) <= FEW.get("pgjdbc", 0), "\n".join(offenders)


def test_of_all_of_them_at_most_two_percent_are_not_known(total: dict[str, Tally]) -> None:
    """The sources that ran before, together."""
    if not total:
        pytest.skip("no source ran before")
    statements = sum(len(tally.seen) for tally in total.values())
    offenders = [f"{source}: {one}" for source, tally in total.items() for one in tally.offenders()]
    print(f"all: {statements} distinct statements of {len(total)} sources, {len(offenders)} not fully known")
    assert len(offenders) <= SHARE * statements, "\n".join(offenders)
