"""Group commit on the event loop: what one tick appends becomes one batch, and one fsync.

`append` encodes and chains the event at once, so the order of calls is the order of the chain, and schedules the end of
the tick; everything appended by then goes to the writer as one batch. One batch is in flight; what comes meanwhile is
the next batch, closed a tick after the answer, so that those who were just answered are in it. No locks and no delay.

    open ──commit error──▶ poisoned    for good: every waiter and every later append is refused
      ▲└──no room────────▶ full        refused before anything was written; looks for room again by itself
      └───room again────────┘

A refused batch has never been written, so the chain goes on from the last durable event.
Encoding happens on the loop. In the writer thread it would be as fast (bench/journal.py measures both: equal within a
few per cent), but here a draft that can't be encoded is refused alone, at the call, before it has a place in the chain.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from decision.journal.chain import Head, chain_hash
from decision.journal.codec import EventCodec
from decision.journal.runner import JobRunner
from decision.journal.settings import JournalSettings
from decision.journal.store import Batch, JournalStore, StoreState
from decision.model.errors import JournalBusy, JournalFull, JournalPoisoned, JournalUnavailable
from decision.model.events import AuditEvent, EventDraft

log = logging.getLogger(__name__)

_POISON_HINT = "restart the process: it verifies the journal before it goes on"
_FULL_HINT = "free disk space, prune relayed events or raise the quota; appends then go on by themselves"


@dataclass(slots=True)
class _Waiting:
    event: AuditEvent
    future: asyncio.Future[AuditEvent]


class GroupCommit:
    """All methods are called on one event loop. `on_poisoned` is called once, with the error, when that happens;
    `on_commit` with the last durable seq after each batch."""

    def __init__(
        self,
        store: JournalStore,
        runner: JobRunner,
        producer_id: str,
        codec: EventCodec,
        settings: JournalSettings,
    ) -> None:
        self._store = store
        self._runner = runner
        self._producer_id = producer_id
        self._codec = codec
        self._settings = settings
        self._head = store.state.head
        self._queue: deque[_Waiting] = deque()
        self._queue_bytes = 0
        self._flying: list[_Waiting] = []
        self._flying_bytes = 0
        self._flying_since = 0.0
        self._scheduled = False
        self._rechecking = False
        self._poison: JournalPoisoned | None = None
        self._closed = False
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self.state = store.state
        self.last_commit_s = 0.0
        self.on_poisoned: Callable[[BaseException], None] | None = None
        self.on_commit: list[Callable[[int], None]] = []

    @property
    def depth(self) -> int:
        return len(self._queue) + len(self._flying)

    @property
    def poison(self) -> JournalPoisoned | None:
        return self._poison

    def check(self) -> None:
        if self._poison is not None:
            raise _again(self._poison)
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        if self.state.full:
            self._look_for_room()
            raise JournalFull(f"audit log unavailable: {self.state.full}", hint=_FULL_HINT)
        if self.depth >= self._settings.queue_limit or self._queue_bytes + self._flying_bytes >= self._limit_bytes:
            raise JournalBusy(
                f"audit log unavailable: {self.depth} events wait for the disk", hint="try again in a moment"
            )
        if self._flying and (stalled := self._flying_for()) > self._settings.stall_s:
            raise JournalBusy(
                f"audit log unavailable: the disk has not answered for {stalled:.0f} s", hint="look at the disk"
            )

    @property
    def _limit_bytes(self) -> int:
        return self._settings.queue_bytes

    def _flying_for(self) -> float:
        try:
            return asyncio.get_running_loop().time() - self._flying_since
        except RuntimeError:
            return 0.0

    def append(self, draft: EventDraft) -> asyncio.Future[AuditEvent]:
        self.check()
        head, epoch = self._head, self._store.epoch
        seq = head.seq + 1
        raw = self._codec.encode(draft, self._producer_id, epoch, seq, head.hash)
        event = AuditEvent(draft, self._producer_id, epoch, seq, head.hash, chain_hash(head.hash, seq, raw), raw)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[AuditEvent] = loop.create_future()
        self._head = Head(seq, event.hash, epoch)
        self._queue.append(_Waiting(event, future))
        self._queue_bytes += len(raw)
        self._idle.clear()
        self._schedule()
        return future

    def _schedule(self) -> None:
        if not self._scheduled and not self._flying and self._queue:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._close_batch)

    def _close_batch(self) -> None:
        self._scheduled = False
        if self._flying or not self._queue:
            return
        settings = self._settings
        size = 0
        while self._queue and len(self._flying) < settings.batch_events:
            size += len(self._queue[0].event.raw)
            if self._flying and size > settings.batch_bytes:
                size -= len(self._queue[0].event.raw)
                break
            self._flying.append(self._queue.popleft())
        self._queue_bytes -= size
        self._flying_bytes = size
        first, last = self._flying[0].event, self._flying[-1].event
        batch = Batch(
            first.seq, [waiting.event.raw for waiting in self._flying], Head(last.seq, last.hash, last.epoch), size
        )
        self._flying_since = asyncio.get_running_loop().time()
        self._runner.submit(lambda: self._store.commit(batch), self._committed)

    def _committed(self, state: StoreState | None, error: BaseException | None) -> None:
        answered, self._flying, self._flying_bytes = self._flying, [], 0
        self.last_commit_s = self._flying_for()
        if isinstance(error, JournalFull):
            self._refuse_full(answered, error)
            return
        if error is not None or state is None:
            self._poisoned(answered, error or RuntimeError("the commit has no result"))
            return
        self.state = state
        for waiting in answered:
            if not waiting.future.done():
                waiting.future.set_result(waiting.event)
        for callback in self.on_commit:
            asyncio.get_running_loop().call_soon(callback, state.head.seq)
        self._schedule()
        if self._store.checkpoint_due():
            self._runner.submit(self._store.checkpoint, self._maintained)
        self._note_idle()

    def _maintained(self, state: StoreState | None, error: BaseException | None) -> None:
        """A checkpoint or a look for room is done. Its failure loses nothing, but the disk is not to be trusted."""
        if error is not None or state is None:
            self._poisoned([], error or RuntimeError("the journal's maintenance has no result"))
            return
        self.state = state
        self._note_idle()

    def _refuse_full(self, answered: list[_Waiting], error: JournalFull) -> None:
        self.state = self._store.state
        self._head = self.state.head
        self._refuse(answered, JournalFull(f"audit log unavailable: {error.message}", hint=_FULL_HINT))
        log.warning("appends are refused: %s", error.message)
        self._look_for_room()

    def _look_for_room(self) -> None:
        """In `recheck_s`, measure again; goes on while the journal is full."""
        if self._rechecking or self._closed or self._poison is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # asked from outside the loop: the next append looks
        self._rechecking = True
        loop.call_later(self._settings.recheck_s, self._recheck)

    def _recheck(self) -> None:
        if self._closed or self._poison is not None:
            return
        self._runner.submit(self._store.recheck, self._rechecked)

    def _rechecked(self, state: StoreState | None, error: BaseException | None) -> None:
        self._rechecking = False
        self._maintained(state, error)
        if self.state.full:
            self._look_for_room()
        elif self._poison is None:
            log.warning("there is room again: appends go on")

    def prune(self, through_seq: int) -> asyncio.Future[int]:
        """Submit a pruning; the future holds the number of events deleted."""
        self.check_poison()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()

        def done(state: StoreState | None, error: BaseException | None) -> None:
            before = self.state.base.seq
            self._maintained(state, error)
            if future.done():
                return
            if error is not None:
                future.set_exception(JournalPoisoned(f"pruning failed: {error}", hint=_POISON_HINT))
            else:
                future.set_result(self.state.base.seq - before)

        self._runner.submit(lambda: self._store.prune(through_seq), done)
        return future

    def check_poison(self) -> None:
        if self._poison is not None or self._closed:
            self.check()

    def _poisoned(self, answered: list[_Waiting], error: BaseException) -> None:
        if self._poison is None:
            self._poison = JournalPoisoned(f"audit log unavailable: a commit failed ({error})", hint=_POISON_HINT)
            log.error("the journal is poisoned: %s", error)
            self._store.poison()
            self._refuse(answered, self._poison)
            if self.on_poisoned is not None:
                asyncio.get_running_loop().call_soon(self.on_poisoned, self._poison)
        else:
            self._refuse(answered, self._poison)

    def _refuse(self, answered: list[_Waiting], error: JournalUnavailable) -> None:
        """Refuse the batch in flight and all that was chained after it."""
        refused = [*answered, *self._queue]
        self._queue.clear()
        self._queue_bytes = 0
        for waiting in refused:
            if not waiting.future.done():
                waiting.future.set_exception(_again(error))
                waiting.future.exception()  # seen: it was logged here, and a waiter may be gone
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._flying and not self._queue:
            self._idle.set()

    async def drain(self) -> None:
        """Refuse new appends; return when everything queued was answered."""
        self._closed = True
        await self._idle.wait()


def _again(error: JournalUnavailable) -> JournalUnavailable:
    """A fresh instance for each waiter: tracebacks grow on a shared one."""
    return type(error)(error.message, hint=error.hint)
