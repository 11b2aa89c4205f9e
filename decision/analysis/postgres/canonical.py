"""One form for expressions that mean the same: equal forms are equal values, and a form has an opposite.

Forms are tuples of texts. `x + 0`, `x - 0`, `x * 1` and `x || ''` are x; a comparison is written with its smaller side
first; a column of the target is its base column, however it is qualified.
"""

from __future__ import annotations

from collections.abc import Callable

from decision.analysis.postgres.builtins import NAMES, VOLATILE
from decision.analysis.postgres.parse import Node, constant, only, qualified, strings

Form = tuple[object, ...]
_OPPOSITE = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "~~": "!~~", "!~~": "~~",
             "~~*": "!~~*", "!~~*": "~~*", "~": "!~", "!~": "~", "~*": "!~*", "!~*": "~*"}  # fmt: skip
_MIRROR = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NEUTRAL = {"+": "0", "-": "0", "*": "1", "||": ""}
MAX_DEPTH = 60


class Canonical:
    """Makes forms; `column` names the base column that a node is, if it is one of the target's."""

    def __init__(self, column: Callable[[Node], str | None]) -> None:
        self._column = column
        self._depth = 0

    def form(self, node: Node) -> Form | None:
        """None where two evaluations may differ, or nothing is known."""
        self._depth += 1
        try:
            return self._form(node) if self._depth <= MAX_DEPTH else None
        finally:
            self._depth -= 1

    def _form(self, node: Node) -> Form | None:
        tag, body = only(node)
        if tag == "ColumnRef":
            column = self._column(node)
            names = strings(body.get("fields"))
            return ("column", column) if column is not None else ("name", *names) if names else None
        if tag == "A_Const":
            return ("null",) if body.get("isnull") else ("value", "sval" in body, constant(body))
        if tag == "ParamRef":
            return ("parameter", body.get("number", 0))
        if tag == "A_Expr":
            return self._operator(body)
        if tag == "BoolExpr":
            return self._boolean(body)
        if tag == "NullTest":
            inner = self.form(body["arg"])
            return None if inner is None else (body.get("nulltesttype", ""), inner)
        if tag == "TypeCast":
            inner = self.form(body["arg"]) if "arg" in body else None
            kind = body.get("typeName", {})
            return None if inner is None else ("cast", *strings(kind.get("names")), len(kind.get("typmods", ())), inner)
        if tag == "FuncCall":
            return self._call(body)
        if tag in ("RowExpr", "CoalesceExpr"):
            return self._all(tag, body.get("args", []))
        return None

    def _all(self, tag: str, nodes: list[Node]) -> Form | None:
        forms = [self.form(node) for node in nodes]
        return None if None in forms else (tag, *forms)

    def _call(self, body: Node) -> Form | None:
        schema, name = qualified(body.get("funcname"))
        plain = not any(
            part in body for part in ("agg_filter", "over", "agg_order", "agg_within_group", "agg_distinct")
        )
        if not plain or schema not in ("", "pg_catalog") or name not in NAMES or name in VOLATILE:
            return None
        return self._all(f"call {name}", body.get("args", []))

    def _operator(self, body: Node) -> Form | None:
        kind = body["kind"]
        name = (strings(body.get("name")) or [""])[-1]
        left, right = body.get("lexpr"), body.get("rexpr")
        if right is None or kind not in ("AEXPR_OP", "AEXPR_LIKE", "AEXPR_ILIKE") or "List" in right:
            return None
        second = self.form(right)
        if left is None:
            return None if second is None else ("prefix", name, second)
        first = self.form(left)
        if first is None or second is None:
            return None
        if second[0] == "value" and name in _NEUTRAL and second[2] == _NEUTRAL[name]:
            return first
        if name == "-" and first == second:
            return ("value", False, "0")
        if name in _MIRROR and repr(second) < repr(first):
            return (_MIRROR[name], second, first)
        return (name, first, second)

    def _boolean(self, body: Node) -> Form | None:
        forms = [self.form(node) for node in body.get("args", ())]
        if None in forms:
            return None
        kind = body.get("boolop", "")
        return opposite(forms[0]) if kind == "NOT_EXPR" else (kind, *sorted(forms, key=repr))


def opposite(form: Form | None) -> Form | None:
    """The form that is true where this one is false."""
    if form is None:
        return None
    tag = form[0]
    if isinstance(tag, str) and tag in _OPPOSITE and len(form) == 3:
        return (_OPPOSITE[tag], *form[1:])
    if tag in ("IS_NULL", "IS_NOT_NULL"):
        return ("IS_NOT_NULL" if tag == "IS_NULL" else "IS_NULL", *form[1:])
    return tuple(form[1:]) if tag == "not" else ("not", *form)
