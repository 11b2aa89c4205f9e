"""JSON and XML as SQL's own forms make and read them: which of them fail on some values, and so tell of them."""

from __future__ import annotations

from decision.analysis.flow import Flow, Scope, merge
from decision.analysis.postgres.expressions import expression, generic
from decision.analysis.postgres.parse import Node, only, qualified, strings
from decision.analysis.postgres.walk import EXPRESSIONS, Walk
from decision.model.facts import Transform, Usage

_JSON = frozenset({"json", "jsonb"})
_MADE = frozenset({"JsonObjectConstructor", "JsonArrayConstructor", "JsonObjectAgg", "JsonArrayAgg", "JsonParseExpr",
                   "JsonScalarExpr", "JsonArrayQueryConstructor"})  # fmt: skip
_XML_FAILS = ("IS_XMLPARSE", "IS_XMLPI")


def _is_json(walk: Walk, node: Node, flow: Flow) -> bool:
    tag, body = only(node)
    if tag == "TypeCast":
        return strings(body.get("typeName", {}).get("names"))[-1] in _JSON
    if tag == "FuncCall":
        return "json" in qualified(body.get("funcname"))[1]
    if tag != "ColumnRef" or walk.catalog is None:
        return tag in _MADE
    types = []
    for schema, table, name in flow.sources:
        entry = walk.catalog.entry(schema, table)
        types += [c.type_name for c in entry.relation.columns if c.name == name] if entry is not None else [""]
    return all(printed in _JSON for printed in types)


def _json_function(walk: Walk, scope: Scope, body: Node) -> Flow:
    item = body.get("context_item", {}).get("raw_expr", {})
    read = expression(walk, scope, item)
    if read.sources and not _is_json(walk, item, read):
        walk.use(read, Usage.CHECK)  # a text that is no JSON is shown by the error
    flow = merge((read, generic(walk, scope, {k: v for k, v in body.items() if k != "context_item"})))
    if any(body.get(part, {}).get("btype") == "JSON_BEHAVIOR_ERROR" for part in ("on_error", "on_empty")):
        walk.use(flow, Usage.CHECK)
    return flow


def _json_object(walk: Walk, scope: Scope, body: Node) -> Flow:
    flows = []
    for node in body.get("exprs", ()):
        pair = node.get("JsonKeyValue", {})
        flows.append(expression(walk, scope, pair.get("key", {})))
        walk.use(flows[-1], Usage.CHECK)  # a key that is NULL fails, and one that is there twice, WITH UNIQUE
        flows.append(generic(walk, scope, pair.get("value", {})))
    return merge(flows)


def _json_parse(walk: Walk, scope: Scope, body: Node) -> Flow:
    flow = generic(walk, scope, body)
    walk.use(flow, Usage.CHECK)
    return flow


def _xml(walk: Walk, scope: Scope, body: Node) -> Flow:
    flow = generic(walk, scope, body)
    if body.get("op") in _XML_FAILS:
        walk.use(flow, Usage.CHECK)
    return flow


def _xml_text(walk: Walk, scope: Scope, body: Node) -> Flow:
    flow = generic(walk, scope, body)
    if body.get("xmloption") == "XMLOPTION_DOCUMENT":
        walk.use(flow, Usage.CHECK)  # content that is no document fails
    return flow


def _json_rows(walk: Walk, scope: Scope, body: Node) -> Flow:
    """JSON_ARRAY(SELECT …): all rows in one value."""
    flow = generic(walk, scope, body)
    walk.use(flow, Usage.AGGREGATE)
    return merge((flow,), Transform.AGGREGATE)


EXPRESSIONS.update(
    {
        "JsonFuncExpr": _json_function,
        "JsonObjectConstructor": _json_object,
        "JsonParseExpr": _json_parse,
        "JsonArrayQueryConstructor": _json_rows,
        "XmlExpr": _xml,
        "XmlSerialize": _xml_text,
    }
)
