"""The hash chain over a producer's events.

    hash(0) = 32 zero bytes
    hash(n) = SHA-256(hash(n-1) ‖ seq as 8 bytes ‖ length as 4 bytes ‖ the exact bytes stored)

Each event holds `prev_hash` in its own bytes and each stored batch holds the hash after its last event (its seal), so
an event is vouched for by its successor or its seal. Where event n+1 does not continue event n, one of the two was
changed: the one that nobody vouches for. Where a whole tail was replaced,
its first event is named. What the chain alone can't show is a cut end; signed checkpoints do that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from decision.journal.codec import EventCodec
from decision.model.errors import ChainBroken

GENESIS = bytes(32)

_HINT = "restore the journal from a copy that verifies, or keep it as evidence and start in a new folder"


def chain_hash(prev_hash: bytes, seq: int, raw: bytes) -> bytes:
    return hashlib.sha256(prev_hash + ((seq << 32) | len(raw)).to_bytes(12, "big") + raw).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the last event's place and the hash after it; `Head()` is the end of an empty chain."""

    seq: int = 0
    hash: bytes = GENESIS
    epoch: int = 0


def broken(message: str, producer_id: str, epoch: int, seq: int) -> ChainBroken:
    return ChainBroken(
        f"{message} (producer {producer_id!r}, epoch {epoch}, seq {seq})",
        hint=_HINT,
        producer_id=producer_id,
        epoch=epoch,
        seq=seq,
    )


class ChainVerifier:
    """Verifies batches in order, from `head` on. `head` afterwards is the last verified event's.

    `anchored` false: the hash before the first event is taken from the event itself (the tail of a long journal).
    """

    def __init__(self, codec: EventCodec, producer_id: str, head: Head, *, anchored: bool = True) -> None:
        self._codec = codec
        self.producer_id = producer_id
        self.head = head
        self._anchored = anchored

    def verify_batch(self, raws: Sequence[bytes], seal: bytes) -> None:
        """Verify that `raws` continue the head and end in `seal`. Raises ChainBroken naming the first bad event."""
        for index, raw in enumerate(raws):
            epoch, seq, prev_hash = self._place_of(raw)
            if not self._anchored:
                self._anchored = True
                self.head = Head(self.head.seq, prev_hash, epoch)
            found = chain_hash(prev_hash, seq, raw)
            if prev_hash != self.head.hash:
                self._blame(epoch, seq, found, raws, index, seal)
            self.head = Head(seq, found, epoch)
        if self.head.hash != seal:
            self._fail("the batch's seal does not match its last event", self.head.epoch, self.head.seq)

    def _place_of(self, raw: bytes) -> tuple[int, int, bytes]:
        """(epoch, seq, prev_hash) of what must be the next event."""
        expected = self.head.seq + 1
        try:
            producer_id, epoch, seq, prev_hash = self._codec.place_of(raw)
        except ChainBroken as error:
            raise broken(error.message, self.producer_id, self.head.epoch, expected) from error
        if producer_id != self.producer_id:
            self._fail(f"an event of another producer, {producer_id!r}", epoch, expected)
        if seq != expected:
            self._fail(f"seq {seq} where {expected} must stand", epoch, expected)
        if epoch < self.head.epoch:
            self._fail(f"epoch {epoch} after epoch {self.head.epoch}", epoch, seq)
        return epoch, seq, prev_hash

    def _blame(self, epoch: int, seq: int, found: bytes, raws: Sequence[bytes], index: int, seal: bytes) -> NoReturn:
        """Event `seq`, of chain value `found`, does not continue the head: name the one of the two that nothing
        vouches for."""
        voucher = seal
        if index + 1 < len(raws):
            try:
                voucher = self._codec.place_of(raws[index + 1])[3]
            except ChainBroken:
                voucher = b""
        changed_before = index > 0 and voucher == found
        if changed_before:
            self._fail("the event was changed", self.head.epoch, self.head.seq)
        self._fail("the event does not continue the chain", epoch, seq)

    def _fail(self, message: str, epoch: int, seq: int) -> NoReturn:
        raise broken(message, self.producer_id, epoch, seq)
