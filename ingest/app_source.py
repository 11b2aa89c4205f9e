"""The first half of the streams app: events of the partitions that are ours, to signals.

An execution names its session only. Whose it is stands in the session's decisions, which come before it in the same
partition; so a worker that takes a partition over reads a minute back first, and further for an execution that took
longer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from decision.model.errors import ChainBroken
from decision.model.events import AuditEvent, EventDraft, StatementExecuted
from decision.wire.events import ProtobufEventCodec
from ingest.app_history import History, Record
from ingest.detectors import Extraction, Places, Signal
from ingest.detectors.extract import Meaning

log = logging.getLogger(__name__)

BACK_S = 60
FURTHEST_S = 6 * 3_600
_SECOND = 1_000_000_000
_CODEC = ProtobufEventCodec()

Draft = tuple[EventDraft, str, int, int, bytes]


class Partition:
    """`next`: the offset that is expected. `since_s`: sessions are known from then on (UNIX seconds)."""

    __slots__ = ("next", "since_s")

    def __init__(self, next_offset: int, since_s: int) -> None:
        self.next = next_offset
        self.since_s = since_s


class Source:
    """Not thread-safe; blocking, as it may read back. `counts` are totals of this process."""

    def __init__(self, topic: str, history: History, meaning: Meaning) -> None:
        self._topic = topic
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
        places: dict[str, tuple[int, list[int]]] = {}
        for record in records:
            known = self._partitions.get(partition)
            drafted = self._decoded(partition, record)
            if known is None or record.offset > known.next:
                time_s = (drafted[0].time_unix_nano // _SECOND) if drafted else 0
                known = self._read_back(partition, record.offset, time_s - BACK_S)
            known.next = max(known.next, record.offset + 1)
            if drafted is None:
                continue
            draft, producer_id, epoch, seq, prev_hash = drafted
            event = AuditEvent(draft, producer_id, epoch, seq, prev_hash, b"")
            signals.extend(self._signals(partition, known, record.offset, event))
            newest, seqs = places.get(producer_id, (0, []))
            seqs.append(seq)
            places[producer_id] = (max(newest, draft.time_unix_nano), seqs)
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

    def _signals(self, partition: int, known: Partition, offset: int, event: AuditEvent) -> list[Signal]:
        before = self.unattributed
        signals = self._extraction.signals(event)
        if self.unattributed == before:
            return signals
        assert isinstance(event.payload, StatementExecuted)
        begun_s = (event.draft.time_unix_nano - event.payload.duration_ns) // _SECOND - BACK_S
        if begun_s >= known.since_s or begun_s < known.since_s - FURTHEST_S:
            return signals
        self._read_back(partition, offset, begun_s)
        found = self._extraction.signals(event)
        self._extraction.counts["unattributed"] = before + (self.unattributed > before + 1)
        return found

    def _read_back(self, partition: int, offset: int, since_s: int) -> Partition:
        """Learn the sessions from `since_s` (by the records' own time) up to `offset`."""
        log.info("reading %s[%d] back from offset %d for its sessions", self._topic, partition, offset)
        before = self.unattributed
        for record in self._history.read(self._topic, partition, None, max(since_s, 0) * 1_000, offset):
            drafted = self._decoded(partition, record, count=False)
            if drafted is not None:
                draft, producer_id, epoch, seq, prev_hash = drafted
                self._extraction.signals(AuditEvent(draft, producer_id, epoch, seq, prev_hash, b""))
                self.counts["read_back"] += 1
        self._extraction.counts["unattributed"] = before
        known = self._partitions[partition] = Partition(offset, since_s)
        return known

    def _decoded(self, partition: int, record: Record, *, count: bool = True) -> Draft | None:
        try:
            return _CODEC.decode(record.value)
        except ChainBroken:
            if count:  # the bytes stay in the topic, and the sink keeps them as a dead letter
                self.counts["undecodable"] += 1
                log.warning("%s[%d] offset %d holds no event", self._topic, partition, record.offset)
            return None
