"""A catalog snapshot as JSON and back, for `airlock catalog dump` and `airlock analyze --catalog`."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import StrEnum
from typing import Any

import orjson

from decision.model.catalog import CatalogSnapshot
from decision.model.errors import SettingsError

FORMAT = "airlock-catalog/1"


def dump(snapshot: CatalogSnapshot) -> bytes:
    """Canonical, readable JSON."""
    document = {"format": FORMAT, "snapshot": dataclasses.asdict(snapshot)}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"


def load(text: bytes) -> CatalogSnapshot:
    """Raises SettingsError where `text` is no such dump."""
    try:
        document = orjson.loads(text)
        if document["format"] != FORMAT:
            raise SettingsError(f"the catalog file has format {document['format']!r}, wanted {FORMAT}")
        snapshot = _value(CatalogSnapshot, document["snapshot"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise SettingsError("this is no catalog dump", hint="make one with: airlock catalog dump DSN") from None
    assert isinstance(snapshot, CatalogSnapshot)
    return snapshot


def _value(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is tuple:
        inner = typing.get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_value(inner[0], item) for item in value)
        return tuple(_value(each, item) for each, item in zip(inner, value, strict=True))
    if origin is types.UnionType:
        return value
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _value(hints[name], item) for name, item in value.items()})
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind}")
    return value
