"""Columns that a WHERE holds to one value, whether they are a whole key, and the rows that a key among few leaves."""

from __future__ import annotations

from typing import Protocol

from decision.analysis.catalog import SYSTEM_COLUMNS
from decision.analysis.flow import Item, Scope
from decision.analysis.postgres.canonical import Canonical
from decision.analysis.postgres.folding import UNKNOWN, array_items
from decision.analysis.postgres.names import resolve
from decision.analysis.postgres.parse import Node, bigint, constant, only, strings
from decision.analysis.postgres.walk import Walk
from decision.analysis.result import BoundValue
from decision.model.facts import Transform


class Folding(Protocol):
    """What pins need of predicates.Folder."""

    walk: Walk
    scope: Scope
    target: Item | None
    canonical: Canonical

    def fold(self, node: Node) -> object: ...

    def column(self, node: Node) -> str | None: ...


def covers_key(walk: Walk, target: Item | None, pinned: dict[str, None]) -> bool:
    if target is None or target.relation is None or walk.catalog is None or not pinned:
        return False
    entry = walk.catalog.entry(*target.relation)
    if entry is None:
        return False
    if entry.is_view:
        return _covers_base_key(walk, target, pinned)
    if "ctid" in pinned and not entry.relation.children:
        return True
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


def pins(folder: Folding, node: Node, pinned: dict[str, None]) -> None:
    """Add the columns that `node` holds to one value, where it must hold."""
    tag, body = only(node)
    if tag == "BooleanTest" and body.get("booltesttype") == "IS_TRUE":
        pins(folder, body["arg"], pinned)
    elif tag == "BoolExpr":
        _boolean(folder, body, pinned)
    elif tag == "A_Expr" and "lexpr" in body and "rexpr" in body:
        _comparison(folder, body, pinned, "=")


def _boolean(folder: Folding, body: Node, pinned: dict[str, None]) -> None:
    arguments = body.get("args", [])
    kind = body.get("boolop")
    if kind == "AND_EXPR":
        for argument in arguments:
            pins(folder, argument, pinned)
    elif kind == "OR_EXPR":
        rest = [argument for argument in arguments if folder.fold(argument) is not False]
        forms = {folder.canonical.form(argument) for argument in rest}
        if len(rest) == 1 or (rest and len(forms) == 1 and None not in forms):
            pins(folder, rest[0], pinned)
    else:
        tag, inner = only(arguments[0])
        if tag == "A_Expr" and "lexpr" in inner and "rexpr" in inner:
            _comparison(folder, inner, pinned, "<>")
        elif tag == "BoolExpr" and inner.get("boolop") == "NOT_EXPR":
            pins(folder, inner["args"][0], pinned)


def _comparison(folder: Folding, body: Node, pinned: dict[str, None], wanted: str) -> None:
    left, right = body["lexpr"], body["rexpr"]
    kind = body["kind"]
    name = strings(body.get("name"))[-1:]
    if wanted == "=" and kind in ("AEXPR_BETWEEN", "AEXPR_BETWEEN_SYM"):
        low, high = right.get("List", {}).get("items", [{}, {}])[:2]
        form = folder.canonical.form(low)
        if form is not None and form == folder.canonical.form(high):
            _equal(folder, left, low, pinned)
        return
    if name != [wanted]:
        return
    if kind in ("AEXPR_IN", "AEXPR_OP_ANY") and wanted == "=":
        items = right.get("List", {}).get("items", []) if kind == "AEXPR_IN" else array_items(right)
        if len(items) == 1:
            _equal(folder, left, items[0], pinned)
    elif kind == "AEXPR_OP" or (kind == "AEXPR_NOT_DISTINCT" and wanted == "="):
        rows = [only(side)[1].get("args", []) for side in (left, right) if only(side)[0] == "RowExpr"]
        if len(rows) == 2 and wanted == "=" and len(rows[0]) == len(rows[1]):
            for first, second in zip(*rows, strict=True):
                _equal(folder, first, second, pinned)
        else:
            _equal(folder, left, right, pinned)


