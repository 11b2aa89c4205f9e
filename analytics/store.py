"""The analytics store: takes events, keeps their rows once each, publishes them for analysts.

    analytics/live.duckdb      the writer's own file: newest rows, manifest, coverage, projection offsets
    analytics/segments/        immutable Parquet files by table and day
    analytics/catalog.duckdb   what analysts open (analytics.catalog)

Everything that must not come apart (rows, coverage, offsets, manifest) changes in one transaction of the live file;
segment files are durable before that transaction names them, and are removed only after it no longer does. So kill -9
at any moment leaves each event taken once or not at all, and the source's position tells which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from analytics import ddl
from analytics.catalog import CatalogPublisher
from analytics.columns import joined, to_arrow
from analytics.conflicts import conflict_letters
from analytics.intake import Batch, Intake, Run
from analytics.live import LIVE, LiveFile
from analytics.pending import Applied, Pending
from analytics.project import DeadLetterRow
from analytics.project.fold import alert_rows
from analytics.segments import Segment, SegmentFolder, split_by_day
from analytics.settings import DEFAULTS, FOLDER, StoreSettings
from analytics.upkeep import Upkeep
from decision.model.events import AuditEvent
from decision.model.ports import Clock, IdSource

_WRITERS = 4
"""So many segments of a batch are written at once: compressing and waiting for the disk hold no lock of Python's."""

_MOST_MISSING = (1 << 63) - 1
"""Numbers are anybody's word: more would fit in no BIGINT, and nothing could be published any more."""

__all__ = ["DEFAULTS", "FOLDER", "AnalyticsStore", "Applied", "Run", "StoreSettings"]


