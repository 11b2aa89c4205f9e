"""What an event becomes on Kafka, held against its full decoding, for every payload there is."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.exports.cloudevents import source_uri
from decision.model.events import EventDraft, KeysErased
from decision.wire.events import PAYLOADS, ProtobufEventCodec, event_type
from ingest.relay_records import RecordMaker
from tests.support.model_values import INTEGER, TEXT, values

CODEC = ProtobufEventCodec()
MAKER = RecordMaker("this-node")


def drafts(payload: type) -> st.SearchStrategy[EventDraft]:
    times = st.integers(0, 4_000_000_000 * 10**9)
    return st.builds(
        EventDraft, id=TEXT, time_unix_nano=times, source=TEXT, correlation_id=TEXT, payload=values(payload, 3)
    )


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
def test_keys_headers_and_time_are_those_of_the_decoded_event(payload: type) -> None:
    """The short way (protobuf's parser alone) says what decoding into the model says."""

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(drafts(payload), TEXT, INTEGER, st.binary(min_size=1, max_size=32))
    def check(draft: EventDraft, producer: str, seq: int, prev_hash: bytes) -> None:
        raw = CODEC.encode(draft, producer, 1, seq, prev_hash)
        record = MAKER.make(raw)
        known = CODEC.decode(raw)[0]
        session = getattr(known.payload, "session_id", "")
        assert record.key == ((session or known.correlation_id or producer).encode() or b"this-node")
        if payload is KeysErased:
            assert record.approval_key.startswith(b"erase/")
        elif payload.__name__.startswith("Approval"):
            assert record.approval_key == (known.payload.approval_id or known.id).encode()
        else:
            assert record.approval_key == b""
        headers = dict(record.headers)
        assert headers["ce_id"] == known.id.encode()
        assert headers["ce_type"] == event_type(known.payload).encode()
        assert headers["ce_source"] == source_uri(known.source).encode()
        second, nanos = divmod(known.time_unix_nano, 10**9)
        assert headers["ce_time"].decode() == f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
        assert (record.time_unix_nano, record.prev_hash) == (known.time_unix_nano, prev_hash)

    check()


@given(st.binary(max_size=200))
def test_bytes_that_are_no_event_are_relayed_all_the_same(raw: bytes) -> None:
    """They get some key and never an exception: the relay is no judge, and leaves no hole."""
    record = MAKER.make(raw)
    assert record.key
    assert ("content-type", b"application/protobuf") in record.headers


def test_events_with_approvals_are_all_that_start_so() -> None:
    """A new kind of approval event goes to every decision service without being named here."""
    names = {payload.__name__ for payload in PAYLOADS if payload.__name__.startswith("Approval")}
    assert names == {"ApprovalRequested", "ApprovalGranted", "ApprovalDenied", "ApprovalExpired", "ApprovalUsed"}
    assert {field.name for field in dataclasses.fields(KeysErased)} >= {"subject", "issuer"}
