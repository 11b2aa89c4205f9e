"""Expressions to flows. What has no handler is visited generically: every value inside it may reach the result."""

from __future__ import annotations

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Scope, Shape, merge
from decision.analysis.postgres.columns import field_of, star_row
from decision.analysis.postgres.failing import failing, shows, takes_any_text
from decision.analysis.postgres.parse import Node, children, only, qualified, strings
from decision.analysis.postgres.walk import EXPRESSIONS, Walk, query
from decision.model.facts import Effect, Transform, Usage


def expression(walk: Walk, scope: Scope, node: Node) -> Flow:
    """The flow of a tagged expression node. Raises LimitExceeded."""
    budget = walk.budget
    budget.work += 1
    if budget.work & 255 == 0:
        budget.charge(0)
    budget.depth += 1
    if budget.depth > budget.limits.depth:
        budget.enter(0)
    for tag, body in node.items():
        handler = EXPRESSIONS.get(tag)
        flow = handler(walk, scope, body) if handler is not None else generic(walk, scope, body)
        break
    else:
        flow = CONSTANT
    budget.depth -= 1
    return flow


def expressions(walk: Walk, scope: Scope, nodes: list[Node] | None) -> list[Flow]:
    return [expression(walk, scope, node) for node in nodes or ()]


def filtered(walk: Walk, scope: Scope, node: Node | None, usage: Usage = Usage.FILTER) -> Flow:
    """A condition: its columns are used so, and its value goes no further."""
    if node is None:
        return CONSTANT
    flow = expression(walk, scope, node)
    walk.use(flow, usage)
    return flow


def generic(walk: Walk, scope: Scope, body: object) -> Flow:
    return merge([expression(walk, scope, {tag: value}) for tag, value in children(body)])


def _constant(walk: Walk, scope: Scope, body: Node) -> Flow:
    return CONSTANT


def _parameter(walk: Walk, scope: Scope, body: Node) -> Flow:
    walk.parameters = max(walk.parameters, int(body.get("number", 0)))
    return CONSTANT


def _operator(walk: Walk, scope: Scope, body: Node) -> Flow:
    name = body.get("name", ())
    if len(name) > 1:
        walk.flags.add("qualified_operator")
        if not _known_operator(walk, *qualified(name)):
            walk.functions.setdefault(qualified(name), _OPAQUE_EFFECT)
    left, right = body.get("lexpr"), body.get("rexpr")
    if right is None:
        return CONSTANT if left is None else expression(walk, scope, left).computed()
    first = CONSTANT if left is None else expression(walk, scope, left)
    second = expression(walk, scope, right)
    if body.get("kind") == "AEXPR_NULLIF":
        for flow in (first, second):
            walk.use(flow, Usage.CHECK)  # a NULL, which no mask hides, tells that they are equal
    elif body.get("kind") == "AEXPR_IN":
        _deciding(walk, [first, second], right.get("List", {}).get("items", []))
    elif first.sources or second.sources:
        for flow in failing(body, first, second):
            walk.use(flow, Usage.CHECK)  # that it fails tells something of the value
    return merge((first, second))


def _known_operator(walk: Walk, schema: str, name: str) -> bool:
    """Whether what such an operator runs is told elsewhere: pg_catalog's run nothing, the snapshot's its functions."""
    if walk.catalog is None:
        return False
    own = walk.catalog.snapshot.operators
    return schema == "pg_catalog" or any(each.schema == schema and each.name == name for each in own)


def _list(walk: Walk, scope: Scope, body: Node) -> Flow:
    return merge(expressions(walk, scope, body.get("items")))


def _args(walk: Walk, scope: Scope, body: Node) -> Flow:
    return merge(expressions(walk, scope, body.get("args")))


def _some(walk: Walk, scope: Scope, body: Node) -> Flow:
    """AND, OR, COALESCE: a value of one argument decides whether the others are computed."""
    nodes = body.get("args", [])
    flows = expressions(walk, scope, nodes)
    _deciding(walk, flows, nodes)
    return merge(flows)


def _deciding(walk: Walk, flows: list[Flow], nodes: list[Node]) -> None:
    """Whether some of `nodes` are computed is decided by the values of `flows`: that may be seen."""
    told = [flow for flow in flows if flow.sources]
    if told and len(nodes) > 1 and shows(nodes):
        for flow in told:
            walk.use(flow, Usage.CHECK)


def _cast(walk: Walk, scope: Scope, body: Node) -> Flow:
    argument = body.get("arg")
    flow = expression(walk, scope, argument) if argument is not None else CONSTANT
    type_name = body.get("typeName", {})
    schema, name = qualified(type_name.get("names"))
    if name.startswith("reg") and schema in ("", "pg_catalog"):
        walk.flags.add("reg_cast")
    if flow.sources:
        if not takes_any_text(type_name):
            walk.use(flow, Usage.CHECK)  # a failing cast shows the value in its error
        return flow.computed() if flow.row is None else Flow(flow.sources, flow.transform, flow.opaque)
    return flow


def _sublink(walk: Walk, scope: Scope, body: Node) -> Flow:
    kind = body["subLinkType"]
    shape = query(walk, scope, body["subselect"])
    test = body.get("testexpr")
    flows = [] if test is None else [expression(walk, scope, test)]
    if kind == "EXISTS_SUBLINK":
        for flow in shape.flows:
            walk.use(flow, Usage.INNER)
        return CONSTANT
    if kind == "EXPR_SUBLINK" and len(shape.flows) == 1 and not shape.open:
        only_one = shape.flows[0]
        return only_one if only_one.transform is not Transform.IDENTITY else only_one.computed()
    found = [*flows, *shape.flows, *([OPAQUE] if shape.open else [])]
    if kind != "ARRAY_SUBLINK":
        return merge(found)
    for flow in shape.flows:
        walk.use(flow, Usage.AGGREGATE)  # all rows in one value
    return merge(found, Transform.AGGREGATE)


