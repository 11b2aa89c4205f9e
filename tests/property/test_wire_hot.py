"""Events written from kept parts are, byte for byte, those that the general codec writes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.events import EventDraft, PinnedValue, StatementDecided, StatementExecuted
from decision.model.session import ExecutionReport
from decision.wire import hot
from decision.wire.events import MAX_EVENT_BYTES, ProtobufEventCodec
from decision.wire.gen import events_pb2 as pb
from decision.wire.raw import varint
from tests.support.model_values import TEXT, values

CODEC = ProtobufEventCodec()
BIG = st.integers(0, 2**63 - 1)
PLACE = st.tuples(TEXT, BIG, st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
MAC = st.one_of(st.just(b""), st.binary(min_size=32, max_size=32))


def sealed(heads: bytes, after: bytes, place: tuple[str, int, int, bytes]) -> bytes:
    producer, epoch, seq, prev_hash = place
    return CODEC.seal(heads, CODEC.place(producer, epoch), seq, prev_hash, after)


def form_of(decided: StatementDecided, correlation_id: str, causation_id: str) -> hot.DecidedForm:
    return hot.DecidedForm(
        hot.links(correlation_id, causation_id),
        hot.session_part(decided.session_id, decided.principal, decided.database, decided.environment),
        hot.verdict_part(
            decided.message_kind, decided.effect, decided.message, decided.results, decided.policy_revision,
            decided.engine,
        ),
        decided.input_json,
        decided.statement_digest,
        decided.statement_text,
        hot.duty_part(decided.masked, decided.limits, decided.holds),
        decided.intent,
        decided.ticket,
        hot.place_part(decided.client, decided.enforcement_point),
        decided.sealed_text,
    )  # fmt: skip


def pinned(value: PinnedValue) -> bytes:
    """Both ways of writing it: they must give the same."""
    whole = hot.pinned_part(value)
    if value.mac:
        assert hot.open_pinned_part(dataclasses.replace(value, mac=b""), len(value.mac)) + value.mac == whole
    return whole


@settings(max_examples=300, deadline=None, database=None)
@given(values(StatementDecided, 4), TEXT, TEXT, TEXT, TEXT, st.integers(1, 2**63 - 1), PLACE, st.lists(MAC), BIG)
def test_a_decision_is_written_as_the_codec_writes_it(
    decided: StatementDecided,
    event_id: str,
    source: str,
    correlation_id: str,
    causation_id: str,
    time: int,
    place: tuple[str, int, int, bytes],
    macs: list[bytes],
    latency_ns: int,
) -> None:
    """Whatever the decision holds (but an approval, and what only a denial without policy has)."""
    decided = dataclasses.replace(
        decided,
        approval_id="",
        error_code="",
        latency_ns=latency_ns,
        pinned=tuple(
            dataclasses.replace(one, mac=mac) for one, mac in zip(decided.pinned, macs, strict=False)
        ),
    )  # fmt: skip
    draft = EventDraft(event_id, time, source, correlation_id, decided, causation_id)
    after = form_of(decided, correlation_id, causation_id).after(
        decided.decision_id, decided.parameters_digest, b"".join(map(pinned, decided.pinned)), latency_ns,
        decided.parse_decision_id,
    )  # fmt: skip
    raw = sealed(hot.EventHeads(source).decided(event_id, time), after, place)
    assert raw == CODEC.encode(draft, *place)
    assert CODEC.decode(raw) == (draft, *place)


@settings(max_examples=300, deadline=None, database=None)
@given(values(ExecutionReport), BIG, TEXT, TEXT, st.integers(1, 2**63 - 1), PLACE)
def test_an_execution_is_written_as_the_codec_writes_it(
    report: ExecutionReport, rows: int, event_id: str, source: str, time: int, place: tuple[str, int, int, bytes]
) -> None:
    """Whatever is reported."""
    report = dataclasses.replace(report, rows=rows)
    executed = StatementExecuted(
        report.decision_id, report.session_id, report.statement_index, report.outcome, report.command_tag,
        report.rows, report.bytes, report.duration_ns, report.sqlstate, report.masked_cells, report.in_transaction,
    )  # fmt: skip
    draft = EventDraft(event_id, time, source, report.session_id, executed, report.decision_id)
    raw = sealed(hot.EventHeads(source).executed(event_id, time), hot.executed_after(report), place)
    assert raw == CODEC.encode(draft, *place)


@settings(deadline=None, database=None)
@given(st.lists(st.integers(2**28, 2**63 - 1), min_size=1))
def test_one_writer_writes_any_times_after_each_other(times: list[int]) -> None:
    """What is kept of one time never gets into another."""
    heads = hot.EventHeads("s")
    assert [pb.AuditEvent.FromString(heads.decided("e", time)).time_unix_nano for time in times] == times


@settings(deadline=None, database=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_a_varint_is_protobufs(number: int) -> None:
    """All of int64, negative numbers in ten bytes."""
    assert b"\x20" + varint(number) == (pb.AuditEvent(time_unix_nano=number).SerializeToString() or b"\x20\0")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_what_no_int64_holds_is_refused(number: int) -> None:
    """As protobuf refuses it."""
    with pytest.raises(ValueError, match="int64"):
        varint(number)


def test_what_would_have_to_be_cut_or_replaced_is_left_to_the_codec() -> None:
    """An event over the size of a leaf, and text that UTF-8 can't hold, raise ValueError."""
    big = hot.DecidedForm(b"", b"", b"", b"j" * MAX_EVENT_BYTES, b"", "", b"", "", "", b"")
    with pytest.raises(ValueError, match="cut"):
        big.after("d", b"", b"", 1, "")
    with pytest.raises(UnicodeEncodeError):
        hot.DecidedForm(b"", b"", b"", b"", b"", "\ud800", b"", "", "", b"")
