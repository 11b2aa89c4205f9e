"""Lookups told from probes: equality with a value that whoever asks has in hand, and all else that decides."""

from __future__ import annotations

from decision.analysis.flow import Item, Scope
from decision.analysis.postgres.expressions import expression
from decision.analysis.postgres.parse import Node, only, strings
from decision.analysis.postgres.walk import Walk
from decision.model.facts import Usage


def condition(walk: Walk, scope: Scope, node: Node, target: Item | None) -> None:
    """A statement's own WHERE. Conditions that hold a column of `target` to a value in hand are told from probes."""
    tag, body = only(node)
    if tag == "BoolExpr" and body.get("boolop") == "AND_EXPR":
        for argument in body.get("args", ()):
            condition(walk, scope, argument, target)
        return
    flow = expression(walk, scope, node)
    if target is not None and tag == "A_Expr" and _holds(walk, scope, body, target):
        walk.hold(flow)
    else:
        walk.use(flow, Usage.FILTER)


def _holds(walk: Walk, scope: Scope, body: Node, target: Item) -> bool:
    """Whether an equality, of one value or of rows, holds columns of the target to values that whoever asks has."""
    kind, left, right = body["kind"], body.get("lexpr", {}), body.get("rexpr", {})
    items = [right]
    if kind == "AEXPR_IN":
        items = right.get("List", {}).get("items", [])
    elif kind == "AEXPR_OP_ANY":
        items = right.get("A_ArrayExpr", {}).get("elements", [])
    elif kind not in ("AEXPR_OP", "AEXPR_NOT_DISTINCT"):
        return False
    if strings(body.get("name"))[-1:] != ["="] or len(items) != 1:
        return False
    rows = [only(side)[1].get("args", []) for side in (left, items[0]) if only(side)[0] == "RowExpr"]
    pairs = zip(*rows, strict=False) if len(rows) == 2 else [(left, items[0])]
    return all(
        (_column_of(target, one) and _in_hand(walk, scope, two))
        or (_column_of(target, two) and _in_hand(walk, scope, one))
        for one, two in pairs
    )


def _column_of(target: Item, node: Node) -> bool:
    names = strings(node.get("ColumnRef", {}).get("fields"))
    return bool(names) and names[-1] in target.shape.lookup and (len(names) == 1 or names[-2] == target.name)


def _in_hand(walk: Walk, scope: Scope, node: Node) -> bool:
    """A value that comes from no table: constants, parameters, and what is computed from them."""
    tag, body = only(node)
    if tag in ("A_Const", "ParamRef"):
        return True
    if tag == "TypeCast":
        return _in_hand(walk, scope, body.get("arg", {}))
    if tag not in ("A_Expr", "FuncCall"):
        return False
    flow = expression(walk, scope, node)
    return not flow.sources and not flow.opaque and "SubLink" not in str(node)
