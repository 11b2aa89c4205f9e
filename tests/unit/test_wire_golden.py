"""Events stored by earlier versions are read for ever: tests/cases/wire/events.json holds one of each payload.

The file only grows. A new payload is added by `python -m tests.unit.test_wire_golden`, which never changes what is
there; whoever renumbers or retypes a field of the contract fails here.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import typing
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from decision.model.events import EventDraft
from decision.wire.events import PAYLOADS, ProtobufEventCodec

PATH = Path(__file__).parents[1] / "cases" / "wire" / "events.json"
STORED: dict[str, dict[str, Any]] = json.loads(PATH.read_text()) if PATH.exists() else {}
CODEC = ProtobufEventCodec()


def plain(value: Any) -> Any:
    """A value as JSON: bytes in hexadecimal, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def sample(hint: Any, name: str = "", depth: int = 4) -> Any:
    """A value with something in every field, distinguishable by the field's name."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return (sample(arguments[0], name, depth - 1),) if depth > 1 else ()
        return tuple(sample(argument, name, depth) for argument in arguments)
    if arguments:
        return sample(next(one for one in arguments if one is not type(None)), name, depth)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return list(hint)[-1]
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = {field: sample(inner, field, depth - 1) for field, inner in hints.items()}
        return typing.cast(Any, hint)(**fields)
    return {str: name, bytes: name.encode(), bool: True, int: len(name) * 1000 + 7}[hint]


def matches(wanted: Any, found: Any) -> bool:
    """Whether all that was stored is found; what a later version added must be empty."""
    if isinstance(wanted, dict):
        added = [value for name, value in found.items() if name not in wanted]
        empty = not any(value for value in added if not isinstance(value, dict))
        return empty and all(matches(value, found[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(found) and all(map(matches, wanted, found))
    return bool(wanted == found)


def test_every_payload_has_a_stored_event() -> None:
    """A new payload needs its line: python -m tests.unit.test_wire_golden."""
    assert set(STORED) == {payload.__name__ for payload in PAYLOADS}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_event_is_read_as_it_was_written(name: str) -> None:
    """Envelope and payload, field by field."""
    draft, producer, epoch, seq, prev_hash = CODEC.decode(base64.b64decode(STORED[name]["raw"]))
    assert type(draft.payload).__name__ == name
    found = {"draft": plain(draft), "chain": [producer, epoch, seq, prev_hash.hex()]}
    assert matches(STORED[name]["event"], json.loads(json.dumps(found)))


def add_missing() -> None:
    for payload in PAYLOADS:
        if payload.__name__ not in STORED:
            draft: EventDraft = dataclasses.replace(sample(EventDraft, depth=2), payload=sample(payload, depth=5))
            raw = CODEC.encode(draft, "producer", 3, 42, b"\x01" * 32)
            event = {"draft": plain(draft), "chain": ["producer", 3, 42, "01" * 32]}
            STORED[payload.__name__] = {"raw": base64.b64encode(raw).decode(), "event": event}
    PATH.write_text(json.dumps(STORED, indent=1) + "\n")


if __name__ == "__main__":
    add_missing()
