"""Casts that nobody wrote: a value of one type where another is wanted runs the function of a user's implicit cast.

Analysis knows the types of columns alone. So a column of a type that such a cast is from counts as cast wherever
something is computed from it, and a value put into a column of a type that such a cast is to, unless it is a constant.
"""

from __future__ import annotations

from decision.analysis.catalog import CatalogIndex
from decision.analysis.flow import Flow, Key, Scope, merge
from decision.analysis.postgres.operators import run
from decision.analysis.postgres.parse import Node
from decision.analysis.postgres.pins import is_value
from decision.analysis.postgres.walk import EXPRESSIONS, ExpressionHandler, Walk
from decision.model.catalog import CatalogCast

_COMPUTING = ("A_Expr", "FuncCall", "CaseExpr", "CoalesceExpr", "MinMaxExpr")


def _casts(catalog: CatalogIndex) -> tuple[CatalogCast, ...]:
    found = catalog.closures.get("implicit casts")
    if not isinstance(found, tuple):
        casts = catalog.snapshot.casts
        found = tuple(cast for cast in casts if cast.function_name and cast.context in ("implicit", "assignment"))
        catalog.closures["implicit casts"] = found
    return found


def _types(catalog: CatalogIndex, keys: frozenset[Key]) -> set[str]:
    found: set[str] = set()
    for schema, table, name in keys:
        entry = catalog.entry(schema, table)
        if entry is not None:
            found.update(column.type_name for column in entry.relation.columns if column.name == name)
    return found


def _computed(plain: ExpressionHandler) -> ExpressionHandler:
    def handler(walk: Walk, scope: Scope, body: Node) -> Flow:
        flow = plain(walk, scope, body)
        if walk.catalog is None or not walk.catalog.snapshot.casts or not flow.sources:
            return flow
        casts = [cast for cast in _casts(walk.catalog) if cast.context == "implicit"]
        types = _types(walk.catalog, flow.sources) if casts else set()
        added = [
            each
            for cast in casts
            if cast.source in types
            for each in run(walk, cast.function_schema, cast.function_name)
        ]
        return merge([flow, *added], flow.transform) if added else flow

    return handler


def cast_into(walk: Walk, key: Key, flow: Flow, node: Node | None) -> Flow:
    """The value (of this expression, where there is one) as it comes into a column."""
    if (node is not None and is_value(node)) or walk.catalog is None or not walk.catalog.snapshot.casts:
        return flow
    into = _types(walk.catalog, frozenset({key}))
    added = [
        each
        for cast in _casts(walk.catalog)
        if cast.target in into
        for each in run(walk, cast.function_schema, cast.function_name)
    ]
    return merge([flow, *added]) if added else flow


for _tag in _COMPUTING:
    if _tag in EXPRESSIONS:
        EXPRESSIONS[_tag] = _computed(EXPRESSIONS[_tag])
