"""FROM: tables, joins, sub-selects and functions to namespace items."""

from __future__ import annotations

from collections.abc import Callable

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Item, Scope, Shape, either
from decision.analysis.postgres.closure import read_relation
from decision.analysis.postgres.expressions import expression, filtered, generic
from decision.analysis.postgres.function_shapes import (
    function_columns,
    function_name,
    function_shape,
    returned_columns,
    returns_set,
)
from decision.analysis.postgres.kept import with_filled
from decision.analysis.postgres.names import resolve
from decision.analysis.postgres.parse import Node, only, qualified, strings
from decision.analysis.postgres.walk import Walk, query
from decision.model.facts import RelationKind, Usage


def from_clause(walk: Walk, scope: Scope, nodes: list[Node] | None) -> None:
    for node in nodes or ():
        scope.items.extend(from_item(walk, scope, node))


def from_item(walk: Walk, scope: Scope, node: Node) -> list[Item]:
    """The items that one entry of a FROM adds. Earlier ones in `scope` are visible to LATERAL and functions."""
    walk.budget.enter()
    tag, body = only(node)
    handler = _SOURCES.get(tag)
    if handler is None:
        walk.unresolved(tag, "this form of FROM is not known")
        items = [Item("", Shape((), (), is_open=True))]
    else:
        items = handler(walk, scope, body)
    walk.budget.leave()
    return items


def alias_of(body: Node) -> tuple[str, list[str]]:
    alias = body.get("alias")
    if alias is None:
        return "", []
    return alias.get("aliasname", ""), strings(alias.get("colnames"))


def _table(walk: Walk, scope: Scope, body: Node) -> list[Item]:
    name, schema = body.get("relname", ""), body.get("schemaname", "")
    alias, columns = alias_of(body)
    if not schema:
        cte = scope.cte(name)
        if cte is not None:
            return [Item(alias or name, cte.renamed(columns))]
    if "catalogname" in body:
        walk.flags.add("catalog_qualified")
    relation = resolve(walk, schema, name)
    shape = read_relation(walk, relation, only_parent=not body.get("inh", False))
    if walk.state.filled and relation.kind is not RelationKind.TABLE:
        shape = with_filled(walk, shape)
    key = None if relation.stale else relation.key
    return [
        Item(alias or name, shape.renamed(columns), schema="" if alias else schema or relation.schema, relation=key)
    ]


def _subselect(walk: Walk, scope: Scope, body: Node) -> list[Item]:
    alias, columns = alias_of(body)
    outer = scope if body.get("lateral") else _without_items(scope)
    shape = query(walk, outer, body["subquery"]).renamed(columns)
    for flow in shape.flows:
        walk.use(flow, Usage.INNER)
    named = bool(alias)
    return [Item(alias, shape, by_name=named)]


def _without_items(scope: Scope) -> Scope:
    """What a sub-select in FROM sees without LATERAL: the query's CTEs and everything outside, not its siblings."""
    if not scope.items:
        return scope
    outer = Scope(scope.parent, parameters=scope.parameters)
    outer.ctes = scope.ctes
    return outer


def _join(walk: Walk, scope: Scope, body: Node) -> list[Item]:
    left = from_item(walk, scope, body["larg"])
    before = len(scope.items)
    scope.items.extend(left)
    try:
        right = from_item(walk, scope, body["rarg"])
        scope.items.extend(right)
        if "quals" in body:
            filtered(walk, scope, body["quals"], Usage.JOIN)
    finally:
        del scope.items[before:]
    using = strings(body.get("usingClause"))
    left_columns, right_columns = _columns(left), _columns(right)
    left_open, right_open = _is_open(left), _is_open(right)
    if body.get("isNatural"):
        names = {name for name, _ in right_columns}
        using = [name for name, _ in left_columns if name in names]
        if left_open or right_open:
            walk.unresolved("NATURAL JOIN", "columns of a joined relation are not known")
    merged: list[tuple[str, Flow]] = []
    for name in using:
        pair = [flow for n, flow in (*left_columns, *right_columns) if n == name]
        for flow in pair:
            walk.use(flow, Usage.JOIN)
        merged.append((name, either(pair) if pair else OPAQUE))
    shared = set(using)
    merged += [(n, f) for n, f in (*left_columns, *right_columns) if n not in shared]
    walk.budget.columns(len(merged))
    walk.budget.charge(len(merged))
    shape = Shape([n for n, _ in merged], [f for _, f in merged], left_open or right_open)
    alias, columns = alias_of(body)
    if alias:
        return [Item(alias, shape.renamed(columns))]
    joined = [] if "join_using_alias" not in body else [_using_item(body["join_using_alias"], merged[: len(using)])]
    hidden = [*left, *right, *joined]
    for item in hidden:
        item.by_column = False
    return [*hidden, Item("", shape, by_name=False)]


def _using_item(alias: Node, merged: list[tuple[str, Flow]]) -> Item:
    return Item(alias.get("aliasname", ""), Shape([n for n, _ in merged], [f for _, f in merged]))


