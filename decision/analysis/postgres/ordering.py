"""What stands behind a query's columns: GROUP BY and ORDER BY, by name or position, LIMIT, FOR UPDATE."""

from __future__ import annotations

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Scope, Shape, either
from decision.analysis.postgres.calls import literal
from decision.analysis.postgres.closure import lock_relation
from decision.analysis.postgres.expressions import expression
from decision.analysis.postgres.names import resolve
from decision.analysis.postgres.parse import Node, bigint, only
from decision.analysis.postgres.walk import Walk
from decision.model.facts import Usage


def tail(walk: Walk, scope: Scope, body: Node, shape: Shape) -> None:
    """ORDER BY, LIMIT, FOR UPDATE."""
    for node in body.get("sortClause", ()):
        sort = node.get("SortBy", {})
        if "node" in sort:
            walk.use(by_output(walk, scope, sort["node"], shape), Usage.ORDER)
    for part in ("limitCount", "limitOffset"):
        if part in body:
            walk.use(expression(walk, scope, body[part]), Usage.FILTER)
    if body.get("limitOption") == "LIMIT_OPTION_WITH_TIES":
        walk.flags.add("with_ties")
    for node in body.get("lockingClause", ()):
        _locking(walk, scope, node.get("LockingClause", {}))


def _locking(walk: Walk, scope: Scope, clause: Node) -> None:
    walk.flags.add("row_lock")
    named = [node.get("RangeVar", {}).get("relname", "") for node in clause.get("lockedRels", ())]
    for item in scope.items:
        if item.relation is not None and (not named or item.name in named):
            lock_relation(walk, resolve(walk, *item.relation))


def by_output(walk: Walk, scope: Scope, node: Node, shape: Shape) -> Flow:
    """ORDER BY and GROUP BY may name an output column or give its position."""
    tag, body = only(node)
    if tag == "A_Const" and "ival" in body:
        position = int(body["ival"].get("ival", 0))
        if 0 < position <= len(shape.flows):
            return shape.flows[position - 1]
        return OPAQUE if shape.open else CONSTANT
    if tag == "ColumnRef" and len(body.get("fields", ())) == 1:
        name = body["fields"][0].get("String", {}).get("sval")
        found = scope.aliases.get(name)
        if found is not None:
            inner = next((i.shape.lookup[name] for i in scope.items if i.by_column and name in i.shape.lookup), None)
            return found if inner is None else either([found, inner])
    return expression(walk, scope, node)


def grouping(walk: Walk, scope: Scope, node: Node, shape: Shape) -> None:
    tag, body = only(node)
    if tag in ("GroupingSet", "RowExpr"):
        for part in body.get("content" if tag == "GroupingSet" else "args", ()):
            grouping(walk, scope, part, shape)
    elif tag:
        walk.use(by_output(walk, scope, node, shape), Usage.GROUP)


def limit_of(body: Node) -> int | None:
    """A constant row limit."""
    if body.get("limitOption") == "LIMIT_OPTION_WITH_TIES" or "limitCount" not in body:
        return None
    text = literal(body["limitCount"])
    count = None if text is None else bigint(text)
    return None if count is None else max(0, count)
