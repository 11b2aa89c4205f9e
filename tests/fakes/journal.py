"""A journal in memory that honours the contract of the port (tests/contract/test_journal_port.py runs on it too)."""

from __future__ import annotations

import asyncio

from decision.journal.chain import GENESIS, chain_hash
from decision.journal.codec import EventCodec
from decision.model.errors import JournalBusy, JournalFull, JournalPoisoned, JournalUnavailable
from decision.model.events import AuditEvent, EventDraft
from decision.wire.events import ProtobufEventCodec


class MemoryJournal:
    """Journal and JournalReader in one. An event is readable and its future done at the end of the tick.

    `full = True` refuses appends until it is False again; `poison()` refuses what waits and all that comes.
    """

    def __init__(
        self, producer_id: str = "memory", *, codec: EventCodec | None = None, queue_limit: int = 10_000
    ) -> None:
        self.events: list[AuditEvent] = []
        self.full = False
        self._producer_id = producer_id
        self._codec = codec or ProtobufEventCodec()
        self._queue_limit = queue_limit
        self._waiting: list[tuple[AuditEvent, asyncio.Future[AuditEvent]]] = []
        self._last: AuditEvent | None = None
        self._poisoned = False
        self._closed = False

    def check(self) -> None:
        if self._poisoned:
            raise JournalPoisoned("audit log unavailable: poisoned")
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        if self.full:
            raise JournalFull("audit log unavailable: full")
        if len(self._waiting) >= self._queue_limit:
            raise JournalBusy("audit log unavailable: busy")

    def append(self, draft: EventDraft) -> asyncio.Future[AuditEvent]:
        self.check()
        seq, prev = (1, GENESIS) if self._last is None else (self._last.seq + 1, self._last.hash)
        raw = self._codec.encode(draft, self._producer_id, 1, seq, prev)
        event = self._last = AuditEvent(draft, self._producer_id, 1, seq, prev, chain_hash(prev, seq, raw), raw)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[AuditEvent] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._commit)
        self._waiting.append((event, future))
        return future

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event, future in waiting:
            self.events.append(event)
            if not future.done():
                future.set_result(event)

    def poison(self) -> None:
        self._poisoned = True
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(JournalPoisoned("audit log unavailable: poisoned"))
                future.exception()

    async def close(self) -> None:
        self._closed = True
        self._commit()

    def read(self, after_seq: int, limit: int) -> list[AuditEvent]:
        return self.events[max(after_seq, 0) : max(after_seq, 0) + limit]

    def head(self) -> tuple[int, bytes]:
        return (self.events[-1].seq, self.events[-1].hash) if self.events else (0, GENESIS)
