"""The database of one journal: one row a batch, committed with an fsync. Synchronous; used by one thread at a time.

SQLite in WAL mode with `synchronous=FULL`: a commit returns after the fsync of the log. The checkpoint (log into
database) is ours to run, after the batch was answered, because SQLite's automatic one hides its errors.
Nothing is tried twice: after an error of any write the store refuses everything (and the caller poisons the journal).
A commit that follows a failed fsync must not be believed: it is chained in the log to pages that the kernel may have
dropped, its own fsync succeeding or not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import apsw

from decision.journal import frames
from decision.journal.chain import GENESIS, Head, broken
from decision.journal.codec import EventCodec
from decision.journal.files import JournalFiles, Space
from decision.journal.pruning import PruneWish, prune_oldest
from decision.journal.rows import FORMAT, INSERT, META, ROWS, SCHEMA, verify_rows
from decision.journal.settings import PAGE_BYTES, JournalSettings
from decision.journal.state import Batch, StoreState
from decision.model.errors import JournalFull, SettingsError

COMMIT_OVERHEAD = 4 * PAGE_BYTES
"""Bytes that a commit may take beyond its events: the pages of the tree that it touches."""
_FRAME_BYTES = PAGE_BYTES + 24
_PAYLOAD_BYTES = PAGE_BYTES - 4
"""Of a batch's bytes, what a page of its own holds; such a page is one frame of the write-ahead log."""

_PRUNING_NEEDS = 1024 * 1024
"""Bytes free on the disk under which nothing is deleted: that is written too, and a failed write poisons."""

_PERSISTENT = apsw.SQLITE_PREPARE_PERSISTENT
_DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)


