"""Statements kept by name for later: cursors, PREPARE and EXECUTE."""

from __future__ import annotations

from dataclasses import replace

from decision.analysis.effects import CursorDeclared, Prepared
from decision.analysis.flow import Scope, Shape, merge
from decision.analysis.postgres.expressions import expression
from decision.analysis.postgres.finish import facts_of, restore
from decision.analysis.postgres.kept import fill
from decision.analysis.postgres.parse import Node
from decision.analysis.postgres.walk import STATEMENTS, Walk, statement
from decision.model.facts import Kind, Statement, Usage


def declare_cursor(walk: Walk, body: Node) -> None:
    walk.kind(Kind.CURSOR)
    walk.flags.add("cursor")
    statement(walk, body["query"])
    facts = facts_of(walk)
    walk.effects.append(CursorDeclared(body.get("portalname", ""), facts))
    for flow in walk.output.flows if walk.output is not None else ():
        walk.use(flow, Usage.OUTPUT)
    walk.output, walk.returns_rows = None, False


def fetch(walk: Walk, body: Node) -> None:
    walk.kind(Kind.CURSOR)
    walk.flags.update(("cursor", "needs_session"))
    name = body.get("portalname", "")
    known = [cursor.statement for cursor in walk.state.cursors if cursor.name == name]
    if body.get("ismove"):
        return
    if not known or walk.state.overflowed:
        walk.unresolved("FETCH", "no cursor of this name was declared in this session")
        walk.returns_rows = True
        return
    restore(walk, known, "FETCH")


def prepare(walk: Walk, body: Node) -> None:
    inner = Walk(walk.catalog, walk.state, walk.budget)
    statement(inner, body["query"])
    facts = facts_of(inner)
    walk.kind(Kind.PREPARE)
    walk.flags.add("prepare")
    effects = tuple(inner.effects)
    walk.effects.append(Prepared(body.get("name", ""), facts, effects, walk.state.search_paths, _meaning(walk, facts)))
    restore(walk, [facts], "PREPARE")
    walk.kinds = dict.fromkeys([Kind.PREPARE, *walk.kinds])
    walk.output, walk.returns_rows = None, False


def execute(walk: Walk, body: Node) -> None:
    walk.kind(Kind.EXECUTE)
    walk.flags.add("needs_session")
    given = merge([expression(walk, Scope(), node) for node in body.get("params", ())])
    name = body.get("name", "")
    known = [prepared for prepared in walk.state.prepared if prepared.name == name]
    if not known or walk.state.overflowed:
        walk.unresolved("EXECUTE", "no statement of this name was prepared in this session")
        walk.returns_rows = True
        return
    restore(walk, [prepared.statement for prepared in known], "EXECUTE")
    if given.sources or given.opaque:  # a function's value as parameter: where it goes inside is not followed
        walk.use(given, Usage.INNER)
        walk.use(given, Usage.FILTER)
        if walk.settings:
            fill(walk, "", given)
        if walk.output is not None:
            walk.output = Shape(walk.output.names, [merge((flow, given)) for flow in walk.output.flows])
    for prepared in known:
        if (prepared.search_paths, prepared.meaning) != (walk.state.search_paths, _meaning(walk, prepared.statement)):
            walk.unresolved("EXECUTE", "what its names mean has changed since it was prepared; prepare it again")
    for prepared in known:
        walk.effects += prepared.effects


def _meaning(walk: Walk, facts: Statement) -> frozenset[int]:
    """A digest of all that the statement's names mean and hold now: relations of the catalog and of the session, what
    is attached to them, functions."""
    state = walk.state
    names = {relation.name for relation in facts.relations}
    found: set[int] = set()
    for made in state.made:
        if made.name in names or any(parent in names for _, parent in made.parents):
            found.add(hash(made))
    found |= {hash((mark.schema, mark.name, mark.version)) for mark in state.altered if mark.name in names}
    found |= {hash(each) for each in state.attached if each.name in names}
    functions = {function.name for function in facts.functions}
    found |= {hash(name) for name in state.functions & functions}
    if walk.catalog is not None:
        for name in names:
            for schema in walk.catalog.schemas_of.get(name, ()):
                entry = walk.catalog.entry(schema, name)
                found.add(hash(replace(entry.relation, estimated_rows=-1)) if entry is not None else 0)
        found |= {hash(known) for name in functions for known in walk.catalog.functions.get(name, ())}
    return frozenset(found)


STATEMENTS.update(
    {
        "DeclareCursorStmt": declare_cursor, "FetchStmt": fetch, "PrepareStmt": prepare, "ExecuteStmt": execute,
    }
)  # fmt: skip