def _columns(items: list[Item]) -> list[tuple[str, Flow]]:
    return [pair for item in items if item.by_column for pair in zip(item.shape.names, item.shape.flows, strict=True)]


def _is_open(items: list[Item]) -> bool:
    return any(item.by_column and item.shape.open for item in items)


def _function(walk: Walk, scope: Scope, body: Node) -> list[Item]:
    alias, columns = alias_of(body)
    names: list[str] = []
    flows: list[Flow] = []
    is_open = False
    scalar: Flow | None = None
    listed = body.get("functions", [])
    for entry in listed:
        parts = entry.get("List", {}).get("items", [])
        if not parts:
            continue
        flow = _called(walk, scope, parts[0])
        definitions = body.get("coldeflist", []) if len(listed) == 1 else []
        if len(parts) > 1 and "List" in parts[1]:
            definitions = parts[1]["List"].get("items", []) or definitions
        shape = function_shape(walk, parts[0], flow, definitions, alias)
        if len(shape.names) == 1 and not shape.open and flow.row is None:
            scalar = shape.flows[0]
        names += shape.names
        flows += shape.flows
        is_open = is_open or shape.open
    if body.get("ordinality"):
        names.append("ordinality")
        flows.append(CONSTANT)
    whole = scalar if len(names) == 1 and len(listed) == 1 else None
    shape = Shape(names, flows, is_open).renamed(columns)
    item_name = alias or function_name(listed)
    return [Item(item_name, shape, whole=whole)]


def _called(walk: Walk, scope: Scope, call: Node) -> Flow:
    """The flow of a function in FROM. What it is given decides how many rows there are, whoever looks at them."""
    tag, body = only(call)
    if tag != "FuncCall" or "agg_order" in body or "over" in body:
        flow = expression(walk, scope, call)
        walk.use(flow, Usage.FILTER)
        return flow
    given = [expression(walk, scope, argument) for argument in body.get("args", ())]
    fixed = all("A_ArrayExpr" in argument for argument in body.get("args", ()))
    usage = Usage.INNER if fixed or not returns_set(walk, *qualified(body.get("funcname"))) else Usage.FILTER
    for flow in given:
        walk.use(flow, usage)
    return expression(walk, scope, {"FuncCall": {**body, "_flows": given}})


def _sample(walk: Walk, scope: Scope, body: Node) -> list[Item]:
    items = from_item(walk, scope, body["relation"])
    for argument in (*body.get("args", ()), body.get("repeatable", {})):
        walk.use(expression(walk, scope, argument), Usage.FILTER)
    return items


def _table_function(walk: Walk, scope: Scope, body: Node) -> list[Item]:
    flow = generic(walk, scope, {k: v for k, v in body.items() if k not in ("alias", "columns")})
    names = []
    for column in body.get("columns", ()):
        entry = column.get("RangeTableFuncCol", {})
        names.append(entry.get("colname", ""))
        for part in ("colexpr", "coldefexpr"):
            if part in entry:
                flow = either([flow, expression(walk, scope, entry[part])])
    alias, columns = alias_of(body)
    walk.use(flow, Usage.FILTER)
    value = flow.computed()
    return [Item(alias or "xmltable", Shape(names, [value] * len(names)).renamed(columns))]


def _json_table(walk: Walk, scope: Scope, body: Node) -> list[Item]:
    flow = generic(walk, scope, {k: v for k, v in body.items() if k not in ("alias", "columns")})
    walk.use(flow, Usage.CHECK)  # no JSON at all, or ERROR ON ERROR, fails
    names: list[str] = []
    flow = either([flow, *_json_columns(walk, scope, body.get("columns", []), names)])
    walk.use(flow, Usage.FILTER)
    alias, columns = alias_of(body)
    value = flow.computed()
    return [Item(alias or "json_table", Shape(names, [value] * len(names)).renamed(columns))]


def _json_columns(walk: Walk, scope: Scope, nodes: list[Node], names: list[str]) -> list[Flow]:
    """Adds the columns' names, a level's own before those of its nested paths; the flows of their defaults, which may
    call functions."""
    flows: list[Flow] = []
    columns = [node.get("JsonTableColumn", {}) for node in nodes]
    for column in columns:
        for part in ("on_empty", "on_error"):
            if "expr" in column.get(part, {}):
                flows.append(expression(walk, scope, column[part]["expr"]))
        if "columns" not in column:
            names.append(column.get("name", ""))
    for column in columns:
        flows += _json_columns(walk, scope, column.get("columns", []), names)
    return flows


_SOURCES: dict[str, Callable[[Walk, Scope, Node], list[Item]]] = {
    "RangeVar": _table,
    "JoinExpr": _join,
    "RangeSubselect": _subselect,
    "RangeFunction": _function,
    "RangeTableSample": _sample,
    "RangeTableFunc": _table_function,
    "JsonTable": _json_table,
}

__all__ = ["from_clause", "from_item", "function_columns", "returned_columns"]
