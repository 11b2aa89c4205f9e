"""Events as CloudEvents 1.0, read by the CloudEvents SDK: JSON in structured mode, Kafka headers in binary mode."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings

from analytics.exports.cloudevents import cloudevent, cloudevent_headers, rfc3339, source_uri
from analytics.exports.lines import line
from decision.model import events as e
from decision.wire.events import event_type
from ingest.relay_records import RecordMaker
from tests.support.analytics_story import START, story
from tests.support.export_events import PAYLOADS, event
from tests.support.model_values import INTEGER, TEXT, values


def headers_of(one: e.AuditEvent) -> list[tuple[str, bytes]]:
    draft = one.draft
    return cloudevent_headers(
        event_type(one.payload), draft.id, draft.source, draft.time_unix_nano, draft.correlation_id, one.producer_id,
        one.epoch, one.seq,
    )  # fmt: skip


class Bytes(JSONFormat):
    """The SDK's format for attributes, with the data as it is."""

    def read_data(self, body: bytes, datacontenttype: str | None) -> bytes:  # type: ignore[override]
        return body


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_structured_json_is_a_cloudevent_that_carries_the_stored_bytes(payload: e.Payload) -> None:
    one = event(payload, 7)
    read = JSONFormat().read(CloudEvent, line(cloudevent(one, event_type(payload))))
    assert read.get_id() == one.draft.id
    assert read.get_type() == event_type(payload)
    assert read.get_source() == "decision-service/main"
    assert read.get_subject() == one.draft.correlation_id
    assert read.get_time() == datetime.fromtimestamp((START + 7_000_000) / 1e9, UTC)
    assert (read.get_extension("producerid"), read.get_extension("epoch")) == ("node-1", 1)
    assert read.get_extension("sequence") == "00000000000000000007"
    assert read.get_datacontenttype() == "application/protobuf"
    assert read.get_data() == one.raw


def test_kafka_headers_are_a_cloudevent_beside_the_stored_bytes() -> None:
    for one in story(2):
        message = KafkaMessage(dict(headers_of(one)), one.draft.correlation_id, one.raw)
        read = from_binary(message, Bytes(), CloudEvent)
        assert (read.get_id(), read.get_type()) == (one.draft.id, event_type(one.payload))
        assert (read.get_subject(), read.get_data()) == (one.draft.correlation_id, one.raw)
        assert read.get_extension("sequence") == f"{one.seq:020d}"


def test_both_modes_say_the_same() -> None:
    """Attribute by attribute."""
    for one in story(1):
        structured = cloudevent(one, event_type(one.payload))
        binary = {name.removeprefix("ce_"): value.decode() for name, value in headers_of(one)}
        binary["datacontenttype"] = binary.pop("content-type")
        del structured["data_base64"]
        assert binary == {name: str(value) for name, value in structured.items()}


def test_the_relays_headers_are_among_them() -> None:
    """It leaves out those that cost most; the others have the same values."""
    made = [(RecordMaker(one.producer_id).make(one.raw).headers, headers_of(one)) for one in story(2)]
    for relayed, all_headers in made:
        assert set(relayed) <= set(all_headers)
        assert {"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"} <= dict(relayed).keys()


def test_an_event_that_belongs_to_nothing_has_no_subject() -> None:
    """An attribute may not be empty."""
    one = event(PAYLOADS[0], 1, correlation_id="", source="")
    made = cloudevent(one, "airlock.v1.SessionOpened")
    assert ("subject" in made, made["source"]) == (False, "airlock")
    assert "ce_subject" not in dict(headers_of(one))


def test_an_erasure_does_not_name_whose_texts_were_erased() -> None:
    """Attributes are copied into logs and dashboards; the data says it to whoever may read that."""
    one = event(PAYLOADS[0], 1, correlation_id="erase/alice")
    assert b"alice" not in b"".join(value for _, value in headers_of(one))
    assert "subject" not in cloudevent(one, "airlock.v1.KeysErased")


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "1970-01-01T00:00:00.000000000Z"), (1_790_000_000_000_000_001, "2026-09-21T14:13:20.000000001Z")],
)
def test_a_time_keeps_its_nanoseconds(nanos: int, text: str) -> None:
    assert rfc3339(nanos) == text


def test_a_source_is_a_uri_reference() -> None:
    """What a component may be called, percent-encoded where that is needed."""
    assert source_uri("decision-service/main") == "decision-service/main"
    assert source_uri("my service?#é") == "my%20service%3F%23%C3%A9"


@settings(max_examples=60, deadline=None)
@given(values(e.Payload), TEXT, TEXT, INTEGER)
def test_whatever_an_event_says_it_is_a_cloudevent(payload: Any, source: str, correlation: str, seq: int) -> None:
    """Any text in the envelope, also none."""
    one = event(payload, seq, source=source, correlation_id=correlation)
    made = cloudevent(one, event_type(payload) or "airlock.v1.X")
    assert JSONFormat().read(CloudEvent, json.dumps(made)).get_data() == one.raw
    for name, value in headers_of(one):
        assert name.isascii() and isinstance(value, bytes)
