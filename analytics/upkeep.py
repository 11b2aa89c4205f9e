"""What becomes of segments after they were written: merged, expired, removed. The other half of analytics.store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from analytics import ddl
from analytics.catalog import CatalogPublisher
from analytics.live import LiveFile
from analytics.segments import Merge, Segment, SegmentFolder, plan_merges
from analytics.settings import StoreSettings
from decision.model.ports import Clock, IdSource


class Upkeep:
    """Segments of one store: the manifest in memory, what replaces what, and when files go. Not thread-safe."""

    _live: LiveFile
    _files: SegmentFolder
    _publisher: CatalogPublisher
    _pool: ThreadPoolExecutor
    _settings: StoreSettings
    _clock: Clock
    _ids: IdSource
    _segments: list[Segment]
    _retired: dict[str, int]
    _hot: dict[str, int]
    _dirty: bool
    _running: tuple[Merge, Future[Segment]] | None
    _settled: tuple[int, str, int] | None = None

    def seal(self) -> None:
        """Move the live file's rows into segments."""
        raise NotImplementedError

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
            plans = self._plans()
            if not plans:
                return merged
            schema = ddl.arrow_schemas()[plans[0].table]
            self._running = (
                plans[0],
                self._pool.submit(self._files.merge, plans[0], self._ids.new_id(), schema),
            )
            if not wait:
                return merged

    def _plans(self) -> list[Merge]:
        """What to merge now. Where that is nothing it is looked at again when segments came or went, or a minute later:
        days pass."""
        now = self._clock.time_unix_nano() // 1_000_000_000
        state = (len(self._segments), self._segments[-1].path if self._segments else "", now // 60)
        if state == self._settled:
            return []
        plans = plan_merges(self._segments, self._settings.fan_in, self._settings.largest_bytes, now)
        self._settled = None if plans else state
        return plans

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
