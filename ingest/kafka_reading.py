"""Reading topics of a broker from end to end, to export or to check them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kafka import KafkaConsumer, TopicPartition

from decision.model.errors import KafkaUnavailable, TopicRefused
from ingest.kafka_clients import consumer, said
from ingest.kafka_export import Export, Record, Span
from ingest.kafka_settings import KafkaSettings

_POLL_MS = 1_000
_PATIENCE = 30
"""So many polls without a record, while some must be there, and the broker is taken for gone."""
_RECORDS = 4_000


def topic_records(settings: KafkaSettings, topics: Sequence[str]) -> Export:
    """Everything that `topics` hold now, partition by partition in the order of offsets: what comes later is not read.

    The connection lives as long as its records are taken. Raises KafkaUnavailable, TopicRefused, SettingsError, then
    and while records are taken.
    """
    with said(settings):
        client = consumer(settings, max_poll_records=_RECORDS)
        spans = {topic: _spans(client, topic) for topic in topics}
    return Export(spans, _records(settings, client, spans))


def one_record(settings: KafkaSettings, topic: str, partition: int, offset: int) -> Record | None:
    """The record there, None where there is none. Raises as `topic_records` does."""
    with said(settings):
        client = consumer(settings)
        found = _records(settings, client, {topic: {partition: Span(offset, offset + 1)}})
        return next(found, None)


def _spans(client: KafkaConsumer, topic: str) -> dict[int, Span]:
    partitions = client.partitions_for_topic(topic)
    if not partitions:
        raise TopicRefused(f"there is no topic {topic}", hint="airlock kafka topics create")
    places = [TopicPartition(topic, number) for number in sorted(partitions)]
    begins, ends = client.beginning_offsets(places), client.end_offsets(places)
    return {place.partition: Span(begins[place], ends[place]) for place in places}


def _records(settings: KafkaSettings, client: KafkaConsumer, spans: dict[str, dict[int, Span]]) -> Iterator[Record]:
    try:
        for topic, parts in spans.items():
            for partition, (begin, end) in sorted(parts.items()):
                with said(settings):
                    yield from _partition(client, TopicPartition(topic, partition), begin, end)
    finally:
        client.close()


def _partition(client: KafkaConsumer, place: TopicPartition, begin: int, end: int) -> Iterator[Record]:
    if begin >= end:
        return
    client.assign([place])
    client.seek(place, begin)
    idle, reached = 0, begin
    while reached < end:
        batch = client.poll(timeout_ms=_POLL_MS).get(place, [])
        idle = 0 if batch else idle + 1
        if idle >= _PATIENCE:
            raise KafkaUnavailable(
                f"partition {place.partition} of {place.topic} gives nothing from offset {reached} on",
                hint="airlock kafka check looks closer",
            )
        for found in batch:
            if found.offset >= end:
                return
            reached = found.offset + 1
            yield Record(place.topic, place.partition, found.offset, found.timestamp, found.key, found.value)