def _row(walk: Walk, scope: Scope, body: Node) -> Flow:
    flows: list[Flow] = []
    names: list[str] = []
    for argument in body.get("args", ()):
        tag, value = only(argument)
        flow = expression(walk, scope, argument)
        starred = tag == "ColumnRef" and "A_Star" in value.get("fields", [{}])[-1]
        parts = flow.row.flows if starred and flow.row is not None else (flow,)
        for part in parts:
            flows.append(part)
            names.append(f"f{len(flows)}")
    walk.budget.columns(len(flows))
    whole = merge(flows)
    return Flow(whole.sources, whole.transform, whole.opaque, Shape(names, flows))


def _case(walk: Walk, scope: Scope, body: Node) -> Flow:
    """What the conditions compare decides which branch runs: one that fails, or one that no mask hides, tells it."""
    flows = []
    if "arg" in body:
        flows.append(filtered(walk, scope, body["arg"], Usage.CHECK))
    for when in body.get("args", ()):
        branch = when.get("CaseWhen", {})
        if "expr" in branch:
            flows.append(filtered(walk, scope, branch["expr"], Usage.CHECK))
        if "result" in branch:
            flows.append(expression(walk, scope, branch["result"]))
    if "defresult" in body:
        flows.append(expression(walk, scope, body["defresult"]))
    return merge(flows)


def _test(walk: Walk, scope: Scope, body: Node) -> Flow:
    return merge((expression(walk, scope, body["arg"]),)) if "arg" in body else CONSTANT


def _indirection(walk: Walk, scope: Scope, body: Node) -> Flow:
    node: Node | None = body["arg"]
    flow = expression(walk, scope, body["arg"])
    for step in body.get("indirection", ()):
        tag, value = only(step)
        if tag == "String":
            flow = field_of(walk, flow, value.get("sval", ""), node)
            node = None
        elif tag == "A_Star":
            return flow
        else:
            flow = merge((flow, generic(walk, scope, value)))
            node = None
    return flow


def _result_target(walk: Walk, scope: Scope, body: Node) -> Flow:
    return expression(walk, scope, body["val"]) if "val" in body else CONSTANT


def _sort(walk: Walk, scope: Scope, body: Node) -> Flow:
    return expression(walk, scope, body["node"]) if "node" in body else CONSTANT


def _select(walk: Walk, scope: Scope, body: Node) -> Flow:
    return merge(query(walk, scope, {"SelectStmt": body}).flows)


def _current_of(walk: Walk, scope: Scope, body: Node) -> Flow:
    walk.flags.add("needs_session")
    return CONSTANT


def _set_to_default(walk: Walk, scope: Scope, body: Node) -> Flow:
    return CONSTANT


def _json_aggregate(walk: Walk, scope: Scope, body: Node) -> Flow:
    constructor = body.get("constructor", {})
    condition = constructor.get("agg_filter")
    over = constructor.get("over")
    value = generic(walk, scope, {k: v for k, v in body.items() if k != "constructor"})
    walk.use(value, Usage.AGGREGATE)
    if body.get("unique"):
        walk.use(value, Usage.CHECK)  # two equal keys fail
    flows = [value]
    for order in constructor.get("agg_order", ()):
        walk.use(expression(walk, scope, order), Usage.ORDER)
    if condition is not None:
        flows.append(filtered(walk, scope, condition))
    if over is not None:
        window(walk, scope, over)
    return merge(flows, Transform.AGGREGATE)


def window(walk: Walk, scope: Scope, body: Node) -> None:
    distances = bool(body.get("frameOptions", 0) & _RANGE) and ("startOffset" in body or "endOffset" in body)
    for part in ("partitionClause", "orderClause"):
        for node in body.get(part, ()):
            key = expression(walk, scope, node)
            walk.use(key, Usage.WINDOW)
            if distances and part == "orderClause":
                walk.probe(key)
    for part in ("startOffset", "endOffset"):
        if part in body:
            walk.use(expression(walk, scope, body[part]), Usage.WINDOW)


def _grouping(walk: Walk, scope: Scope, body: Node) -> Flow:
    """GROUPING tells which grouping set a row is of, nothing of the columns' values."""
    expressions(walk, scope, body.get("args"))
    return CONSTANT


def _value_function(walk: Walk, scope: Scope, body: Node) -> Flow:
    return CONSTANT


_RANGE = 0x2  # of a window's frameOptions
_OPAQUE_EFFECT = (Effect.OPAQUE,)

EXPRESSIONS.update(
    {
        "A_Const": _constant,
        "ParamRef": _parameter,
        "A_Expr": _operator,
        "List": _list,
        "BoolExpr": _some,
        "TypeCast": _cast,
        "SubLink": _sublink,
        "RowExpr": _row,
        "CaseExpr": _case,
        "CoalesceExpr": _some,
        "MinMaxExpr": _args,
        "NullTest": _test,
        "BooleanTest": _test,
        "A_Indirection": _indirection,
        "ResTarget": _result_target,
        "SortBy": _sort,
        "SelectStmt": _select,
        "CurrentOfExpr": _current_of,
        "SetToDefault": _set_to_default,
        "SQLValueFunction": _value_function,
        "GroupingFunc": _grouping,
        "JsonObjectAgg": _json_aggregate,
        "JsonArrayAgg": _json_aggregate,
        "Integer": _constant,
        "Float": _constant,
        "Boolean": _constant,
        "String": _constant,
        "BitString": _constant,
        "TypeName": _constant,
    }
)

__all__ = ["OPAQUE", "expression", "expressions", "filtered", "generic", "star_row", "strings", "window"]
