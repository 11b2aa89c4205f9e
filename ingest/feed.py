"""What comes back to the decision services from Kafka: the approvals topic as a StateFeed, and the counters topic.

A thread of its own reads all partitions from the beginning (no consumer group: every service needs all of it) and hands
what it read to the event loop, at most `MAX_HANDED` batches ahead of who follows. Beside reading, it asks the brokers
every `CHECK_S` how far the partitions reach. Once it has read as far it says so, with the time of the question: then
nothing was missing. While the brokers are away it says nothing, and tries again with growing pauses. Topics that could
lose events (ingest.topics) are never read: that ends the service.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from kafka import KafkaConsumer, TopicPartition

from decision.journal.chain import chain_hash
from decision.journal.codec import EventCodec
from decision.model.errors import AirlockError, ChainBroken, SettingsError, TopicRefused
from decision.model.events import AuditEvent
from decision.model.ports import Clock, FeedBatch
from ingest.board import CounterBoard
from ingest.counters import Counters, CountersUnreadable, decode_counters
from ingest.kafka_clients import consumer, quiet, said
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics

log = logging.getLogger(__name__)

CHECK_S = 0.25
POLL_MS = 100
MAX_RECORDS = 2_000
MAX_HANDED = 16
ANSWER_MS = 2_000
METADATA_MS = 5_000
PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)

T = TypeVar("T")
Refused = Callable[[AirlockError], None]
"""Told once, from a thread, that the topics are not such as may be relied on."""
Decode = Callable[[bytes, int, int], T]
"""Of a record's value, with its partition and offset. Raises ChainBroken or CountersUnreadable."""


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What was read; `complete_ns` as in FeedBatch."""

    records: tuple[T, ...] = ()
    complete_ns: int = 0


class TopicReader(Generic[T]):
    """One topic, read by a thread between `start` and `stop`. `hand` is called in that thread and may block; it returns
    False once nobody follows any more."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        decode: Decode[T],
        clock: Clock,
        hand: Callable[[Read[T]], bool],
        refused: Refused,
    ) -> None:
        self._refused = refused
        self._settings = settings
        self._topic = topic
        self._decode = decode
        self._clock = clock
        self._hand = hand
        self._stopping = threading.Event()
        self._positions: dict[TopicPartition, int] = {}
        self._topic_id: object = None
        self._away = False
        self._thread = threading.Thread(target=self._run, name=f"reads {topic}", daemon=True)

    def start(self) -> None:
        quiet()
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; it does within the time that the brokers may take for an answer."""
        self._stopping.set()

    def _run(self) -> None:
        failures = 0
        if not self._sound():
            return
        while not self._stopping.is_set():
            try:
                with said(self._settings):
                    self._connected()
            except AirlockError as error:
                if not self._away:
                    log.warning("%s can't be read: %s (%s)", self._topic, error.message, error.hint)
            except Exception as error:  # noqa: BLE001 - to stop reading would deny approvals for ever
                # The error's own text may quote a record.
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = type(error).__name__
                log.error("reading %s failed: %s at %s:%s", self._topic, kind, place.filename, place.lineno)
            failures = failures + 1 if self._away else 0
            self._away = True
            self._stopping.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])

    def _sound(self) -> bool:
        """Wait for the brokers, then look at the topics; False where they may not be relied on."""
        while not self._stopping.is_set():
            try:
                ensure_topics(self._settings)
                return True
            except (TopicRefused, SettingsError) as error:
                self._refused(error)
                return False
            except AirlockError as error:
                if not self._away:
                    log.warning("%s can't be read yet: %s (%s)", self._topic, error.message, error.hint)
                self._away = True
            self._stopping.wait(PAUSES_S[2])
        return False

    def _connected(self) -> None:
        """Read until told to stop. Raises what kafka-python raises, KafkaUnavailable and TopicRefused."""
        settings = self._settings
        with (
            closing(consumer(settings, metadata_max_age_ms=METADATA_MS)) as asking,
            closing(consumer(settings, metadata_max_age_ms=METADATA_MS)) as reading,
        ):
            assigned: list[TopicPartition] = []
            ends: dict[TopicPartition, int] = {}
            asked_ns = 0
            while not self._stopping.is_set():
                now = self._clock.monotonic_ns()
                if not ends and now - asked_ns >= CHECK_S * 1e9:
                    places = self._partitions(asking)
                    if places != assigned:
                        self._assign(asking, reading, places)
                        assigned = places
                    asked_ns, ends = now, asking.end_offsets(places, timeout_ms=ANSWER_MS)
                    self._answered(ends)
                if ends and all(self._positions[place] >= end for place, end in ends.items()):
                    ends = {}
                    if not self._hand(Read((), asked_ns)):
                        return
                if not self._read(reading):
                    return

    def _partitions(self, asking: KafkaConsumer) -> list[TopicPartition]:
        numbers = asking.partitions_for_topic(self._topic)
        if not numbers:
            raise TopicRefused(f"there is no topic {self._topic}", hint="airlock kafka topics create")
        return [TopicPartition(self._topic, number) for number in sorted(numbers)]

    def _assign(self, asking: KafkaConsumer, reading: KafkaConsumer, places: list[TopicPartition]) -> None:
        begins = asking.beginning_offsets(places, timeout_ms=ANSWER_MS)
        reading.assign(places)
        for place in places:
            known = self._positions.get(place, 0)
            if begins[place] > known:
                log.error("%d records of %s were deleted before they were read", begins[place] - known, self._topic)
            self._positions[place] = max(known, begins[place])
            reading.seek(place, self._positions[place])

    def _answered(self, ends: dict[TopicPartition, int]) -> None:
        """Raises TopicRefused where the topic ends before what was read from it."""
        if any(self._positions[place] > end for place, end in ends.items()):
            raise self._other_topic("it is shorter than what was read from it")
        if self._away:
            self._away = False
            log.warning("%s is read again", self._topic)

    def _same_topic(self, reading: KafkaConsumer) -> None:
        """Raises TopicRefused where the topic is another one than at first, under the same name."""
        topic_id = reading._cluster.topic_id(self._topic)  # kafka-python tells it nowhere else
        if self._topic_id is not None and topic_id is not None and topic_id != self._topic_id:
            raise self._other_topic("it was deleted and made again")
        self._topic_id = self._topic_id or topic_id

    def _other_topic(self, why: str) -> TopicRefused:
        return TopicRefused(
            f"the topic {self._topic} is not the one that was read: {why}",
            hint="find out why; then restart this service, which reads it anew",
        )

    def _read(self, reading: KafkaConsumer) -> bool:
        """Hand on what comes. False once nobody follows."""
        records: list[T] = []
        polled = reading.poll(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
        self._same_topic(reading)
        for place, some in polled.items():
            for one in some:
                try:
                    records.append(self._decode(one.value or b"", place.partition, one.offset))
                except (ChainBroken, CountersUnreadable) as error:
                    where = self._topic, place.partition, one.offset
                    log.error("%s, partition %d, offset %d: %s", *where, error.message)
            self._positions[place] = some[-1].offset + 1
        return not records or self._hand(Read(tuple(records)))


class _Handover(Generic[T]):
    """From a thread to one follower on the event loop, with room for `MAX_HANDED`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[T] = asyncio.Queue()
        self._room = threading.Semaphore(MAX_HANDED)
        self._closed = False

    def give(self, one: T) -> bool:
        while not self._room.acquire(timeout=0.5):
            if self._closed:
                return False
        try:
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, one)
        except RuntimeError:  # the loop has ended
            return False
        return not self._closed

    async def take(self) -> T:
        one = await self._waiting.get()
        self._room.release()
        return one

    def close(self) -> None:
        self._closed = True


