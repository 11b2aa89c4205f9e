"""Columns that refuse some values: whether a write succeeds tells of what is written, whatever a mask hides."""

from __future__ import annotations

from dataclasses import replace

from decision.analysis.effects import MadeColumn
from decision.analysis.flow import Flow
from decision.analysis.postgres.names import Relation
from decision.analysis.postgres.parse import Node, strings
from decision.analysis.postgres.walk import Walk
from decision.model.facts import RelationKind, Transform, Usage

_ANY = frozenset({"text", "character varying"})  # take every value as its text
_OF_ROW = frozenset({"CONSTR_CHECK", "CONSTR_EXCLUSION", "CONSTR_FOREIGN", "CONSTR_PRIMARY", "CONSTR_UNIQUE",
                     "CONSTR_GENERATED"})  # fmt: skip
_PRINTED = {"int4": "integer", "int8": "bigint", "int2": "smallint", "float8": "double precision", "float4": "real",
            "bool": "boolean", "bpchar": "character", "varchar": "character varying"}  # fmt: skip


def declared(column: MadeColumn, definition: Node) -> MadeColumn:
    """The column with its declared type."""
    names = strings(definition.get("typeName", {}).get("names"))
    name = _PRINTED.get(names[-1], names[-1]) if names else ""
    short = "typmods" in definition.get("typeName", {})
    return replace(column, type_name=name, strict=column.strict or short)


def refuses(body: Node) -> bool:
    """Whether CREATE TABLE's constraints, or its partitions, refuse rows by their values."""
    found = "partspec" in body or "partbound" in body
    for node in body.get("tableElts", ()):
        parts = [node, *node.get("ColumnDef", {}).get("constraints", ())]
        found = found or any(part.get("Constraint", {}).get("contype") in _OF_ROW for part in parts)
    return found


def assigned(walk: Walk, relation: Relation, name: str, flow: Flow) -> None:
    """A value goes into a column: where the server may refuse it, its sources are checked."""
    others = flow.sources - {(relation.schema, relation.name, name)}
    if others and _may_refuse(walk, relation, name, flow):
        walk.use(flow, Usage.CHECK)


def _may_refuse(walk: Walk, relation: Relation, name: str, flow: Flow) -> bool:
    computed = flow.transform is not Transform.IDENTITY
    if relation.entry is None and relation.made is not None:
        column = next((each for each in relation.made.columns if each.name == name), None)
        if column is None or column.strict or computed:
            return True
        kind = column.type_name
    elif relation.entry is not None:
        known = relation.entry.relation
        held = next((each for each in known.columns if each.name == name), None)
        if held is None or known.checks or known.kind is RelationKind.PARTITIONED or held.type_name.endswith(")"):
            return True
        if any(name in key for key in known.keys) or any(name in key.columns for key in known.foreign_keys):
            return True
        if any(index.expressions or index.predicate for index in known.indexes):
            return True
        kind = held.type_name
    else:
        return False  # unresolved
    if kind in _ANY or not kind:
        return False
    return computed or any(found != kind for found in _types(walk, flow))


def _types(walk: Walk, flow: Flow) -> list[str]:
    """The types of the base columns that a value is from; empty text where one isn't known."""
    found: list[str] = []
    for schema, table, name in flow.sources:
        entry = walk.catalog.entry(schema, table) if walk.catalog is not None else None
        if entry is not None:
            found += [column.type_name for column in entry.relation.columns if column.name == name]
    return found
