"""Stored bytes to rows, as Arrow: the one way by which events come into the store.

What `analytics.project` makes of an event follows from the event alone, and most of an event was there before. So the
plain fold runs once for events that are alike but for their own values (analytics.forms); for each further one those
rows are repeated, with its own values in their columns. Whatever is seen for the first time is decoded and folded as it
stands. Both give the same rows: tests/property/test_analytics_intake.py holds one against the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain

from analytics.columns import joined, to_arrow
from analytics.formed import Tables, tables_of
from analytics.forms import FormBook, Group, Unfit
from analytics.project import Coverage, DeadLetterRow, Rows, project
from decision.journal.chain import chain_hash
from decision.model.errors import ChainBroken
from decision.model.events import AuditEvent
from decision.wire.events import MAX_EVENT_BYTES, ProtobufEventCodec

Key = tuple[str, int, int]
"""(producer_id, epoch, seq)."""
_LEARNED = 16
"""Of so many events of a batch at most one is learned from, beside the first ones: where none is like another, learning
must not take more than the fold."""
_AT_FIRST = 256


@dataclass(frozen=True, slots=True)
class Run:
    """Stored bytes from one origin (`journal`, or topic and partition), each with its number there."""

    origin: str
    positions: Sequence[int]
    raws: Sequence[bytes]


@dataclass(slots=True)
class Batch:
    """What was read of some runs: the events of known forms, the others by their number in the batch, and the letters
    of what is no event."""

    runs: Sequence[Run]
    raws: Sequence[bytes]
    groups: list[Group] = field(default_factory=list)
    plain: dict[int, AuditEvent] = field(default_factory=dict)
    letters: list[DeadLetterRow] = field(default_factory=list)

    @property
    def events(self) -> int:
        return len(self.plain) + sum(len(group.numbers) for group in self.groups)

    def span(self) -> tuple[int, int]:
        """The oldest and the newest event's time, in nanoseconds since 1970; zeros without events."""
        times = [event.draft.time_unix_nano for event in self.plain.values()]
        for group in self.groups:
            found = group.integers.get("time_unix_nano") or [0]
            times += (min(found), max(found))
        return (min(times), max(times)) if times else (0, 0)

    def origin(self, number: int) -> tuple[str, int]:
        """Where an event came from, and its number there."""
        for run in self.runs:
            if number < len(run.raws):
                return run.origin, run.positions[number]
            number -= len(run.raws)
        raise IndexError(number)

    def take_new(self, coverage: Coverage) -> list[int]:
        """Take all events into `coverage`. Returns the numbers of those that are not new; they are no longer here."""
        places: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for group in self.groups:
            seqs = group.integers.get("seq") or [0] * len(group.numbers)
            for number, form, seq in zip(group.numbers, group.forms, seqs, strict=True):
                places.setdefault(form.producer, []).append((number, seq))
        for number, event in self.plain.items():
            places.setdefault((event.producer_id, event.epoch), []).append((number, event.seq))
        repeated: list[int] = []
        for (producer_id, epoch), pairs in places.items():
            pairs.sort()
            known = coverage.take_many(producer_id, epoch, [seq for _, seq in pairs])
            repeated += [pairs[place][0] for place in known]
        if repeated:
            dropped = set(repeated)
            self.groups = [kept for group in self.groups if (kept := group.without(dropped)) is not None]
            self.plain = {number: event for number, event in self.plain.items() if number not in dropped}
        return sorted(repeated)

    def hashes(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """The chain values of the events here that have one of these numbers."""
        found = {key_of(event): event.hash for event in self.plain.values() if key_of(event) in keys}
        for group in self.groups if keys else ():
            seqs = group.integers.get("seq") or [0] * len(group.numbers)
            previous = group.values.get("prev_hash") or [b""] * len(group.numbers)
            for number, form, seq, before in zip(group.numbers, group.forms, seqs, previous, strict=True):
                if (key := (*form.producer, seq)) in keys:
                    found[key] = chain_hash(before, seq, self.raws[number])
        return found

    def tables(self, letters: Sequence[DeadLetterRow] = ()) -> Tables:
        """The rows of the events and letters that are here, and of `letters`."""
        rows: Rows = {}
        for origin, events in self._plain_by_origin().items():
            for table, members in project(events, origin).items():
                rows.setdefault(table, []).extend(members)
        if self.letters or letters:
            rows.setdefault("dead_letters", []).extend([*self.letters, *letters])
        return joined(tables_of(self.groups, self.raws), to_arrow(rows))

    def _plain_by_origin(self) -> dict[str, list[AuditEvent]]:
        found: dict[str, list[AuditEvent]] = {}
        for number, event in self.plain.items():
            found.setdefault(self.origin(number)[0], []).append(event)
        return found


class Intake:
    """Reads batches; keeps the forms from one to the next. Not thread-safe."""

    def __init__(self, *, forms: bool = True) -> None:
        self._codec = ProtobufEventCodec()
        self._book = FormBook()
        self._forms = forms

    def read(self, runs: Sequence[Run]) -> Batch:
        raws = runs[0].raws if len(runs) == 1 else list(chain.from_iterable(run.raws for run in runs))
        batch = Batch(runs, raws)
        learned, most = 0, _AT_FIRST + len(raws) // _LEARNED
        sort = self._book.sort
        for number, raw in enumerate(raws):
            if self._forms and sort(number, raw):
                continue
            event = self._decoded(batch, number)
            if event is not None and self._forms and learned < most:
                learned += 1
                self._book.learn(event)
        for known in self._book.groups():
            try:
                batch.groups.append(known.take())
            except Unfit:
                for number in known.drop():
                    self._decoded(batch, number)
        return batch

    def decode(self, raw: bytes) -> AuditEvent:
        """Raises ChainBroken for bytes that are no event of a journal."""
        if len(raw) > MAX_EVENT_BYTES:
            raise ChainBroken(f"{len(raw)} bytes, more than an event can have")
        draft, producer_id, epoch, seq, prev_hash = self._codec.decode(raw)
        if not draft.id or not producer_id or seq < 1 or epoch < 0:
            raise ChainBroken("it has no place in a journal")
        return AuditEvent(draft, producer_id, epoch, seq, prev_hash, chain_hash(prev_hash, seq, raw), raw)

    def _decoded(self, batch: Batch, number: int) -> AuditEvent | None:
        raw = batch.raws[number]
        try:
            event = batch.plain[number] = self.decode(raw)
        except ChainBroken as error:
            origin, position = batch.origin(number)
            batch.letters.append(undecodable(origin, position, error.message, raw))
            return None
        return event


def key_of(event: AuditEvent) -> Key:
    return (event.producer_id, event.epoch, event.seq)


def undecodable(origin: str, position: int, error: str, raw: bytes) -> DeadLetterRow:
    """The letter of bytes that are no event."""
    return DeadLetterRow(None, origin, position, "", None, None, "", "undecodable", error, raw[:MAX_EVENT_BYTES])
