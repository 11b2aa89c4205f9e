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

from decision.journal.chain import Head, chain_hash
from decision.journal.codec import SealingCodec
from decision.journal.runner import JobRunner
from decision.journal.settings import JournalSettings
from decision.journal.state import Batch, StoreState
from decision.journal.store import JournalStore
from decision.journal.waiting import Promise, Waiting, tell
from decision.model.errors import JournalBusy, JournalFull, JournalPoisoned, JournalUnavailable
from decision.model.events import AuditEvent, EventDraft
from decision.model.metrics import Histogram
from decision.model.ports import Appended

log = logging.getLogger(__name__)

_POISON_HINT = "restart the process: it verifies the journal before it goes on"
_FULL_HINT = "free disk space, prune relayed events or raise the quota; appends then go on by themselves"


class GroupCommit:
    """All methods are called on one event loop. `on_poisoned` is called once, with the error, when that happens;
    `on_commit` with the last durable seq after each batch."""

    def __init__(
        self,
        store: JournalStore,
        runner: JobRunner,
        producer_id: str,
        codec: SealingCodec,
        settings: JournalSettings,
    ) -> None:
        self._store = store
        self._runner = runner
        self._producer_id = producer_id
        self._codec = codec
        self._settings = settings
        self._place = codec.place(producer_id, store.epoch)
        self._epoch = store.epoch
        self._seq = store.state.head.seq
        self._hash = store.state.head.hash
        self._queue: deque[Waiting] = deque()
        self._queue_bytes = 0
        self._flying: list[Waiting] = []
        self._flying_bytes = 0
        self._flying_since = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None  # on which the batch in flight was submitted
        self._scheduled = False
        self._rechecking = False
        self._poison: JournalPoisoned | None = None
        self._told = False  # of the poison
        self._closed = False
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self.state = store.state
        self.last_commit_s = 0.0
        self.commit_time = Histogram()
        self.appended = self.refused = 0  # events
        self.on_poisoned: Callable[[BaseException], None] | None = None
        self.on_commit: list[Callable[[int], None]] = []

    @property
    def depth(self) -> int:
        return len(self._queue) + len(self._flying)

    @property
    def poison(self) -> JournalPoisoned | None:
        return self._poison

    def check(self) -> None:
        if self._poison is not None or self._closed or self.state.full:
            self._refuse_all()
        settings, waiting = self._settings, len(self._queue) + len(self._flying)
        if waiting >= settings.queue_limit or self._queue_bytes + self._flying_bytes >= settings.queue_bytes:
            self.refused += 1
            raise JournalBusy(
                f"audit log unavailable: {waiting} events wait for the disk", hint="try again in a moment"
            )
        if self._flying and (stalled := self._flying_for()) > settings.stall_s:
            self.refused += 1
            raise JournalBusy(
                f"audit log unavailable: the disk has not answered for {stalled:.0f} s", hint="look at the disk"
            )

    def _refuse_all(self) -> None:
        self.refused += 1
        if self._poison is not None:
            raise _again(self._poison)
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        self._look_for_room()
        raise JournalFull(f"audit log unavailable: {self.state.full}", hint=_FULL_HINT)

    def _flying_for(self) -> float:
        return 0.0 if self._loop is None else self._loop.time() - self._flying_since

    def append(self, draft: EventDraft) -> asyncio.Future[AuditEvent]:
        self.check()
        promise = Promise(asyncio.get_running_loop().create_future())
        promise.event = self._append(draft, promise.settle)
        return promise.future

    def append_then(self, draft: EventDraft, done: Appended) -> None:
        self.check()
        self._append(draft, done)

    def _append(self, draft: EventDraft, done: Appended) -> AuditEvent:
        seq, prev_hash = self._seq + 1, self._hash
        raw = self._codec.encode(draft, self._producer_id, self._epoch, seq, prev_hash)
        chained = chain_hash(prev_hash, seq, raw)
        self._chain(seq, raw, chained, done)
        return AuditEvent(draft, self._producer_id, self._epoch, seq, prev_hash, chained, raw)

    def append_encoded(self, before: bytes, after: bytes, done: Appended) -> None:
        self.check()
        seq, prev_hash = self._seq + 1, self._hash
        raw = self._codec.seal(before, self._place, seq, prev_hash, after)
        self._chain(seq, raw, chain_hash(prev_hash, seq, raw), done)

    def _chain(self, seq: int, raw: bytes, chained: bytes, done: Appended) -> None:
        self._seq, self._hash = seq, chained
        self._queue.append((seq, raw, chained, done))
        self._queue_bytes += len(raw)
        if not self._scheduled and not self._flying:
            self._idle.clear()
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._flying and self._queue:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._close_batch)

    def _close_batch(self) -> None:
        self._scheduled = False
        if self._flying or not self._queue:
            return
        queue, settings = self._queue, self._settings
        if len(queue) <= settings.batch_events and self._queue_bytes <= settings.batch_bytes:
            flying, size = list(queue), self._queue_bytes
            queue.clear()
        else:
            flying, size = [], 0
            while queue and len(flying) < settings.batch_events:
                length = len(queue[0][1])
                if flying and size + length > settings.batch_bytes:
                    break
                size += length
                flying.append(queue.popleft())
        self._flying = flying
        self._queue_bytes -= size
        self._flying_bytes = size
        seq, _, chained, _ = flying[-1]
        batch = Batch(flying[0][0], [one[1] for one in flying], Head(seq, chained, self._epoch), size)
        self._loop = asyncio.get_running_loop()
        self._flying_since = self._loop.time()
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
        self.commit_time.observe(int(self.last_commit_s * 1e9))
        self.appended += len(answered)
        self._scheduled = True  # the next batch closes a tick after all of these were answered
        for one in answered:
            tell(one[3], None)
        self._scheduled = False
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

    def _refuse_full(self, answered: list[Waiting], error: JournalFull) -> None:
        self.state = self._store.state
        self._seq, self._hash = self.state.head.seq, self.state.head.hash
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
        return self.prune_by(lambda: self._store.prune(through_seq))

    def prune_by(self, job: Callable[[], StoreState]) -> asyncio.Future[int]:
        """The same, as `job` does it."""
        self.check_poison()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def done(state: StoreState | None, error: BaseException | None) -> None:
            before = self.state.base.seq
            self._maintained(state, error)
            if future.done():
                return
            if error is not None:
                future.set_exception(JournalPoisoned(f"pruning failed: {error}", hint=_POISON_HINT))
            else:
                future.set_result(self.state.base.seq - before)

        self._runner.submit(job, done)
        return future

    def check_poison(self) -> None:
        if self._poison is not None or self._closed:
            self.check()

    def _poisoned(self, answered: list[Waiting], error: BaseException) -> None:
        if self._poison is None:
            self._poison = JournalPoisoned(f"audit log unavailable: a commit failed ({error})", hint=_POISON_HINT)
            log.error("the journal is poisoned: %s", error)
            self._store.poison()
        if self._flying:
            return  # all are refused in their order, when the writer has answered for those before
        self._refuse(answered, self._poison)
        told, self._told = self._told, True
        if self.on_poisoned is not None and not told:
            asyncio.get_running_loop().call_soon(self.on_poisoned, self._poison)

    def _refuse(self, answered: list[Waiting], error: JournalUnavailable) -> None:
        """Refuse the batch in flight and all that was chained after it."""
        refused = [*answered, *self._queue]
        self._queue.clear()
        self._queue_bytes = 0
        self.refused += len(refused)
        for one in refused:
            tell(one[3], _again(error))
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
