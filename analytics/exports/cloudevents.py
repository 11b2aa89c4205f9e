"""An event as a CloudEvent 1.0: headers beside a Kafka value (binary mode), and JSON (structured mode). Pure.

The data is the event's stored bytes in either form, so what arrives can still be verified. Attributes are a copy for
routing: they hold no principal, no statement, nothing that the envelope does not say. `subject` is the correlation id
(the session), extension attributes are the event's place: `producerid`, `epoch`, `sequence` (of the extension Sequence:
20 digits, so that they sort as text).

Sources: CloudEvents 1.0.2 (spec, Kafka protocol binding 3.2, JSON event format 3.1), RFC 3339.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import quote

from decision.model.events import AuditEvent

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/protobuf"
SCHEMA = "urn:airlock:proto:airlock.v1.AuditEvent"

_SECOND = 1_000_000_000
_HEADERS: list[tuple[str, bytes]] = [
    ("ce_specversion", SPEC_VERSION.encode()),
    ("content-type", CONTENT_TYPE.encode()),
    ("ce_dataschema", SCHEMA.encode()),
]


def rfc3339(unix_nano: int) -> str:
    """A time of an event in UTC with nanoseconds: `2026-11-21T10:00:00.000000001Z`."""
    seconds, nanos = divmod(unix_nano, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{nanos:09d}Z"


def source_uri(source: str) -> str:
    """`source` of an event as a URI reference (RFC 3986): `decision-service/main` stays as it is."""
    return quote(source or "airlock", safe="/-._~")


def subject_of(correlation_id: str) -> str:
    """What the event is about: its session, approval or component. The correlation id of an erasure names whose texts
    were erased, which is nobody's routing key."""
    return "" if correlation_id.startswith("erase/") else correlation_id


def cloudevent_headers(
    event_type: str,
    event_id: str,
    source: str,
    time_unix_nano: int,
    correlation_id: str,
    producer_id: str,
    epoch: int,
    seq: int,
) -> list[tuple[str, bytes]]:
    """The headers of a Kafka record whose value are the event's bytes. Header values are UTF-8 (binding 3.2.3.2)."""
    headers = [
        *_HEADERS,
        ("ce_id", event_id.encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", source_uri(source).encode()),
        ("ce_time", rfc3339(time_unix_nano).encode()),
        ("ce_producerid", producer_id.encode()),
        ("ce_epoch", b"%d" % epoch),
        ("ce_sequence", b"%020d" % seq),
    ]
    if subject := subject_of(correlation_id):  # an empty attribute is none
        headers.append(("ce_subject", subject.encode()))
    return headers


def cloudevent(event: AuditEvent, event_type: str) -> dict[str, object]:
    """The event in structured mode, for a line of JSON (`application/cloudevents+json`)."""
    draft = event.draft
    made: dict[str, object] = {
        "specversion": SPEC_VERSION,
        "id": draft.id,
        "type": event_type,
        "source": source_uri(draft.source),
        "time": rfc3339(draft.time_unix_nano),
        "datacontenttype": CONTENT_TYPE,
        "dataschema": SCHEMA,
        "producerid": event.producer_id,
        "epoch": event.epoch,
        "sequence": f"{event.seq:020d}",
        "data_base64": b64encode(event.raw).decode(),
    }
    if subject := subject_of(draft.correlation_id):
        made["subject"] = subject
    return made
