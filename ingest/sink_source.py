"""The topics as the sink reads them: from positions that the store keeps, without a group, and never past a hole.

Of the events' topic each offset is there: nothing is compacted, nothing expires, nobody writes transactions. Where one
is missing, events are lost to us, and to go on in silence would be a trail with a hole that nobody sees: the sink
refuses and says what to do. Alerts are derived and may be compacted: there the newest are enough.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import kafka.errors as errors
from kafka import KafkaConsumer, TopicPartition

from decision.model.errors import KafkaUnavailable, SinkRefused
from ingest.kafka_clients import BOOTSTRAP_MS, consumer, said
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics
from ingest.sink_records import read_values

log = logging.getLogger(__name__)

_FETCH_BYTES = 8 * 1024 * 1024
_PARTITION_BYTES = 256 * 1024
"""Little of each partition at once: they are read side by side, and what one is ahead of the others is a gap until
then. A batch that is larger comes whole."""
_AT_ONCE = 2_048
_METADATA_MS = 10_000
_REMEDY = (
    "make the store again from what is there: airlock rebuild --from kafka; or go on past what is missing, which the "
    "view gaps then shows: --accept-loss"
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What came of one partition: values by consecutive offsets from `first`, unless the topic may have holes. A
    tombstone is empty here: it is no event either."""

    topic: str
    partition: int
    offsets: range | list[int]
    values: list[bytes]

    @property
    def source(self) -> str:
        return source_name(self.topic, self.partition)

    @property
    def position(self) -> int:
        """Where to go on after it."""
        return self.offsets[-1] + 1


def source_name(topic: str, partition: int) -> str:
    """The name of a partition's position in the store."""
    return f"{topic}/{partition}"


@dataclass(slots=True)
class Places:
    """What the store knows: the positions and each topic's id when it was first read."""

    position: Callable[[str], int]
    identity: Callable[[str], str]


@dataclass(slots=True)
class _Open:
    client: KafkaConsumer
    next: dict[TopicPartition, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)


