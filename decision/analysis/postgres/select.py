"""SELECT, VALUES, set operations and WITH."""

from __future__ import annotations

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Scope, Shape, either
from decision.analysis.postgres.calls import literal
from decision.analysis.postgres.columns import find_item
from decision.analysis.postgres.expressions import expression, filtered, window
from decision.analysis.postgres.function_shapes import function_columns
from decision.analysis.postgres.lookups import condition
from decision.analysis.postgres.order_of_ctes import referred_first
from decision.analysis.postgres.ordering import by_output, grouping, tail
from decision.analysis.postgres.output_names import output_name
from decision.analysis.postgres.parse import Node, only, qualified, strings
from decision.analysis.postgres.sources import from_clause
from decision.analysis.postgres.walk import QUERIES, Walk, query
from decision.model.facts import Kind, Usage


def select(walk: Walk, parent: Scope | None, body: Node) -> Shape:
    nested = walk.nested
    walk.nested = nested or parent is not walk.root
    shape = _select(walk, parent, body)
    walk.nested = nested
    return shape


def _select(walk: Walk, parent: Scope | None, body: Node) -> Shape:
    scope = Scope(parent)
    walk.kind(Kind.SELECT)
    if "withClause" in body:
        with_clause(walk, scope, body["withClause"])
    if "valuesLists" in body:
        shape = _values(walk, scope, body["valuesLists"])
        tail(walk, scope, body, shape)
        return shape
    if body["op"] != "SETOP_NONE":
        shape = _set_operation(walk, scope, body)
        ordered = Scope(scope)
        ordered.aliases = shape.lookup
        tail(walk, ordered, body, shape)
        return shape
    from_clause(walk, scope, body.get("fromClause"))
    if "whereClause" in body:
        only_one = len(scope.items) == 1 and scope.items[0].relation is not None
        condition(walk, scope, body["whereClause"], scope.items[0] if only_one else None)
        pinned_texts(body["whereClause"], scope.pinned)
    shape = targets(walk, scope, body.get("targetList"))
    scope.aliases = shape.lookup
    for node in body.get("groupClause", ()):
        grouping(walk, scope, node, shape)
    if "havingClause" in body:
        filtered(walk, scope, body["havingClause"])
    for node in body.get("windowClause", ()):
        window(walk, scope, node.get("WindowDef", {}))
    for node in body.get("distinctClause", ()):
        if node:
            walk.use(by_output(walk, scope, node, shape), Usage.GROUP)
        else:
            for flow in shape.flows:
                walk.use(flow, Usage.GROUP)
    tail(walk, scope, body, shape)
    if "intoClause" in body:
        walk.flags.add("select_into")
    return shape


def pinned_texts(where: Node, found: dict[str, str]) -> None:
    """`name = 'text'` among the conditions that all must hold."""
    tag, body = only(where)
    if tag == "BoolExpr" and body.get("boolop") == "AND_EXPR":
        for argument in body.get("args", ()):
            pinned_texts(argument, found)
    elif tag == "A_Expr" and body["kind"] == "AEXPR_OP" and qualified(body.get("name"))[1] == "=":
        left, right = body.get("lexpr", {}), body.get("rexpr", {})
        fields = left.get("ColumnRef", {}).get("fields", [])
        text = literal(right)
        if len(fields) == 1 and "String" in fields[0] and text is not None:
            found[fields[0]["String"].get("sval", "")] = text


def targets(walk: Walk, scope: Scope, nodes: list[Node] | None) -> Shape:
    """The output columns of a target list (or RETURNING), stars expanded."""
    names: list[str] = []
    flows: list[Flow] = []
    is_open = False
    for node in nodes or ():
        body = node.get("ResTarget", {})
        value = body.get("val")
        if value is None:
            continue
        star = _star(walk, scope, value) if "ColumnRef" in value or "A_Indirection" in value else None
        if star is not None:
            names += star.names
            flows += star.flows
            is_open = is_open or star.open
            walk.budget.columns(len(flows))
            walk.budget.charge(len(star.flows))
            continue
        flows.append(expression(walk, scope, value))
        names.append(body.get("name") or output_name(value))
    walk.budget.columns(len(flows))
    return Shape(names, flows, is_open)


def _star(walk: Walk, scope: Scope, value: Node) -> Shape | None:
    tag, body = only(value)
    if tag == "ColumnRef":
        fields = body.get("fields", ())
        if not fields or "A_Star" not in fields[-1]:
            return None
        names = [field.get("String", {}).get("sval", "") for field in fields[:-1]]
        if not names:
            return _every_column(scope)
        if len(names) > 2:
            walk.flags.add("catalog_qualified")
        item = find_item(walk, scope, names[-2] if len(names) > 1 else "", names[-1])
        if item is not None:
            return item.shape
        row = expression(walk, scope, {"ColumnRef": {"fields": fields[:-1]}})
        return _expanded(walk, row)
    if tag == "A_Indirection" and "A_Star" in body.get("indirection", [{}])[-1]:
        rest = body["indirection"][:-1]
        inner = {"A_Indirection": {"arg": body["arg"], "indirection": rest}} if rest else body["arg"]
        row = expression(walk, scope, inner)
        return _expanded(walk, row, inner)
    return None


