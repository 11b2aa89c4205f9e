"""A journal's events, row by row, with what its rows say of them: numbers, incarnation and seal.

A journal holds one producer's events in their order, each once, and each row vouches for its last event by the seal.
Where it was pruned it goes on from the place and hash that are kept; what was before is for the log to verify.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from analytics.verify_entries import Entries, Look, Progress, Report, choose, named
from analytics.verify_ledger import Ledger
from decision.journal import frames
from decision.journal.chain import Head
from decision.journal.codec import EventCodec
from decision.journal.rows import FORMAT, META, ROWS
from decision.journal.verify_core import Finding, Place, Tampering
from decision.model.errors import JournalUnavailable

KEPT = "kept"
"""The name of what was kept of a pruned part, as a store."""

_BUSY_MS = 2_000
_TIMES = 4
_ROWS_A_READ = 64
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, apsw.SQLError)

Row = tuple[int, int, int, bytes, bytes]


@dataclass(frozen=True, slots=True)
class JournalBase:
    """Whose journal it is, and where it begins since it was pruned."""

    producer_id: str
    head: Head


@dataclass(slots=True)
class _Rows:
    """What was seen of the rows. `sealed`: the first row whose seal is not its last event's; `odd`: the first whose
    numbers or incarnation are not its events'; `foreign`: the first event of another producer."""

    base: JournalBase
    count: int = 0
    sealed: Finding | None = None
    odd: Finding | None = None
    foreign: Finding | None = None
    unpacked: Finding | None = None
    head: Head = field(default_factory=Head)


class JournalFile:
    """A journal's database, opened to read only."""

    def __init__(self, folder: Path) -> None:
        """Raises JournalUnavailable where there is none, apsw.Error where it can't be opened."""
        path = folder / "journal.db"
        if not path.exists():
            raise JournalUnavailable(f"there is no journal in {folder}", hint="name the folder that holds journal.db")
        self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self._db.set_busy_timeout(_BUSY_MS)

    def close(self) -> None:
        self._db.close(True)

    def base(self) -> JournalBase | None:
        """None: its format is not known."""
        meta = self._db.execute(META).fetchone()
        if meta is None or meta[0] != FORMAT:
            return None
        return JournalBase(meta[1], Head(meta[3], meta[4], meta[5]))

    def newest(self) -> int:
        return int(self._db.execute("SELECT max(last_seq) FROM batch").get or 0)

    def rows(self, after: int, through: int) -> Iterator[list[Row]]:
        """Some rows at a time, each time in a brief transaction."""
        while after < through:
            found: list[Any] = self._db.execute(f"{ROWS} LIMIT {_ROWS_A_READ}", (after,)).fetchall()
            if not found:
                return
            yield found
            after = found[-1][0]

    def kept(self) -> list[tuple[int, bytes, bytes]]:
        """(seq, hash, raw) of what was kept when its batches were pruned; nothing in a journal that keeps none."""
        if not self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'kept'").fetchall():
            return []
        rows: list[Any] = self._db.execute("SELECT seq, hash, raw FROM kept ORDER BY seq").fetchall()
        return rows

    def at(self, place: Place) -> bytes | None:
        if place.part < 0:
            return next((raw for seq, _, raw in self.kept() if seq == place.spot), None)
        return self.raw(place.spot)

    def raw(self, count: int) -> bytes | None:
        """The event that stands at this place, from 1, counted over all rows as they are."""
        for rows in self.rows(-1, self.newest()):
            for row in rows:
                try:
                    raws = frames.unpack(row[4])
                except ValueError:
                    continue
                if count <= len(raws):
                    return raws[count - 1]
                count -= len(raws)
        return None


def check_journal(
    ledger: Ledger,
    store: str,
    folder: Path,
    codec: EventCodec,
    progress: Progress | None = None,
    look: Look | None = None,
) -> tuple[Report, JournalBase | None]:
    """Check the journal in `folder`, while it is written or not. Raises JournalUnavailable where there is none."""
    try:
        journal = JournalFile(folder)
        try:
            for _ in range(_TIMES):
                report, base = _check(Entries(ledger, store, codec), folder, journal, codec, progress, look)
                if report.good or base is None or journal.base() == base:
                    break  # else it was pruned meanwhile
            return report, base
        finally:
            journal.close()
    except _DAMAGE as error:
        finding = Finding(Tampering.EDITED, f"the journal's database is damaged: {error}").at(
            str(folder / "journal.db")
        )
        return Report(store, str(folder), finding=finding), None
    except apsw.Error as error:
        raise JournalUnavailable(f"the journal can't be read: {error}", hint="look at the disk") from error


