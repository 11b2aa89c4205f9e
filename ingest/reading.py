"""Reading a journal past what can't be read: a bad event becomes a dead letter, and the next one follows.

Verification is the office of `airlock verify`; here nothing may be skipped silently nor stop the rest.
"""

from __future__ import annotations

from analytics.project import DeadLetterRow
from decision.journal.codec import EventCodec
from decision.model.errors import ChainBroken
from decision.model.events import AuditEvent, EventDraft
from decision.model.ports import JournalReader


class WitnessCodec:
    """A codec that keeps the bytes it could not decode last, for the dead letter."""

    def __init__(self, codec: EventCodec) -> None:
        self._codec = codec
        self._refused = b""

    def encode(self, draft: EventDraft, producer_id: str, epoch: int, seq: int, prev_hash: bytes) -> bytes:
        return self._codec.encode(draft, producer_id, epoch, seq, prev_hash)

    def decode(self, raw: bytes) -> tuple[EventDraft, str, int, int, bytes]:
        try:
            return self._codec.decode(raw)
        except ChainBroken:
            self._refused = raw
            raise

    def place_of(self, raw: bytes) -> tuple[str, int, int, bytes]:
        return self._codec.place_of(raw)

    def take_refused(self) -> bytes:
        """The bytes that were refused since the last call; empty if none."""
        refused, self._refused = self._refused, b""
        return refused


def read_batch(
    reader: JournalReader, after: int, limit: int, witness: WitnessCodec | None = None
) -> tuple[list[AuditEvent], int, list[DeadLetterRow]]:
    """(events, position after them, dead letters) of the next up to `limit` events after `after`.

    Never raises ChainBroken: reading ever fewer events finds those before the bad one, then the bad one alone.
    """
    try:
        events = list(reader.read(after, limit))
        return events, events[-1].seq if events else after, []
    except ChainBroken as error:
        raw = b"" if witness is None else witness.take_refused()
        if limit > 1:
            return read_batch(reader, after, limit // 2, witness)
        place = max(error.seq, after + 1)  # the only event that was read: those before it, if any, were pruned
        letter = DeadLetterRow(
            None, "journal", place, error.producer_id, error.epoch or None, place, "", "undecodable",
            error.message, raw,
        )  # fmt: skip
        return [], place, [letter]
