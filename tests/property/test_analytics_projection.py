"""Order, repetition and batch sizes make no difference to what the store holds, and nothing makes the fold fail."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.columns import to_arrow
from analytics.project import Coverage, Interval, project
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from decision.model.events import AuditEvent, EventDraft
from decision.wire.events import PAYLOADS
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import story
from tests.support.model_values import values

EVENTS = [*story(3, "p1"), *story(2, "p2")]
SETTINGS = StoreSettings(seal_events=9, direct_events=14, fan_in=2)


def rows_after(batches: list[list[AuditEvent]], *, seal_after: int = 0) -> dict[str, list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source(), SETTINGS) as store:
            for number, batch in enumerate(batches):
                store.apply(batch, {"journal": number})
                if number == seal_after:
                    store.seal()
            store.compact(wait=True)
            store.publish()
        return all_rows(root)


@pytest.fixture(scope="module")
def expected() -> dict[str, list[str]]:
    return rows_after([EVENTS])


@settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_order_repetition_and_batching_gives_the_same_rows(
    expected: dict[str, list[str]], data: st.DataObject
) -> None:
    """Out of order, in any batches, with any events coming again: the rows are those of one orderly pass."""
    order = data.draw(st.permutations(EVENTS))
    again = data.draw(st.lists(st.sampled_from(EVENTS), max_size=12))
    everything = [*order[:20], *again, *order[20:]]
    size = data.draw(st.integers(1, len(everything)))
    batches = [everything[start : start + size] for start in range(0, len(everything), max(size, 6))]
    taken = [event for batch in batches for event in batch]
    batches.append([event for event in EVENTS if event not in taken])
    assert rows_after(batches, seal_after=data.draw(st.integers(0, 3))) == expected


@settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(prefix=st.integers(0, len(EVENTS)))
def test_replaying_any_prefix_changes_nothing(expected: dict[str, list[str]], prefix: int) -> None:
    """A restart that begins too early reads events again: they are known."""
    assert rows_after([EVENTS[:prefix], EVENTS[:prefix], EVENTS]) == expected


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
def test_whatever_an_event_holds_it_can_be_stored(payload: type) -> None:
    """Any value of any payload makes rows that fit the tables, or a dead letter, and never an exception."""

    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values(payload, 3), st.integers(0, 2**63 - 1))
    def check(value: object, time: int) -> None:
        draft = EventDraft("e", time, "s", "c", value)  # type: ignore[arg-type]
        rows = project([AuditEvent(draft, "p", 1, 1, b"", b"", b"raw")])
        tables = to_arrow(rows)
        assert tables["events"].num_rows == 1
        assert sum(table.num_rows for table in tables.values()) == sum(len(found) for found in rows.values())

    check()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(1, 30)), max_size=60))
def test_coverage_is_a_set(taken: list[tuple[str, int, int]]) -> None:
    """Intervals say of each event what a set would say, come back from storage, and never touch or overlap."""
    coverage, known = Coverage(), set()
    for key in taken:
        assert coverage.take(*key) == (key not in known)
        known.add(key)
    intervals = coverage.intervals()
    assert {(i.producer_id, i.epoch, seq) for i in intervals for seq in range(i.first_seq, i.last_seq + 1)} == known
    for left, right in itertools.pairwise(intervals):
        assert left[:2] != right[:2] or left.last_seq + 1 < right.first_seq
    assert Coverage(intervals).intervals() == intervals


def test_missing_counts_holes_across_incarnations() -> None:
    """A journal's numbers go on across restarts: what lies between two epochs is missing too."""
    assert Coverage([Interval("p", 1, 1, 5), Interval("p", 2, 6, 9)]).missing() == 0
    assert Coverage([Interval("p", 1, 1, 5), Interval("p", 2, 8, 9)]).missing() == 2
    assert Coverage([Interval("p", 1, 3, 5)]).missing() == 2
