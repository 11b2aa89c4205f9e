"""The names of output columns without AS."""

from __future__ import annotations

from decision.analysis.postgres.parse import Node, only, qualified


def output_name(value: Node) -> str:
    """The name PostgreSQL gives an output column without AS (FigureColname)."""
    tag, body = only(value)
    if tag == "ColumnRef":
        names = [f["String"].get("sval", "") for f in body.get("fields", ()) if "String" in f]
        return names[-1] if names else "?column?"
    if tag == "A_Indirection":
        names = [f["String"].get("sval", "") for f in body.get("indirection", ()) if "String" in f]
        return names[-1] if names else output_name(body.get("arg", {}))
    if tag == "FuncCall":
        return qualified(body.get("funcname"))[1]
    if tag == "TypeCast":
        inner = output_name(body.get("arg", {}))
        return inner if inner != "?column?" else qualified(body.get("typeName", {}).get("names"))[1]
    if tag == "CollateClause":
        return output_name(body.get("arg", {}))
    if tag == "SubLink":
        kind = body.get("subLinkType")
        if kind == "EXISTS_SUBLINK":
            return "exists"
        if kind == "ARRAY_SUBLINK":
            return "array"
        inner_targets = body.get("subselect", {}).get("SelectStmt", {}).get("targetList", [])
        if kind == "EXPR_SUBLINK" and inner_targets:
            first = inner_targets[0].get("ResTarget", {})
            return str(first.get("name") or output_name(first.get("val", {})))
        return "?column?"
    if tag == "CaseExpr":
        inner = output_name(body.get("defresult", {}))
        return inner if inner != "?column?" else "case"
    if tag == "MinMaxExpr":
        return "least" if body.get("op") == "IS_LEAST" else "greatest"
    if tag == "SQLValueFunction":
        return str(body.get("op", "")).removeprefix("SVFOP_").removesuffix("_N").lower()
    if tag in ("XmlExpr", "JsonFuncExpr"):
        return str(body.get("op", "?column?")).removeprefix("IS_").removesuffix("_OP").lower()
    return {
        "CoalesceExpr": "coalesce", "A_ArrayExpr": "array", "RowExpr": "row", "GroupingFunc": "grouping",
        "JsonObjectConstructor": "json_object", "JsonArrayConstructor": "json_array", "JsonObjectAgg": "json_objectagg",
        "JsonArrayAgg": "json_arrayagg", "XmlSerialize": "xmlserialize", "JsonParseExpr": "json",
        "JsonScalarExpr": "json_scalar", "JsonSerializeExpr": "json_serialize", "MergeSupportFunc": "merge_action",
    }.get(tag, "?column?")  # fmt: skip
