"""tests/cases/analysis/facts/*.jsonl: what PostgreSQL's documentation says a statement does, written down by hand.

A case: `note` says what holds, `before` the session's earlier messages, `sql` the message, `want` the facts of its
last statement, each key exactly as said (in any order, outputs apart); those left out are not looked at. The catalog
is the drawn cases'; `catalog` names what facts/catalogs.json adds to it: code that would run in every case, too.

    predicate   none, no where, always or restricts; then the pinned columns, "key" where they are a whole one, "<= n"
    values      the values that columns are held to or get: role, table.column, and the literal or $parameter
    names, tags of each output column
    outputs     name <- sources (transform)
    unresolved  what is not known, without the reason
    overflowed  the session has made more than is followed
    refused     the message is denied with an error of this code
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from decision.analysis import Analyzer, SessionState
from decision.analysis.result import Analysis
from decision.analysis.snapshot_json import FORMAT, load
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError
from decision.model.facts import OutputColumn, Predicate, Statement
from tests.unit import test_analysis_drawn as drawn
from tests.unit.test_analysis_nodes import described

FOLDER = Path(__file__).parents[1] / "cases" / "analysis" / "facts"
CASES: list[dict[str, Any]] = [
    json.loads(line) | {"file": file.stem}
    for file in sorted(FOLDER.glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
    if line
]
DESCRIBED = ("kinds", "operations", "relations", "columns", "output", "functions", "settings", "files", "programs",
             "flags", "unresolved")  # fmt: skip
ANALYZER = Analyzer()


ADDED: dict[str, dict[str, list[dict[str, Any]]]] = json.loads((FOLDER / "catalogs.json").read_text(encoding="utf-8"))


@cache
def catalog(name: str) -> CatalogSnapshot:
    """The drawn cases' catalog with what `name` adds."""
    base = drawn.catalog()
    if not name:
        return replace(base, version="facts")
    written = {key: [_full(key, each) for each in given] for key, given in ADDED[name].items()}
    snapshot = {"database": "", "server_version": 0, "version": "", **written}
    more = load(json.dumps({"format": FORMAT, "snapshot": snapshot}).encode())
    added = {key: getattr(base, key) + getattr(more, key) for key in written}
    return replace(base, **added, version=f"facts {name}")


def _full(key: str, given: dict[str, Any]) -> dict[str, Any]:
    """What is left out is what most have; columns are `name type`, with `= default` or `:= what it is made from`."""
    if key == "functions":
        most = {"oid": 0, "argument_types": [], "return_type": "text", "language": "sql", "volatility": "volatile"}
        return most | given
    if key != "relations":
        return given
    columns = []
    for number, text in enumerate(given["columns"], 1):
        declared, made, expression = re.fullmatch(r"(.*?)(?: (:?=) (.*))?", text).groups()  # type: ignore[union-attr]
        name, _, type_name = declared.partition(" ")
        column = {"name": name, "number": number, "type_oid": 0, "type_name": type_name}
        extra = {"expression": expression, "has_default": True, "generated": made == ":="} if made else {}
        columns.append(column | extra)
    return {"oid": 0} | given | {"columns": columns}


def _predicate(predicate: Predicate | None) -> str:
    if predicate is None:
        return "none"
    said = "no where" if not predicate.present else "always" if predicate.always_true else "restricts"
    parts = [said, *predicate.pinned, *(["key"] if predicate.pins_key else [])]
    return " ".join(parts + ([f"<= {predicate.limit}"] if predicate.limit is not None else []))


def _output(column: OutputColumn) -> str:
    sources = ",".join(f"{s.table}.{s.column}" for s in column.sources)
    return f"{column.name} <- {sources} ({column.transform.value})" + (" opaque" if column.opaque else "")


def _values(analysis: Analysis, number: int) -> list[str]:
    return [
        f"{v.role} {v.table}.{v.column} "
        + (f"${v.parameter}" if v.parameter else v.literal.decode() if v.literal is not None else "computed")
        for v in analysis.values
        if v.statement_index == number
    ]


def facts_of(analysis: Analysis) -> dict[str, object]:
    """The last statement's facts, as the cases write them."""
    statements = analysis.facts.statements
    last: Statement = statements[-1]
    empty: dict[str, list[str]] = {key: [] for key in DESCRIBED}
    return {
        **empty,
        **described(last),
        "operations": [operation.strip() for operation in described(last).get("operations", [])],
        "unresolved": [gap.what for gap in last.unresolved],
        "outputs": [_output(column) for column in last.output],
        "names": [column.name for column in last.output],
        "tags": [list(column.tags) for column in last.output],
        "predicate": _predicate(last.predicate),
        "rows": last.estimated_rows,
        "values": _values(analysis, len(statements) - 1),
        "parameters": last.parameter_count,
        "returns_rows": last.returns_rows,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['file']}: {case['note']}")
def test_facts(case: dict[str, Any]) -> None:
    """The facts are those that the case's author worked out from what PostgreSQL does."""
    snapshot, state = catalog(case.get("catalog", "")), SessionState()
    for message in case.get("before", ()):
        state = state.advance(ANALYZER.analyze(message.encode(), snapshot, state), "I")
    if case.get("overflowed"):
        state = replace(state, overflowed=True)
    if "refused" in case:
        with pytest.raises(AnalysisError) as raised:
            ANALYZER.analyze(case["sql"].encode(), snapshot, state)
        assert raised.value.code == case["refused"]
        return
    found = facts_of(ANALYZER.analyze(case["sql"].encode(), snapshot, state))
    want = case["want"]
    assert {key: _ordered(key, found[key]) for key in want} == {key: _ordered(key, want[key]) for key in want}


def _ordered(key: str, value: Any) -> Any:
    return sorted(value) if isinstance(value, list) and key not in ("names", "output", "outputs", "tags") else value


def test_no_note_is_given_twice() -> None:
    """Each case says something of its own."""
    notes = [(case["file"], case["note"]) for case in CASES]
    assert len(set(notes)) == len(notes)