class AnalyticsStore(Upkeep):
    """The one writer of `<data-dir>/analytics`. Not thread-safe. Raises StoreError when another process has it."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        ids: IdSource,
        settings: StoreSettings = DEFAULTS,
    ) -> None:
        self.folder = folder
        self._clock = clock
        self._ids = ids
        self._settings = settings
        # What everybody did is for its owner alone; an operator may open a folder that exists already to others.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._live = LiveFile(folder / LIVE, settings.memory_limit)
        self._files = SegmentFolder(folder / "segments")
        self._files.root.mkdir(exist_ok=True)
        self._publisher = CatalogPublisher(folder)
        self._intake = Intake()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compaction")
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="segments")
        self._running = None
        self._reload()
        self._remove_orphans()
        self._dirty = True

    def _reload(self) -> None:
        self._pending: Pending | None = None
        self._positions = self._live.positions()
        self._identities = self._live.identities()
        self._coverage = self._live.coverage()
        self._segments = self._live.segments()
        self._retired = self._live.retired()
        self._counters = {"events": 0, "duplicates": 0, "dead_letters": 0, **self._live.counters()}
        self._hot = self._live.hot_rows()
        self._hot_since = self._clock.monotonic_ns()
        self._publisher.outdate(ddl.facts())

    def _remove_orphans(self) -> None:
        """Files that a killed writer left: no manifest ever named them, so no catalog did."""
        known = {segment.path for segment in self._segments} | self._retired.keys()
        for path in list(self._files.files()):
            if path not in known:
                self._files.remove(path)

    def __enter__(self) -> AnalyticsStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._writers.shutdown(wait=True)
        self._live.close()

    # ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def position(self, source: str) -> int:
        """How far `source` was taken; 0 for nothing."""
        return self._positions.get(source, 0)

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals since the store was made: events, duplicates, dead_letters; `missing` are in gaps right now."""
        return {**self._counters, "missing": min(self._coverage.missing(), _MOST_MISSING)}

    @property
    def segments(self) -> Sequence[Segment]:
        return tuple(self._segments)

    def identity(self, source: str) -> str:
        """What `source` was when it was first read; empty if nobody said."""
        return self._identities.get(source, "")

    def apply(
        self,
        events: Sequence[AuditEvent],
        positions: Mapping[str, int],
        dead_letters: Sequence[DeadLetterRow] = (),
        alerts: Sequence[AuditEvent] = (),
        origin: str = "journal",
    ) -> Applied:
        """`take` for events that are decoded already."""
        run = Run(origin, [event.seq for event in events], [event.raw for event in events])
        return self.take((run,), positions, dead_letters, alerts)

    def take(
        self,
        runs: Sequence[Run],
        positions: Mapping[str, int],
        dead_letters: Sequence[DeadLetterRow] = (),
        alerts: Sequence[AuditEvent] = (),
        identities: Mapping[str, str] | None = None,
    ) -> Applied:
        """Take a batch of stored bytes: its new events' rows, the dead letters, the alerts and the sources' new
        positions, all or nothing.

        Events that were taken before are duplicates and change nothing; one that differs from what was taken under its
        number is kept as a dead letter (`conflict`), as is what is no event (`undecodable`). Alerts stand outside any
        chain: they are neither counted nor covered. Raises duckdb.Error or OSError; nothing is taken then.
        """
        applied = self.take_ahead(runs, positions, dead_letters, alerts, identities)
        self.flush()
        return applied

    def take_ahead(
        self,
        runs: Sequence[Run],
        positions: Mapping[str, int],
        dead_letters: Sequence[DeadLetterRow] = (),
        alerts: Sequence[AuditEvent] = (),
        identities: Mapping[str, str] | None = None,
    ) -> Applied:
        """As `take`, but durable only with the next batch or `flush`: while its segments are compressed and written,
        the next batch is folded. Whatever fails, of this or of the one before, neither is taken."""
        try:
            batch = self._intake.read(runs)
            repeated = batch.take_new(self._coverage)
            coverage = self._coverage.changes()
            if repeated:
                self._finish()  # what they repeat may be in there
            letters = [*dead_letters, *(self._conflicts(batch, repeated) if repeated else ())]
            tables = batch.tables(letters)
            if alerts:
                tables = joined(tables, to_arrow(alert_rows(alerts)))
            found = tables.get("dead_letters")
            letters_found = 0 if found is None else found.num_rows
            applied = Applied(batch.events, len(repeated), letters_found, *batch.span())
            direct = applied.events >= self._settings.direct_events
            files = self._begin_writing(tables) if direct else []
            pending = Pending(applied, {} if direct else tables, files, coverage, positions, identities or {})
            self._finish()
            self._pending = pending
        except BaseException:
            self._reload()
            raise
        return applied

    def flush(self) -> None:
        """Make durable what was taken ahead. Raises as `take` does."""
        try:
            self._finish()
        except BaseException:
            self._reload()
            raise

    def _conflicts(self, batch: Batch, repeated: Sequence[int]) -> list[DeadLetterRow]:
        files = [
            (segment, str(self._files.absolute(segment)))
            for segment in self._segments
            if segment.table in ("events", "dead_letters")
        ]
        return conflict_letters(batch, repeated, self._intake, self._live.connection, files, self.folder)

    def _finish(self) -> None:
        """Commit the batch that was taken ahead, if there is one."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        written = [file.result() for file in pending.files]
        applied = pending.applied
        counters = {
            "events": self._counters["events"] + applied.events,
            "duplicates": self._counters["duplicates"] + applied.duplicates,
            "dead_letters": self._counters["dead_letters"] + applied.dead_letters,
        }
        with self._live:
            for table, content in pending.tables.items():
                self._live.insert(table, content)
            self._live.add_segments(written)
            self._live.save_coverage(*pending.coverage)
            self._live.save_positions(pending.positions)
            self._live.save_identities(pending.identities)
            self._live.save_counters(counters)
        self._counters = counters
        self._positions.update(pending.positions)
        self._identities.update(pending.identities)
        self._dirty = self._dirty or bool(written) or bool(pending.tables) or applied.duplicates > 0
        self._segments += written
        self._publisher.outdate({segment.table for segment in written})
        if pending.tables and not self._hot:
            self._hot_since = self._clock.monotonic_ns()
        for table, content in pending.tables.items():
            self._hot[table] = self._hot.get(table, 0) + content.num_rows

    def _begin_writing(self, tables: Mapping[str, pa.Table]) -> list[Future[Segment]]:
        return [
            self._writers.submit(self._write_one, table, day, part)
            for table, content in tables.items()
            for day, part in split_by_day(content)
        ]

    def _write(self, tables: Mapping[str, pa.Table]) -> list[Segment]:
        return [file.result() for file in self._begin_writing(tables)]

    def _write_one(self, table: str, day: date, rows: pa.Table) -> Segment:
        return self._files.write(table, day, self._ids.new_id(), rows.combine_chunks().to_batches(), rows.schema)

    # ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def dirty(self) -> bool:
        """Whether there is something that analysts don't see yet."""
        return self._dirty or self._publisher.stale

    def publish(self) -> bool:
        """Make everything taken so far visible to analysts. Returns whether there was anything new."""
        if self._seal_is_due():
            self.seal()
        if not self.dirty:
            return False
        listed: dict[str, list[tuple[str, str, int, int]]] = {}
        changed = self._publisher.outdated
        for s in sorted((s for s in self._segments if s.table in changed), key=lambda s: (s.first_time, s.path)):
            listed.setdefault(s.table, []).append(
                (str(self._files.absolute(s).resolve()), s.day.isoformat(), s.rows, s.size)
            )
        counts = self.counters
        now = self._clock.time_unix_nano() // 1000
        status = (now, counts["events"], counts["duplicates"], counts["dead_letters"], counts["missing"])
        self._publisher.publish(self._live.connection, listed, tuple(self._hot), status)
        self._dirty = False
        return True

    def _seal_is_due(self) -> bool:
        if not self._hot:
            return False
        age = (self._clock.monotonic_ns() - self._hot_since) / 1e9
        many = max(self._hot.values()) >= 8 * self._settings.seal_events
        return many or self._hot.get("events", 0) >= self._settings.seal_events or age >= self._settings.seal_after_s

    def seal(self) -> None:
        """Move the live file's rows into segments."""
        tables = {table: self._live.table(table) for table in self._hot}
        written = self._write(tables)
        with self._live:
            for table in tables:
                self._live.clear(table)
            self._live.add_segments(written)
        self._segments += written
        self._hot = {}
        self._dirty = True
        self._publisher.outdate(tables)