def _check(
    entries: Entries,
    folder: Path,
    journal: JournalFile,
    codec: EventCodec,
    progress: Progress | None,
    look: Look | None,
) -> tuple[Report, JournalBase | None]:
    ledger, store = entries.ledger, entries.store
    base, newest = journal.base(), journal.newest()
    if base is None:
        unknown = Finding(Tampering.EDITED, "the journal's format is not known").at(str(folder / "journal.db"))
        return Report(store, str(folder), finding=unknown), None
    seen = _Rows(base)
    for rows in journal.rows(-1, newest):
        for row in rows:
            _take(entries, row, seen, look)
        if progress is not None:
            progress(entries.taken, newest - base.head.seq)
    entries.flush()
    checked = ledger.check(store, {base.producer_id: base.head})
    copied = None
    if checked.copied is not None:
        copied = Finding(Tampering.INSERTED, "the journal has it twice", place=checked.copied)
    unreadable = seen.unpacked or entries.unreadable
    kept = _check_kept(ledger, journal.kept(), base, codec)
    others = (seen.foreign, ledger.disorder(store), copied, seen.sealed, seen.odd, kept)
    finding, _ = choose(checked, unreadable, others)
    if finding is not None:
        finding = named(finding, codec, journal.at, _where)
    notes = [f"pruned up to event {base.head.seq}"] if base.head.seq else []
    if seen.head.seq:
        notes.append(f"head: event {seen.head.seq} of {base.producer_id!r}, hash {seen.head.hash.hex()}")
    report = Report(store, str(folder), checked.events, checked.copies, checked.producers, finding=finding,
                    notes=tuple(notes), words=_where)  # fmt: skip
    return report, base


def _check_kept(
    ledger: Ledger, rows: Sequence[tuple[int, bytes, bytes]], base: JournalBase, codec: EventCodec
) -> Finding | None:
    """Events that outlive their batches (approvals that may still be used): no chain covers them, so each must have
    the hash that was kept with it, be this journal's, and be of its pruned part. The log vouches for them as `KEPT`."""
    entries = Entries(ledger, KEPT, codec)
    finding: Finding | None = None
    for seq, digest, raw in rows:
        place = Place(-1, seq)
        if not entries.take((raw,), -1, (seq,)):
            continue
        number, epoch, said, found = (
            entries.links[0][-1],
            entries.links[1][-1],
            entries.links[2][-1],
            entries.links[4][-1],
        )
        producer = ledger.name(number)
        if (producer, said) != (base.producer_id, seq) or seq > base.head.seq:
            message = "an event among those kept of the pruned part that is none of them"
            finding = finding or Finding(Tampering.INSERTED, message, producer, epoch, said, place)
        elif found != digest:
            message = "it was kept of the pruned part, and is not what it was"
            finding = finding or Finding(Tampering.EDITED, message, producer, epoch, seq, place)
    entries.flush()
    return entries.unreadable or finding


def _where(place: Place) -> str:
    return f"what was kept of event {place.spot}" if place.part < 0 else f"place {place.spot} of the journal"


def _take(entries: Entries, row: Row, seen: _Rows, look: Look | None) -> None:
    last_seq, first_seq, epoch, seal, packed = row
    try:
        raws = frames.unpack(packed)
    except ValueError as error:
        seen.unpacked = seen.unpacked or Finding(
            Tampering.EDITED, f"{error} (events {first_seq} to {last_seq})", place=Place(0, seen.count + 1)
        )
        return
    start = seen.count + 1
    taken = entries.take(raws, 0, range(start, start + len(raws)), look)
    seen.count += len(raws)
    if not raws or taken < len(raws):
        return
    links = entries.links
    numbers, epochs, seqs, hashes = links[0][-taken:], links[1][-taken:], links[2][-taken:], links[4][-taken:]
    own = entries.ledger.number(seen.base.producer_id)
    producer = entries.ledger.name(numbers[-1])
    last = Place(0, seen.count)
    seen.head = Head(seqs[-1], hashes[-1], epochs[-1])
    if seen.foreign is None and any(number != own for number in numbers):
        index = next(i for i, number in enumerate(numbers) if number != own)
        seen.foreign = Finding(
            Tampering.INSERTED, f"an event of another producer in the journal of {seen.base.producer_id!r}",
            entries.ledger.name(numbers[index]), epochs[index], seqs[index],
            Place(0, start + index),
        )  # fmt: skip
    if seqs[-1] < last_seq and len(raws) == seqs[-1] - first_seq + 1:
        message = f"its row ends before event {last_seq}, the one that it is said to hold last"
        seen.odd = seen.odd or Finding(Tampering.TRUNCATED, message, producer, epoch, seqs[-1] + 1)
    elif seen.sealed is None and hashes[-1] != seal:
        seen.sealed = Finding(
            Tampering.EDITED,
            "its row's seal is of other bytes",
            producer,
            epochs[-1],
            seqs[-1],
            last,
        )
    if seen.odd is None and (seqs[0], seqs[-1], epochs[-1]) != (first_seq, last_seq, epoch):
        message = f"its row says events {first_seq} to {last_seq} of epoch {epoch}"
        seen.odd = Finding(Tampering.EDITED, message, producer, epochs[-1], seqs[-1], last)
