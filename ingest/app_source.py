"""The first half of the streams app: events of the partitions that are ours, to signals.

An execution names its session only. Whose it is stands in the session's decisions, which come before it in the same
partition; so a worker that takes a partition over reads a minute back first, and further for an execution that took
longer. In the same way a consent names its approval only, whose request may be in another partition of the events, but
is in the same of the approvals' topic: of that a day is read back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from decision.model.errors import ChainBroken
from ingest.app_events import Event, read_event, signals_of
from ingest.app_history import History, Record
from ingest.detectors import Extraction, Places, Signal
from ingest.detectors.extract import Meaning

log = logging.getLogger(__name__)

BACK_S = 60
APPROVALS_BACK_S = 86_400
FURTHEST_S = 6 * 3_600
_SECOND = 1_000_000_000


_Arrived = dict[str, tuple[int, list[int]]]
"""By producer: the newest time, and the numbers."""


class Partition:
    """`next`: the offset that is expected. `since_s`: sessions are known from then on (UNIX seconds)."""

    __slots__ = ("next", "since_s")

    def __init__(self, next_offset: int, since_s: int) -> None:
        self.next = next_offset
        self.since_s = since_s


class Source:
    """Not thread-safe; blocking, as it may read back. `counts` are totals of this process."""

    def __init__(self, topic: str, history: History, meaning: Meaning, back_s: int = BACK_S) -> None:
        self._topic = topic
        self._back_s = back_s
        self._history = history
        self._extraction = Extraction(meaning)
        self._partitions: dict[int, Partition] = {}
        self.counts = dict.fromkeys(("events", "undecodable", "read_back"), 0)

    @property
    def unattributed(self) -> int:
        """Executions whose session could not be found."""
        return self._extraction.counts["unattributed"]

    def must_read_back(self, partition: int, offset: int) -> bool:
        """Whether `take` will read what lies before."""
        known = self._partitions.get(partition)
        return known is None or offset > known.next

    def take(self, partition: int, records: Sequence[Record]) -> tuple[list[Signal], list[Places]]:
        """What the records of one partition, in order, say. Raises KafkaUnavailable; then nothing was taken.

        A record may come again (its signals are told apart by what reads them).
        """
        signals: list[Signal] = []
        places: _Arrived = {}
        for record in records:
            known = self._partitions.get(partition)
            event = self._read(partition, record)
            if known is None:
                time_s = event.place.time_unix_nano // _SECOND if event else 0
                known = self._read_back(partition, record.offset, time_s - self._back_s)
            if record.offset > known.next:
                self._fill(partition, known, record.offset, signals, places)
            known.next = max(known.next, record.offset + 1)
            if event is not None:
                self._add(partition, known, record.offset, event, signals, places)
        self.counts["events"] += len(records)
        return signals, [Places(producer, newest, tuple(seqs)) for producer, (newest, seqs) in places.items()]

    def position(self, partition: int) -> int | None:
        """The next offset that is expected; None where nothing was read yet."""
        known = self._partitions.get(partition)
        return None if known is None else known.next

    def keep(self, partitions: frozenset[int]) -> None:
        """Forget the partitions that are others' now."""
        for partition in self._partitions.keys() - partitions:
            del self._partitions[partition]

    def _add(
        self, partition: int, known: Partition, offset: int, event: Event, signals: list[Signal], places: _Arrived
    ) -> None:
        signals.extend(self._signals(partition, known, offset, event))
        newest, seqs = places.get(event.place.producer_id, (0, []))
        seqs.append(event.place.seq)
        places[event.place.producer_id] = (max(newest, event.place.time_unix_nano), seqs)

    def _fill(self, partition: int, known: Partition, offset: int, signals: list[Signal], places: _Arrived) -> None:
        """Take what was not delivered to us: it may have been another worker's for a while, which is no harm."""
        for record in self._history.read(self._topic, partition, known.next, 0, offset):
            event = self._read(partition, record)
            known.next = record.offset + 1
            self.counts["read_back"] += 1
            if event is not None:
                self._add(partition, known, record.offset, event, signals, places)

    def _signals(self, partition: int, known: Partition, offset: int, event: Event) -> list[Signal]:
        before = self.unattributed
        signals = signals_of(self._extraction, event)
        if self.unattributed == before:
            return signals
        begun_s = (event.place.time_unix_nano - event.duration_ns) // _SECOND - BACK_S
        if begun_s >= known.since_s or begun_s < known.since_s - FURTHEST_S:
            return signals
        self._read_back(partition, offset, begun_s)
        found = signals_of(self._extraction, event)
        self._extraction.counts["unattributed"] = before + (self.unattributed > before + 1)
        return found

    def _read_back(self, partition: int, offset: int, since_s: int) -> Partition:
        """Learn the sessions from `since_s` (by the records' own time) up to `offset`."""
        log.info("reading %s[%d] back from offset %d for its sessions", self._topic, partition, offset)
        before = self.unattributed
        for record in self._history.read(self._topic, partition, None, max(since_s, 0) * 1_000, offset):
            event = self._read(partition, record, count=False)
            if event is not None:
                signals_of(self._extraction, event)
                self.counts["read_back"] += 1
        self._extraction.counts["unattributed"] = before
        known = self._partitions[partition] = Partition(offset, since_s)
        return known

    def _read(self, partition: int, record: Record, *, count: bool = True) -> Event | None:
        try:
            return read_event(record.value)
        except ChainBroken:
            if count:  # the bytes stay in the topic, and the sink keeps them as a dead letter
                self.counts["undecodable"] += 1
                log.warning("%s[%d] offset %d holds no event", self._topic, partition, record.offset)
            return None
