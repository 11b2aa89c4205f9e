"""The tables of a journal's database, and the verification of their rows."""

from __future__ import annotations

from collections.abc import Iterable

from decision.journal import frames
from decision.journal.chain import GENESIS, ChainVerifier, Head, broken
from decision.journal.codec import EventCodec

FORMAT = 1
SCHEMA = """
CREATE TABLE batch (
  last_seq INTEGER PRIMARY KEY, -- seq of the batch's last event: the first row with last_seq > n holds event n + 1
  first_seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  seal BLOB NOT NULL,           -- the chain's hash after the last event
  frames BLOB NOT NULL          -- decision.journal.frames
) STRICT;
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  format INTEGER NOT NULL,
  producer_id TEXT NOT NULL,
  epoch INTEGER NOT NULL,       -- incarnation: raised durably at each opening
  base_seq INTEGER NOT NULL,    -- events up to here were pruned
  base_hash BLOB NOT NULL,
  base_epoch INTEGER NOT NULL
) STRICT;
"""
INSERT = "INSERT INTO batch (last_seq, first_seq, epoch, seal, frames) VALUES (?, ?, ?, ?, ?)"
META = "SELECT format, producer_id, epoch, base_seq, base_hash, base_epoch FROM meta"
ROWS = "SELECT last_seq, first_seq, epoch, seal, frames FROM batch WHERE last_seq > ? ORDER BY last_seq"

Row = tuple[int, int, int, bytes, bytes]


def verify_rows(rows: Iterable[Row], codec: EventCodec, producer_id: str, head: Head, *, anchored: bool = True) -> Head:
    """Verify that `rows` continue `head`; the new head. Raises ChainBroken.

    `anchored` false: the first row is taken for what it says to follow (the tail of a long journal).
    """
    verifier = ChainVerifier(codec, producer_id, head)
    for row in rows:
        if not anchored:
            anchored = True
            verifier = ChainVerifier(codec, producer_id, Head(row[1] - 1, GENESIS, 0), anchored=False)
        verify_row(verifier, row)
    return verifier.head


def verify_row(verifier: ChainVerifier, row: Row) -> None:
    last_seq, first_seq, epoch, seal, packed = row
    place = verifier.head.seq + 1
    try:
        raws = frames.unpack(packed)
    except ValueError as error:
        raise broken(str(error), verifier.producer_id, epoch, place) from error
    if first_seq != place or last_seq - first_seq + 1 != len(raws):
        missing = f"events {place} to {first_seq - 1} are missing" if first_seq > place else "a batch is out of place"
        raise broken(missing, verifier.producer_id, epoch, place)
    verifier.verify_batch(raws, seal)
    if verifier.head.epoch != epoch:
        raise broken("the batch's epoch is not its events'", verifier.producer_id, epoch, last_seq)