class TopicsSource:
    """Reads the events' and the alerts' topic. Not thread-safe. `open` first, again after KafkaUnavailable."""

    def __init__(self, settings: KafkaSettings, places: Places, *, accept_loss: bool = False) -> None:
        self._settings = settings.demand()
        self._places = places
        self._accept_loss = accept_loss
        self._whole = settings.topics.events
        self._topics = (settings.topics.events, settings.topics.alerts)
        self._now: _Open | None = None
        self.lost = 0
        """Offsets that were passed over, because that was asked for."""
        self.starts: dict[str, int] = {}
        """Where each partition was begun by the last `open`. To be stored together with the topics' ids: the place that
        was reached in a topic of before means another record in one made again."""

    @property
    def is_open(self) -> bool:
        return self._now is not None

    def open(self) -> dict[str, str]:
        """Connect and go to the stored positions. Returns the topics' ids, to be stored with the first batch. Raises
        KafkaUnavailable; TopicRefused, SinkRefused and SettingsError, which no waiting mends."""
        self.close()
        found = ensure_topics(self._settings)
        client = consumer(
            self._settings, auto_offset_reset="none", max_poll_records=_AT_ONCE, fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES, fetch_max_wait_ms=200, metadata_max_age_ms=_METADATA_MS,
        )  # fmt: skip
        now = _Open(client)
        try:
            read_values(client)
            with said(self._settings):
                for topic in self._topics:
                    now.ids[topic] = found.topics[topic].topic_id
                    self._begin(now, topic, found.topics[topic].partitions)
                client.assign(list(now.next))
                for place, offset in now.next.items():
                    client.seek(place, offset)
        except BaseException:
            client.close()
            raise
        self._now = now
        self.starts = {source_name(place.topic, place.partition): offset for place, offset in now.next.items()}
        return dict(now.ids)

    def _begin(self, now: _Open, topic: str, partitions: int) -> None:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        begins, ends = now.client.beginning_offsets(places), now.client.end_offsets(places)
        known = self._places.identity(topic)
        other = bool(known) and known != now.ids[topic]
        for place in places:
            position = 0 if other else self._places.position(source_name(topic, place.partition))
            now.next[place] = self._judged(place, position, begins[place], ends[place], other)

    def _judged(self, place: TopicPartition, position: int, begin: int, end: int, other: bool) -> int:
        """Where to begin. Raises SinkRefused."""
        wrong = ""
        if other:
            wrong = f"the topic {place.topic} was deleted and made again since the store read it"
        elif position > end:
            wrong = (
                f"{place.topic} ends at offset {end} of partition {place.partition}, the store has read to {position}"
            )
            position = begin
        elif position < begin:
            wrong = f"offsets {position} to {begin - 1} of {place.topic}, partition {place.partition}, are gone"
        if wrong and place.topic == self._whole:
            if not self._accept_loss:
                raise SinkRefused(wrong, hint=_REMEDY)
            log.warning("%s: going on at offset %d, as asked for", wrong, max(begin, position))
            self.lost += max(0, begin - position)
        return max(begin, position)

    def poll(self, wait_s: float) -> list[Chunk]:
        """What is there, at most a few thousand records; empty after `wait_s`. Raises KafkaUnavailable, SinkRefused."""
        now = self._now
        if now is None:
            raise KafkaUnavailable("not connected")
        try:
            with said(self._settings):
                found: Mapping[TopicPartition, list[Any]] = now.client.poll(timeout_ms=int(wait_s * 1000))
        except KafkaUnavailable as error:
            if isinstance(error.__cause__, errors.OffsetOutOfRangeError):
                self.open()  # which says what became of the offsets
                return []
            if isinstance(error.__cause__, errors.CorruptRecordError):
                raise SinkRefused(
                    f"a record can't be read: {error.__cause__}",
                    hint="the broker's disk or the way to it is damaged: look at its log; another replica may be whole",
                ) from error
            raise
        return [self._chunk(now, place, records) for place, records in found.items() if records]

    def _chunk(self, now: _Open, place: TopicPartition, records: list[Any]) -> Chunk:
        offsets, values = zip(*records, strict=True)
        expected, last = now.next[place], offsets[-1]
        now.next[place] = last + 1
        if offsets[0] == expected and last - expected + 1 == len(offsets):
            return Chunk(place.topic, place.partition, range(expected, last + 1), [value or b"" for value in values])
        if place.topic == self._whole:
            missing = last - expected + 1 - len(offsets)
            if not self._accept_loss:
                raise SinkRefused(
                    f"{missing} offsets between {expected} and {last} of {place.topic}, partition {place.partition}, "
                    "are missing: the topic was compacted, or someone wrote transactions to it",
                    hint=_REMEDY,
                )
            self.lost += missing
        return Chunk(place.topic, place.partition, list(offsets), [value or b"" for value in values])

    def lags(self) -> dict[tuple[str, int], int]:
        """Records that are there and not read yet, by topic and partition, as far as the last fetch told."""
        now = self._now
        if now is None:
            return {}
        found = {}
        for place, offset in now.next.items():
            end = now.client.highwater(place)
            found[place.topic, place.partition] = max(0, (end or offset) - offset)
        return found

    def position(self, topic: str, partition: int) -> int:
        """The next offset that will be read."""
        assert self._now is not None
        return self._now.next[TopicPartition(topic, partition)]

    def ends(self, timeout_ms: int | None = None) -> dict[tuple[str, int], int]:
        """The end of each partition now. Raises KafkaUnavailable."""
        assert self._now is not None
        with said(self._settings):
            ends = self._now.client.end_offsets(list(self._now.next), timeout_ms=timeout_ms)
        return {(place.topic, place.partition): end for place, end in ends.items()}

    def check(self) -> None:
        """Whether the brokers are there, which `poll` never says, and these are still the topics that were opened.
        Raises SinkRefused; KafkaUnavailable."""
        now = self._now
        if now is None:
            return
        self.ends(BOOTSTRAP_MS)
        for topic, topic_id in now.ids.items():
            known = now.client._cluster.topic_id(topic)  # kafka-python tells it nowhere else
            if known is not None and str(known) != topic_id:
                self.open()
                return

    def close(self) -> None:
        if self._now is not None:
            self._now.client.close()
            self._now = None
