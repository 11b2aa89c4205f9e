"""The analytics store: takes events, keeps their rows once each, publishes them for analysts.

    analytics/live.duckdb      the writer's own file: newest rows, manifest, coverage, projection offsets
    analytics/segments/        immutable Parquet files by table and day
    analytics/catalog.duckdb   what analysts open (analytics.catalog)

Everything that must not come apart (rows, coverage, offsets, manifest) changes in one transaction of the live file;
segment files are durable before that transaction names them, and are removed only after it no longer does. So kill -9
at any moment leaves each event taken once or not at all, and the source's position tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from analytics import ddl
from analytics.catalog import CatalogPublisher
from analytics.conflicts import conflicting
from analytics.live import LIVE, LiveFile, to_arrow
from analytics.project import DeadLetterRow, Rows, project
from analytics.segments import Merge, Segment, SegmentFolder, plan_merges, split_by_day
from analytics.settings import DEFAULTS, StoreSettings
from decision.model.events import AuditEvent
from decision.model.ports import Clock, IdSource

FOLDER = "analytics"

__all__ = ["DEFAULTS", "FOLDER", "AnalyticsStore", "Applied", "StoreSettings"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch."""

    events: int = 0
    duplicates: int = 0
    dead_letters: int = 0


class AnalyticsStore:
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
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compaction")
        self._running: tuple[Merge, Future[Segment]] | None = None
        self._reload()
        self._remove_orphans()
        self._dirty = True

    def _reload(self) -> None:
        self._positions = self._live.positions()
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
        self._live.close()

    # ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def position(self, source: str) -> int:
        """How far `source` was taken; 0 for nothing."""
        return self._positions.get(source, 0)

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals since the store was made: events, duplicates, dead_letters; `missing` are in gaps right now."""
        return {**self._counters, "missing": self._coverage.missing()}

    @property
    def segments(self) -> Sequence[Segment]:
        return tuple(self._segments)

    def apply(
        self,
        events: Sequence[AuditEvent],
        positions: Mapping[str, int],
        dead_letters: Sequence[DeadLetterRow] = (),
    ) -> Applied:
        """Take a batch: its new events' rows, the dead letters and the sources' new positions, all or nothing.

        Events that were taken before are duplicates and change nothing; one that differs from what was taken under its
        number is kept as a dead letter (`conflict`). Raises duckdb.Error or OSError; nothing is taken then.
        """
        try:
            new, repeated = self._sort_out(events)
            rows = project(new)
            conflicts = conflicting(repeated, new, self._live.connection, self._paths)
            letters = [*dead_letters, *conflicts]
            if letters:
                rows.setdefault("dead_letters", []).extend(letters)
            applied = Applied(len(new), len(repeated), len(rows.get("dead_letters", ())))
            self._store(rows, len(new), positions, applied)
        except BaseException:
            self._reload()
            raise
        return applied

    def _sort_out(self, events: Sequence[AuditEvent]) -> tuple[list[AuditEvent], list[AuditEvent]]:
        new: list[AuditEvent] = []
        repeated: list[AuditEvent] = []
        for event in events:
            (new if self._coverage.take(event.producer_id, event.epoch, event.seq) else repeated).append(event)
        return new, repeated

    def _store(self, rows: Rows, events: int, positions: Mapping[str, int], applied: Applied) -> None:
        tables = to_arrow(rows)
        direct = events >= self._settings.direct_events
        written = self._write(tables) if direct else []
        counters = {
            "events": self._counters["events"] + applied.events,
            "duplicates": self._counters["duplicates"] + applied.duplicates,
            "dead_letters": self._counters["dead_letters"] + applied.dead_letters,
        }
        with self._live:
            for table, content in () if direct else tables.items():
                self._live.insert(table, content)
            self._live.add_segments(written)
            self._live.save_coverage(self._coverage)
            self._live.save_positions(positions)
            self._live.save_counters(counters)
        self._counters = counters
        self._positions.update(positions)
        self._dirty = self._dirty or bool(tables) or applied.duplicates > 0
        if direct:
            self._segments += written
            self._publisher.outdate(tables)
        else:
            if tables and not self._hot:
                self._hot_since = self._clock.monotonic_ns()
            for table, content in tables.items():
                self._hot[table] = self._hot.get(table, 0) + content.num_rows

    def _write(self, tables: Mapping[str, pa.Table]) -> list[Segment]:
        written = []
        for table, content in tables.items():
            for day, part in split_by_day(content):
                written.append(self._write_one(table, day, part))
        return written

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

    def _paths(self, table: str) -> list[str]:
        return [str(self._files.absolute(segment)) for segment in self._segments if segment.table == table]

    # ── compaction ──────────────────────────────────────────────────────────────────────────────────────────────────

    def compact(self, *, wait: bool = False) -> bool:
        """Merge small segments in the background, one merge at a time; `wait` until there is nothing left to merge.

        To be called again and again. Returns whether something was merged since the last call.
        """
        merged = False
        while True:
            if self._running is not None:
                merge, future = self._running
                if not wait and not future.done():
                    return merged
                self._running = None
                self._replace(merge, future.result())
                merged = True
            plans = plan_merges(self._segments, self._settings.fan_in, self._settings.largest_bytes)
            if not plans:
                return merged
            schema = ddl.arrow_schemas()[plans[0].table]
            self._running = (
                plans[0],
                self._pool.submit(self._files.merge, plans[0], self._ids.new_id(), schema),
            )
            if not wait:
                return merged

    def _replace(self, merge: Merge, whole: Segment) -> None:
        old = [part.path for part in merge.parts]
        now = self._clock.time_unix_nano() // 1_000_000_000
        with self._live:
            self._live.retire(old, now)
            self._live.add_segments([whole])
        self._segments = [segment for segment in self._segments if segment not in merge.parts] + [whole]
        self._retired |= dict.fromkeys(old, now)
        self._dirty = True
        self._publisher.outdate((merge.table,))

    def expire(self, choose: Callable[[Sequence[Segment]], Iterable[Segment]]) -> list[Segment]:
        """Take out of the manifest what `choose` picks of all segments, in one transaction; the files go after the time
        of grace. Before that rows in no segment yet are sealed, and a merge under way is finished: it would bring back
        what went. Returns what was picked."""
        if self._hot:
            self.seal()
        if self._running is not None:
            merge, future = self._running
            self._running = None
            self._replace(merge, future.result())
        gone = {segment.path: segment for segment in choose(tuple(self._segments))}
        if gone:
            now = self._clock.time_unix_nano() // 1_000_000_000
            with self._live:
                self._live.retire(list(gone), now)
            self._segments = [segment for segment in self._segments if segment.path not in gone]
            self._retired |= dict.fromkeys(gone, now)
            self._dirty = True
            self._publisher.outdate({segment.table for segment in gone.values()})
        return list(gone.values())

    def retire_files(self, paths: Iterable[str]) -> None:
        """Keep files that this store did not make for the time of grace, as readers of another state may list them."""
        now = self._clock.time_unix_nano() // 1_000_000_000
        listed = list(paths)
        with self._live:
            self._live.retire(listed, now)
        self._retired |= dict.fromkeys(listed, now)

    def clean(self) -> int:
        """Remove replaced files whose time of grace is over. Returns how many."""
        limit = self._clock.time_unix_nano() // 1_000_000_000 - self._settings.grace_s
        over = [path for path, since in self._retired.items() if since <= limit]
        if over:
            for path in over:
                self._files.remove(path)
            with self._live:
                self._live.forget(over)
            for path in over:
                del self._retired[path]
        return len(over)
