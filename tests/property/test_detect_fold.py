"""Alerts and counters follow from the set of events: order within the grace, batches and repetition change nothing."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.events import AlertRaised, AuditEvent
from ingest.detectors import Detections, Extraction, Limits, Signal
from ingest.detectors.state import dump, load, plan_of
from tests.support.streams_drawn import NOON, RULES, stories
from tests.support.streams_story import SECOND, denied, person, told


def signals(events: Sequence[AuditEvent]) -> list[Signal]:
    extraction = Extraction()
    return [signal for event in events for signal in extraction.signals(event)]


def last_told(batches: Sequence[Sequence[Signal]], detections: Detections) -> dict[str, AlertRaised]:
    """Each alert as the view shows it: the greatest observed, of these the newest."""
    best: dict[str, tuple[tuple[int, int], AlertRaised]] = {}
    for batch in batches:
        detections.add(batch)
        for draft in detections.flush():
            assert isinstance(draft.payload, AlertRaised)
            rank = (draft.payload.observed, draft.time_unix_nano)
            if draft.correlation_id not in best or rank >= best[draft.correlation_id][0]:
                best[draft.correlation_id] = rank, draft.payload
    return {found: one for found, (_, one) in best.items()}


def comparable(found: dict[str, AlertRaised]) -> dict[str, object]:
    """A first time may be told by the one that was seen first, where two were within the grace."""
    return {
        alert: (one.rule, one.subject, dict(one.evidence)["tables"]) if one.rule == "first_sensitive_access" else one
        for alert, one in found.items()
    }


@given(stories(), st.randoms(use_true_random=False), st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_order_batches_and_repetition_change_nothing(events: list[AuditEvent], chance: object, size: int) -> None:
    """Shuffled, cut elsewhere and with every third signal twice: the same alerts, counters and totals."""
    whole = signals(events)
    mixed = [*whole, *whole[::3]]
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    limits = Limits(grace_s=7_200)
    one, other = Detections(RULES, limits), Detections(RULES, limits)
    expected = last_told([whole], one)
    found = last_told([mixed[at : at + size] for at in range(0, len(mixed), size)], other)
    assert comparable(found) == comparable(expected)
    now = NOON + 7_200 * SECOND
    assert sorted(one.counters(now)) == sorted(other.counters(now))
    assert other.counts["duplicates"] == len(whole[::3])
    assert other.counts["late"] == 0


@given(stories(), st.integers(0, 80))
@settings(max_examples=60, deadline=None)
def test_a_replay_from_anywhere_changes_nothing(events: list[AuditEvent], at: int) -> None:
    """Delivered again from some place on: no alert is told again, no counter differs."""
    whole = signals(events)
    detections = Detections(RULES)
    last_told([whole], detections)
    detections.counters(NOON + 7_200 * SECOND)
    detections.add(whole[at:])
    assert detections.flush() == []
    assert detections.counters(NOON + 7_200 * SECOND) == []


@given(stories(), st.integers(0, 80))
@settings(max_examples=60, deadline=None)
def test_a_restart_from_what_was_saved_is_no_restart(events: list[AuditEvent], at: int) -> None:
    """Saved and loaded in the middle: the same alerts at the end as without."""
    extraction, detections = Extraction(), Detections(RULES)
    expected = last_told([signals(events)], Detections(RULES))
    first = [signal for event in events[:at] for signal in extraction.signals(event)]
    before = last_told([first], detections)
    plan = plan_of(RULES, 3_600)
    again, restored = Extraction(), Detections(RULES)
    assert load(dump(extraction, detections, plan), again, restored, plan)
    rest = [signal for event in events[at:] for signal in again.signals(event)]
    after = last_told([rest], restored)
    without_tables = {**comparable(before), **comparable(after)}
    assert without_tables.keys() == expected.keys()
    assert {one.observed for one in {**before, **after}.values()} == {one.observed for one in expected.values()}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=400), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_memory_is_bounded_by_the_number_of_keys(order: list[int], most: int) -> None:
    """The key that was silent longest goes, and is counted."""
    detections = Detections(RULES, Limits(keys=most))
    events = told([denied(NOON + n * SECOND, f"s{who}", f"d{n}", person(f"u{who}")) for n, who in enumerate(order)])
    detections.add(signals(events))
    assert len(detections.people) == min(most, len(set(order)))
    assert detections.counts["evicted_keys"] >= len(set(order)) - most