def _equal(folder: Folding, left: Node, right: Node, pinned: dict[str, None]) -> None:
    for column_node, value in ((left, right), (right, left)):
        column = folder.column(column_node)
        if column is not None and (is_value(value) or _one_value(folder, value)):
            pinned[column] = None
            _bind(folder, column, value)
            return


def _one_value(folder: Folding, node: Node) -> bool:
    """A computed constant, or a sub-select that names nothing but its own tables' columns."""
    tag, body = only(node)
    if tag == "SubLink":
        inner = body.get("subselect", {}).get("SelectStmt", {})
        return body.get("subLinkType") == "EXPR_SUBLINK" and _uncorrelated(folder, inner)
    return folder.fold(node) not in (UNKNOWN, None)


def _uncorrelated(folder: Folding, inner: Node) -> bool:
    names: set[str] = set()
    columns: set[str] = set()
    for source in inner.get("fromClause", ()):
        table = source.get("RangeVar")
        if table is None or ("schemaname" not in table and folder.scope.cte(table.get("relname", "")) is not None):
            return False
        known = resolve(folder.walk, table.get("schemaname", ""), table.get("relname", ""))
        if known.shape.open:
            return False
        names.add(table.get("alias", {}).get("aliasname", table.get("relname", "")))
        columns.update(known.shape.names)
    stack: list[object] = [{key: value for key, value in inner.items() if key != "fromClause"}]
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict):
            if "SelectStmt" in current or ("FuncCall" in current and not inner.get("fromClause")):
                return False
            field = strings(current.get("ColumnRef", {}).get("fields"))
            if field and not (field[0] in names if len(field) > 1 else field[0] in columns):
                return False
            stack.extend(current.values())
    return True


def _bind(folder: Folding, column: str, value: Node) -> None:
    target = folder.target
    if target is None or target.relation is None:
        return
    flow = target.shape.lookup.get(column)
    key = next((k for k in sorted(flow.sources) if k[:2] == target.relation), None) if flow else None
    if key is not None:
        folder.walk.values.append(bound_value(key, "pinned", value))


def rows_of(folder: Folding, node: Node) -> int | None:
    """How many rows at most a key among a few values, or among the rows of a limited sub-select, leaves."""
    tag, body = only(node)
    if tag == "BoolExpr" and body.get("boolop") == "AND_EXPR":
        found = [rows for argument in body.get("args", ()) if (rows := rows_of(folder, argument)) is not None]
        return min(found) if found else None
    if tag == "SubLink" and body.get("subLinkType") == "ANY_SUBLINK" and strings(body.get("operName")) in ([], ["="]):
        return _limit(body.get("subselect", {})) if _is_key(folder, body.get("testexpr", {})) else None
    if tag != "A_Expr" or strings(body.get("name"))[-1:] != ["="] or not _is_key(folder, body.get("lexpr", {})):
        return None
    right = body.get("rexpr", {})
    if body.get("kind") == "AEXPR_IN":
        return _several(right.get("List", {}).get("items", []))
    if body.get("kind") == "AEXPR_OP_ANY":
        if right.get("SubLink", {}).get("subLinkType") == "ARRAY_SUBLINK":
            return _limit(right["SubLink"].get("subselect", {}))
        return _several(array_items(right))
    return None


def _several(items: list[Node]) -> int | None:
    return len(items) if len(items) > 1 and all(is_value(item) for item in items) else None


def _is_key(folder: Folding, node: Node) -> bool:
    column = folder.column(node)
    return column is not None and covers_key(folder.walk, folder.target, {column: None})


def _limit(node: Node) -> int | None:
    body = node.get("SelectStmt", {})
    count = body.get("limitCount", {}).get("A_Const")
    if count is None or body.get("limitOption") == "LIMIT_OPTION_WITH_TIES" or count.get("isnull"):
        return None
    rows = bigint(constant(count) or "")
    return None if rows is None or rows < 0 else rows  # the server refuses a negative one


__all__ = ["SYSTEM_COLUMNS", "Folding", "bound_value", "covers_key", "is_value", "pins", "rows_of"]
