"""Both halves of the streams app in universes drawn at random: workers crash, partitions move, deliveries repeat or are
left out. In the end the alerts and counters are those of one fold over all events.

No broker and no Faust: the topics are lists, and what Faust may do to a worker is drawn, more of it than it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.events import AlertRaised, AuditEvent
from ingest.app_fold import Folds
from ingest.app_history import Record
from ingest.app_records import StreamTopics, pack, pack_first
from ingest.app_source import Source
from ingest.detectors import Detections, Extraction, Limits
from ingest.detectors.extract import Meaning
from tests.support.streams_drawn import NOON, RULES, FixedClock, stories
from tests.support.streams_story import ISSUER, SECOND, denied, person, told

TOPICS = StreamTopics("signals", "firsts", 2)
LIMITS = Limits(grace_s=7_200)
CLOCK = FixedClock(NOON + 7_200 * SECOND)
SOURCES = 3

Log = dict[tuple[str, int], list[bytes]]
Final = dict[str, tuple[str, str, int]]


class ListHistory:
    """`History` over lists: everything was written just now."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def read(self, topic: str, partition: int, begin: int | None, since_ms: int, end: int | None) -> Iterator[Record]:
        held = self._log.setdefault((topic, partition), [])
        last = len(held) if end is None else min(end, len(held))
        for offset in range(begin or 0, last):
            yield Record(offset, held[offset])


class Worker:
    """One process: gone with all it knows when it crashes."""

    def __init__(self, log: Log) -> None:
        history = ListHistory(log)
        self.source = Source("events", history, Meaning())  # type: ignore[arg-type]
        self.folds = Folds(TOPICS, history, RULES, LIMITS, CLOCK)  # type: ignore[arg-type]


class Universe:
    """Two workers over the topics; `committed` is what the group knows. `alerts` of each id the greatest told."""

    def __init__(self, events: list[AuditEvent], chance: Random) -> None:
        self.log: Log = {}
        for event in events:
            at = "events", sum(event.draft.correlation_id.encode()) % SOURCES
            self.log.setdefault(at, []).append(event.raw)
        self.chance = chance
        self.workers = [Worker(self.log), Worker(self.log)]
        self.owner = dict.fromkeys(self._places(), 0)
        self.committed = dict.fromkeys(self._places(), 0)
        self.alerts: Final = {}

    @staticmethod
    def _places() -> list[tuple[str, int]]:
        return [*(("events", one) for one in range(SOURCES)), *(("signals", one) for one in range(TOPICS.partitions))]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            what, place = self.chance.random(), self.chance.choice(self._places())
            if what < 0.1:
                self.workers[self.chance.randrange(2)] = Worker(self.log)
            elif what < 0.25:
                self.owner[place] = 1 - self.owner[place]
                self._keep(0.5)
            else:
                self._deliver(place, commits=what < 0.75 or what > 0.85, skip=what > 0.85)
        while any(self.committed[place] < len(self.log.get(place, ())) for place in self._places()):
            for place in self._places():
                self._deliver(place, commits=True, skip=False)

    def _keep(self, likely: float) -> None:
        """Forgetting what is another's comes late, or is never noticed where a partition comes back at once."""
        for number, worker in enumerate(self.workers):
            if self.chance.random() < likely:
                for half, topic in ((worker.source, "events"), (worker.folds, "signals")):
                    ours = {p for (name, p), owner in self.owner.items() if name == topic and owner == number}
                    half.keep(frozenset(ours))

    def _deliver(self, place: tuple[str, int], *, commits: bool, skip: bool) -> None:
        """The next records to the owner; not committed, they come again. Left out are some only to who has read the
        partition before, and who is given something behind them: a worker that is new to it begins at what is
        committed."""
        topic, partition = place
        worker, begin = self.workers[self.owner[place]], self.committed[place]
        held = self.log.setdefault(place, [])
        knows = (worker.source if topic == "events" else worker.folds).position(partition) == begin
        begin += self.chance.randrange(3) if skip and knows else 0
        records = [Record(n, held[n]) for n in range(begin, min(begin + self.chance.randrange(1, 6), len(held)))]
        if not records:
            return
        (self._extract if topic == "events" else self._detect)(worker, partition, records)
        if commits:
            self.committed[place] = records[-1].offset + 1

    def _extract(self, worker: Worker, partition: int, records: list[Record]) -> None:
        signals, places = worker.source.take(partition, records)
        for one in pack(TOPICS, signals, places):
            self.log.setdefault(("signals", one.partition), []).append(one.value)

    def _detect(self, worker: Worker, partition: int, records: list[Record]) -> None:
        worker.folds.take(partition, records)
        alerts, met = worker.folds.flush(partition)
        for draft in alerts:
            assert isinstance(draft.payload, AlertRaised)
            told = (draft.payload.rule, draft.payload.subject, draft.payload.observed)
            self.alerts[draft.correlation_id] = max(
                told, self.alerts.get(draft.correlation_id, told), key=lambda t: t[2]
            )
        for one in met:
            self.log.setdefault(("firsts", partition), []).append(pack_first(one)[1])


def expected(events: list[AuditEvent]) -> tuple[Final, dict[tuple[str, str], object]]:
    extraction, detections = Extraction(), Detections(RULES, LIMITS)
    for event in events:
        detections.add(extraction.signals(event))
    found = {}
    for draft in detections.flush():
        assert isinstance(draft.payload, AlertRaised)
        found[draft.correlation_id] = (draft.payload.rule, draft.payload.subject, draft.payload.observed)
    counted = {(one.issuer, one.subject): one.values for one in detections.counters(CLOCK.time_unix_nano())}
    return found, {key: values for key, values in counted.items() if values}


@given(stories(), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_whatever_befalls_the_workers_the_end_is_the_same(events: list[AuditEvent], seed: int) -> None:
    """Alerts at their greatest, and the counters of whoever owns the partition at the end."""
    universe = Universe(events, Random(seed))
    universe.run(60)
    alerts, counters = expected(events)
    assert universe.alerts == alerts
    final = Worker(universe.log)
    for partition in range(TOPICS.partitions):
        held = universe.log.get(("signals", partition), [])
        final.folds.take(partition, [Record(len(held) - 1, held[-1])] if held else [])
        final.folds.flush(partition)
    counted = {(one.issuer, one.subject): one.values for one in final.folds.counters(100)}
    assert {key: values for key, values in counted.items() if values} == counters


def test_records_that_were_never_delivered_are_read_back_exactly() -> None:
    """From 0 to 4 without what is between: all five are folded, and none twice when they come after all."""
    start = NOON
    events = told([denied(start + n * SECOND, f"s{n}", f"d{n}", person("alice")) for n in range(5)])
    extraction = Extraction()
    log: Log = {}
    place = TOPICS.partition((ISSUER, "alice"))
    for event in events:
        (packed,) = pack(TOPICS, extraction.signals(event), [])
        log.setdefault(("signals", place), []).append(packed.value)
    folds = Worker(log).folds
    held = log["signals", place]
    folds.take(place, [Record(0, held[0]), Record(4, held[4])])
    folds.take(place, [Record(n, held[n]) for n in range(1, 5)])
    (alert,) = folds.flush(place)[0]
    assert isinstance(alert.payload, AlertRaised)
    assert alert.payload.observed == 5
    assert (folds.counts["read_back"], folds.counts["repeated"]) == (3, 4)
