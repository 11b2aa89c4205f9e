"""The codec of audit events: `EventDraft` plus its place in the chain to the bytes that are stored, and back.

Those bytes are written once and never re-serialised. What a reader meets:
- fields that a newer version added: ignored here, kept in the raw bytes;
- a payload or an enum member that a newer version added: the payload is `UnknownPayload`, the envelope is whole;
- bytes that are no event at all: `ChainBroken`, because a writer of ours never made them.

An event is at most 65,535 bytes, the size of a leaf. A larger one is cut by `decision.wire.omit`, which leaves a hash
of everything it took out. Text that UTF-8 can't hold (lone surrogates) is stored with `?` in their place.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from google.protobuf.message import DecodeError

from decision.model import events as model
from decision.model.errors import ChainBroken
from decision.model.events import EventDraft, Omission, Payload, UnknownPayload
from decision.wire.gen import events_pb2 as pb
from decision.wire.mapping import Mapping, Own, WireMismatch, mapping
from decision.wire.omit import omit
from decision.wire.raw import place, seal

MAX_EVENT_BYTES = 65_535
MAX_ENVELOPE_BYTES = 2_048

_PACKAGE = "airlock.v1."


def _field_name(payload: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", payload.__name__).lower()


PAYLOADS: dict[type, tuple[str, str, Mapping[Any]]] = {
    payload: (
        _field_name(payload),
        _PACKAGE + payload.__name__,
        mapping(payload, getattr(pb, payload.__name__)),
    )
    for payload in model.Payload.__args__
    if payload is not UnknownPayload
}
"""Payload class to (field of the oneof, event type, table)."""

_BY_FIELD = {field: table for field, _, table in PAYLOADS.values()}
_DECIDED = PAYLOADS[model.StatementDecided][2]
_OWN = Own(
    _DECIDED, "decision_id", "session_id", "input_json", "statement_digest", "parameters_digest", "pinned",
    "latency_ns", "parse_decision_id", "client",
)  # fmt: skip
_OMISSION = mapping(Omission, pb.Omission)


def event_type(payload: Payload) -> str:
    """The event's type as Kafka headers and views show it: `airlock.v1.StatementDecided`."""
    return payload.type if isinstance(payload, UnknownPayload) else PAYLOADS[type(payload)][1]


class ProtobufEventCodec:
    """Stateless; one instance serves every thread."""

    def encode(self, draft: EventDraft, producer_id: str, epoch: int, seq: int, prev_hash: bytes) -> bytes:
        """The bytes to store: at most MAX_EVENT_BYTES, whatever the payload holds.

        Raises ValueError for an envelope over MAX_ENVELOPE_BYTES, TypeError for an UnknownPayload: both are mistakes
        of the caller, as ids are made by us and an unknown payload is only ever read.
        """
        try:
            event = _message(draft, producer_id, epoch, seq, prev_hash)
        except UnicodeEncodeError:
            event = _message(_scrub(draft), producer_id, epoch, seq, prev_hash)
        raw: bytes = event.SerializeToString()
        if len(raw) <= MAX_EVENT_BYTES:
            return raw
        field = event.WhichOneof("payload") or ""
        if len(raw) - getattr(event, field).ByteSize() > MAX_ENVELOPE_BYTES:
            raise ValueError(f"the envelope of a {event.type} event is over {MAX_ENVELOPE_BYTES} bytes")
        return omit(event, field, MAX_EVENT_BYTES)

    def place(self, producer_id: str, epoch: int) -> bytes:
        """What `seal` needs of a journal for as long as it is open."""
        return place(producer_id, epoch)

    def seal(self, before: bytes, place: bytes, seq: int, prev_hash: bytes, after: bytes) -> bytes:
        """The bytes to store of an event that comes in two halves (decision.wire.hot), with its place between."""
        return seal(before, place, seq, prev_hash, after)

    def decode(self, raw: bytes) -> tuple[EventDraft, str, int, int, bytes]:
        """(draft, producer_id, epoch, seq, prev_hash). Raises ChainBroken for bytes that are no event."""
        event = _parsed(raw)
        draft = EventDraft(
            event.id,
            event.time_unix_nano,
            event.source,
            event.correlation_id,
            _payload(event),
            event.causation_id,
            event.trace_id,
            event.span_id,
            tuple([_OMISSION.decode(item) for item in event.omissions]) if event.omissions else (),
        )
        return draft, event.producer_id, event.epoch, event.seq, event.prev_hash

    def place_of(self, raw: bytes) -> tuple[str, int, int, bytes]:
        """(producer_id, epoch, seq, prev_hash). Raises ChainBroken for bytes that are no event."""
        event = _parsed(raw)
        return event.producer_id, event.epoch, event.seq, event.prev_hash


def _parsed(raw: bytes) -> pb.AuditEvent:
    event = pb.AuditEvent()
    try:
        event.ParseFromString(raw)
    except DecodeError as error:
        raise ChainBroken("stored bytes are no audit event", hint="verify the journal with `airlock verify`") from error
    return event


def _message(draft: EventDraft, producer_id: str, epoch: int, seq: int, prev_hash: bytes) -> pb.AuditEvent:
    payload = draft.payload
    if isinstance(payload, UnknownPayload):
        raise TypeError("an UnknownPayload can only be read")
    field, type_name, table = PAYLOADS[type(payload)]
    fields: dict[str, Any] = {
        "id": draft.id,
        "type": type_name,
        "source": draft.source,
        "time_unix_nano": draft.time_unix_nano,
        "producer_id": producer_id,
        "epoch": epoch,
        "seq": seq,
        "prev_hash": prev_hash,
        "correlation_id": draft.correlation_id,
        "causation_id": draft.causation_id,
        field: table.fields(payload),
    }
    if draft.trace_id:
        fields["trace_id"] = draft.trace_id
        fields["span_id"] = draft.span_id
    elif draft.span_id:
        fields["span_id"] = draft.span_id
    if draft.omissions:
        fields["omissions"] = [_OMISSION.fields(item) for item in draft.omissions]
    return pb.AuditEvent(**fields)


def _payload(event: pb.AuditEvent) -> Payload:
    field = event.WhichOneof("payload")
    if field is None:
        return UnknownPayload(event.type, "this version does not know the payload")
    table = _BY_FIELD.get(field)
    if table is None:
        return UnknownPayload(event.type, "this version does not read the payload")
    try:
        found = getattr(event, field)
        payload: Payload = table.decode_alike(found, _OWN) if table is _DECIDED else table.decode(found)
    except WireMismatch as error:
        return UnknownPayload(event.type, str(error))
    return payload


def _scrub(value: Any) -> Any:
    """`value` with `?` for what UTF-8 can't hold, in every text inside it."""
    if isinstance(value, str) and type(value) is str:
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, tuple):
        return tuple(_scrub(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: _scrub(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value
