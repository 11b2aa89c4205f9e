"""Records of the alerts' topic: events that stand outside any chain."""

from __future__ import annotations

from decision.model.errors import ChainBroken
from decision.model.events import AlertRaised, AuditEvent
from decision.wire.events import ProtobufEventCodec

_CODEC = ProtobufEventCodec()


def decode_alert(value: bytes) -> AuditEvent | str | None:
    """The alert; None for a tombstone, which a compacted topic may hold; in words what is wrong otherwise."""
    if not value:
        return None
    try:
        draft, producer_id, epoch, seq, prev_hash = _CODEC.decode(value)
    except ChainBroken as error:
        return error.message
    if not isinstance(draft.payload, AlertRaised) or not draft.payload.alert_id:
        return "it is no alert"
    return AuditEvent(draft, producer_id, epoch, seq, prev_hash, b"", value)
