"""Reading back: what a worker that takes a partition over must know of it, read by a consumer of its own.

Faust never seeks (records fetched ahead would move the position); the partition's own offsets say what is missing, and
this reads exactly that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kafka import TopicPartition

from decision.model.errors import KafkaUnavailable
from ingest.kafka_clients import consumer, said
from ingest.kafka_settings import KafkaSettings

_POLL_MS = 500
_EMPTY_POLLS = 120


class Record(NamedTuple):
    offset: int
    value: bytes


class History:
    """Used from one thread at a time; each reading opens and closes its own connection."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def read(self, topic: str, partition: int, begin: int | None, since_ms: int, end: int | None) -> Iterator[Record]:
        """The records before the offset `end` (None: all there are now), from the offset `begin`, or where that is
        None from the first one that was written at or after `since_ms`. What the topic no longer holds is left out.
        Raises KafkaUnavailable."""
        place = TopicPartition(topic, partition)
        with said(self._settings):
            reader = consumer(self._settings, max_poll_records=2_000, fetch_max_bytes=8 * 1024 * 1024)
            try:
                reader.assign([place])
                last = reader.end_offsets([place])[place]
                last = last if end is None else min(end, last)
                first = reader.beginning_offsets([place])[place]
                if begin is not None:
                    first = max(first, begin)
                elif since_ms > 0:
                    found = reader.offsets_for_times({place: since_ms})[place]
                    first = last if found is None else found.offset
                reader.seek(place, first)
                yield from self._between(reader, place, last)
            finally:
                reader.close()

    def _between(self, reader: object, place: TopicPartition, last: int) -> Iterator[Record]:
        empty = 0
        while reader.position(place) < last:  # type: ignore[attr-defined]
            polled = reader.poll(timeout_ms=_POLL_MS)  # type: ignore[attr-defined]
            empty = 0 if polled else empty + 1
            if empty > _EMPTY_POLLS:
                raise KafkaUnavailable(f"{place.topic}[{place.partition}] gives nothing", hint="is a broker away?")
            for record in polled.get(place, ()):
                if record.offset >= last:
                    return
                yield Record(record.offset, record.value or b"")
