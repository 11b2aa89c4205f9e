"""Nothing of a query stays unread: each function call, sub-select, cast, operator and table of its tree is walked.

A form of SQL that some handler passes over (a sample's seed, a clause of XMLTABLE) would hide whatever stands in it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from decision.analysis.catalog import CatalogIndex
from decision.analysis.flow import Flow, Item, Scope
from decision.analysis.limits import Budget, Limits
from decision.analysis.postgres import sources
from decision.analysis.postgres.parse import Node, parse
from decision.analysis.postgres.walk import EXPRESSIONS, Walk, statement
from decision.analysis.session import SessionState
from decision.analysis.snapshot_json import load
from decision.model.errors import AnalysisError
from tests.support.sql_schema import SENSITIVE
from tests.support.sql_statements import Statements

CASES = Path(__file__).parents[1] / "cases" / "analysis"
READ = ("FuncCall", "SubLink", "A_Expr", "TypeCast", "CaseExpr", "SQLValueFunction")
QUERIES = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "DeclareCursorStmt", "PrepareStmt")
# Read elsewhere: the call in FROM as a copy with its arguments; the source of (a, b) = … stands once for each column.
APART = {("FuncCall", "RangeFunction"), ("RangeVar", "lockingClause")}


@cache
def index() -> CatalogIndex:
    return CatalogIndex(load((CASES / "lineage_schema.json").read_bytes()))


def texts() -> Iterator[str]:
    """The lineage cases, those of the statements' forms, and 600 drawn statements."""
    for name in ("lineage.jsonl", "postgres_statements.jsonl"):
        for line in (CASES / name).read_text().splitlines():
            sql = json.loads(line)["sql"]
            yield from [sql] if isinstance(sql, str) else sql
    keys = sorted(SENSITIVE)
    for seed in range(600):
        yield from Statements(random.Random(seed).randint, keys[seed % len(keys)][2]).message().messages


def inside(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Node, tuple[str, ...]]]:
    """Each node that must be read, and the names above it."""
    if isinstance(node, list):
        for item in node:
            yield from inside(item, path)
    elif isinstance(node, dict):
        for name, body in node.items():
            if name == "MultiAssignRef" and body.get("colno", 1) != 1:
                continue
            if isinstance(body, dict) and (name in READ or (name == "RangeVar" and "fromClause" in path[-1:])):
                yield name, body, path
            yield from inside(body, (*path, name))


def test_all_of_a_query_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every statement that is analysed whole, each such node came to its handler."""
    seen: dict[int, Node] = {}  # kept, so that no other takes its place in memory

    def watched(tag: str) -> None:
        plain = EXPRESSIONS.get(tag)
        if plain is None:
            return

        def handler(walk: Walk, scope: Scope, body: Node) -> Flow:
            seen[id(body)] = body
            return plain(walk, scope, body)

        monkeypatch.setitem(EXPRESSIONS, tag, handler)

    table = sources._SOURCES["RangeVar"]

    def from_table(walk: Walk, scope: Scope, body: Node) -> list[Item]:
        seen[id(body)] = body
        return table(walk, scope, body)

    for tag in READ:
        watched(tag)
    monkeypatch.setitem(sources._SOURCES, "RangeVar", from_table)
    read, missed = 0, []
    for text in texts():
        try:
            trees = [raw["stmt"] for raw in parse(text)]
        except AnalysisError:
            continue
        for tree in trees:
            if not set(tree) & set(QUERIES):
                continue
            seen.clear()
            walk = Walk(index(), SessionState(), Budget(Limits()))
            statement(walk, tree)
            if walk.unresolved_:
                continue
            for tag, body, path in inside(tree):
                read += 1
                if id(body) not in seen and not any((tag, above) in APART for above in path[-4:]):
                    missed.append((tag, path[-4:], text))
    assert not missed, missed[:5]
    assert read > 5000
