"""The log of the events topic (the distributed form): events become leaves in the order in which they were read.

The partitions are read by a consumer without a group: where to go on is what state.json says, of each partition the
offset after the last event taken. Offsets of the topic are contiguous, so a hole is something that was deleted before
the log had it: that is no log of everything any more, and it stands still until a person has looked.

The log's own checkpoints come back among the events. One that this folder does not know was signed after the copy from
which it was restored: it stands still, too. So that it has seen them, nothing is signed after a start before all is
read that was there at the start.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from decision.journal.codec import EventCodec
from decision.journal.log_keys import KEY_FILE, Random
from decision.journal.log_settings import LogSettings
from decision.journal.tiles import FOLDER, MAX_ENTRY
from decision.model.errors import ChainBroken, LogDamaged
from decision.model.events import CheckpointSigned
from decision.model.ports import Clock
from decision.wire.events import ProtobufEventCodec
from ingest.kafka_clients import BOOTSTRAP_MS, IDLE_S, consumer, said
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics
from ingest.sequencer import Leaf, Sequencer, is_checkpoint
from ingest.sequencer_outside import outside_of

log = logging.getLogger(__name__)

BATCH = 4_096
POLL_MS = 200
FETCH_BYTES = 4 * 1024 * 1024


class KafkaKeeper:
    """Feeds a sequencer from the events topic. Raises KafkaUnavailable, LogDamaged, and what the sequencer raises."""

    poll_s = 0.0

    def __init__(
        self,
        sequencer: Sequencer,
        reading: KafkaConsumer,
        settings: KafkaSettings,
        partitions: int,
        codec: EventCodec,
        clock: Clock,
        idle_s: float = IDLE_S,
    ) -> None:
        self.sequencer = sequencer
        self._reading = reading
        self._settings = settings
        self._codec = codec
        self._clock = clock
        self._idle_ns = int(idle_s * 1e9)
        self._heard_at = clock.monotonic_ns()
        self._topic = settings.topics.events
        self._next = {
            TopicPartition(self._topic, number): sequencer.positions.get(self._position(number), 0)
            for number in range(partitions)
        }
        self.behind = 0
        self._unread: dict[TopicPartition, int] = {}  # what was there at the start
        with said(settings):
            self._assign()

    def step(self) -> bool:
        """Take the next batch, publish if it is due."""
        more = self._take(POLL_MS)
        if self.sequencer.due() and self._caught_up():
            self.sequencer.publish()
        return more

    def finish(self) -> None:
        """What was read is published; what is still in Kafka comes at the next start."""
        if self.sequencer.pending and self._caught_up():
            self.sequencer.publish()
        elif self.sequencer.pending:
            self.sequencer.commit()

    def _caught_up(self) -> bool:
        """Whether all is read that was there at the start."""
        if self._unread:
            self._unread = {place: end for place, end in self._unread.items() if self._next[place] < end}
        return not self._unread

    def close(self) -> None:
        self.sequencer.close()
        self._reading.close(autocommit=False, timeout_ms=1_000)

    def _assign(self) -> None:
        """Go on where we were, if that is still there."""
        wanted = list(self._next)
        self._reading.assign(wanted)
        first, last = self._reading.beginning_offsets(wanted), self._reading.end_offsets(wanted)
        for partition, offset in self._next.items():
            if offset > last[partition]:
                raise LogDamaged(
                    f"partition {partition.partition} of {self._topic} ends at {last[partition]}, and the log has read "
                    f"up to {offset}: its end was lost",
                    hint="what was lost is in the log's entries; find out what happened to the brokers",
                )
            self._not_deleted(partition, offset, first[partition])
            self._reading.seek(partition, offset)
        self._unread = {partition: end for partition, end in last.items() if self._next[partition] < end}

    def _not_deleted(self, partition: TopicPartition, wanted: int, found: int) -> None:
        if found > wanted:
            raise LogDamaged(
                f"offsets {wanted} to {found - 1} of partition {partition.partition} of {self._topic} were deleted "
                "before the log had them",
                hint="the relays' journals may still hold these events; the topic must keep everything "
                "(airlock kafka check)",
            )

    def _take(self, timeout_ms: int) -> bool:
        with said(self._settings):
            found: Mapping[TopicPartition, Sequence[Any]] = self._reading.poll(timeout_ms, max_records=BATCH)
        if not found:
            self._demand_brokers()
            return False
        self._heard_at = self._clock.monotonic_ns()
        for partition in sorted(found):
            records = found[partition]
            leaves = list(self._leaves(partition, records))
            self._next[partition] = records[-1].offset + 1
            self.sequencer.take(leaves, {self._position(partition.partition): self._next[partition]})
        marks = ((self._reading.highwater(partition) or 0, place) for partition, place in self._next.items())
        self.behind = sum(max(0, mark - place) for mark, place in marks)
        return True

    def _demand_brokers(self) -> None:
        """Ask whether they are there when nothing came for a while: `poll` says nothing of that. Raises
        KafkaUnavailable."""
        if self._clock.monotonic_ns() - self._heard_at < self._idle_ns:
            return
        with said(self._settings):
            self._reading.end_offsets(list(self._next), timeout_ms=BOOTSTRAP_MS)
        self._heard_at = self._clock.monotonic_ns()

    def _leaves(self, partition: TopicPartition, records: Sequence[Any]) -> Iterator[Leaf]:
        expected = self._next[partition]
        for record in records:
            self._not_deleted(partition, expected, record.offset)
            if record.offset < expected:
                raise LogDamaged(
                    f"partition {partition.partition} of {self._topic} began again: the topic was replaced"
                )
            expected += 1
            try:
                raw = bytes(record.value or b"")
                producer_id, epoch, seq, _ = self._codec.place_of(raw)
                if not producer_id or seq < 1 or len(raw) > MAX_ENTRY:
                    raise ChainBroken("an event without a place in any chain")
            except ChainBroken as error:
                log.error("record %d of %s/%d is no leaf: %s", record.offset, *partition, error.message)
                continue
            if is_checkpoint(raw):
                self._recognise(raw)
            yield Leaf(producer_id, epoch, seq, raw)

    def _recognise(self, raw: bytes) -> None:
        with contextlib.suppress(ChainBroken):
            claim = self._codec.decode(raw)[0].payload
            if isinstance(claim, CheckpointSigned):
                self.sequencer.recognise(claim)

    def _position(self, partition: int) -> str:
        return f"{self._topic}/{partition}"


def open_keeper(
    data_dir: Path,
    kafka: KafkaSettings,
    settings: LogSettings,
    clock: Clock,
    random: Random,
    idle_s: float = IDLE_S,
) -> KafkaKeeper:
    """The keeper of the log in `data_dir` of Kafka's events. A topic that was deleted and made again is another one.
    `idle_s`: how often it asks whether the brokers are there, while nothing comes."""
    topic = ensure_topics(kafka).topics[kafka.topics.events]
    source = f"{topic.name} {topic.topic_id}"
    outside = outside_of(settings)
    sequencer = Sequencer(data_dir / FOLDER, data_dir / KEY_FILE, source, settings, clock, random, outside)
    try:
        reading = consumer(kafka, max_poll_records=BATCH, max_partition_fetch_bytes=FETCH_BYTES)
        try:
            return KafkaKeeper(sequencer, reading, kafka, topic.partitions, ProtobufEventCodec(), clock, idle_s)
        except BaseException:
            reading.close(autocommit=False, timeout_ms=1_000)
            raise
    except BaseException:
        sequencer.close()
        raise
