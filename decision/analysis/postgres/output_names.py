"""The names of output columns without AS, as PostgreSQL's FigureColname gives them."""

from __future__ import annotations

from decision.analysis.postgres.parse import Node, only, qualified

UNNAMED = "?column?"
_FIXED = {
    "CoalesceExpr": "coalesce", "A_ArrayExpr": "array", "RowExpr": "row", "GroupingFunc": "grouping",
    "MergeSupportFunc": "merge_action", "XmlSerialize": "xmlserialize", "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar", "JsonSerializeExpr": "json_serialize", "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array", "JsonArrayQueryConstructor": "json_array",
    "JsonObjectAgg": "json_objectagg", "JsonArrayAgg": "json_arrayagg",
}  # fmt: skip


def output_name(value: Node) -> str:
    """The name PostgreSQL gives an output column without AS."""
    return _figured(value)[0]


def _figured(value: Node) -> tuple[str, bool]:
    """The name, and whether it is a strong one: a weak one (of a type) gives way to what stands around it."""
    tag, body = only(value)
    if tag == "ColumnRef" or tag == "A_Indirection":
        fields = body.get("fields" if tag == "ColumnRef" else "indirection", ())
        names = [f["String"].get("sval", "") for f in fields if "String" in f]
        if names:
            return names[-1], True
        return _figured(body.get("arg", {})) if tag == "A_Indirection" else (UNNAMED, False)
    if tag == "FuncCall":
        return qualified(body.get("funcname"))[1], True
    if tag == "TypeCast":
        name, strong = _figured(body.get("arg", {}))
        return (name, True) if strong else (qualified(body.get("typeName", {}).get("names"))[1], False)
    if tag == "CollateClause":
        return _figured(body.get("arg", {}))
    if tag == "SubLink":
        return _of_subquery(body)
    if tag == "CaseExpr":
        name, strong = _figured(body.get("defresult", {}))
        return (name, True) if strong else ("case", False)
    if tag == "A_Expr" and body.get("kind") == "AEXPR_NULLIF":
        return "nullif", True
    if tag == "MinMaxExpr":
        return "least" if body.get("op") == "IS_LEAST" else "greatest", True
    if tag == "SQLValueFunction":
        return str(body.get("op", "")).removeprefix("SVFOP_").removesuffix("_N").lower(), True
    if tag == "XmlExpr" and body.get("op") == "IS_DOCUMENT":
        return UNNAMED, False
    if tag in ("XmlExpr", "JsonFuncExpr"):
        return str(body.get("op", UNNAMED)).removeprefix("IS_").removesuffix("_OP").lower(), True
    return (_FIXED[tag], True) if tag in _FIXED else (UNNAMED, False)


def _of_subquery(body: Node) -> tuple[str, bool]:
    kind = body.get("subLinkType")
    if kind == "EXISTS_SUBLINK":
        return "exists", True
    if kind == "ARRAY_SUBLINK":
        return "array", True
    if kind != "EXPR_SUBLINK":
        return UNNAMED, False
    inner = body.get("subselect", {}).get("SelectStmt", {})
    while "larg" in inner:
        inner = inner["larg"]
    if "valuesLists" in inner:
        return "column1", True
    targets = inner.get("targetList", [])
    if not targets:
        return UNNAMED, False
    first = targets[0].get("ResTarget", {})
    return str(first.get("name") or output_name(first.get("val", {}))), True
