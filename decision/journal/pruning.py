"""What may leave the journal, and its leaving: whole batches from the oldest on, in short transactions.

A batch may go when everybody who reads the journal has taken it durably, and it is older than `keep_s` or lies beyond
the newest `keep_bytes`. Events whose type begins with `kept_type` are still needed by the decision service itself for
`kept_s` (approvals, where the journal is their order): they are moved aside in the same transaction, so that a quiet
approval does not hold back a busy day's statements. `ReplayReader` gives them before the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from decision.journal import frames
from decision.journal.chain import Head, broken, chain_hash
from decision.journal.codec import EventCodec
from decision.journal.reader import SqliteJournalReader
from decision.journal.rows import ROWS, Row
from decision.journal.settings import PAGE_BYTES
from decision.model.events import AuditEvent

_ROWS_AT_ONCE = 512
_BYTES_AT_ONCE = 4 * 1024 * 1024
_NS = 1_000_000_000

_KEPT = """
CREATE TABLE IF NOT EXISTS kept (
  seq INTEGER PRIMARY KEY,
  time_unix_nano INTEGER NOT NULL,
  hash BLOB NOT NULL, -- the chain's hash after the event
  raw BLOB NOT NULL
) STRICT
"""

About = Callable[[bytes], tuple[int, str]]


@dataclass(frozen=True, slots=True)
class PruneRules:
    """Durations in seconds, sizes in bytes. `kept_type`: the beginning of the types moved aside; empty: none."""

    keep_s: float
    keep_bytes: int
    kept_type: str = ""
    kept_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PruneWish:
    """What one step is asked: events up to `through` have been taken by all. `about` gives (time, type) of an event's
    bytes."""

    rules: PruneRules
    through: int
    now_unix_nano: int
    codec: EventCodec
    about: About


def may_go(rules: PruneRules, age_s: float, excess: int) -> bool:
    """Whether a batch of that age may leave a journal that holds `excess` bytes more than it is to keep."""
    return excess > 0 or age_s >= rules.keep_s


def chosen(rows: Iterable[Row], used: int, wish: PruneWish) -> list[Row]:
    """Of the rows, oldest first, those that go in this step. `used`: what the events take now, in bytes."""
    found: list[Row] = []
    excess, size = used - wish.rules.keep_bytes, 0
    for row in rows:
        last_seq, packed = row[0], row[4]
        full = len(found) >= _ROWS_AT_ONCE or size + len(packed) > _BYTES_AT_ONCE
        if last_seq > wish.through or (found and full):
            break
        age_s = (wish.now_unix_nano - wish.about(_first(packed))[0]) / _NS
        if not may_go(wish.rules, age_s, excess):
            break
        found.append(row)
        size += len(packed)
        excess -= len(packed)
    return found


def prune_oldest(db: apsw.Connection, wish: PruneWish) -> Head | None:
    """One step; where the journal begins then, None when nothing may go. Raises apsw.Error."""
    pages = db.pragma("page_count") - db.pragma("freelist_count")
    cursor = db.execute(ROWS, (0,))
    rows = chosen(cursor, pages * PAGE_BYTES, wish)
    cursor.close(True)
    if not rows:
        return None
    kept = list(_to_keep(rows, wish))
    base = Head(rows[-1][0], rows[-1][3], rows[-1][2])
    with db:
        if kept:
            db.execute(_KEPT)
            db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", kept)
        if wish.rules.kept_type and _has_kept(db):
            db.execute("DELETE FROM kept WHERE time_unix_nano < ?", (_dead_before(wish),))
        db.execute("UPDATE meta SET base_seq = ?, base_hash = ?, base_epoch = ?", (base.seq, base.hash, base.epoch))
        db.execute("DELETE FROM batch WHERE last_seq <= ?", (base.seq,))
    return base


def _to_keep(rows: Iterable[Row], wish: PruneWish) -> Iterator[tuple[int, int, bytes, bytes]]:
    kind, marker = wish.rules.kept_type, wish.rules.kept_type.encode()
    for _, first_seq, _, _, packed in rows:
        if not kind or marker not in packed:
            continue
        for seq, raw in enumerate(frames.unpack(packed), first_seq):
            time_unix_nano, event_type = wish.about(raw) if marker in raw else (0, "")
            if event_type.startswith(kind) and time_unix_nano >= _dead_before(wish):
                yield seq, time_unix_nano, chain_hash(wish.codec.place_of(raw)[3], seq, raw), raw


def _dead_before(wish: PruneWish) -> int:
    return wish.now_unix_nano - int(wish.rules.kept_s * _NS)


def _has_kept(db: apsw.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'kept'").get is not None


def _first(packed: bytes) -> bytes:
    """The first event of a stored batch."""
    return packed[4 : 4 + int.from_bytes(packed[:4], "big")]


class ReplayReader:
    """decision.model.ports.JournalReader that gives what pruning moved aside before what the journal holds."""

    def __init__(self, folder: Path, codec: EventCodec) -> None:
        self._reader = SqliteJournalReader(folder, codec)
        self._codec = codec
        self._kept: list[AuditEvent] | None = None

    def read(self, after_seq: int, limit: int) -> list[AuditEvent]:
        """As SqliteJournalReader.read. Raises ChainBroken for a kept event that is not what was moved aside."""
        if self._kept is None:
            base = self._reader.base().seq
            self._kept = [self._event(*row) for row in self._reader.kept() if row[0] <= base]
        before = [event for event in self._kept if event.seq > after_seq]
        return before[:limit] or self._reader.read(after_seq, limit)

    def _event(self, seq: int, hashed: bytes, raw: bytes) -> AuditEvent:
        draft, producer_id, epoch, own_seq, prev_hash = self._codec.decode(raw)
        if own_seq != seq or chain_hash(prev_hash, seq, raw) != hashed:
            raise broken("an event kept beside the pruned ones was changed", producer_id, epoch, seq)
        return AuditEvent(draft, producer_id, epoch, seq, prev_hash, hashed, raw)

    def head(self) -> tuple[int, bytes]:
        return self._reader.head()

    def close(self) -> None:
        self._reader.close()
