"""The codec as the journal sees it: what turns an event into the bytes that are stored, and back.

The real one is `decision.wire.events.ProtobufEventCodec`, injected by the composition.
"""

from __future__ import annotations

from typing import Protocol

from decision.model.events import EventDraft


class EventCodec(Protocol):
    """Used from several threads: it keeps no state between calls."""

    def encode(self, draft: EventDraft, producer_id: str, epoch: int, seq: int, prev_hash: bytes) -> bytes:
        """The bytes to store. They are written once and never made again. Raises ValueError, TypeError for a draft
        that is no event; the journal then refuses that draft alone."""
        ...

    def decode(self, raw: bytes) -> tuple[EventDraft, str, int, int, bytes]:
        """(draft, producer_id, epoch, seq, prev_hash). Raises ChainBroken for bytes that no writer made."""
        ...

    def place_of(self, raw: bytes) -> tuple[str, int, int, bytes]:
        """(producer_id, epoch, seq, prev_hash) alone: all that the chain needs, for a fifth of the time. Raises
        ChainBroken for the same bytes as `decode`."""
        ...


class SealingCodec(EventCodec, Protocol):
    """What a writer needs beside: events that come in two halves, for their place in the chain to stand between."""

    def place(self, producer_id: str, epoch: int) -> bytes:
        """What `seal` needs of a journal for as long as it is open."""
        ...

    def seal(self, before: bytes, place: bytes, seq: int, prev_hash: bytes, after: bytes) -> bytes:
        """The bytes to store."""
        ...
