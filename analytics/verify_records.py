"""The records of a topic of events, from an export or straight from a broker.

What a topic claims: offsets without holes (no transactions, no compaction, nothing deleted), each producer's events in
one partition in the order of their numbers, and nothing else between them. Events may be there more than once, as
delivery is at least once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from analytics.verify_entries import Entries, Fetch, Look, Progress, Recent, Report, choose, named
from analytics.verify_ledger import Ledger
from decision.journal.codec import EventCodec
from decision.journal.verify_core import Finding, Place, Tampering

_STEP = 2_048


class TopicRecord(Protocol):
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(slots=True)
class _Offsets:
    """What was seen of each partition against what must be there."""

    spans: Mapping[int, tuple[int, int]]
    expected: dict[int, int]
    finding: Finding | None = None

    def see(self, partition: int, offset: int) -> None:
        wanted = self.expected.get(partition)
        self.expected[partition] = offset + 1
        if offset == wanted or self.finding is not None:
            return
        place = Place(partition, offset)
        if wanted is None:
            self.finding = Finding(Tampering.INSERTED, "the partition is none of the topic's", place=place)
        elif offset > wanted:
            place = Place(partition, wanted)
            self.finding = Finding(Tampering.DROPPED, f"the records before offset {offset} are missing", place=place)
        else:
            self.finding = Finding(Tampering.REORDERED, f"the record stands behind offset {wanted - 1}", place=place)

    def end(self) -> Finding | None:
        for partition, (begin, end) in sorted(self.spans.items()):
            reached = self.expected[partition]
            if self.finding is None and begin > 0:
                message = f"the topic no longer has the records before offset {begin}"
                self.finding = Finding(Tampering.DROPPED, message, place=Place(partition, 0))
            if self.finding is None and reached < end:
                message = f"the records up to offset {end - 1} are missing"
                self.finding = Finding(Tampering.TRUNCATED, message, place=Place(partition, reached))
        return self.finding


def check_records(
    ledger: Ledger,
    store: str,
    where: str,
    spans: Mapping[int, tuple[int, int]],
    records: Iterable[TopicRecord],
    codec: EventCodec,
    fetch: Fetch,
    progress: Progress | None = None,
    look: Look | None = None,
) -> Report:
    """Check the records of one topic, of which `spans` gives (first offset, offset behind the last) by partition.

    `fetch` gives the record at (partition, offset) once more. What `records` raises goes to the caller.
    """
    entries = Entries(ledger, store, codec)
    offsets = _Offsets(spans, {partition: begin for partition, (begin, _) in spans.items()})
    total = sum(end - begin for begin, end in spans.values())
    seen, empty = 0, None
    held: tuple[int, list[bytes], list[int]] = (-1, [], [])
    for record in records:
        partition, offset, value = record.partition, record.offset, record.value
        if offset == offsets.expected.get(partition):
            offsets.expected[partition] = offset + 1
        else:
            offsets.see(partition, offset)
        seen += 1
        if value is None:
            empty = empty or Finding(Tampering.EDITED, "the record has no value", place=Place(partition, offset))
            continue
        if partition != held[0] or len(held[1]) >= _STEP:
            entries.take(held[1], held[0], held[2], look)
            held = (partition, [], [])
            if progress is not None:
                progress(seen, total)
        held[1].append(value)
        held[2].append(offset)
    entries.take(held[1], held[0], held[2], look)
    entries.flush()
    checked = ledger.check(store)
    unreadable = min((one for one in (entries.unreadable, empty) if one is not None), key=_place, default=None)
    way = Recent(codec, entries.newest_ns, fetch)
    finding, waiting = choose(checked, unreadable, (offsets.end(), ledger.disorder(store)), way)
    if finding is not None:
        finding = named(finding, codec, fetch, _words)
    notes = (f"{waiting} holes of the last minute: their events are on their way",) if waiting else ()
    return Report(
        store, where, checked.events, checked.copies, checked.producers, finding=finding, notes=notes, words=_words
    )


def _words(place: Place) -> str:
    return f"partition {place.part}, offset {place.spot}"


def _place(finding: Finding) -> Place:
    return finding.place or Place()
