"""A journal in memory that honours the contract of the port (tests/contract/test_journal_port.py runs on it too)."""

from __future__ import annotations

import asyncio

from decision.journal.chain import GENESIS, chain_hash
from decision.journal.codec import SealingCodec
from decision.journal.waiting import Promise
from decision.model.errors import JournalBusy, JournalFull, JournalPoisoned, JournalUnavailable
from decision.model.events import AuditEvent, EventDraft
from decision.model.ports import Appended
from decision.wire.events import ProtobufEventCodec


class MemoryJournal:
    """Journal and JournalReader in one. An event is readable and its future done at the end of the tick.

    `full = True` refuses appends until it is False again; `poison()` refuses what waits and all that comes.
    """

    def __init__(
        self, producer_id: str = "memory", *, codec: SealingCodec | None = None, queue_limit: int = 10_000
    ) -> None:
        self.events: list[AuditEvent] = []
        self.full = False
        self._producer_id = producer_id
        self._codec = codec or ProtobufEventCodec()
        self._queue_limit = queue_limit
        self._waiting: list[tuple[AuditEvent, Appended]] = []
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
        promise = Promise(asyncio.get_running_loop().create_future())
        promise.event = self._chained(draft)
        self._queue(promise.event, promise.settle)
        return promise.future

    def append_then(self, draft: EventDraft, done: Appended) -> None:
        self.check()
        self._queue(self._chained(draft), done)

    def append_encoded(self, before: bytes, after: bytes, done: Appended) -> None:
        self.check()
        seq, prev = self._place()
        raw = self._codec.seal(before, self._codec.place(self._producer_id, 1), seq, prev, after)
        self._queue(self._stored(self._codec.decode(raw)[0], raw), done)

    def _place(self) -> tuple[int, bytes]:
        return (1, GENESIS) if self._last is None else (self._last.seq + 1, self._last.hash)

    def _chained(self, draft: EventDraft) -> AuditEvent:
        return self._stored(draft, self._codec.encode(draft, self._producer_id, 1, *self._place()))

    def _stored(self, draft: EventDraft, raw: bytes) -> AuditEvent:
        seq, prev = self._place()
        self._last = AuditEvent(draft, self._producer_id, 1, seq, prev, chain_hash(prev, seq, raw), raw)
        return self._last

    def _queue(self, event: AuditEvent, done: Appended) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._commit)
        self._waiting.append((event, done))

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.events += [event for event, _ in waiting]
        for _, done in waiting:
            done(None)

    def poison(self) -> None:
        self._poisoned = True
        waiting, self._waiting = self._waiting, []
        for _, done in waiting:
            done(JournalPoisoned("audit log unavailable: poisoned"))

    async def close(self) -> None:
        self._closed = True
        self._commit()

    def read(self, after_seq: int, limit: int) -> list[AuditEvent]:
        return self.events[max(after_seq, 0) : max(after_seq, 0) + limit]

    def read_raw(self, after_seq: int, limit: int) -> list[tuple[int, bytes]]:
        return [(event.seq, event.raw) for event in self.read(after_seq, limit)]

    def head(self) -> tuple[int, bytes]:
        return (self.events[-1].seq, self.events[-1].hash) if self.events else (0, GENESIS)
