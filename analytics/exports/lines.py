"""Events as lines of JSON, one a record: OCSF, CloudEvents, or the event as it is. Pure."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from google.protobuf.json_format import MessageToDict

from analytics.exports.cloudevents import cloudevent
from analytics.exports.context import Contexts
from analytics.exports.ocsf import OcsfMapper
from decision.model.events import AuditEvent
from decision.wire.events import event_type
from decision.wire.gen import events_pb2 as pb

Render = Callable[[AuditEvent], object]
LINES = ("ocsf", "cloudevents", "jsonl")


def renderer(form: str, version: str, contexts: Contexts) -> Render:
    """What makes a record of an event that `contexts` has taken."""
    if form == "ocsf":
        mapper = OcsfMapper(version, contexts)
        return lambda event: mapper.record(event, event_type(event.payload))
    if form == "cloudevents":
        return lambda event: cloudevent(event, event_type(event.payload))
    assert form == "jsonl", form
    return plain


def plain(event: AuditEvent) -> dict[str, object]:
    """The event's protobuf as JSON (protobuf.dev/programming-guides/json), names as in proto/, and its chain's hash.
    Fields that this version does not know are left out; `airlock export --format cloudevents` has the bytes."""
    message = pb.AuditEvent()
    message.ParseFromString(event.raw)
    return {**MessageToDict(message, preserving_proto_field_name=True), "hash": event.hash.hex()}


def line(record: object) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
