"""tests/cases/analysis/lineage.jsonl without a server: the schema's catalog is kept in lineage_schema.json.

What the server itself says of the cases, tests/differential/test_analysis_lineage_cases.py asks it. After a change of
the schema write the catalog anew with AIRLOCK_REDRAW=1.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from decision.analysis import Analyzer, SessionState
from decision.analysis.snapshot_json import dump, load
from decision.model.catalog import CatalogSnapshot
from decision.model.facts import ColumnName, ColumnUse, Statement
from tests.conftest import NewDatabase
from tests.support.sql_schema import SCHEMA

CASES = Path(__file__).parents[1] / "cases" / "analysis"
LOADED: list[dict[str, Any]] = [json.loads(line) for line in (CASES / "lineage.jsonl").read_text().splitlines()]
STORED = CASES / "lineage_schema.json"
SYSTEM = {"pg_index", "_pg_expandarray"}
ANALYZER = Analyzer()


@cache
def catalog() -> CatalogSnapshot:
    return load(STORED.read_bytes())


def facts(messages: list[str]) -> list[Statement]:
    """The facts of each statement of one session."""
    state = SessionState()
    found: list[Statement] = []
    for message in messages:
        analysis = ANALYZER.analyze(message.encode(), catalog(), state)
        state = state.advance(analysis, "T")
        found += analysis.facts.statements
    return found


def _name(column: ColumnName | ColumnUse) -> str:
    schema = "" if column.schema in ("public", "pg_catalog") else f"{column.schema}."
    return f"{schema}{column.table}.{column.column}"


@pytest.mark.parametrize("case", LOADED, ids=lambda case: str(case["id"]))
def test_case(case: dict[str, Any]) -> None:
    """The last message's outputs are exactly these, and the session's usages contain those and not the others."""
    session = facts(case["sql"])
    assert all(statement.complete for statement in session)
    assert [
        {"name": o.name, "sources": [_name(s) for s in o.sources], "transform": o.transform.value}
        | ({"opaque": True} if o.opaque else {})
        for o in session[-1].output
    ] == case["output"]
    usages: dict[str, set[str]] = {}
    for column in [column for statement in session for column in statement.columns]:
        usages.setdefault(_name(column), set()).update(usage.value for usage in column.usage)
    assert not [name for name, wanted in case.get("usage", {}).items() if not set(wanted) <= usages.get(name, set())]
    assert not [name for name, not_so in case.get("not_usage", {}).items() if set(not_so) & usages.get(name, set())]


@pytest.mark.postgres
def test_the_stored_catalog_is_the_servers(new_database: NewDatabase) -> None:
    """What is kept of the schema is what the server says of it."""
    from tests.support.stored_catalog import catalog_of

    found = catalog_of(new_database(), SCHEMA + (CASES / "lineage.sql").read_text(), "lineage", SYSTEM)
    if os.environ.get("AIRLOCK_REDRAW", "") not in ("", "0"):
        STORED.write_bytes(dump(found))
    assert found == catalog()