class JournalStore:
    """`synchronous` other than FULL exists for the simulation that shows what would be lost."""

    def __init__(
        self, files: JournalFiles, producer_id: str, codec: EventCodec, settings: JournalSettings, synchronous: str
    ) -> None:
        self._files = files
        self._producer_id = producer_id
        self._codec = codec
        self._settings = settings
        self._synchronous = synchronous
        self._failed: BaseException | None = None
        self._pages = 0  # about how many the log got since the last checkpoint
        self._db: apsw.Connection
        self.epoch = 0
        self.state = StoreState(Head(), Head(), Space(0, 0, 0))

    @classmethod
    def open(
        cls,
        files: JournalFiles,
        producer_id: str,
        codec: EventCodec,
        settings: JournalSettings,
        *,
        verify_all: bool = False,
        synchronous: str = "FULL",
        epoch_floor: int = 0,
    ) -> JournalStore:
        """Lock, recover, verify, raise the incarnation number, to at least `epoch_floor`.

        Raises JournalUnavailable (another writer), SettingsError (another producer's journal), ChainBroken (damaged,
        changed or missing), apsw.Error or OSError (the disk does not do its work).
        """
        files.lock()
        store = cls(files, producer_id, codec, settings, synchronous)
        try:
            store._open(verify_all or files.poisoned(), epoch_floor)
        except _DAMAGED as error:
            files.unlock()
            raise broken(f"the journal's database is damaged: {error}", producer_id, 0, 0) from error
        except BaseException:
            store.abandon()
            raise
        return store

    def _open(self, verify_all: bool, epoch_floor: int) -> None:
        if self._files.space().free < self._settings.min_free_bytes:
            self._files.free_ballast()
        known = self._files.producer()
        if known and known != self._producer_id:
            raise SettingsError(
                f"the journal belongs to producer {known!r}, not {self._producer_id!r}",
                hint="set that producer id, or give this process a folder of its own",
            )
        if known and not self._files.exists():
            raise broken("the journal's database is missing", self._producer_id, 0, 1)
        self._files.harden_wal()
        self._connect()
        if not self._db.pragma("user_version"):
            self._create()
        if not known:
            self._files.set_producer(self._producer_id)
        base, last_epoch = self._read_meta()
        head = self._verified(base, verify_all)
        # What the log holds goes to the database before anything new is written after it.
        self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self.epoch = max(last_epoch + 1, head.epoch + 1, epoch_floor)
        self._db.execute("UPDATE meta SET epoch = ?", (self.epoch,))
        self._files.mark_poisoned(False)
        self.state = StoreState(head, base, self._files.space(), self._reusable())
        self.recheck()

    def _connect(self) -> None:
        self._db = self._files.connect()
        self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._db.set_busy_timeout(2_000)
        self._db.pragma("page_size", PAGE_BYTES)
        mode = self._db.pragma("journal_mode", "wal")
        if mode != "wal":
            raise SettingsError(
                f"SQLite offers journal mode {mode!r} here, not WAL", hint="put the journal on a local file system"
            )
        self._db.pragma("synchronous", self._synchronous)
        self._db.pragma("journal_size_limit", self._settings.wal_limit_bytes)
        self._db.wal_autocheckpoint(0)

    def _create(self) -> None:
        with self._db:
            self._db.execute(SCHEMA)
            self._db.execute("INSERT INTO meta VALUES (1, ?, ?, 0, 0, ?, 0)", (FORMAT, self._producer_id, GENESIS))
            self._db.pragma("user_version", FORMAT)

    def _read_meta(self) -> tuple[Head, int]:
        row = self._db.execute(META).fetchone()
        if row is None or row[0] != FORMAT:
            raise broken("the journal's format is not known", self._producer_id, 0, 0)
        if row[1] != self._producer_id:
            raise SettingsError(
                f"the journal belongs to producer {row[1]!r}, not {self._producer_id!r}",
                hint="set that producer id, or give this process a folder of its own",
            )
        return Head(row[3], row[4], row[5]), row[2]

    def _verified(self, base: Head, verify_all: bool) -> Head:
        """The head, after verifying the tail, or everything after the pruned part."""
        newest = self._db.execute("SELECT max(last_seq) FROM batch").get or base.seq
        start = base.seq if verify_all else max(base.seq, newest - self._settings.verify_tail_events)
        rows = self._db.execute(ROWS, (start,))
        return verify_rows(rows, self._codec, self._producer_id, base, anchored=start == base.seq)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Nothing is written once a write failed."""
        if self._failed is not None:
            raise OSError("an earlier write failed") from self._failed
        try:
            yield
        except JournalFull:
            raise
        except BaseException as error:
            self._failed = error
            raise

    def commit(self, batch: Batch) -> StoreState:
        """Make the batch durable. Raises JournalFull with nothing written, or what poisons: apsw.Error, OSError."""
        if self._failed is not None:
            raise OSError("an earlier write failed") from self._failed
        try:
            return self._commit(batch)
        except JournalFull:
            raise
        except BaseException as error:
            self._failed = error
            raise

    def _commit(self, batch: Batch) -> StoreState:
        """The files are measured at each checkpoint and counted up in between, as if the log began nowhere anew: where
        that says that there is no room, they are measured again."""
        known, head, pages = self.state, batch.head, batch.size // _PAYLOAD_BYTES + 2
        wal = known.space.wal + pages * _FRAME_BYTES + COMMIT_OVERHEAD
        space = Space(known.space.database, wal, self._files.free())
        state = StoreState(head, known.base, space, known.reusable)
        if self._full(state, 0) or space.free < self._settings.min_free_bytes + batch.size + COMMIT_OVERHEAD:
            space = self._files.space()
            state = StoreState(head, known.base, space, known.reusable)
            if full := self._full(state, batch.size + COMMIT_OVERHEAD):
                self.state = StoreState(known.head, known.base, space, known.reusable, full)
                raise JournalFull(full, hint="appends go on by themselves when there is room again")
        packed = frames.pack(batch.raws)
        self._db.execute(INSERT, (head.seq, batch.first_seq, head.epoch, head.hash, packed), prepare_flags=_PERSISTENT)
        self._pages += pages
        self.state = state
        return state

    def _full(self, state: StoreState, needed: int) -> str:
        settings, space = self._settings, state.space
        needed_in_all = needed + self._pages * PAGE_BYTES  # the next checkpoint copies the log's pages
        if state.used + needed_in_all > settings.quota_bytes:
            return f"the journal's quota of {settings.quota_bytes} bytes is used up"
        if space.free < settings.min_free_bytes + needed:
            return f"the journal's disk has {space.free} bytes left, under the reserve of {settings.min_free_bytes}"
        return ""

    def checkpoint_due(self) -> bool:
        return self._pages >= self._settings.checkpoint_pages

    def checkpoint(self) -> StoreState:
        """Copy the log into the database, if the disk has room for it.

        A reader in the way, or a full disk, lets the log grow; that is no error.
        """
        with self._writing():
            return self._checkpoint()

    def _checkpoint(self) -> StoreState:
        space = self._files.space()
        if space.free > space.wal:
            with contextlib.suppress(apsw.BusyError):
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._pages = 0
        self.state = replace(self.state, space=self._files.space(), reusable=self._reusable())
        return self.state

    def recheck(self) -> StoreState:
        """Measure again, make room where that is possible, restore the ballast."""
        with self._writing():
            return self._recheck()

    def _recheck(self) -> StoreState:
        settings = self._settings
        space = self._files.space()
        self.state = replace(self.state, space=space, full="")
        if self._full(self.state, COMMIT_OVERHEAD) and space.free >= settings.min_free_bytes + space.wal:
            with contextlib.suppress(apsw.BusyError):
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._pages = 0
        if not self._files.has_ballast(settings.ballast_bytes):
            room = self._files.space().free >= settings.min_free_bytes + settings.ballast_bytes
            if not (room and self._files.make_ballast(settings.ballast_bytes)):
                full = "the journal's disk has no room for its ballast file"
                self.state = replace(self.state, space=self._files.space(), full=full)
                return self.state
        self.state = replace(self.state, space=self._files.space(), reusable=self._reusable())
        self.state = replace(self.state, full=self._full(self.state, COMMIT_OVERHEAD))
        return self.state

    def prune(self, through_seq: int) -> StoreState:
        """Delete whole batches up to `through_seq`, keeping the place and hash where the chain goes on."""
        with self._writing():
            self._prune(through_seq)
            return self._recheck()

    def _prune(self, through_seq: int) -> None:
        last = self._db.execute(
            "SELECT last_seq, seal, epoch FROM batch WHERE last_seq <= ? ORDER BY last_seq DESC LIMIT 1", (through_seq,)
        ).fetchone()
        if last is not None:
            with self._db:
                self._db.execute("UPDATE meta SET base_seq = ?, base_hash = ?, base_epoch = ?", last)
                self._db.execute("DELETE FROM batch WHERE last_seq <= ?", (last[0],))
            self.state = replace(self.state, base=Head(*last))
            self._pages += self._files.space().wal // _FRAME_BYTES  # at most

    def prune_oldest(self, wish: PruneWish) -> StoreState:
        """Delete some of the oldest batches, if any may go; see decision.journal.pruning."""
        with self._writing():
            if self._files.free() >= _PRUNING_NEEDS and (base := prune_oldest(self._db, wish)):
                self.state = replace(self.state, base=base)
                self._pages += self._files.space().wal // _FRAME_BYTES
            return self._recheck()

    def _reusable(self) -> int:
        return int(self._db.pragma("freelist_count")) * PAGE_BYTES

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Checkpoint and release. What fails here loses nothing: the log holds it."""
        with contextlib.suppress(apsw.Error):
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._release()

    def abandon(self) -> None:
        """Release without another write; the next opening verifies everything if a commit failed."""
        self._release()

    def poison(self) -> None:
        self._files.mark_poisoned(True)

    def _release(self) -> None:
        with contextlib.suppress(apsw.Error):
            if hasattr(self, "_db"):
                self._db.close(True)
        self._files.unlock()
