"""Facts as the JSON that policies read: names and kinds, never a literal, an OID or a place in the text."""

from __future__ import annotations

import orjson

from decision.model.facts import Facts, OutputColumn, Predicate, Statement

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


def _texts(values: tuple[str, ...]) -> list[Json]:
    return [str(value) for value in values]


def _output(column: OutputColumn) -> dict[str, Json]:
    return {
        "ordinal": column.ordinal,
        "name": column.name,
        "sources": [{"schema": s.schema, "table": s.table, "column": s.column} for s in column.sources],
        "transform": column.transform.value,
        "tags": _texts(column.tags),
        "opaque": column.opaque,
    }


def _predicate(predicate: Predicate | None) -> Json:
    if predicate is None:
        return None
    return {
        "present": predicate.present,
        "always_true": predicate.always_true,
        "pinned": _texts(predicate.pinned),
        "pins_key": predicate.pins_key,
        "limit": predicate.limit,
    }


def statement_document(statement: Statement) -> dict[str, Json]:
    return {
        "fingerprint": statement.fingerprint,
        "normalized_text": statement.normalized_text,
        "parameter_count": statement.parameter_count,
        "kinds": _texts(statement.kinds),
        "operations": [
            {
                "verb": o.verb,
                "object_type": o.object_type,
                "objects": [{"schema": n.schema, "name": n.name} for n in o.objects],
                "options": _texts(o.options),
            }
            for o in statement.operations
        ],
        "relations": [
            {
                "schema": r.schema,
                "name": r.name,
                "kind": r.kind.value,
                "access": _texts(r.access),
                "via": r.via.value,
                "tags": _texts(r.tags),
            }
            for r in statement.relations
        ],
        "columns": [
            {"schema": c.schema, "table": c.table, "column": c.column, "usage": _texts(c.usage), "tags": _texts(c.tags)}
            for c in statement.columns
        ],
        "output": [_output(column) for column in statement.output],
        "functions": [{"schema": f.schema, "name": f.name, "effects": _texts(f.effects)} for f in statement.functions],
        "predicate": _predicate(statement.predicate),
        "settings": _texts(statement.settings),
        "files": _texts(statement.files),
        "programs": _texts(statement.programs),
        "flags": _texts(statement.flags),
        "unresolved": [{"what": u.what, "why": u.why} for u in statement.unresolved],
        "estimated_rows": statement.estimated_rows,
    }


def document(facts: Facts) -> dict[str, Json]:
    """The `statement` part of the policy input."""
    return {
        "dialect": facts.dialect,
        "parser_version": facts.parser_version,
        "catalog_version": facts.catalog_version,
        "complete": facts.complete,
        "multi_statement": facts.multi_statement,
        "statements": [statement_document(statement) for statement in facts.statements],
    }


def canonical(facts: Facts) -> bytes:
    """The document's canonical bytes: sorted keys, no blanks, UTF-8."""
    return orjson.dumps(document(facts), option=orjson.OPT_SORT_KEYS)
