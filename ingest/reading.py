"""Reading a journal past what can't be read: a damaged batch becomes a dead letter, and the next one follows.

Nothing is decoded here, and no chain is checked: that is the office of `airlock verify`. But nothing may be skipped
silently nor stop the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from analytics.intake import Run
from analytics.project import DeadLetterRow
from decision.journal.chain import chain_hash
from decision.journal.codec import EventCodec
from decision.model.errors import ChainBroken
from decision.model.events import AuditEvent

JOURNAL = "journal"
"""The origin of what comes from a journal, and the name of its position in the store."""


class RawReader(Protocol):
    """What is needed of a journal (decision.journal.reader.SqliteJournalReader)."""

    def read_raw(self, after_seq: int, limit: int) -> Sequence[tuple[int, bytes]]: ...

    def head(self) -> tuple[int, bytes]: ...


def read_run(reader: RawReader, after: int, limit: int) -> tuple[Run, int, list[DeadLetterRow]]:
    """(events, position after them, dead letters) of the next up to `limit` events after `after`.

    Never raises ChainBroken: reading ever fewer events finds those before the damage, then its first event alone.
    """
    try:
        found = reader.read_raw(after, limit)
    except ChainBroken as error:
        if limit > 1:
            return read_run(reader, after, limit // 2)
        place = max(error.seq, after + 1)  # the only event that was read: those before it, if any, were pruned
        letter = DeadLetterRow(
            None, JOURNAL, place, error.producer_id, error.epoch or None, place, "", "undecodable", error.message, b"",
        )  # fmt: skip
        return Run(JOURNAL, (), ()), place, [letter]
    if not found:
        return Run(JOURNAL, (), ()), after, []
    seqs, raws = zip(*found, strict=True)
    return Run(JOURNAL, seqs, raws), seqs[-1], []


def decoded(codec: EventCodec, raws: Sequence[bytes]) -> list[AuditEvent]:
    """The events of `raws`; what is none is left out."""
    events = []
    for raw in raws:
        try:
            draft, producer_id, epoch, seq, prev_hash = codec.decode(raw)
        except ChainBroken:
            continue
        events.append(AuditEvent(draft, producer_id, epoch, seq, prev_hash, chain_hash(prev_hash, seq, raw), raw))
    return events
