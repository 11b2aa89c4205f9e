"""The records between the two halves of the streams app: topics, partitions and the form of their values.

Signals lie in `<prefix>.signals.v1` by principal: the partition follows from the key that is counted, so that all of a
principal's windows are in one place whatever partitions its sessions are in. A record holds the signals of one batch
that go to one partition: hundreds of them cost the broker and the reader what one would. It is written and read by the
same program only, as JSON arrays with a version in front, in an LZ4 frame.

`<prefix>.firsts.v1` (compacted) holds the first time of each principal with each sensitive table: what no window is
long enough for. Its partitions are those of the signals.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import lz4.frame
import orjson

from decision.model.errors import AirlockError
from ingest.detectors import Places, Signal
from ingest.detectors.signals import PRODUCER, Key
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics

_FORM = 1
_MOST_SIGNALS = 512


class RecordUnreadable(AirlockError):
    """A record of ours that this version can't read."""

    code = "record_unreadable"


class StreamTopics(NamedTuple):
    """The two topics that only this app uses."""

    signals: str
    firsts: str
    partitions: int

    def partition(self, key: Key) -> int:
        return _hash(key) % self.partitions


@lru_cache(65_536)
def _hash(key: Key) -> int:
    return zlib.crc32(orjson.dumps(key))


def ensure_stream_topics(settings: KafkaSettings) -> StreamTopics:
    """Make them where they are missing and that is allowed. Raises KafkaUnavailable, TopicRefused."""
    names = settings.topics.workers
    found = ensure_topics(settings, names).topics
    # Added partitions move keys to others: what is known of them stays where it was until the windows are over.
    return StreamTopics(*names, min(found[name].partitions for name in names))


# ── signals ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Packed(NamedTuple):
    """A record to send."""

    partition: int
    value: bytes


def pack(topics: StreamTopics, signals: Iterable[Signal], places: Iterable[Places]) -> Iterator[Packed]:
    """The records that carry them, at most a few for each partition."""
    by: dict[int, tuple[list[tuple[object, ...]], list[tuple[object, ...]]]] = {}
    for signal in signals:
        by.setdefault(topics.partition(signal[:2]), ([], []))[0].append(tuple(signal))
    for one in places:
        by.setdefault(topics.partition((PRODUCER, one.producer_id)), ([], []))[1].append(tuple(one))
    for partition, (some, arrived) in by.items():
        for start in range(0, max(len(some), 1), _MOST_SIGNALS):
            part = some[start : start + _MOST_SIGNALS]
            document = orjson.dumps([_FORM, part, arrived if start == 0 else []])
            yield Packed(partition, lz4.frame.compress(document))


def unpack(value: bytes) -> tuple[Sequence[Signal], Sequence[Places]]:
    """Raises RecordUnreadable."""
    try:
        form, signals, places = orjson.loads(lz4.frame.decompress(value))
        if form != _FORM:
            raise RecordUnreadable(f"a record of signals has the form {form}, this version reads {_FORM}")
        return [Signal._make(one) for one in signals], [Places._make(one) for one in places]
    except (ValueError, TypeError, RuntimeError, EOFError) as error:
        raise RecordUnreadable("a record of signals is no such record") from error


# ── first times ─────────────────────────────────────────────────────────────────────────────────────────────────────

Met = tuple[Key, str, str, int]
"""Who, the measure, the item, and the first time in UNIX nanoseconds."""


def pack_first(met: Met) -> tuple[bytes, bytes]:
    """(key, value)"""
    (issuer, subject), measure, item, time = met
    return orjson.dumps([issuer, subject, measure, item]), orjson.dumps([_FORM, issuer, subject, measure, item, time])


def unpack_first(value: bytes) -> Met:
    """Raises RecordUnreadable."""
    try:
        document: Any = orjson.loads(value)
        form, issuer, subject, measure, item, time = document
        if form != _FORM:
            raise RecordUnreadable(f"a first time has the form {form}, this version reads {_FORM}")
        return (str(issuer), str(subject)), str(measure), str(item), int(time)
    except (ValueError, TypeError) as error:
        raise RecordUnreadable("a record of a first time is no such record") from error
