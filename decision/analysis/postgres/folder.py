"""Constant folding of a condition over one scope: what an expression is for every row, as far as that is sure.

Folding and what an expression depends on call each other for every part of it.
"""

from __future__ import annotations

from decision.analysis.catalog import SYSTEM_COLUMNS
from decision.analysis.flow import Item, Scope
from decision.analysis.postgres.canonical import Canonical, opposite
from decision.analysis.postgres.folding import (
    UNKNOWN,
    apply_operator,
    array_items,
    boolean_test,
    call_value,
    cast_value,
    literal_value,
    matches_all,
    never_negative,
    outside,
)
from decision.analysis.postgres.parse import Node, only, qualified, strings
from decision.analysis.postgres.selves import holds_all
from decision.analysis.postgres.walk import Walk

MAX_DEPTH = 40
MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}
_BETWEEN = frozenset({"AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"})


class Folder:
    """Folds an expression over one scope. `fold` gives True, False, None (NULL), a value, or UNKNOWN."""

    def __init__(self, walk: Walk, scope: Scope, target: Item | None) -> None:
        self.walk = walk
        self.scope = scope
        self.target = target
        self.depth = 0
        self.canonical = Canonical(self.column)

    def fold(self, node: Node) -> object:
        self.depth += 1
        try:
            return UNKNOWN if self.depth > MAX_DEPTH else self._fold(node)
        finally:
            self.depth -= 1

    def _fold(self, node: Node) -> object:
        tag, body = only(node)
        if tag == "A_Const":
            return literal_value(body)
        if tag == "BoolExpr":
            return self._boolean(body)
        if tag == "A_Expr":
            return self._operator(body)
        if tag == "TypeCast":
            return cast_value(self.fold(body["arg"]), strings(body.get("typeName", {}).get("names"))[-1:])
        if tag == "NullTest":
            return self._null_test(body)
        if tag == "BooleanTest":
            return boolean_test(self.fold(body["arg"]), body.get("booltesttype", ""))
        if tag == "CoalesceExpr":
            values = [self.fold(argument) for argument in body.get("args", ())]
            return next((value for value in values if value is not None), None)
        if tag == "SubLink":
            return self._sublink(body)
        if tag == "CaseExpr":
            return self._case(body)
        if tag == "FuncCall":
            values = [self.fold(argument) for argument in body.get("args", ())]
            return call_value(qualified(body.get("funcname"))[1], values)
        if tag == "MinMaxExpr":
            found = [self.fold(argument) for argument in body.get("args", ())]
            if not all(isinstance(value, int | float) for value in found):
                return UNKNOWN
            numbers = [value for value in found if isinstance(value, int | float)]
            return min(numbers) if body.get("op") == "IS_LEAST" else max(numbers)
        if tag == "RowExpr":
            parts = tuple(self.fold(argument) for argument in body.get("args", ()))
            return UNKNOWN if UNKNOWN in parts or None in parts else repr(parts)
        return UNKNOWN

    def _sublink(self, body: Node) -> object:
        """A sub-select without FROM gives exactly one row; over the target itself it may hold every row."""
        inner = body.get("subselect", {}).get("SelectStmt", {})
        kind = body.get("subLinkType")
        nothing = "fromClause" not in inner and self.fold(inner.get("whereClause", {})) in (False, None)
        if kind in ("EXISTS_SUBLINK", "ANY_SUBLINK") and nothing and "FuncCall" not in str(inner.get("targetList")):
            return False
        if holds_all(self, body, inner):
            return True
        if any(part in inner for part in ("fromClause", "whereClause", "limitCount", "limitOffset", "havingClause",
                                          "withClause", "larg")):  # fmt: skip
            return UNKNOWN
        if kind == "EXISTS_SUBLINK":
            return True
        targets = inner.get("targetList", [])
        if kind == "EXPR_SUBLINK" and len(targets) == 1:
            return self.fold(targets[0].get("ResTarget", {}).get("val", {}))
        return UNKNOWN

    def _boolean(self, body: Node) -> object:
        kind = body.get("boolop")
        arguments = body.get("args", [])
        values = [self.fold(argument) for argument in arguments]
        if kind == "NOT_EXPR":
            return (not values[0]) if isinstance(values[0], bool) else (None if values[0] is None else UNKNOWN)
        stop = kind == "OR_EXPR"
        if any(value is stop for value in values):
            return stop
        if len(arguments) <= 50:
            forms = [form for argument in arguments if (form := self.canonical.form(argument)) is not None]
            if any(opposite(form) in forms for form in forms):
                return stop  # NULLs aside
        if any(value is UNKNOWN or not (isinstance(value, bool) or value is None) for value in values):
            return UNKNOWN
        return None if None in values else (not stop)

    def _case(self, body: Node) -> object:
        results: list[object] = []
        subject = body.get("arg")
        for node in body.get("args", ()):
            when = node.get("CaseWhen", {})
            taken = self.fold(when.get("expr", {}))
            if subject is not None:
                first = self.fold(subject)
                taken = UNKNOWN if UNKNOWN in (first, taken) else apply_operator("=", first, taken)
            if taken is True and not results:
                return self.fold(when.get("result", {}))
            if taken is UNKNOWN or taken is True:
                results.append(self.fold(when.get("result", {})))
            if taken is True:
                break  # nothing behind it is reached
        else:
            results.append(self.fold(body["defresult"]) if "defresult" in body else None)
        return results[0] if all(result is results[0] for result in results) else UNKNOWN

    def _null_test(self, body: Node) -> object:
        positive = body.get("nulltesttype") == "IS_NULL"
        value = self.fold(body["arg"])
        if value is not UNKNOWN and not self.depends(body["arg"]):
            return (value is None) == positive
        return not positive if self.not_null(body["arg"]) else UNKNOWN

    def not_null(self, node: Node) -> bool:
        """Whether the value is never NULL: not-null columns, constants, and comparisons of such."""
        tag, body = only(node)
        if tag == "A_Const":
            return not body.get("isnull", False)
        if tag == "A_Expr" and body["kind"] == "AEXPR_OP" and "lexpr" in body and "rexpr" in body:
            return self.not_null(body["lexpr"]) and self.not_null(body["rexpr"])
        if tag == "BoolExpr":
            return all(self.not_null(argument) for argument in body.get("args", ()))
        if tag in ("NullTest", "BooleanTest"):
            return True
        column = self.column(node)
        if column is None or self.target is None or self.target.relation is None or self.walk.catalog is None:
            return False
        entry = self.walk.catalog.entry(*self.target.relation)
        return column in SYSTEM_COLUMNS or (entry is not None and column in entry.not_null)

    def _operator(self, body: Node) -> object:
        kind = body["kind"]
        name = (strings(body.get("name")) or [""])[-1]
        left, right = body.get("lexpr"), body.get("rexpr")
        if right is None:
            return UNKNOWN
        if left is None:
            value = self.fold(right)
            return -value if name == "-" and isinstance(value, int | float) and not isinstance(value, bool) else UNKNOWN
        if kind in _BETWEEN:
            return self._between(kind, left, right)
        if kind in ("AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"):
            return self._pattern(kind, name, left, right)
        if kind == "AEXPR_IN":
            return self._in(left, right.get("List", {}).get("items", []), name)
        if kind == "AEXPR_OP_ANY":
            return self._in(left, array_items(right), name) if name == "=" else UNKNOWN
        first, second = self.fold(left), self.fold(right)
        if kind == "AEXPR_NULLIF":
            if UNKNOWN in (first, second):
                return UNKNOWN
            return None if apply_operator("=", first, second) is True else first
        if kind not in ("AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
            return UNKNOWN
        same = self._same(left, right)
        if kind != "AEXPR_OP":
            if same or UNKNOWN in (first, second):
                return (kind == "AEXPR_NOT_DISTINCT") if same else UNKNOWN
            return (first != second) == (kind == "AEXPR_DISTINCT")
        if same and name in ("=", ">=", "<=", "<>", "!=", "<", ">"):
            return name in ("=", ">=", "<=")  # NULLs aside: it is so for every row that has a value
        if name in ("~~", "~~*"):
            return self._pattern(kind, name, left, right)
        if name in ("~", "~*", "^@") and (matches_all("regex", second) if name != "^@" else second == ""):
            return True
        if first is not UNKNOWN and second is not UNKNOWN:
            return apply_operator(name, first, second)
        return self._one_sided(name, left, right, first, second)

    def _same(self, left: Node, right: Node) -> bool:
        form = self.canonical.form(left)
        return form is not None and form == self.canonical.form(right)

    def _one_sided(self, name: str, left: Node, right: Node, first: object, second: object) -> object:
        """A comparison of what isn't known with a constant that lies outside of all that it may be."""
        node, value = left, second
        if second is UNKNOWN:
            node, value, name = right, first, MIRROR.get(name, "")
        if value is UNKNOWN or value is None:
            return UNKNOWN
        tag, body = only(node)
        positive = tag == "FuncCall" and never_negative(qualified(body.get("funcname"))[1]) and isinstance(value, int)
        if positive and isinstance(value, int) and ((name == ">=" and value <= 0) or (name == ">" and value < 0)):
            return True
        column = self.column(node)
        if column is None or self.target is None or self.target.relation is None or self.walk.catalog is None:
            return UNKNOWN
        if value == "":
            return True if name == ">=" else UNKNOWN
        entry = self.walk.catalog.entry(*self.target.relation)
        types = [c.type_name for c in entry.relation.columns if c.name == column] if entry is not None else []
        return outside(types[0], name, value) if types else UNKNOWN

    def _between(self, kind: str, left: Node, right: Node) -> object:
        low, high = right.get("List", {}).get("items", [{}, {}])
        value, first, second = self.fold(left), self.fold(low), self.fold(high)
        above: object = True if self._same(left, low) else UNKNOWN
        below: object = True if self._same(left, high) else UNKNOWN
        if UNKNOWN not in (value, first, second):
            above, below = apply_operator(">=", value, first), apply_operator("<=", value, second)
            if "SYM" in kind and not (above is True and below is True):
                above, below = apply_operator("<=", value, first), apply_operator(">=", value, second)
        if above is UNKNOWN or below is UNKNOWN or None in (above, below):
            return UNKNOWN
        return (above is True and below is True) != ("NOT" in kind)

    def _pattern(self, kind: str, name: str, left: Node, right: Node) -> object:
        if name.startswith("!"):
            return UNKNOWN
        tag, body = only(right)
        if kind == "AEXPR_SIMILAR":
            right = body.get("args", [{}])[0] if tag == "FuncCall" else right
        return True if matches_all("like", self.fold(right)) or self._same(left, right) else UNKNOWN

    def _in(self, left: Node, items: list[Node], name: str) -> object:
        if name == "=" and any(self._same(left, item) for item in items[:200]):
            return True
        values = [self.fold(item) for item in items[:1000]]
        if name == "=" and True in values and False in values and self.not_null(left):
            return True if all(isinstance(value, bool) for value in values) else UNKNOWN
        value = self.fold(left)
        if value is UNKNOWN or UNKNOWN in values or len(items) > 1000 or None in values or value is None or not items:
            return UNKNOWN
        return (value in values) == (name == "=")

    def column(self, node: Node) -> str | None:
        """The name of the target's own column that `node` is, if it is one."""
        target = self.target
        tag, body = only(node)
        if target is None or tag != "ColumnRef":
            return None
        names = strings(body.get("fields"))
        if len(names) != len(body.get("fields", ())) or not names:
            return None
        flow = target.shape.lookup.get(names[-1])
        if flow is None and names[-1] in SYSTEM_COLUMNS and target.relation is not None and not self.scope.items[1:]:
            return names[-1] if names[:-1] in ([], [target.name]) else None
        if flow is None or not flow.sources:
            return None
        if len(names) == 1:
            others = [i for i in self.scope.items if i is not target and i.by_column and names[0] in i.shape.lookup]
            return None if others or not target.by_column else _base(target, names[0])
        if names[-2] != target.name or (len(names) > 2 and names[-3] != target.schema):
            return None
        return _base(target, names[-1])

    def depends(self, node: object) -> bool:
        """Whether the value may differ from row to row: it names a column, if only of a sub-select's table."""
        stack = [node]
        while stack:
            current = stack.pop()
            if isinstance(current, list):
                stack.extend(current)
            elif isinstance(current, dict):
                if "CurrentOfExpr" in current or strings(current.get("ColumnRef", {}).get("fields")):
                    return True
                stack.extend(current.values())
        return False


def _base(target: Item, name: str) -> str | None:
    """The base column's name behind a (possibly renamed) column of the target."""
    for key in sorted(target.shape.lookup[name].sources):
        if key[:2] == target.relation:
            return key[2]
    return None
