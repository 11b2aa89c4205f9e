"""What a WHERE holds back: constants folded, columns pinned to one value, the limit."""

from __future__ import annotations

import re

from sqlglot import exp

from decision.analysis.dialects.scopes import Source
from decision.analysis.dialects.values import bind
from decision.analysis.dialects.walk import Walk
from decision.model.facts import Predicate

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_FALSE_TEXTS = frozenset({"", "0", "false", "f", "no", "n", "off"})


def predicate(walk: Walk, node: exp.Expr, target: Source | None) -> Predicate:
    """The predicate of a statement or query with `where` and `limit`; `target`: what pinned columns are of."""
    where = node.args.get("where")
    condition = where.this if where is not None else None
    pins = _pinned(condition, target) if condition is not None else {}
    for label, values in pins.items():
        for value in values:
            bind(walk, target, label, "pinned", value) if target is not None else None
    pinned = tuple(sorted(pins))
    return Predicate(
        present=where is not None,
        always_true=condition is not None and truth(walk, condition) is True,
        pinned=pinned,
        pins_key=_covers_key(walk, target, set(pinned)),
        limit=_limit(walk, node),
    )


def held(condition: exp.Expr, target: Source | None) -> list[tuple[exp.Expr, bool]]:
    """The terms of a statement's own WHERE that must all hold, each with whether it pins a column of the target."""
    return [(term, bool(_pinned(term, target))) for term in _terms(condition)]


def _limit(walk: Walk, node: exp.Expr) -> int | None:
    clause = node.args.get("limit")
    if not isinstance(clause, exp.Limit | exp.Fetch):
        return _rownum(walk, node)
    if clause.args.get("limit_options") is not None:
        options = clause.args["limit_options"]
        if options.args.get("percent") or options.args.get("with_ties"):
            return None
    number = clause.args.get("expression") or clause.args.get("count")
    while isinstance(number, exp.Paren):
        number = number.this
    if isinstance(number, exp.Literal) and not number.is_string and number.name.isdigit():
        return int(number.name)
    return None


def _rownum(walk: Walk, node: exp.Expr) -> int | None:
    """Oracle's `WHERE ROWNUM <= n` among the terms that must all hold."""
    where = node.args.get("where")
    if walk.dialect != "oracle" or where is None:
        return None
    for term in _terms(where.this):
        if isinstance(term, exp.LTE | exp.LT) and isinstance(term.this, exp.Column | exp.Pseudocolumn):
            number = term.expression
            if term.this.name.upper() == "ROWNUM" and isinstance(number, exp.Literal) and number.name.isdigit():
                return int(number.name) - isinstance(term, exp.LT)
    return None


def _terms(condition: exp.Expr) -> list[exp.Expr]:
    found, waiting = [], [condition]
    while waiting:
        one = waiting.pop()
        if isinstance(one, exp.And):
            waiting += [one.left, one.right]
        elif isinstance(one, exp.Paren):
            waiting.append(one.this)
        else:
            found.append(one)
    return found


def _pinned(condition: exp.Expr, target: Source | None) -> dict[str, list[exp.Expr]]:
    """The target's columns that must equal one value, each with what it must equal."""
    found: dict[str, list[exp.Expr]] = {}
    if target is None:
        return found
    for term in _terms(condition):
        if isinstance(term, exp.EQ):
            for one, other in ((term.left, term.right), (term.right, term.left)):
                if (
                    isinstance(one, exp.Column)
                    and isinstance(other, exp.Literal | exp.Placeholder | exp.Parameter | exp.National)
                    and one.table.casefold() in ("", target.name)
                    and one.name.casefold() in target.lookup
                ):
                    label = next(label for label, _ in target.columns if label.casefold() == one.name.casefold())
                    found.setdefault(label, []).append(other)
    return found


