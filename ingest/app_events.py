"""Records of the events topic to signals, without making of each the whole event.

Nearly all events are decisions and executions, and of these little is counted: their messages are read as they come off
the wire. Every other event takes the codec's way. Both say the same of the same bytes (a property test holds them
together), at less than half the cost.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from decision.model.decision import PolicyEffect
from decision.model.errors import ChainBroken
from decision.model.events import AuditEvent
from decision.wire.events import ProtobufEventCodec
from decision.wire.gen import common_pb2, events_pb2
from ingest.detectors import Extraction, Signal
from ingest.detectors.read import Place
from ingest.detectors.signals import Key

_CODEC = ProtobufEventCodec()
_EFFECTS = {
    common_pb2.POLICY_EFFECT_ALLOW: PolicyEffect.ALLOW,
    common_pb2.POLICY_EFFECT_DENY: PolicyEffect.DENY,
    common_pb2.POLICY_EFFECT_HOLD: PolicyEffect.HOLD,
}


class Event(NamedTuple):
    """A record that holds an event. `duration_ns`: of an execution, else 0."""

    place: Place
    message: Any
    raw: bytes
    kind: str

    @property
    def duration_ns(self) -> int:
        return int(self.message.statement_executed.duration_ns) if self.kind == "statement_executed" else 0


def read_event(raw: bytes) -> Event:
    """Raises ChainBroken for bytes that are no event."""
    message = events_pb2.AuditEvent()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise ChainBroken("a record holds no event") from error
    place = Place(message.time_unix_nano, message.producer_id, message.epoch, message.seq)
    return Event(place, message, raw, message.WhichOneof("payload") or "")


def signals_of(extraction: Extraction, event: Event) -> list[Signal]:
    """As `extraction.signals` of the decoded event."""
    if event.kind == "statement_executed":
        x = event.message.statement_executed
        return extraction.executed(event.place, x.session_id, x.decision_id, x.rows, x.bytes, x.masked_cells)
    if event.kind == "statement_decided":
        d = event.message.statement_decided
        code = d.effect
        effect = _EFFECTS.get(code)
        if effect is not None:
            spoke = [result.rule for result in d.results if result.effect == code]
            return extraction.decided(event.place, d, effect, spoke, lambda: _keys(d.principal))
    draft, producer_id, epoch, seq, before = _CODEC.decode(event.raw)
    return extraction.signals(AuditEvent(draft, producer_id, epoch, seq, before, b""))


def _keys(principal: Any) -> tuple[Key, ...]:
    return tuple(dict.fromkeys(_chain(principal)))


def _chain(principal: Any) -> list[Key]:
    found = [(principal.issuer, principal.subject)]
    for behind in principal.on_behalf_of:
        found += _chain(behind)
    return found
