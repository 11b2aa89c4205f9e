"""Reading decisions and executions off the wire says what the decoded events say, and signals survive their topic."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.decision import PolicyEffect, RuleResult
from decision.model.events import AuditEvent, PinnedValue, StatementDecided
from ingest.app_events import read_event, signals_of
from ingest.app_records import StreamTopics, pack, pack_first, unpack, unpack_first
from ingest.detectors import Extraction, Places, Signal
from tests.support.analytics_story import AGENT, DROP, READ, decided, story
from tests.support.streams_drawn import stories
from tests.support.streams_story import told

KINDS = st.sampled_from(["query", "parse", "bind", "function_call"])
RULES = st.lists(
    st.builds(
        RuleResult, st.sampled_from(["a.b", "access.break_glass", "x"]), st.sampled_from(PolicyEffect), st.just("")
    ),
    max_size=3,
)


@st.composite
def decisions(draw: st.DrawFn) -> StatementDecided:
    """Decisions of every kind and effect, with and without facts, keys and rules."""
    effect = draw(st.sampled_from(PolicyEffect))
    made = decided("d", draw(st.sampled_from("st")), b"", "text", effect, "r", principal=AGENT)
    roles, macs = st.sampled_from(["pinned", "written"]), st.binary(max_size=16)
    values = st.builds(PinnedValue, st.just(0), st.just("s"), st.just("t"), st.sampled_from("ab"), roles, macs)
    pinned = draw(st.lists(values, max_size=4))
    return replace(
        made,
        message_kind=draw(KINDS),
        results=tuple(draw(RULES)),
        input_json=draw(st.sampled_from([b"", READ, DROP, b"{", b'{"statement":3}'])),
        pinned=tuple(pinned),
        error_code=draw(st.sampled_from(["", "syntax_refused"])),
        statement_digest=draw(st.sampled_from([b"1", b"2"])),
    )


def both_ways(events: list[AuditEvent]) -> tuple[list[Signal], list[Signal], list[dict[str, int]]]:
    decoded, wired = Extraction(), Extraction()
    one = [signal for event in events for signal in decoded.signals(event)]
    other = [signal for event in events for signal in signals_of(wired, read_event(event.raw))]
    return one, other, [decoded.counts, wired.counts]


@given(st.lists(decisions(), max_size=12))
@settings(max_examples=120, deadline=None)
def test_decisions_off_the_wire_are_the_decoded_ones(payloads: list[StatementDecided]) -> None:
    """Every kind, effect and set of rules."""
    events = told([(1_790_000_000_000_000_000 + n, payload.session_id, payload) for n, payload in enumerate(payloads)])
    one, other, counts = both_ways(events)
    assert one == other
    assert counts[0] == counts[1]


@given(stories())
@settings(max_examples=40, deadline=None)
def test_stories_off_the_wire_are_the_decoded_ones(events: list[AuditEvent]) -> None:
    """With sessions that are refused, executions, and everything else through the codec."""
    one, other, _ = both_ways([*events, *story(2)])
    assert one == other


@given(stories(), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_signals_survive_their_topic_each_key_in_one_partition(events: list[AuditEvent], partitions: int) -> None:
    """What is packed is unpacked, whole and in the order of each key."""
    signals, _, _ = both_ways(events)
    topics = StreamTopics("s", "f", partitions)
    places = [Places("p1", 5, (1, 2, 4))]
    found: list[Signal] = []
    arrived: list[Places] = []
    where: dict[tuple[str, str], set[int]] = {}
    for packed in pack(topics, signals, places):
        some, more = unpack(packed.value)
        found += some
        arrived += more
        for signal in some:
            where.setdefault(signal[:2], set()).add(packed.partition)
    assert sorted(map(_plain, found)) == sorted(map(_plain, signals))
    assert [(one.producer_id, one.time_unix_nano, tuple(one.seqs)) for one in arrived] == [tuple(places[0])]
    assert all(len(partitions_) == 1 for partitions_ in where.values())


def _plain(signal: Signal) -> str:
    amounts = [tuple(one) for one in signal.amounts]
    return repr((*signal[:-2], amounts, [tuple(one) for one in signal.items]))


def test_a_first_time_survives_its_topic() -> None:
    """Key and value of the compacted record."""
    met = (("https://id.example", "ä\u2028"), "sensitive_tables", "shop: public.customers", 7)
    key, value = pack_first(met)
    assert unpack_first(value) == met
    assert key != pack_first((met[0], met[1], "shop: public.orders", 7))[0]
