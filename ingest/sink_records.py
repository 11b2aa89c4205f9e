"""Record batches to offsets and values, and nothing else.

kafka-python makes an object with thirteen fields of each record, with its headers read and checked: 13 µs an event,
more than all of the fold. The sink needs the offset and the value; the rest is stepped over by its length, as the
format provides for (https://kafka.apache.org/documentation/#record). The class takes the place of the consumer's own
for reading a fetched partition; fetching, positions, retries and CRCs stay the library's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

_LONGEST = 10


class Value(NamedTuple):
    """`value` is None for a tombstone, and cut after `MOST` bytes, which no event has."""

    offset: int
    value: bytes | None


MOST = 65_536


def read_values(consumer: KafkaConsumer) -> None:
    """From now on `poll` gives `Value`s instead of ConsumerRecords."""
    consumer._fetcher.PartitionRecords = _PartitionValues


class _PartitionValues(Fetcher.PartitionRecords):  # type: ignore[misc]
    def _maybe_skip_record(self, record: Value) -> bool:
        return bool(record.offset < self.fetch_offset)

    def _unpack_records(self, tp: Any, records: Any, *_: Any) -> Iterator[Value]:
        last = None
        batch = records.next_batch()
        while batch is not None:
            last = batch
            if batch.magic != 2:
                raise CorruptRecordError("a batch in a format of before Kafka 0.11")
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"the batch at offset {batch.base_offset} of {tp} fails its CRC")
            self.leader_epoch = batch.leader_epoch
            if not batch.is_control_batch:
                for offset, value in values_of(batch):
                    self.next_fetch_offset = offset + 1
                    yield Value(offset, value)
            self.next_fetch_offset = batch.next_offset
            batch = records.next_batch()
        if last is not None:
            self.next_fetch_offset = last.next_offset
        self.drain()


def values_of(batch: Any) -> Iterator[tuple[int, bytes | None]]:
    """Raises CorruptRecordError."""
    batch._maybe_uncompress()
    buffer, at, base = bytes(batch._buffer), batch._pos, batch.base_offset
    try:
        for _ in range(batch.records_count):
            size, at = _varint(buffer, at)
            end = at + size
            _, place = _varint(buffer, at + 1)  # after the attributes: when, behind the batch's time
            delta, place = _varint(buffer, place)
            key, place = _varint(buffer, place)
            length, place = _varint(buffer, place + key if key > 0 else place)
            if end > len(buffer) or place + max(length, 0) > end or size < 0:
                raise CorruptRecordError(f"the record at offset {base + delta} is longer than its batch")
            yield base + delta, buffer[place : place + min(length, MOST)] if length >= 0 else None
            at = end
    except IndexError as error:
        raise CorruptRecordError(f"the batch at offset {base} ends within a record") from error


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and the place after it."""
    byte = buffer[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value, shift, start = byte & 0x7F, 7, at
    while True:
        at += 1
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + 1
        shift += 7
        if at - start > _LONGEST:
            raise IndexError("no varint")
