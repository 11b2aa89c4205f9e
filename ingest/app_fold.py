"""The second half of the streams app: signals of the partitions that are ours, to alerts and counters.

The state of a partition is a fold of its records since the longest window began, nothing else: no store, no changelog.
Its next offset says what it has folded. A record that was folded is passed over; where one is missing, or nothing is
known, exactly what lacks is read back first. So it does not matter what was delivered twice, by whom, or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from decision.model.events import EventDraft
from decision.model.ports import Clock
from ingest.app_history import History, Record
from ingest.app_records import Met, RecordUnreadable, StreamTopics, unpack, unpack_first
from ingest.detectors import Detections, Limits, Rule
from ingest.detectors.figures import DAY_S, Counted

log = logging.getLogger(__name__)

_SECOND = 1_000_000_000
_SLACK_S = 300


class Held:
    """A partition's state. `owed`: first times that were found and are not yet stored."""

    __slots__ = ("detections", "next")

    def __init__(self, detections: Detections) -> None:
        self.detections = detections
        self.next = 0


class Folds:
    """Not thread-safe; `take` blocks, as it may read back. `counts` are totals of this process."""

    def __init__(
        self, topics: StreamTopics, history: History, rules: Iterable[Rule], limits: Limits, clock: Clock
    ) -> None:
        self._topics = topics
        self._history = history
        self._rules = tuple(rules)
        self._limits = limits
        self._clock = clock
        self._held: dict[int, Held] = {}
        self._longest_s = max((rule.window_s for rule in self._rules), default=0) + limits.grace_s + _SLACK_S
        self.counts = dict.fromkeys(("records", "repeated", "unreadable", "read_back", "rebuilds", "alerts"), 0)
        self._gone = dict.fromkeys(
            ("signals", "duplicates", "late", "refused_times", "evicted_keys", "refused_items"), 0
        )

    def must_read_back(self, partition: int, offset: int) -> bool:
        known = self._held.get(partition)
        return known is None or offset > known.next

    def take(self, partition: int, records: Iterable[Record]) -> None:
        """Fold the records of one partition, in order. Raises KafkaUnavailable; what came before it is folded, and to
        take it all again is right."""
        for record in records:
            known = self._held.get(partition)
            if known is None:
                known = self._rebuilt(partition, record.offset)
            if record.offset < known.next:
                self.counts["repeated"] += 1
                continue
            if record.offset > known.next:
                self._catch_up(partition, known, record.offset)
            self._fold(partition, known, record)
            self.counts["records"] += 1

    def flush(self, partition: int) -> tuple[list[EventDraft], list[Met]]:
        """The alerts that are new or have grown, and the first times to be stored once these alerts are."""
        known = self._held.get(partition)
        if known is None:
            return [], []
        alerts = known.detections.flush(self._clock.monotonic_ns())
        met = list(known.detections.met)
        known.detections.met.clear()
        self.counts["alerts"] += len(alerts)
        return alerts, met

    def counters(self, again: int) -> list[Counted]:
        now = self._clock.time_unix_nano()
        return [one for known in self._held.values() for one in known.detections.counters(now, again)]

    def position(self, partition: int) -> int | None:
        """The next offset that is expected; None where nothing was read yet."""
        known = self._held.get(partition)
        return None if known is None else known.next

    def keep(self, partitions: frozenset[int]) -> None:
        """Forget the partitions that are others' now: what they would say is old."""
        for partition in self._held.keys() - partitions:
            for name, value in self._held.pop(partition).detections.counts.items():
                if name in self._gone:
                    self._gone[name] += value

    def totals(self) -> dict[str, int]:
        """What the folds counted, also those that are others' now."""
        return {
            name: value + sum(known.detections.counts[name] for known in list(self._held.values()))
            for name, value in self._gone.items()
        }

    @property
    def keys(self) -> int:
        """Principals and whatever else is counted now."""
        return sum(len(known.detections.people) for known in list(self._held.values()))

    # ── what was before ─────────────────────────────────────────────────────────────────────────────────────────────

    def _since_ms(self) -> int:
        """When the longest window began: of those that slide, or the day."""
        now_s = self._clock.time_unix_nano() // _SECOND
        return (now_s - max(self._longest_s, now_s % DAY_S + _SLACK_S)) * 1_000

    def _rebuilt(self, partition: int, offset: int) -> Held:
        self.counts["rebuilds"] += 1
        begun = self._clock.monotonic_ns()
        known = Held(Detections(self._rules, self._limits))
        for record in self._history.read(self._topics.firsts, partition, 0, 0, None):
            try:
                known.detections.remember(*unpack_first(record.value))
            except RecordUnreadable:
                self.counts["unreadable"] += 1
        read = 0
        for record in self._history.read(self._topics.signals, partition, None, self._since_ms(), offset):
            self._fold(partition, known, record)
            read += 1
        known.next = offset
        known.detections.flush(
            self._clock.monotonic_ns()
        )  # told before, by whoever had the partition; what grows is told again
        known.detections.met.clear()
        self._held[partition] = known
        self.counts["read_back"] += read
        took_ms = (self._clock.monotonic_ns() - begun) // 1_000_000
        log.info("took over signals[%d] at offset %d: %d records read back in %d ms", partition, offset, read, took_ms)
        return known

    def _catch_up(self, partition: int, known: Held, offset: int) -> None:
        for record in self._history.read(self._topics.signals, partition, known.next, 0, offset):
            self._fold(partition, known, record)
            self.counts["read_back"] += 1
        known.next = offset

    def _fold(self, partition: int, known: Held, record: Record) -> None:
        try:
            signals, places = unpack(record.value)
            known.detections.add(signals, self._clock.time_unix_nano())
            known.detections.arrived(places)
        except RecordUnreadable:
            self.counts["unreadable"] += 1
            log.warning("%s[%d] offset %d can't be read", self._topics.signals, partition, record.offset)
        known.next = max(known.next, record.offset + 1)
