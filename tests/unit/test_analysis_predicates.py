"""What a WHERE really restricts: conditions that hold for every row, real ones beside them, keys, limits, rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogSnapshot
from decision.model.facts import Statement
from tests.unit.test_analysis_cases import catalog

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "cases/analysis/postgres_predicates.json").read_text())


def counted() -> CatalogSnapshot:
    """The cases' catalog with types, and with a thousand users."""
    found = []
    for relation in catalog().relations:
        columns = tuple(
            replace(column, type_oid=23, type_name="integer") if column.name in ("id", "org_id") else column
            for column in relation.columns
        )
        rows = {"users": 1000, "users_part": -1, "users_part_1": 70}.get(relation.name, -1)
        found.append(replace(relation, columns=columns, estimated_rows=rows))
    return replace(catalog(), relations=tuple(found), version="counted")


def facts(text: str) -> Statement:
    return Analyzer().analyze(text.encode(), counted(), SessionState()).facts.statements[0]


def deleted(where: str) -> Statement:
    return facts(f"DELETE FROM users WHERE {where}")


@pytest.mark.parametrize("where", CASES["always"])
def test_always_true(where: str) -> None:
    """A condition that lets every row through is no restriction, whatever its form; it pins nothing."""
    predicate = deleted(where).predicate
    assert predicate is not None
    assert predicate.always_true
    assert not predicate.pins_key
    assert deleted(where).estimated_rows == 1000


@pytest.mark.parametrize("where", [*CASES["restricts"], *CASES["never"]])
def test_real_restrictions(where: str) -> None:
    """Its innocent twin is one."""
    predicate = deleted(where).predicate
    assert predicate is not None
    assert predicate.present
    assert not predicate.always_true


@pytest.mark.parametrize(("where", "columns"), CASES["pins"].items())
def test_pins(where: str, columns: list[str]) -> None:
    """Equality at the top level holds a column to one value; the whole key, and it is one row at most."""
    found = deleted(where)
    assert found.predicate is not None
    assert list(found.predicate.pinned) == columns
    assert found.predicate.pins_key == bool({"id", "ctid"} & set(columns))
    assert found.estimated_rows == (1 if found.predicate.pins_key else found.predicate.limit or 1000)


@pytest.mark.parametrize(("where", "limit"), CASES["limits"].items())
def test_limits(where: str, limit: int | None) -> None:
    """A key among the rows of a limited sub-select, or among a few values, is a limit."""
    found = deleted(where)
    assert found.predicate is not None
    assert found.predicate.limit == limit
    if limit is not None:
        assert found.estimated_rows == limit


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("DELETE FROM users", 1000),
        ("DELETE FROM users WHERE name = 'x'", 1000),
        ("UPDATE users SET name = 'x' WHERE id = 1", 1),
        ("SELECT name FROM users LIMIT 10", 10),
        ("SELECT name FROM users FETCH FIRST 10 ROWS ONLY", 10),
        ("SELECT name FROM users LIMIT ALL", 1000),
        ("SELECT name FROM users WHERE id = 1", 1),
        ("TRUNCATE users", 1000),
        ("COPY users TO STDOUT", 1000),
        ("DELETE FROM users_part", 70),
        ("DELETE FROM orders", None),
        ("DELETE FROM orders WHERE id IN (1, 2)", None),
    ],
)
def test_estimated_rows(text: str, rows: int | None) -> None:
    """A whole key is one row, nothing the whole table, a limit bounds; a partitioned table has its partitions' rows."""
    assert facts(text).estimated_rows == rows
