"""What a WHERE really restricts: constant folding, and columns pinned to one value. Never complete, always careful."""

from __future__ import annotations

from decision.analysis.flow import Item, Scope
from decision.analysis.postgres.folding import (
    UNKNOWN,
    apply_operator,
    boolean_test,
    cast_value,
    literal_value,
    same,
    volatile,
)
from decision.analysis.postgres.parse import Node, constant, only, strings
from decision.analysis.postgres.walk import Walk
from decision.analysis.result import BoundValue
from decision.model.facts import Predicate, Transform

MAX_DEPTH = 40


def predicate_of(walk: Walk, scope: Scope, where: Node | None, target: Item | None, limit: int | None) -> Predicate:
    """The predicate on `target`'s rows; pinned values are put on the walk."""
    if where is None:
        return Predicate(limit=limit)
    folder = Folder(walk, scope, target)
    folded = folder.fold(where)
    always = folded is True or (folded is UNKNOWN and not folder.depends(where))
    pinned: dict[str, None] = {}
    if target is not None and target.relation is not None:
        folder.pins(where, pinned)
    return Predicate(True, always, tuple(pinned), _covers_key(walk, target, pinned), limit)


def _covers_key(walk: Walk, target: Item | None, pinned: dict[str, None]) -> bool:
    if target is None or target.relation is None or walk.catalog is None or not pinned:
        return False
    entry = walk.catalog.entry(*target.relation)
    if entry is None:
        return False
    if entry.is_view:
        return _covers_base_key(walk, target, pinned)
    return any(key and set(key) <= pinned.keys() for key in entry.relation.keys)


def _covers_base_key(walk: Walk, target: Item, pinned: dict[str, None]) -> bool:
    """Whether the pinned columns of a view are a whole key of the one table that all its plain columns come from."""
    assert walk.catalog is not None
    bases: dict[tuple[str, str], set[str]] = {}
    for name in target.shape.names:
        flow = target.shape.lookup[name]
        for schema, table, column in flow.sources:
            if (schema, table) != target.relation:
                held = bases.setdefault((schema, table), set())
                if name in pinned and flow.transform is Transform.IDENTITY:
                    held.add(column)
    tables = [(walk.catalog.entry(*base), held) for base, held in bases.items()]
    tables = [(entry, held) for entry, held in tables if entry is not None and not entry.is_view]
    if len(tables) != 1:
        return False
    base, held = tables[0]
    return base is not None and any(key and set(key) <= held for key in base.relation.keys)


