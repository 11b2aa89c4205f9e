"""The fast way in and the plain fold give the same rows, whatever the events hold: neither is a second truth."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.columns import to_arrow
from analytics.formed import _COLUMNS
from analytics.forms import Unfit, varints
from analytics.intake import Intake, Run
from analytics.layouts import OWN
from analytics.project import Coverage, project
from decision.journal.chain import GENESIS, chain_hash
from decision.model.events import AuditEvent, EventDraft, PinnedValue, StatementDecided, UnknownPayload
from decision.wire.events import PAYLOADS
from decision.wire.raw import varint
from tests.support.analytics_story import CODEC, READ, UPDATE, story
from tests.support.model_values import values

RELAXED = settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def rows_of(tables: dict[str, pa.Table]) -> Counter[tuple[str, str]]:
    return Counter((table, repr(row)) for table, content in tables.items() for row in content.to_pylist())


def plain(raws: Sequence[bytes]) -> Counter[tuple[str, str]]:
    """By decoding each event and folding it."""
    events = []
    for seq, raw in enumerate(raws, 1):
        draft, producer_id, epoch, _, prev_hash = CODEC.decode(raw)
        events.append(AuditEvent(draft, producer_id, epoch, seq, prev_hash, chain_hash(prev_hash, seq, raw), raw))
    return rows_of(to_arrow(project(events)))


def fast(raws: Sequence[bytes]) -> tuple[Counter[tuple[str, str]], int]:
    """By the intake, with the forms learned before; and how many events went the fast way."""
    intake = Intake()
    run = Run("journal", range(1, len(raws) + 1), raws)
    intake.read((run,))
    batch = intake.read((run,))
    formed = sum(len(group.numbers) for group in batch.groups)
    assert batch.events == len(raws) and not batch.letters
    return rows_of(batch.tables()), formed


def chained(drafts: Iterable[EventDraft]) -> list[bytes]:
    raws, previous = [], GENESIS
    for seq, draft in enumerate(drafts, 1):
        raws.append(CODEC.encode(draft, "p1", 3, seq, previous))
        previous = chain_hash(previous, seq, raws[-1])
    return raws


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
def test_both_ways_give_the_same_rows_for_any_event(payload: type) -> None:
    """Any values of any payload, several events of it, one twice with other values of its own."""

    @RELAXED
    @given(
        st.lists(st.tuples(values(payload, 2), st.integers(0, 2**63 - 1), st.text(max_size=3)), min_size=1, max_size=4)
    )
    def check(found: list[tuple[object, int, str]]) -> None:
        drafts = [EventDraft(f"e{n}", time, "s", text, value) for n, (value, time, text) in enumerate(found)]  # type: ignore[arg-type]
        again = dataclasses.replace(drafts[0], id="f0", time_unix_nano=drafts[0].time_unix_nano // 2 + 1)
        raws = chained([*drafts, again, drafts[0]])
        assert fast(raws)[0] == plain(raws)

    check()


def test_a_story_goes_the_fast_way_but_for_nothing() -> None:
    """Sessions, decisions and executions alike all have forms."""
    raws = [event.raw for event in story(40)]
    rows, formed = fast(raws)
    assert formed == len(raws)
    assert rows == plain(raws)


@RELAXED
@given(
    st.lists(
        st.tuples(
            st.sampled_from([READ, UPDATE, READ[: len(READ) // 2], b"{}", b""]),
            st.lists(st.tuples(st.sampled_from(["pinned", "written"]), st.sampled_from([b"", b"m", b"n"])), max_size=3),
            st.integers(0, 2**63 - 1),
            st.text(max_size=4),
        ),
        min_size=2,
        max_size=12,
    )
)
def test_decisions_with_every_mixture_of_their_own_values(
    found: list[tuple[bytes, list[tuple[str, bytes]], int, str]],
) -> None:
    """Documents with facts, without and broken ones; pinned and written values that are equal, other or unknown."""
    base = next(event.payload for event in story(1) if isinstance(event.payload, StatementDecided))
    drafts = []
    for number, (document, pins, latency, text) in enumerate(found):
        pinned = tuple(PinnedValue(0, "public", "customers", f"c{n}", role, mac) for n, (role, mac) in enumerate(pins))
        payload = dataclasses.replace(
            base, input_json=document, pinned=pinned, latency_ns=latency, decision_id=text, parse_decision_id=text
        )
        drafts.append(EventDraft(f"e{number}", latency, "s", text, payload))
    raws = chained(drafts)
    assert fast(raws)[0] == plain(raws)


@RELAXED
@given(st.data())
def test_altered_bytes_are_read_as_the_codec_reads_them(data: st.DataObject) -> None:
    """A byte changed anywhere in an event of a known form: the same rows as by decoding it, or a dead letter where the
    codec refuses it, and no third thing."""
    raws = [event.raw for event in story(2)]
    intake = Intake()
    intake.read((Run("journal", range(len(raws)), raws),))
    raw = bytearray(data.draw(st.sampled_from(raws)))
    for _ in range(data.draw(st.integers(1, 2))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    altered = bytes(raw)
    both = [one.read((Run("journal", (7,), (altered,)),)) for one in (intake, Intake(forms=False))]
    assert rows_of(both[0].tables()) == rows_of(both[1].tables())
    taken = [batch.take_new(coverage := Coverage()) or coverage.intervals() for batch in both]
    assert taken[0] == taken[1]


def test_every_column_of_an_own_value_is_named() -> None:
    """A value that an event has of its own and that a row shows has its column in the list, so that no row shows the
    value of the event that its form was learned from."""
    shown = {payload: {path for path, _ in columns.values()} for payload, columns in _COLUMNS.items()}
    unseen = {"input_json", "sealed_text", "pinned.mac"}
    for payload, paths in OWN.items():
        expected = {path for path in paths if "authentication" not in path} - unseen
        assert shown[payload] == expected, payload
    assert not any(UnknownPayload is payload for payload in PAYLOADS)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9))
def test_varints_are_read_as_protobuf_reads_them(numbers: list[int]) -> None:
    """Equal sizes give the numbers; a size that is not theirs is refused."""
    encoded = [varint(number) for number in numbers]
    size = len(encoded[0])
    alike = [(number, one) for number, one in zip(numbers, encoded, strict=True) if len(one) == size]
    assert varints([one for _, one in alike], size) == [number for number, _ in alike]
    if size > 1:
        with pytest.raises(Unfit):
            varints([b"\x01" * size], size)
        with pytest.raises(Unfit):
            varints([b"\x81" * size], size)
