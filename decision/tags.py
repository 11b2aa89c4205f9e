"""Tags of tables and columns from the settings, put on a catalog snapshot.

A key names a table (`public.payments`) or a column (`public.customers.email`); identifiers fold to lower case unless
quoted, as in SQL (`"Odd.Name".t`). A tag with a leading `!` takes a detected one away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.errors import SettingsError


def parse_name(text: str) -> tuple[str, ...]:
    """`a."B.c".d` to ("a", "B.c", "d"). Raises SettingsError on what is no such name."""
    parts: list[str] = []
    rest = text
    while True:
        if rest.startswith('"'):
            end = 1
            while end < len(rest) and not (rest[end] == '"' and rest[end + 1 : end + 2] != '"'):
                end += 2 if rest[end] == '"' else 1
            part, rest = (rest[1:end].replace('""', '"'), rest[end + 1 :]) if end < len(rest) else ("", rest)
        else:
            part, dot, tail = rest.partition(".")
            part, rest = part.strip().lower(), dot + tail
        if not part or (rest and not rest.startswith(".")):
            raise SettingsError(
                f"{text!r} is no name", hint='write schema.table or schema.table.column, quoting "Odd.Names"'
            )
        parts.append(part)
        if not rest:
            return tuple(parts)
        rest = rest[1:]


def _merge(found: Sequence[str], settings: Sequence[str]) -> tuple[str, ...]:
    removed = {tag[1:] for tag in settings if tag.startswith("!")}
    added = [tag for tag in settings if not tag.startswith("!")]
    return tuple(sorted({tag for tag in found if tag not in removed} | set(added)))


def with_tags(snapshot: CatalogSnapshot, tags: Mapping[str, Sequence[str]]) -> CatalogSnapshot:
    """The snapshot with the settings' tags, and a version that covers them."""
    tables: dict[tuple[str, ...], Sequence[str]] = {}
    columns: dict[tuple[str, ...], Sequence[str]] = {}
    for key, values in tags.items():
        name = parse_name(key)
        if len(name) not in (2, 3):
            raise SettingsError(f"tags: {key!r} names neither a table nor a column",
                                hint="write schema.table or schema.table.column")  # fmt: skip
        (tables if len(name) == 2 else columns)[name] = values

    def tagged_column(relation: CatalogRelation, column: CatalogColumn) -> CatalogColumn:
        wanted = columns.get((relation.schema, relation.name, column.name))
        return column if wanted is None else replace(column, tags=_merge(column.tags, wanted))

    relations = tuple(
        replace(
            relation,
            tags=_merge(relation.tags, tables.get((relation.schema, relation.name), ())),
            columns=tuple(tagged_column(relation, column) for column in relation.columns),
        )
        if relation.schema not in ("pg_catalog", "information_schema")
        else relation
        for relation in snapshot.relations
    )
    digest = hashlib.sha256(snapshot.version.encode())
    for key in sorted(tags):
        digest.update(repr((key, tuple(tags[key]))).encode())
    return replace(snapshot, relations=relations, version=digest.hexdigest()[:32])
