"""One file that holds what a Kafka topic holds: to be checked offline, kept as evidence, given to somebody.

    AIRLOCK-KAFKA-EXPORT 1\\n
    length  header     JSON: {"topics": [{"name": …, "partitions": [[partition, begin, end], …]}, …]}
    length  record     topic's place in the header (2 bytes), partition (4), offset (8), timestamp in ms since 1970 (8),
                       key's length (4), key, value's length (4), value
    …
    0                  the end

All numbers are big-endian; a length has 4 bytes and doesn't count itself; a key's or value's length is -1 for null.
`begin` is a partition's first offset that the broker still had when the export began, `end` the one behind the last
that the file holds. Records stand partition by partition, in order of their offsets. Values are the exact bytes of the
events.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from decision.model.errors import AirlockError

MAGIC = b"AIRLOCK-KAFKA-EXPORT 1\n"
_LENGTH = struct.Struct(">I")
_FIXED = struct.Struct(">HIQqi")
_VALUE = struct.Struct(">i")
_LARGEST = 64 * 1024 * 1024
_CHUNK = 1024 * 1024


class ExportDamaged(AirlockError):
    """The file is no export, or no longer the whole of one. `record` is the number of the first that can't be read
    (from 0), `cut` whether the file just ends there."""

    code = "kafka_export_damaged"

    def __init__(self, message: str, *, record: int = 0, cut: bool = False) -> None:
        super().__init__(message, hint="make it again with `airlock kafka export`, or keep it as evidence")
        self.record = record
        self.cut = cut


class Span(NamedTuple):
    """The offsets of a partition that were exported: from `begin` to before `end`."""

    begin: int
    end: int


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


Spans = Mapping[str, Mapping[int, Span]]
"""By topic and partition."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is being read: `records` may be taken once."""

    spans: Spans
    records: Iterator[Record]

    @property
    def total(self) -> int:
        return sum(span.end - span.begin for spans in self.spans.values() for span in spans.values())


def write_export(file: BinaryIO, spans: Spans, records: Iterable[Record]) -> int:
    """Write all `records`; how many. Raises OSError; ValueError for a record of a topic that `spans` doesn't name."""
    topics = {name: number for number, name in enumerate(spans)}
    header = {
        "topics": [
            {"name": name, "partitions": [[number, *span] for number, span in sorted(parts.items())]}
            for name, parts in spans.items()
        ]
    }
    file.write(MAGIC)
    file.write(_sized(json.dumps(header).encode()))
    count = 0
    for record in records:
        if record.topic not in topics:
            raise ValueError(f"the export is not of topic {record.topic!r}")
        key = b"" if record.key is None else record.key
        size = -1 if record.key is None else len(key)
        value = b"" if record.value is None else record.value
        fixed = _FIXED.pack(topics[record.topic], record.partition, record.offset, record.timestamp_ms, size)
        file.write(_sized(b"%b%b%b%b" % (fixed, key, _VALUE.pack(-1 if record.value is None else len(value)), value)))
        count += 1
    file.write(_LENGTH.pack(0))
    return count


def _sized(body: bytes) -> bytes:
    return _LENGTH.pack(len(body)) + body


def read_export(file: BinaryIO) -> Export:
    """The header at once, the records as they are taken. Raises ExportDamaged, then and later."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ExportDamaged("this is no Kafka export of Airlock")
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size).ljust(_LENGTH.size, b"\xff"))
    header = file.read(length) if length <= _LARGEST else b""
    try:
        topics = json.loads(header)["topics"]
        spans = {
            str(topic["name"]): {int(number): Span(int(begin), int(end)) for number, begin, end in topic["partitions"]}
            for topic in topics
        }
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ExportDamaged("the export's header can't be read") from error
    return Export(spans, _records(file, list(spans)))


def _records(file: BinaryIO, topics: Sequence[str]) -> Iterator[Record]:
    held, number = b"", 0
    while True:
        position, size = 0, len(held)
        while size - position >= _LENGTH.size:
            start = position + _LENGTH.size
            end = start + _LENGTH.unpack_from(held, position)[0]
            if end == start:
                if start != size or file.read(1):
                    raise ExportDamaged("the export goes on behind its end", record=number)
                return
            if end > size:
                if end - start > _LARGEST:
                    raise ExportDamaged("a record of the export has no possible length", record=number)
                break
            try:
                yield _record(held, start, end, topics)
            except (struct.error, ValueError, IndexError) as error:
                raise ExportDamaged("a record of the export can't be read", record=number) from error
            number += 1
            position = end
        more = file.read(_CHUNK)
        if not more:
            raise ExportDamaged("the export ends in the middle", record=number, cut=True)
        held = held[position:] + more


def _record(held: bytes, start: int, end: int, topics: Sequence[str]) -> Record:
    topic, partition, offset, timestamp, key_size = _FIXED.unpack_from(held, start)
    key_start = start + _FIXED.size
    key_end = key_start + key_size if key_size > 0 else key_start
    value_start = key_end + _VALUE.size
    if value_start > end or key_size < -1:
        raise ValueError("the key is longer than the record")
    (value_size,) = _VALUE.unpack_from(held, key_end)
    if value_start + max(value_size, 0) != end or value_size < -1:
        raise ValueError("the lengths do not add up")
    key = None if key_size == -1 else held[key_start:key_end]
    value = None if value_size == -1 else held[value_start:end]
    return Record(topics[topic], partition, offset, timestamp, key, value)
