"""Where an event's own values stand in its bytes, so that they can be taken out without decoding the rest.

Most of what an event says was said by an earlier one: the same principal, rules, statement. What is its own (ids,
times, digests, figures) stands in known fields. A `Layout` is learned from one event: the places of those fields. It
cuts any event of the same layout into own values and the stretches between them, in one call of `struct`.

Equal stretches, in which all tags and lengths of the own values' fields stand, mean the same message but for its own
values: protobuf reads both alike. So a layout never guesses: stretches that were not seen before are no match.

Of the policy input the part before its statement is an own value, too: no row is made from it
(analytics.project.document reads what follows the last mark, and nothing else).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from analytics.project.document import LARGEST_REMEMBERED, MARK
from decision.wire.gen import events_pb2 as pb

INPUT = "input_json"
ENVELOPE = (
    "id", "time_unix_nano", "seq", "prev_hash", "correlation_id", "causation_id", "trace_id", "span_id",
)  # fmt: skip
OWN: dict[str, tuple[str, ...]] = {
    "statement_decided": (
        "decision_id", "session_id", "principal.authentication.time_unix", "principal.authentication.expires_unix",
        "principal.on_behalf_of.authentication.time_unix", "principal.on_behalf_of.authentication.expires_unix",
        INPUT, "statement_digest", "parameters_digest", "pinned.mac", "latency_ns", "parse_decision_id",
        "client.address", "sealed_text",
    ),
    "statement_executed": (
        "decision_id", "session_id", "command_tag", "rows", "bytes", "duration_ns", "masked_cells",
    ),
    "session_opened": (
        "session_id", "principal.authentication.time_unix", "principal.authentication.expires_unix",
        "principal.on_behalf_of.authentication.time_unix", "principal.on_behalf_of.authentication.expires_unix",
        "client.address",
    ),
    "session_closed": ("session_id", "duration_ns", "statements", "bytes_in", "bytes_out"),
}  # fmt: skip
"""Payload (field of the envelope) to the fields whose values are an event's own. Those of repeated messages are told
apart by a number: `pinned.mac#1`."""

_VARINT, _SIZED = 0, 2
_LARGEST = 16 * 1024


class NoLayout(Exception):
    """The event is none of those that are cut; it is decoded as a whole."""


@dataclass(frozen=True, slots=True)
class Own:
    """One own value: its path, its place among an event's parts, how long it is; whether it is a varint or a text."""

    path: str
    place: int
    size: int
    varint: bool
    text: bool


Kind = int
"""A field's type, as its descriptor says."""
_CutAt = tuple[int, int, str, Kind]
"""Begin, end, path, type."""


@dataclass(slots=True)
class _Node:
    """A message in which own values stand."""

    leaves: dict[int, tuple[str, Kind]] = field(default_factory=dict)
    nested: dict[int, tuple[str, bool, _Node]] = field(default_factory=dict)


class Layout:
    """How events of one shape are cut."""

    __slots__ = ("kind", "own", "unpack")

    def __init__(self, kind: str, cuts: list[_CutAt], size: int) -> None:
        self.kind = kind
        parts: list[str] = []
        own: list[Own] = []
        at = 0
        for start, end, path, kind_of in cuts:
            parts.append(f"{start - at}s{end - start}s")
            varint, text = kind_of == FieldDescriptor.TYPE_INT64, kind_of == FieldDescriptor.TYPE_STRING
            own.append(Own(path, 2 * len(own) + 1, end - start, varint, text))
            at = end
        parts.append(f"{size - at}s")
        self.own = tuple(own)
        self.unpack = struct.Struct("<" + "".join(parts)).unpack
        """An event of exactly this size to its stretches (even places) and own values (odd places)."""


def learn(raw: bytes) -> Layout:
    """The layout of an event that is known to decode. Raises NoLayout."""
    if len(raw) > _LARGEST:
        raise NoLayout
    kind = _kind_of(raw)
    cuts: list[_CutAt] = []
    _walk(raw, 0, len(raw), _TREES[kind], "", cuts)
    paths = [path for _, _, path, _ in cuts]
    if len(set(paths)) != len(paths) or paths[:1] != ["id"]:
        raise NoLayout
    return Layout(kind, cuts, len(raw))


def _kind_of(raw: bytes) -> str:
    """The payload's field; an event with two payloads (the last would count) has none."""
    found = [number for number, *_ in _fields(raw, 0, len(raw)) if number in _PAYLOADS]
    if len(found) != 1 or _PAYLOADS[found[0]] not in OWN:
        raise NoLayout
    return _PAYLOADS[found[0]]


def _walk(raw: bytes, start: int, end: int, node: _Node, prefix: str, cuts: list[_CutAt]) -> None:
    seen: dict[int, int] = {}
    for number, wire, low, high in _fields(raw, start, end):
        count = seen[number] = seen.get(number, 0) + 1
        if leaf := node.leaves.get(number):
            name, kind = leaf
            if count > 1 or wire != (_VARINT if kind == FieldDescriptor.TYPE_INT64 else _SIZED):
                raise NoLayout
            if name == INPUT:
                high = low + _before_statement(raw[low:high])
            if high > low:
                cuts.append((low, high, prefix + name, kind))
        elif inner := node.nested.get(number):
            name, repeated, below = inner
            if wire != _SIZED or (count > 1 and not repeated):
                raise NoLayout  # two halves of one message, which protobuf would merge
            step = f"{prefix}{name}#{count - 1}." if repeated else f"{prefix}{name}." if name else prefix
            _walk(raw, low, high, below, step, cuts)


def _before_statement(document: bytes) -> int:
    """How many bytes of a policy input no row is made from."""
    at = document.rfind(MARK)
    if at < 0 or not document.endswith(b"}}"):
        return 0
    if len(document) - at > LARGEST_REMEMBERED:
        raise NoLayout
    return at


def _fields(raw: bytes, at: int, end: int) -> Any:
    """(number, wire type, begin and end of the value) of each field. Raises NoLayout for what we never write."""
    while at < end:
        tag, at = _varint(raw, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            low = at
            _, at = _varint(raw, at, end)
            yield number, wire, low, at
        elif wire == _SIZED:
            size, at = _varint(raw, at, end)
            if size > end - at:
                raise NoLayout
            yield number, wire, at, at + size
            at += size
        else:
            raise NoLayout


def _varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise NoLayout


def _tree(payload: str) -> _Node:
    root = _Node()
    envelope = pb.AuditEvent.DESCRIPTOR
    for name in ENVELOPE:
        _plant(root, envelope, [name])
    number = envelope.fields_by_name[payload]
    below = _Node()
    for path in OWN[payload]:
        _plant(below, number.message_type, path.split("."))
    root.nested[number.number] = ("", False, below)  # its fields are named without it
    return root


def _plant(node: _Node, message: Any, path: list[str]) -> None:
    found = message.fields_by_name[path[0]]
    if len(path) > 1:
        _, _, below = node.nested.setdefault(found.number, (found.name, found.is_repeated, _Node()))
        _plant(below, found.message_type, path[1:])
        return
    kinds = (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
    if found.type not in kinds:
        raise TypeError(f"{found.full_name} can't be cut out")
    node.leaves[found.number] = (found.name, found.type)


_PAYLOADS: Mapping[int, str] = {
    one.number: one.name for one in pb.AuditEvent.DESCRIPTOR.oneofs_by_name["payload"].fields
}
_TREES = {payload: _tree(payload) for payload in OWN}
