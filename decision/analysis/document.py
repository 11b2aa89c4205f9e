"""Facts as the JSON that policies read: names and kinds, never a literal, an OID or a place in the text."""

from __future__ import annotations

from enum import StrEnum

import orjson

from decision.model.facts import Facts, OutputColumn, Predicate, RelationKind, Statement, Transform, Via

Json = None | bool | int | str | list["Json"] | tuple["Json", ...] | tuple[str, ...] | dict[str, "Json"]


class _Texts(dict[tuple[StrEnum, ...], tuple[str, ...]]):
    """The plain texts of a tuple of enum members. There are few such tuples, so each is made once."""

    def __missing__(self, members: tuple[StrEnum, ...]) -> tuple[str, ...]:
        texts = self[members] = tuple([member.value for member in members])
        return texts


_TEXTS = _Texts()
_TEXT: dict[StrEnum, str] = {member: member.value for kind in (RelationKind, Transform, Via) for member in kind}


def _output(column: OutputColumn) -> dict[str, Json]:
    return {
        "name": column.name,
        "opaque": column.opaque,
        "ordinal": column.ordinal,
        "sources": [{"column": s.column, "schema": s.schema, "table": s.table} for s in column.sources],
        "tags": column.tags,
        "transform": _TEXT[column.transform],
    }


def _predicate(predicate: Predicate | None) -> Json:
    if predicate is None:
        return None
    return {
        "always_true": predicate.always_true,
        "limit": predicate.limit,
        "pinned": predicate.pinned,
        "pins_key": predicate.pins_key,
        "present": predicate.present,
    }


def statement_document(statement: Statement) -> dict[str, Json]:
    """One statement's part, with keys in order (`canonical` relies on it)."""
    return {
        "columns": [
            {"column": c.column, "schema": c.schema, "table": c.table, "tags": c.tags, "usage": _TEXTS[c.usage]}
            for c in statement.columns
        ],
        "estimated_rows": statement.estimated_rows,
        "files": statement.files,
        "fingerprint": statement.fingerprint,
        "flags": statement.flags,
        "functions": [{"effects": _TEXTS[f.effects], "name": f.name, "schema": f.schema} for f in statement.functions],
        "kinds": _TEXTS[statement.kinds],
        "normalized_text": statement.normalized_text,
        "operations": [
            {
                "object_type": o.object_type,
                "objects": [{"name": n.name, "schema": n.schema} for n in o.objects],
                "options": o.options,
                "verb": o.verb,
            }
            for o in statement.operations
        ],
        "output": [_output(column) for column in statement.output],
        "parameter_count": statement.parameter_count,
        "predicate": _predicate(statement.predicate),
        "programs": statement.programs,
        "relations": [
            {
                "access": _TEXTS[r.access],
                "kind": _TEXT[r.kind],
                "name": r.name,
                "schema": r.schema,
                "tags": r.tags,
                "via": _TEXT[r.via],
            }
            for r in statement.relations
        ],
        "settings": statement.settings,
        "unresolved": [{"what": u.what, "why": u.why} for u in statement.unresolved],
    }


def document(facts: Facts) -> dict[str, Json]:
    """The `statement` part of the policy input, with keys in order (`canonical` relies on it)."""
    return {
        "catalog_version": facts.catalog_version,
        "complete": facts.complete,
        "dialect": facts.dialect,
        "multi_statement": facts.multi_statement,
        "parser_version": facts.parser_version,
        "statements": [statement_document(statement) for statement in facts.statements],
    }


def canonical(facts: Facts) -> bytes:
    """The document's canonical bytes: sorted keys, no blanks, UTF-8."""
    return orjson.dumps(document(facts))
