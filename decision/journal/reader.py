"""Reading a journal while it is written, from its own or another process.

Each read is one brief transaction: a reader that stays in one keeps the write-ahead log from being reused,
and it grows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import apsw

from decision.journal import frames
from decision.journal.chain import GENESIS, Head, broken, chain_hash
from decision.journal.codec import EventCodec
from decision.journal.rows import META, ROWS, Row
from decision.model.errors import JournalUnavailable
from decision.model.events import AuditEvent

T = TypeVar("T")

_HEAD = "SELECT last_seq, seal FROM batch ORDER BY last_seq DESC LIMIT 1"
_BUSY_MS = 2_000
_READ_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawBatch:
    """One stored batch, or what of it comes after the seq that was asked for: `raws` are the exact bytes of the events
    `first_seq` to `last_seq`, `seal` is the chain's hash after the last one."""

    first_seq: int
    last_seq: int
    epoch: int
    seal: bytes
    raws: list[bytes]


class SqliteJournalReader:
    """decision.model.ports.JournalReader over the folder of a SqliteJournal. Usable from any thread.

    Where there is no journal yet it is empty. Raises ChainBroken for what can't be decoded or does not continue the
    event read before it, JournalUnavailable when the database can't be read.
    """

    def __init__(self, folder: Path, codec: EventCodec) -> None:
        self._path = folder / "journal.db"
        self._codec = codec
        self._lock = threading.Lock()
        self._db: apsw.Connection | None = None
        self._version = -1

    def read(self, after_seq: int, limit: int) -> list[AuditEvent]:
        """Up to `limit` durable events after `after_seq`, in order; fewer when they are large (16 MiB a read).

        Pruned events are passed over. Within one read each event is checked to continue the one before.
        """
        return self._decode(self._rows(after_seq, limit), after_seq, limit)

    def read_batches(self, after_seq: int, limit: int, max_bytes: int = _READ_BYTES) -> list[RawBatch]:
        """The stored batches after `after_seq`, whole and undecoded, until they hold `limit` events or `max_bytes`: at
        least one, if there is one. The first begins after `after_seq` where that lies inside it. Raises ChainBroken
        for a batch whose bytes don't make up its events."""
        batches = [_batch(row, after_seq) for row in self._rows(after_seq, limit, max_bytes)]
        for one in batches:
            if (wanted := one.last_seq - one.first_seq + 1) != len(one.raws):
                raise broken(f"{len(one.raws)} events where {wanted} must stand", "", one.epoch, one.first_seq)
        return batches

    def read_raw(self, after_seq: int, limit: int) -> list[tuple[int, bytes]]:
        """(seq, exact bytes) of up to `limit` durable events after `after_seq`, in order; fewer when they are large.
        Nothing is decoded: seq is what the batch says. Pruned events are passed over."""
        found: list[tuple[int, bytes]] = []
        for batch in self.read_batches(after_seq, limit):
            found += enumerate(batch.raws, batch.first_seq)
        return found[:limit]

    def head(self) -> tuple[int, bytes]:
        with self._lock:
            return self._ask(self._head) or (0, GENESIS)

    def producer(self) -> str:
        """Whose journal this is; empty where there is none yet."""
        with self._lock:
            meta = self._ask(lambda db: db.execute(META).fetchone())
        return "" if meta is None else str(meta[1])

    def base(self) -> Head:
        """Where the journal begins: the end of what was pruned; `Head()` when nothing was."""
        with self._lock:
            meta = self._ask(lambda db: db.execute(META).fetchone())
        return Head() if meta is None else Head(meta[3], meta[4], meta[5])

    def kept(self) -> list[tuple[int, bytes, bytes]]:
        """(seq, hash, exact bytes) of the events that pruning moved aside (decision.journal.pruning), in order."""
        with self._lock:
            return self._ask(lambda db: list(db.execute("SELECT seq, hash, raw FROM kept ORDER BY seq"))) or []

    def hash_at(self, seq: int) -> bytes | None:
        """The chain's hash after event `seq`; None where the journal does not hold it (pruned, or not yet there)."""
        base = self.base()
        if seq == base.seq:
            return base.hash
        if seq < base.seq:
            return None
        rows = self._rows(seq - 1, 1)
        if not rows:
            return None
        batch = _batch(rows[0], seq - 1)
        return batch.seal if batch.last_seq == seq else self._codec.place_of(batch.raws[1])[3]

    def changed(self) -> bool:
        """Whether something was committed since the last call (true at the first). Cheaper than a read."""
        with self._lock:
            version = self._ask(lambda db: int(db.pragma("data_version")))
            changed = version is not None and version != self._version
            self._version = self._version if version is None else version
            return changed

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close(True)
                self._db = None

    def _head(self, db: apsw.Connection) -> tuple[int, bytes]:
        row = db.execute(_HEAD).fetchone()
        if row is not None:
            return row[0], row[1]
        meta = db.execute(META).fetchone()
        return (0, GENESIS) if meta is None else (meta[3], meta[4])

    def _rows(self, after_seq: int, limit: int, max_bytes: int = _READ_BYTES) -> list[Row]:
        def read(db: apsw.Connection) -> list[Row]:
            rows: list[Row] = []
            size = 0
            cursor = db.execute(ROWS, (after_seq,))
            for row in cursor:
                rows.append(row)
                size += len(row[4])
                if row[0] - after_seq >= limit or size >= max_bytes:
                    break
            cursor.close(True)
            return rows

        with self._lock:
            return self._ask(read) or []

    def _decode(self, rows: list[Row], after_seq: int, limit: int) -> list[AuditEvent]:
        events: list[AuditEvent] = []
        for row in rows:
            batch = _batch(row, after_seq)
            for place, raw in enumerate(batch.raws[: limit - len(events)], batch.first_seq):
                event = self._event(raw)
                if event.seq != place:
                    raise broken(f"seq {event.seq} where {place} must stand", event.producer_id, event.epoch, place)
                if events and event.prev_hash != events[-1].hash:
                    raise broken("the event does not continue the chain", event.producer_id, event.epoch, place)
                events.append(event)
        return events

    def _event(self, raw: bytes) -> AuditEvent:
        draft, producer_id, epoch, seq, prev_hash = self._codec.decode(raw)
        return AuditEvent(draft, producer_id, epoch, seq, prev_hash, chain_hash(prev_hash, seq, raw), raw)

    def _ask(self, question: Callable[[apsw.Connection], T]) -> T | None:
        try:
            db = self._connected()
            return None if db is None else question(db)
        except apsw.SQLError as error:
            if "no such table" in str(error):
                return None  # being created
            raise _unreadable(error) from error
        except apsw.Error as error:
            self._db = None
            raise _unreadable(error) from error

    def _connected(self) -> apsw.Connection | None:
        if self._db is None and self._path.exists():
            self._db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(_BUSY_MS)
        return self._db


def _batch(row: Row, after_seq: int) -> RawBatch:
    """What of the row comes after `after_seq`. Raises ChainBroken where its bytes don't make up its events."""
    last_seq, first_seq, epoch, seal, packed = row
    place = max(first_seq, after_seq + 1)
    try:
        raws = frames.unpack(packed, place - first_seq)
    except ValueError as error:
        raise broken(str(error), "", epoch, place) from error
    return RawBatch(place, last_seq, epoch, seal, raws)


def _unreadable(error: Exception) -> JournalUnavailable:
    return JournalUnavailable(
        f"the journal can't be read: {error}", hint="verify it with `airlock verify`; look at the disk"
    )
