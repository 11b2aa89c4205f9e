"""tests/cases/analysis/lineage.jsonl: each output's sources exactly, usages at least; and no case hides what moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlock.demo.postgres import BundledPostgres
from decision.model.facts import ColumnName, ColumnUse
from tests.support.lineage_truth import World, misses, run
from tests.support.sql_schema import SCHEMA

pytestmark = pytest.mark.postgres
CASES = Path(__file__).parents[1] / "cases" / "analysis"
LOADED: list[dict[str, Any]] = [json.loads(line) for line in (CASES / "lineage.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def world(postgres: BundledPostgres) -> Iterator[World]:
    made = World(postgres.dsn("postgres"), SCHEMA + (CASES / "lineage.sql").read_text())
    yield made
    made.close()


def _name(column: ColumnName | ColumnUse) -> str:
    schema = "" if column.schema in ("public", "pg_catalog") else f"{column.schema}."
    return f"{schema}{column.table}.{column.column}"


@pytest.mark.parametrize("case", LOADED, ids=lambda case: str(case["id"]))
def test_case(world: World, case: dict[str, Any]) -> None:
    """The last message's outputs are exactly these, and the session's usages contain those and not the others."""
    session = world.facts(case["sql"])
    assert all(facts.complete for facts in session), [facts.unresolved for facts in session]
    found = [
        {"name": o.name, "sources": [_name(s) for s in o.sources], "transform": o.transform.value}
        | ({"opaque": True} if o.opaque else {})
        for o in session[-1].output
    ]
    assert found == case["output"]
    usages: dict[str, set[str]] = {}
    for facts in session:
        for column in facts.columns:
            usages.setdefault(_name(column), set()).update(usage.value for usage in column.usage)
    for name, wanted in case.get("usage", {}).items():
        assert set(wanted) <= usages.get(name, set()), name
    for name, unwanted in case.get("not_usage", {}).items():
        assert not set(unwanted) & usages.get(name, set()), name


@pytest.mark.parametrize("case", LOADED, ids=lambda case: str(case["id"]))
def test_nothing_moves_unseen(world: World, case: dict[str, Any]) -> None:
    """On the server, what moves with a sensitive column is said to: by sources, opacity or usage."""
    session = world.facts(case["sql"])
    before = run(world.base, case["sql"])
    if before.names:
        assert [output.name for output in session[-1].output] == list(before.names)
    for key, other in world.others.items():
        assert misses(session, key, before, run(other, case["sql"]), strict=False) == []