def _covers_key(walk: Walk, target: Source | None, pinned: set[str]) -> bool:
    index = walk.record.index
    if target is None or target.relation is None or index is None or not pinned:
        return False
    entry = index.entry(*target.relation)
    return entry is not None and any(set(key) <= pinned for key in entry.relation.keys)


def truth(walk: Walk, node: exp.Expr, depth: int = 0) -> bool | None:
    """Whether a condition holds of every row (True), of none (False), or that isn't known (None)."""
    if depth > 100:
        return None
    inner = depth + 1
    match node:
        case exp.Paren():
            return truth(walk, node.this, inner)
        case exp.Boolean():
            return bool(node.this)
        case exp.Null():
            return False
        case exp.Not():
            found = None if isinstance(node.this, exp.Null) else truth(walk, node.this, inner)
            return None if found is None else not found
        case exp.And() | exp.Or():
            sides = [truth(walk, side, inner) for side in (node.left, node.right)]
            decisive = isinstance(node, exp.Or)
            if decisive in sides:
                return decisive
            return None if None in sides else not decisive
        case exp.Literal():
            return _literal(walk, node)
        case exp.Neg() | exp.Add() | exp.Sub() | exp.Mul() if (number := _number(node)) is not None:
            return number != 0
        case exp.Exists():
            return None
        case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE() | exp.NullSafeEQ():
            return _comparison(node, node.left, node.right)
        case exp.Like() if isinstance(node.expression, exp.Literal) and set(node.expression.name) == {"%"}:
            return True if isinstance(node.this, exp.Column) else None
        case exp.Between() if isinstance(node.this, exp.Column):
            bounds = (node.args["low"], node.args["high"])
            return True if bounds[0] == node.this and bounds[1] == node.this else None
        case exp.In() if isinstance(node.this, exp.Column | exp.Literal):
            return True if any(one == node.this for one in node.expressions) else None
        case _:
            return None


def _literal(walk: Walk, node: exp.Literal) -> bool | None:
    text = node.name.strip()
    if node.is_string and walk.dialect in ("mysql", "sqlite"):  # a text counts as the number that it begins with
        number = _NUMBER.match(text)
        return number is not None and float(number.group()) != 0
    if node.is_string and text.casefold() in _FALSE_TEXTS:
        return False
    try:
        return float(text) != 0
    except ValueError:
        return None if node.is_string else True


def _comparison(node: exp.Expr, left: exp.Expr, right: exp.Expr) -> bool | None:
    if left == right and isinstance(left, exp.Column | exp.Literal):
        return isinstance(node, exp.EQ | exp.LTE | exp.GTE | exp.NullSafeEQ)
    values = [_number(side) for side in (left, right)]
    first, second = values
    if first is not None and second is not None:
        found: dict[type[exp.Expr], bool] = {
            exp.EQ: first == second, exp.NullSafeEQ: first == second, exp.NEQ: first != second, exp.LT: first < second,
            exp.LTE: first <= second, exp.GT: first > second, exp.GTE: first >= second,
        }  # fmt: skip
        return found.get(type(node))
    texts = [side.name if isinstance(side, exp.Literal) and side.is_string else None for side in (left, right)]
    if None not in texts and isinstance(node, exp.NEQ):
        return None if str(texts[0]).casefold().strip() == str(texts[1]).casefold().strip() else True
    return None


def _number(node: exp.Expr) -> float | None:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Neg):
        inner = _number(node.this)
        return None if inner is None else -inner
    if isinstance(node, exp.Literal) and not node.is_string:
        try:
            return float(node.name)
        except ValueError:
            return None
    if isinstance(node, exp.Add | exp.Sub | exp.Mul):
        sides = _number(node.left), _number(node.right)
        if sides[0] is None or sides[1] is None:
            return None
        if isinstance(node, exp.Add):
            return sides[0] + sides[1]
        return sides[0] - sides[1] if isinstance(node, exp.Sub) else sides[0] * sides[1]
    return None
