"""Full verification of a journal's chain, offline or while it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from decision.journal.chain import Head, broken
from decision.journal.codec import EventCodec
from decision.journal.rows import FORMAT, META, ROWS, verify_rows
from decision.model.errors import JournalUnavailable

_BUSY_MS = 2_000


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What was verified: `events` after the pruned part, which ends at `base_seq`."""

    producer_id: str
    epoch: int
    base_seq: int
    head_seq: int
    head_hash: bytes

    @property
    def events(self) -> int:
        return self.head_seq - self.base_seq


def verify_journal(
    folder: Path, codec: EventCodec, progress: Callable[[int, int], None] | None = None
) -> JournalReport:
    """Verify every event of the journal in `folder`, a batch at a time in brief transactions.

    `progress(seq, newest seq)` is called after each batch. Raises ChainBroken naming the first bad event,
    JournalUnavailable when there is no journal or it can't be read.
    """
    path = folder / "journal.db"
    if not path.exists():
        raise JournalUnavailable(f"there is no journal in {folder}", hint="name the folder that holds journal.db")
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(_BUSY_MS)
        try:
            return _verify(db, codec, progress)
        finally:
            db.close(True)
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError) as error:
        raise broken(f"the journal's database is damaged: {error}", "", 0, 0) from error
    except apsw.SQLError as error:
        raise JournalUnavailable(
            f"{path} holds no journal: {error}",
            hint="if `airlock up` is just starting, try again; else it was damaged: restore it from a copy",
        ) from error
    except apsw.Error as error:
        raise JournalUnavailable(f"the journal can't be read: {error}", hint="look at the disk") from error


def _verify(db: apsw.Connection, codec: EventCodec, progress: Callable[[int, int], None] | None) -> JournalReport:
    meta = db.execute(META).fetchone()
    if meta is None or meta[0] != FORMAT:
        raise broken("the journal's format is not known", "", 0, 0)
    producer_id, epoch = meta[1], meta[2]
    head = base = Head(meta[3], meta[4], meta[5])
    newest = db.execute("SELECT max(last_seq) FROM batch").get or base.seq
    step = f"{ROWS} LIMIT 64"
    while head.seq < newest:
        rows: list[Any] = db.execute(step, (head.seq,)).fetchall()
        if not rows:
            break  # pruned meanwhile
        head = verify_rows(rows, codec, producer_id, head)
        if progress is not None:
            progress(head.seq, newest)
    return JournalReport(producer_id, max(epoch, head.epoch), base.seq, head.seq, head.hash)