async def follow_topic(
    settings: KafkaSettings, topic: str, decode: Decode[T], clock: Clock, refused: Refused
) -> AsyncIterator[Read[T]]:
    """All records of `topic` that can be decoded, from the first one on, for ever."""
    handover: _Handover[Read[T]] = _Handover()
    reader = TopicReader(settings, topic, decode, clock, handover.give, refused)
    reader.start()
    try:
        while True:
            yield await handover.take()
    finally:
        reader.stop()
        handover.close()


class ApprovalsFeed:
    """The approvals topic as a StateFeed."""

    def __init__(self, settings: KafkaSettings, codec: EventCodec, clock: Clock, refused: Refused) -> None:
        self._settings = settings
        self._codec = codec
        self._clock = clock
        self._refused = refused

    async def follow(self) -> AsyncIterator[FeedBatch]:
        topic = self._settings.topics.approvals
        async for read in follow_topic(self._settings, topic, self._decode, self._clock, self._refused):
            yield FeedBatch(read.records, read.complete_ns)

    def _decode(self, raw: bytes, partition: int, offset: int) -> tuple[AuditEvent, int, int]:
        draft, producer_id, epoch, seq, prev_hash = self._codec.decode(raw)
        event = AuditEvent(draft, producer_id, epoch, seq, prev_hash, chain_hash(prev_hash, seq, raw), raw)
        return event, partition, offset


async def follow_counters(settings: KafkaSettings, board: CounterBoard, clock: Clock, refused: Refused) -> None:
    """Keep `board` at what the counters topic says, until cancelled."""
    async for read in follow_topic(settings, settings.topics.counters, _counters, clock, refused):
        board.take(read.records)
        if read.complete_ns:
            board.complete(read.complete_ns)


def _counters(raw: bytes, partition: int, offset: int) -> Counters:
    return decode_counters(raw)
