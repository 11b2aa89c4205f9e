"""The policy input of a decision, read for the projection: what each statement does and touches. Pure.

A repeated statement has equal facts, byte for byte, and the canonical input ends with them; so they are read once and
remembered by their bytes. Whatever does not have the shape of the contract raises ProjectionError.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import orjson

from decision.model.errors import AirlockError

MARK = b',"statement":{'  # in canonical JSON a quote inside a string is escaped: this can only be a key
LARGEST_REMEMBERED = 16 * 1024
_REMEMBERED = 1024

Json = dict[str, object]


class ProjectionError(AirlockError):
    """An event whose payload can't be projected; it stays in `events` and becomes a dead letter."""

    code = "projection_error"


@dataclass(frozen=True, slots=True)
class RelationFacts:
    schema: str
    name: str
    kind: str
    access: tuple[str, ...]
    via: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    schema: str
    table: str
    column: str
    usage: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutputFacts:
    sources: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatementFacts:
    text: str
    fingerprint: str
    kinds: tuple[str, ...]
    operations: tuple[str, ...]
    tables: tuple[str, ...]
    functions: tuple[str, ...]
    flags: tuple[str, ...]
    unresolved: tuple[str, ...]
    has_where: bool | None
    always_true: bool | None
    pinned: tuple[str, ...]
    row_limit: int | None
    parameters: int
    relations: tuple[RelationFacts, ...]
    columns: tuple[ColumnFacts, ...]
    output: dict[int, OutputFacts]

    @property
    def writes(self) -> bool:
        return any("write" in column.usage for column in self.columns)

    @property
    def complete(self) -> bool:
        return not self.unresolved and "unknown" not in self.kinds


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """The facts of a message. `tables` and `kinds` are united over its statements, in order of appearance; `writes`:
    a column is written."""

    statements: tuple[StatementFacts, ...]
    catalog_version: str
    complete: bool
    tables: tuple[str, ...]
    kinds: tuple[str, ...]
    writes: bool


def message_facts(input_json: bytes) -> MessageFacts | None:
    """The facts in a policy input; None where there are none (analysis refused the text, or they were left out)."""
    if not input_json:
        return None
    at = input_json.rfind(MARK)
    if at >= 0 and input_json.endswith(b"}}"):
        fragment = input_json[at + len(MARK) - 1 : -1]
        if len(fragment) <= LARGEST_REMEMBERED:
            return _remembered(fragment)
        return _read(fragment)
    statement = _object(_json(input_json)).get("statement")
    return None if statement is None else _message(_object(statement))


def _read(fragment: bytes) -> MessageFacts:
    return _message(_object(_json(fragment)))


_remembered = lru_cache(maxsize=_REMEMBERED)(_read)


def _json(text: bytes) -> object:
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProjectionError("the policy input is no JSON") from error
    return value


def _message(document: Json) -> MessageFacts:
    statements = tuple(_statement(item) for item in _objects(document, "statements"))
    return MessageFacts(
        statements=statements,
        catalog_version=_text(document, "catalog_version"),
        complete=all(statement.complete for statement in statements),
        tables=_unique(table for statement in statements for table in statement.tables),
        kinds=_unique(kind for statement in statements for kind in statement.kinds),
        writes=any(statement.writes for statement in statements),
    )


def _statement(item: Json) -> StatementFacts:
    relations = tuple(_relation(relation) for relation in _objects(item, "relations"))
    predicate = item.get("predicate")
    where = _object(predicate) if predicate is not None else {}
    return StatementFacts(
        text=_text(item, "normalized_text"),
        fingerprint=_text(item, "fingerprint"),
        kinds=_texts(item, "kinds"),
        operations=tuple(_operation(operation) for operation in _objects(item, "operations")),
        tables=_unique(qualified(relation.schema, relation.name) for relation in relations),
        functions=_unique(
            qualified(_text(function, "schema"), _text(function, "name"))
            for function in _objects(item, "functions")
            if function.get("effects")
        ),
        flags=_texts(item, "flags"),
        unresolved=tuple(f"{_text(one, 'what')}: {_text(one, 'why')}" for one in _objects(item, "unresolved")),
        has_where=bool(where.get("present")) if where else None,
        always_true=bool(where.get("always_true")) if where else None,
        pinned=_texts(where, "pinned"),
        row_limit=_optional_integer(where, "limit"),
        parameters=_optional_integer(item, "parameter_count") or 0,
        relations=relations,
        columns=tuple(_column(column) for column in _objects(item, "columns")),
        output={
            _optional_integer(output, "ordinal") or 0: OutputFacts(
                tuple(
                    qualified(_text(source, "schema"), _text(source, "table"), _text(source, "column"))
                    for source in _objects(output, "sources")
                ),
                _texts(output, "tags"),
            )
            for output in _objects(item, "output")
        },
    )


def _relation(item: Json) -> RelationFacts:
    return RelationFacts(
        _text(item, "schema"),
        _text(item, "name"),
        _text(item, "kind"),
        _texts(item, "access"),
        _text(item, "via"),
        _texts(item, "tags"),
    )


def _column(item: Json) -> ColumnFacts:
    return ColumnFacts(
        _text(item, "schema"), _text(item, "table"), _text(item, "column"), _texts(item, "usage"), _texts(item, "tags")
    )


def _operation(item: Json) -> str:
    objects = [qualified(_text(one, "schema"), _text(one, "name")) for one in _objects(item, "objects")]
    parts = [_text(item, "verb"), _text(item, "object_type"), ", ".join(objects), " ".join(_texts(item, "options"))]
    return " ".join(part for part in parts if part)


def qualified(*names: str) -> str:
    """`schema.table` for people, each name quoted where it would be ambiguous otherwise; empty names are left out."""
    return ".".join(_quoted(name) for name in names if name)


def _quoted(name: str) -> str:
    if name.replace("_", "a").isalnum() and name == name.lower():
        return name
    return '"' + name.replace('"', '""') + '"'


def _unique(names: object) -> tuple[str, ...]:
    assert hasattr(names, "__iter__")
    return tuple(dict.fromkeys(name for name in names if name))


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise ProjectionError("the policy input does not have the shape of its contract")
    return value


def _objects(holder: Json, key: str) -> list[Json]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProjectionError(f"`{key}` in the policy input is no list")
    return [_object(item) for item in value]


def _text(holder: Json, key: str) -> str:
    value = holder.get(key, "")
    if not isinstance(value, str):
        raise ProjectionError(f"`{key}` in the policy input is no text")
    return value


def _texts(holder: Json, key: str) -> tuple[str, ...]:
    value = holder.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProjectionError(f"`{key}` in the policy input is no list of texts")
    return tuple(value)


def _optional_integer(holder: Json, key: str) -> int | None:
    value = holder.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ProjectionError(f"`{key}` in the policy input is no integer")
    return value