class Folder:
    """Folds an expression over one scope. `fold` gives True, False, None (NULL), a value, or UNKNOWN."""

    def __init__(self, walk: Walk, scope: Scope, target: Item | None) -> None:
        self.walk = walk
        self.scope = scope
        self.target = target
        self.depth = 0

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
        return UNKNOWN

    def _sublink(self, body: Node) -> object:
        """A sub-select without FROM and WHERE gives exactly one row."""
        inner = body.get("subselect", {}).get("SelectStmt", {})
        plain = not any(part in inner for part in ("fromClause", "whereClause", "limitCount", "limitOffset",
                                                   "havingClause", "withClause", "valuesLists", "larg"))  # fmt: skip
        if not plain:
            return UNKNOWN
        if body.get("subLinkType") == "EXISTS_SUBLINK":
            return True
        targets = inner.get("targetList", [])
        if body.get("subLinkType") == "EXPR_SUBLINK" and len(targets) == 1:
            return self.fold(targets[0].get("ResTarget", {}).get("val", {}))
        return UNKNOWN

    def _boolean(self, body: Node) -> object:
        kind = body.get("boolop")
        values = [self.fold(argument) for argument in body.get("args", ())]
        if kind == "NOT_EXPR":
            return (not values[0]) if isinstance(values[0], bool) else (None if values[0] is None else UNKNOWN)
        stop = kind == "OR_EXPR"
        if any(value is stop for value in values):
            return stop
        if any(value is UNKNOWN or not (isinstance(value, bool) or value is None) for value in values):
            return UNKNOWN
        return None if None in values else (not stop)

    def _null_test(self, body: Node) -> object:
        positive = body.get("nulltesttype") == "IS_NULL"
        value = self.fold(body["arg"])
        if value is not UNKNOWN:
            return (value is None) == positive
        column = self.column(body["arg"])
        if column is not None and self.target is not None and self.target.relation and self.walk.catalog is not None:
            entry = self.walk.catalog.entry(*self.target.relation)
            if entry is not None and column in entry.not_null:
                return not positive
        return UNKNOWN

    def _operator(self, body: Node) -> object:
        kind = body.get("kind", "AEXPR_OP")
        name = (strings(body.get("name")) or [""])[-1]
        left, right = body.get("lexpr"), body.get("rexpr")
        if right is None:
            return UNKNOWN
        if left is None:
            value = self.fold(right)
            return -value if name == "-" and isinstance(value, int) and not isinstance(value, bool) else UNKNOWN
        if kind == "AEXPR_OP" and name in ("=", ">=", "<=") and same(left, right) and not volatile(left):
            return True  # NULLs aside: it selects every row that has a value
        if kind == "AEXPR_NOT_DISTINCT" and same(left, right) and not volatile(left):
            return True
        if kind in ("AEXPR_LIKE", "AEXPR_ILIKE") and name in ("~~", "~~*"):
            pattern = self.fold(right)
            return True if isinstance(pattern, str) and pattern and not pattern.strip("%") else UNKNOWN
        if kind == "AEXPR_IN":
            return self._in(left, right, name)
        if kind not in ("AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
            return UNKNOWN
        first, second = self.fold(left), self.fold(right)
        if first is UNKNOWN or second is UNKNOWN:
            return UNKNOWN
        if kind != "AEXPR_OP":
            return (first != second) == (kind == "AEXPR_DISTINCT")
        return apply_operator(name, first, second)

    def _in(self, left: Node, right: Node, name: str) -> object:
        items = right.get("List", {}).get("items", []) if isinstance(right, dict) else []
        if name == "=" and any(same(left, item) and not volatile(left) for item in items):
            return True
        value = self.fold(left)
        values = [self.fold(item) for item in items[:1000]]
        if value is UNKNOWN or UNKNOWN in values or len(items) > 1000 or None in values or value is None:
            return UNKNOWN
        return (value in values) == (name == "=")

    # ── pinned columns ──────────────────────────────────────────────────────────────────────────────────────────────

    def pins(self, node: Node, pinned: dict[str, None]) -> None:
        tag, body = only(node)
        if tag == "BoolExpr" and body.get("boolop") == "AND_EXPR":
            for argument in body.get("args", ()):
                self.pins(argument, pinned)
            return
        if tag != "A_Expr" or strings(body.get("name"))[-1:] != ["="] or "lexpr" not in body or "rexpr" not in body:
            return
        left, right = body["lexpr"], body["rexpr"]
        if body.get("kind", "AEXPR_OP") == "AEXPR_IN":
            items = right.get("List", {}).get("items", [])
            if len(items) != 1:
                return
            right = items[0]
        elif body.get("kind", "AEXPR_OP") != "AEXPR_OP":
            return
        for column_node, value_node in ((left, right), (right, left)):
            column = self.column(column_node)
            if column is not None and is_value(value_node):
                pinned[column] = None
                self._bind(column, value_node)
                return

    def _bind(self, column: str, value: Node) -> None:
        if self.target is None or self.target.relation is None:
            return
        flow = self.target.shape.lookup.get(column)
        key = next((k for k in sorted(flow.sources) if k[:2] == self.target.relation), None) if flow else None
        if key is not None:
            self.walk.values.append(bound_value(key, "pinned", value))

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
        if flow is None or not flow.sources:
            return None
        if len(names) == 1:
            others = [i for i in self.scope.items if i is not target and i.by_column and names[0] in i.shape.lookup]
            return None if others or not target.by_column else _base(target, names[0])
        if names[-2] != target.name or (len(names) > 2 and names[-3] != target.schema):
            return None
        return _base(target, names[-1])

    def depends(self, node: object) -> bool:
        """Whether the value may differ from row to row: it holds a column or a sub-select over a table."""
        stack = [node]
        while stack:
            current = stack.pop()
            if isinstance(current, list):
                stack.extend(current)
            elif isinstance(current, dict):
                if "ColumnRef" in current or "RangeVar" in current or "CurrentOfExpr" in current:
                    return True
                stack.extend(current.values())
        return False


def _base(target: Item, name: str) -> str | None:
    """The base column's name behind a (possibly renamed) column of the target."""
    for key in sorted(target.shape.lookup[name].sources):
        if key[:2] == target.relation:
            return key[2]
    return None


def is_value(node: Node) -> bool:
    """A constant or parameter, casts and signs included."""
    tag, body = only(node)
    if tag == "A_Const":
        return not body.get("isnull", False)
    if tag == "TypeCast":
        return is_value(body.get("arg", {}))
    if tag == "A_Expr" and "lexpr" not in body:
        return is_value(body.get("rexpr", {}))
    return tag == "ParamRef"


def bound_value(key: tuple[str, str, str], role: str, node: Node) -> BoundValue:
    """The value's literal or parameter; neither for a computed one."""
    schema, table, column = key
    sign = ""
    tag, body = only(node)
    while tag == "TypeCast" or (tag == "A_Expr" and "lexpr" not in body and strings(body.get("name")) == ["-"]):
        sign = "-" if tag == "A_Expr" else sign
        tag, body = only(body.get("arg", {}) if tag == "TypeCast" else body.get("rexpr", {}))
    if tag == "ParamRef" and not sign:
        return BoundValue(0, schema, table, column, role, None, int(body.get("number", 0)))
    text = constant(body) if tag == "A_Const" and not body.get("isnull", False) else None
    return BoundValue(0, schema, table, column, role, None if text is None else (sign + text).encode())


def weakest(predicates: list[Predicate]) -> Predicate:
    """What holds for all of several DML statements in one: a promise only where every one keeps it."""
    if len(predicates) == 1:
        return predicates[0]
    common = [name for name in predicates[0].pinned if all(name in p.pinned for p in predicates)]
    limits = [p.limit for p in predicates]
    return Predicate(
        present=all(p.present for p in predicates),
        always_true=any(p.always_true for p in predicates),
        pinned=tuple(common),
        pins_key=all(p.pins_key for p in predicates),
        limit=None if None in limits else max(limit for limit in limits if limit is not None),
    )