def _expanded(walk: Walk, row: Flow, call: Node | None = None) -> Shape:
    if row.row is not None:
        return row.row
    if call is not None and "FuncCall" in call:
        known = function_columns(walk, call)
        if known is not None:
            return Shape(known, [row.computed()] * len(known))
    walk.unresolved("(…).*", "the columns of this value are not known")
    return Shape((), (), is_open=True)


def _every_column(scope: Scope) -> Shape:
    visible = [item for item in scope.items if item.by_column]
    if len(visible) == 1:
        return visible[0].shape
    names = [name for item in visible for name in item.shape.names]
    flows = [flow for item in visible for flow in item.shape.flows]
    return Shape(names, flows, any(item.shape.open for item in visible))


def _values(walk: Walk, scope: Scope, rows: list[Node]) -> Shape:
    columns: list[list[Flow]] = []
    for row in rows:
        for index, node in enumerate(row.get("List", {}).get("items", ())):
            flow = CONSTANT if "A_Const" in node else expression(walk, scope, node)
            if index == len(columns):
                columns.append([])
            if flow is not CONSTANT or not columns[index]:
                columns[index].append(flow)
    walk.budget.columns(len(columns))
    return Shape([f"column{number + 1}" for number in range(len(columns))], [either(flows) for flows in columns])


def _set_operation(walk: Walk, scope: Scope, body: Node) -> Shape:
    left = query(walk, scope, {"SelectStmt": body["larg"]})
    right = query(walk, scope, {"SelectStmt": body["rarg"]})
    _compared(walk, body, left, right)
    return union(left, right)


def _compared(walk: Walk, body: Node, left: Shape, right: Shape) -> None:
    """Which rows are left depends on what all columns hold, unless it is a UNION ALL."""
    union_of = body.get("op") == "SETOP_UNION"
    if union_of and body.get("all", False):
        return
    for flow in (*left.flows, *right.flows):
        walk.use(flow, Usage.GROUP if union_of else Usage.FILTER)
    for flow in union(left, right).flows if union_of else ():
        if flow.mixed:
            walk.probe(flow)  # values of different places are compared


def union(left: Shape, right: Shape) -> Shape:
    is_open = left.open or right.open or len(left.flows) != len(right.flows)
    count = max(len(left.flows), len(right.flows))
    flows = [either([shape.flows[i] if i < len(shape.flows) else OPAQUE for shape in (left, right)])
             for i in range(count)]  # fmt: skip
    names = [*left.names, *list(right.names)[len(left.names) :]]
    return Shape(names, flows, is_open)


def with_clause(walk: Walk, scope: Scope, clause: Node) -> None:
    entries = [node.get("CommonTableExpr", {}) for node in clause.get("ctes", ())]
    walk.budget.add_ctes(len(entries))
    recursive = clause.get("recursive", False)
    if recursive:
        entries = referred_first(entries)
    for entry in entries:
        _common_table(walk, scope, entry, recursive=recursive)


def _common_table(walk: Walk, scope: Scope, entry: Node, *, recursive: bool) -> None:
    name = entry.get("ctename", "")
    node = entry["ctequery"]
    tag, body = only(node)
    if tag != "SelectStmt":
        walk.flags.add("dml_in_cte")
    columns = [n["String"].get("sval", "") for n in entry.get("aliascolnames", ())]
    if recursive and tag == "SelectStmt" and body["op"] != "SETOP_NONE":
        shape = _recursive(walk, scope, name, body, columns)
    else:
        inner = Scope(scope)
        shape = query(walk, inner, node).renamed(columns)
    extra: list[str] = []
    search, cycle = entry.get("search_clause"), entry.get("cycle_clause")
    if search:
        extra.append(search.get("search_seq_column", ""))
    if cycle:
        for column in strings(cycle.get("cycle_col_list")):
            walk.use(shape.lookup.get(column, OPAQUE), Usage.GROUP)  # equal ones end the recursion
        for part in ("cycle_mark_value", "cycle_mark_default"):
            expression(walk, scope, cycle.get(part, {}))
        extra += [cycle.get("cycle_mark_column", ""), cycle.get("cycle_path_column", "")]
    if extra:
        whole = shape.whole_row()
        added = Flow(whole.sources, whole.transform, whole.opaque)
        shape = Shape([*shape.names, *extra], [*shape.flows, *[added] * len(extra)], shape.open)
    for flow in shape.flows:
        walk.use(flow, Usage.INNER)
    scope.ctes[name] = shape


def _recursive(walk: Walk, scope: Scope, name: str, body: Node, columns: list[str]) -> Shape:
    """The least fixed point: start from the non-recursive term, repeat the other until nothing new flows."""
    inner = Scope(scope)
    if "withClause" in body:
        with_clause(walk, inner, body["withClause"])
    left = query(walk, inner, {"SelectStmt": body["larg"]})
    shape = left.renamed(columns)
    for _ in range(len(shape.flows) + 2):
        inner.ctes[name] = shape
        right = query(walk, inner, {"SelectStmt": body["rarg"]})
        _compared(walk, body, shape, right)
        grown = union(shape, union(left, right).renamed(columns))  # a shape that is open grows by each renaming
        walk.budget.charge(len(grown.flows))
        known = [(flow.sources, flow.opaque) for flow in shape.flows]
        shape = grown
        if [(flow.sources, flow.opaque) for flow in grown.flows] == known:
            break
    ordered = Scope(inner)
    ordered.aliases = shape.lookup
    tail(walk, ordered, body, shape)
    return shape


QUERIES["SelectStmt"] = select
