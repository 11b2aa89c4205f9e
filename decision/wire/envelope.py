"""What an event's bytes say of themselves, without decoding the payload into the model."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from decision.wire.gen import events_pb2 as pb

APPROVALS = "airlock.v1.Approval"
"""How the types of the approvals' events begin."""


def about(raw: bytes) -> tuple[int, str]:
    """(time_unix_nano, type); (0, "") for bytes that are no event."""
    try:
        event = pb.AuditEvent.FromString(raw)
    except DecodeError:
        return 0, ""
    return event.time_unix_nano, event.type
