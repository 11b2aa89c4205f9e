"""The walker knows every node that the parser may give, with every field, so that a new PostgreSQL can't slip one by.

tests/cases/analysis/postgres_nodes.json names each node's role and fields; a parser of another version that adds one
fails here until somebody has looked at it. Roles:

    statement    has a handler; postgres_statements.jsonl holds examples with the facts wanted
    unknown      a statement node that can't stand alone, and why: facts are incomplete should it ever do
    source       an entry of FROM · expression: a value with a handler of its own
    generic      a value without one: everything inside it may reach the result
    part         read by the handler of what holds it
    planned      made by the server after parsing; the parser never gives it
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pglast.ast
import pytest

from decision.analysis import Analyzer, SessionState
from decision.analysis.limits import Budget, Limits
from decision.analysis.postgres.parse import parse
from decision.analysis.postgres.sources import _SOURCES
from decision.analysis.postgres.walk import EXPRESSIONS, STATEMENTS, Walk, statement
from decision.model.facts import Kind, Statement
from tests.unit.test_analysis_cases import catalog

CASES = Path(__file__).parents[1] / "cases" / "analysis"
NODES: dict[str, dict[str, Any]] = json.loads((CASES / "postgres_nodes.json").read_text())
EXAMPLES: list[dict[str, Any]] = [
    json.loads(line) for line in (CASES / "postgres_statements.jsonl").read_text().splitlines()
]
BASES = {"Node", "Expr"}


def parser_nodes() -> dict[str, list[str]]:
    """Every node of the installed parser, with its fields."""
    kinds = {name: getattr(pglast.ast, name) for name in dir(pglast.ast)}
    nodes = {n: k for n, k in kinds.items() if isinstance(k, type) and issubclass(k, pglast.ast.Node)}
    return {n: sorted(set(k.__slots__) - {"location"}) for n, k in nodes.items() if n not in BASES}


def with_role(*roles: str) -> set[str]:
    return {name for name, node in NODES.items() if node["role"].split(":")[0] in roles}


def test_every_node_has_a_role() -> None:
    """No node of the parser is without a role, and none is listed that is gone."""
    assert set(parser_nodes()) == set(NODES)


def test_no_field_is_new() -> None:
    """No node that is read has a field that nobody has looked at."""
    known = {name: node["fields"] for name, node in NODES.items() if "fields" in node}
    assert {name: fields for name, fields in parser_nodes().items() if name in known} == known


def test_roles_are_those_of_the_walker() -> None:
    """What is said to have a handler has one; what has one is said to."""
    assert {name for name in parser_nodes() if name.endswith("Stmt")} == with_role("statement", "unknown")
    assert set(STATEMENTS) == with_role("statement", "unknown")
    assert set(_SOURCES) == with_role("source")
    literals = {name for name in EXPRESSIONS if name not in NODES}
    assert literals <= {"A_Star", "List", "SelectStmt"}
    assert set(EXPRESSIONS) - literals - {"SelectStmt"} >= with_role("expression")


@pytest.mark.parametrize("name", sorted(with_role("unknown")))
def test_statements_that_do_not_stand_alone(name: str) -> None:
    """A node that is no statement of its own is unknown, with a reason."""
    assert len(NODES[name]["role"].partition(": ")[2]) > 10
    walk = Walk(None, SessionState(), Budget(Limits()))
    statement(walk, {name: {}})
    assert Kind.UNKNOWN in walk.kinds
    assert walk.unresolved_


def test_a_statement_node_of_a_newer_parser() -> None:
    """A statement node that no table knows is unknown."""
    walk = Walk(None, SessionState(), Budget(Limits()))
    statement(walk, {"TeleportStmt": {}})
    assert Kind.UNKNOWN in walk.kinds
    assert walk.unresolved_


def test_every_statement_has_an_example() -> None:
    """Each statement node is the root of an example."""
    assert {example["node"] for example in EXAMPLES} == with_role("statement")


def described(facts: Statement) -> dict[str, list[str]]:
    """A statement's facts as the example file writes them."""

    def dotted(schema: str, name: str) -> str:
        return f"{schema}.{name}".lstrip(".")

    found = {
        "kinds": list(facts.kinds),
        "operations": [
            f"{o.verb} {o.object_type} "
            + ",".join(dotted(n.schema, n.name) for n in o.objects)
            + (f" [{','.join(o.options)}]" if o.options else "")
            for o in facts.operations
        ],
        "relations": [
            f"{dotted(r.schema, r.name)} {'+'.join(r.access)}" + ("" if r.via == "direct" else f" {r.via}")
            for r in facts.relations
        ],
        "columns": [f"{c.table}.{c.column} {'+'.join(c.usage)}" for c in facts.columns],
        "output": [
            f"{o.name} <- {','.join(f'{s.table}.{s.column}' for s in o.sources)}" + (" opaque" if o.opaque else "")
            for o in facts.output
        ],
        "functions": [f"{dotted(f.schema, f.name)} {'+'.join(f.effects)}".strip() for f in facts.functions],
        "settings": list(facts.settings),
        "files": list(facts.files),
        "programs": list(facts.programs),
        "flags": list(facts.flags),
        "unresolved": [f"{u.what}: {u.why}" for u in facts.unresolved],
    }
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example['node']}-{example['sql'][:40]}")
def test_example(example: dict[str, Any]) -> None:
    """The statement is of its node, and its facts are exactly those wanted."""
    assert example["node"] in parse(example["sql"])[0]["stmt"]
    facts = Analyzer().analyze(example["sql"].encode(), catalog(), SessionState()).facts.statements[0]
    assert described(facts) == example["want"]
