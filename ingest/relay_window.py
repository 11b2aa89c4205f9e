"""What of a journal is on its way to Kafka: sent, not yet acknowledged. Bounded in events and bytes.

Chunks (whole batches of the journal) are sent one after the other and settled in the same order: the cursor moves to a
chunk's end when every record of it was acknowledged. kafka-python keeps the order within a partition; which partition
is the default partitioner's choice, remembered per key, because in Python its hash costs as much as the sending.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import kafka.errors as errors
from kafka import KafkaProducer
from kafka.partitioner.default import murmur2

from decision.journal.reader import RawBatch
from decision.model.errors import RelayRefused
from ingest.kafka_settings import KafkaSettings
from ingest.relay_records import RecordMaker

_MOST_KEYS = 50_000


class Chunk:
    """Batches sent together. `approvals` of its records went to the approvals' topic too."""

    __slots__ = ("approvals", "bytes", "events", "first_time", "futures", "last_seq", "seal", "settled")

    def __init__(self) -> None:
        self.futures: list[Any] = []
        self.settled = 0
        self.events = 0
        self.bytes = 0
        self.approvals = 0
        self.first_time = 0
        self.last_seq = 0
        self.seal = b""


class Partitions:
    """Key to partition, as Kafka's default partitioner has it."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._known: dict[bytes, int] = {}

    def of(self, key: bytes) -> int:
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KEYS:
                self._known.clear()
            found = self._known[key] = (murmur2(key) & 0x7FFFFFFF) % self._count
        return found


class Window:
    """Sends what follows `seq`, whose chain value is `seal`. Not thread-safe."""

    def __init__(
        self, producer: KafkaProducer, settings: KafkaSettings, maker: RecordMaker, seq: int, seal: bytes
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._make = maker.make
        self._events = Partitions(settings.partitions)
        self._approvals = Partitions(settings.partitions)
        self._chunks: deque[Chunk] = deque()
        self.seq = seq
        self._seal = seal
        self.events = 0
        self.bytes = 0

    def __bool__(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._chunks)

    @property
    def room_events(self) -> int:
        return max(0, self._settings.relay_events - self.events)

    @property
    def room_bytes(self) -> int:
        return max(0, self._settings.relay_bytes - self.bytes)

    @property
    def oldest_time(self) -> int:
        """Of the oldest event on its way; 0 if there is none."""
        return self._chunks[0].first_time if self._chunks else 0

    def send(self, batches: Sequence[RawBatch]) -> None:
        """Hand the batches to the producer. Raises RelayRefused where they don't continue what was sent before, and
        what kafka-python raises where it does not take them."""
        chunk = Chunk()
        self._chunks.append(chunk)
        for batch in batches:
            if batch.first_seq != self.seq + 1:
                raise RelayRefused(
                    f"events {self.seq + 1} to {batch.first_seq - 1} are missing from the journal",
                    hint="airlock verify says more",
                )
            self._send(batch, chunk)
            self.seq = chunk.last_seq = batch.last_seq
            self._seal = chunk.seal = batch.seal
        self.events += chunk.events
        self.bytes += chunk.bytes

    def _send(self, batch: RawBatch, chunk: Chunk) -> None:
        send, make, partition = self._producer.send, self._make, self._events.of
        topics = self._settings.topics
        events, sent, first = topics.events, chunk.futures, True
        for raw in batch.raws:
            record = make(raw)
            if first:
                first = False
                chunk.first_time = chunk.first_time or record.time_unix_nano
                if record.prev_hash and record.prev_hash != self._seal:
                    raise RelayRefused(
                        f"event {batch.first_seq} of the journal does not continue the one relayed before it",
                        hint="airlock verify says more",
                    )
            millis = record.time_unix_nano // 1_000_000 or None
            sent.append(send(events, raw, record.key, record.headers, partition(record.key), millis))
            if record.approval_key:
                key = record.approval_key
                sent.append(send(topics.approvals, raw, key, record.headers, self._approvals.of(key), millis))
                chunk.approvals += 1
            chunk.bytes += len(raw)
        chunk.events += len(batch.raws)

    def push(self, wait_s: float) -> None:
        """Have all that was sent leave at once, and wait at most `wait_s` for its acknowledgement: nothing more is
        there to fill its batches."""
        with contextlib.suppress(errors.KafkaTimeoutError):
            self._producer.flush(timeout=wait_s)

    def settle(self, wait_s: float) -> list[Chunk]:
        """The chunks that were wholly acknowledged, in their order; waits at most `wait_s` for the first that is not.
        Raises what kafka-python says of a record that it gave up."""
        done: list[Chunk] = []
        while self._chunks:
            chunk = self._chunks[0]
            if not _settled(chunk, 0.0 if done else wait_s):
                break
            self._chunks.popleft()
            self.events -= chunk.events
            self.bytes -= chunk.bytes
            done.append(chunk)
        return done


def _settled(chunk: Chunk, wait_s: float) -> bool:
    futures, place = chunk.futures, chunk.settled
    while place < len(futures):
        future = futures[place]
        if not future.is_done:
            chunk.settled = place
            if wait_s <= 0:
                return False
            try:
                future.get(wait_s)
            except errors.KafkaTimeoutError:
                if not future.is_done:
                    return False
            wait_s = 0.0
        if future.exception is not None:
            raise future.exception
        place += 1
    chunk.settled = place
    return True
