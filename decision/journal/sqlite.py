"""The journal on SQLite: `SqliteJournal.open(folder, producer_id=…, codec=…)`.

Composition of the store (one file, one fsync a batch), the writer thread and the group commit; see their modules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from decision.journal.codec import SealingCodec
from decision.journal.files import JournalFiles, JournalFolder
from decision.journal.group import GroupCommit
from decision.journal.metrics import samples_of
from decision.journal.pruning import PruneWish
from decision.journal.runner import JobRunner, WriterThread
from decision.journal.settings import JournalSettings
from decision.journal.store import JournalStore
from decision.model.errors import JournalPoisoned, JournalUnavailable
from decision.model.events import AuditEvent, EventDraft
from decision.model.metrics import Sample
from decision.model.ports import Appended


@dataclass(frozen=True, slots=True)
class JournalStats:
    """For the operator. Sizes in bytes; `events` stored (pruned ones not counted); `queue_depth` events that wait to
    be durable; `quota_used` of `quota`; `full` says why appends are refused, empty if they are not."""

    producer_id: str
    epoch: int
    head_seq: int
    events: int
    database_bytes: int
    wal_bytes: int
    quota_used: int
    quota: int
    disk_free_bytes: int
    last_commit_s: float
    queue_depth: int
    full: str
    poisoned: bool


class SqliteJournal:
    """decision.model.ports.Journal in a folder. Used on one event loop; closed with `await close()`."""

    def __init__(
        self, files: JournalFiles, store: JournalStore, runner: JobRunner, producer_id: str, codec: SealingCodec,
        settings: JournalSettings,
    ) -> None:  # fmt: skip
        self._files = files
        self._store = store
        self._runner = runner
        self._producer_id = producer_id
        self._codec = codec
        self._settings = settings
        self._group = GroupCommit(store, runner, producer_id, codec, settings)
        self._released = False

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        producer_id: str,
        codec: SealingCodec,
        settings: JournalSettings | None = None,
        verify_all: bool = False,
        epoch_floor: int = 0,
    ) -> SqliteJournal:
        """Open or create the journal in `folder`: lock it, recover it, verify its newest events (all of them with
        `verify_all`, and always after a commit had failed), raise its incarnation number.

        That number is at least `epoch_floor`: UNIX seconds, where events go to others. A journal that was restored
        from a copy then never gives new events the places (producer, epoch, seq) of those that its original wrote
        since: readers would take them for repetitions.

        Raises JournalUnavailable (another process writes it; the disk fails or is full beyond the ballast),
        SettingsError (the journal of another producer), ChainBroken (damaged, changed or missing).
        """
        files = JournalFolder(folder)
        return cls.open_files(files, producer_id, codec, settings or JournalSettings(), verify_all, epoch_floor)

    @classmethod
    def open_files(
        cls,
        files: JournalFiles,
        producer_id: str,
        codec: SealingCodec,
        settings: JournalSettings,
        verify_all: bool,
        epoch_floor: int = 0,
    ) -> SqliteJournal:
        try:
            store = JournalStore.open(
                files, producer_id, codec, settings, verify_all=verify_all, epoch_floor=epoch_floor
            )
        except (apsw.Error, OSError) as error:
            raise JournalUnavailable(
                f"the journal can't be opened: {error}", hint="look at the disk: free space, permissions, errors"
            ) from error
        return cls(files, store, WriterThread(f"journal-{producer_id}"), producer_id, codec, settings)

    # ── the port ────────────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, draft: EventDraft) -> asyncio.Future[AuditEvent]:
        """See the port. Raises ValueError or TypeError for a draft that is no event."""
        return self._group.append(draft)

    def append_then(self, draft: EventDraft, done: Appended) -> None:
        """See the port. Raises as `append` does."""
        self._group.append_then(draft, done)

    def append_encoded(self, before: bytes, after: bytes, done: Appended) -> None:
        """See the port."""
        self._group.append_encoded(before, after, done)

    def check(self) -> None:
        self._group.check()

    async def close(self) -> None:
        """Make durable what is queued, then checkpoint and release. A poisoned journal is released as it is."""
        await self._group.drain()
        await asyncio.get_running_loop().run_in_executor(None, self.release)

    # ── beyond the port ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def producer_id(self) -> str:
        return self._producer_id

    @property
    def epoch(self) -> int:
        return self._store.epoch

    @property
    def poisoned(self) -> JournalPoisoned | None:
        """The error that poisoned it, if one did."""
        return self._group.poison

    @property
    def on_poisoned(self) -> Callable[[BaseException], None] | None:
        return self._group.on_poisoned

    @on_poisoned.setter
    def on_poisoned(self, callback: Callable[[BaseException], None] | None) -> None:
        """`callback(error)` is called once, on the loop, after every waiter was refused."""
        self._group.on_poisoned = callback

    def on_commit(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Have `callback(last durable seq)` called on the loop after each commit; returns what ends that."""
        self._group.on_commit.append(callback)
        return lambda: self._group.on_commit.remove(callback)

    async def prune(self, through_seq: int) -> int:
        """Delete the events up to `through_seq` (to the end of a batch before it); the number deleted.

        For relayed events only: the caller knows what was relayed. The chain goes on from the place kept.
        """
        return await self._group.prune(through_seq)

    async def prune_oldest(self, wish: PruneWish) -> int:
        """Delete some of the oldest events, if any may go; the number deleted. Ask again until it is 0."""
        return await self._group.prune_by(lambda: self._store.prune_oldest(wish))

    def stats(self) -> JournalStats:
        group, state = self._group, self._group.state
        return JournalStats(
            producer_id=self._producer_id,
            epoch=self._store.epoch,
            head_seq=state.head.seq,
            events=state.events,
            database_bytes=state.space.database,
            wal_bytes=state.space.wal,
            quota_used=state.used,
            quota=self._settings.quota_bytes,
            disk_free_bytes=state.space.free,
            last_commit_s=group.last_commit_s,
            queue_depth=group.depth,
            full=state.full,
            poisoned=group.poison is not None,
        )

    def samples(self) -> Iterator[Sample]:
        """See decision.model.metrics."""
        return samples_of(self._group, self._settings)

    def release(self) -> None:
        """End the writer thread and give the folder back; blocks for the commit in flight. Idempotent."""
        if self._released:
            return
        self._released = True
        self._runner.stop()
        if self._group.poison is None:
            self._store.close()
        else:
            self._store.abandon()

    async def reopen(self) -> SqliteJournal:
        """Release this journal (poisoned or not) and open its folder again, through full verification.

        What a refused batch had written may be there; whoever folds events must replay after the last one it saw.
        """
        await self.close()
        loop = asyncio.get_running_loop()
        journal = await loop.run_in_executor(
            None, SqliteJournal.open_files, self._files, self._producer_id, self._codec, self._settings, True
        )
        journal.on_poisoned = self.on_poisoned
        return journal
