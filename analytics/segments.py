"""Parquet segments: immutable files of one fact table and one UTC day, and the plan by which small ones are merged.

A file appears whole or not at all: it is written under a temporary name, fsynced and renamed, then its folder is
fsynced. It counts only once the store's manifest names it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

UNDATED = date(1970, 1, 1)
_ROW_GROUP = 65_536
_TIER_ROWS = 4_096
_READ_ROWS = 8_192
_QUIET_S = 600


@dataclass(frozen=True, slots=True)
class Segment:
    """One file: `path` is relative to the segments' folder, `size` in bytes, times in microseconds since 1970."""

    table: str
    path: str
    day: date
    rows: int
    size: int
    first_time: int
    last_time: int


@dataclass(frozen=True, slots=True)
class Merge:
    """Segments of one table and day to be replaced by one that holds their rows."""

    table: str
    day: date
    parts: tuple[Segment, ...]


def tier(rows: int, fan_in: int) -> int:
    """The size class of a segment: each holds up to `fan_in` times the rows of the one before."""
    return 0 if rows <= _TIER_ROWS else math.ceil(math.log(rows / _TIER_ROWS, fan_in))


def plan_merges(segments: Iterable[Segment], fan_in: int, largest: int, now_s: int = 0) -> list[Merge]:
    """What to merge: wherever `fan_in` segments of one table and day are in one tier. So each table and day has fewer
    than `fan_in` files a tier, and a row is written again only once a tier. Files over `largest` bytes are left alone.

    A day that is over at `now_s` (seconds since 1970) and got nothing new for a while is merged further: into one file,
    beside which come some again only where they hold far fewer rows. So a year has one file or few a table and day.
    """
    days: dict[tuple[str, date], list[Segment]] = {}
    for segment in segments:
        if segment.size <= largest:
            days.setdefault((segment.table, segment.day), []).append(segment)
    merges = []
    for (table, day), members in sorted(days.items()):
        found = _tiers(members, fan_in)
        if not found and len(members) > 1 and _is_over(day, members, now_s):
            found = _rest(members, largest)
        merges += [Merge(table, day, tuple(_in_time(parts))) for parts in found]
    return merges


def _tiers(members: Sequence[Segment], fan_in: int) -> list[list[Segment]]:
    tiers: dict[int, list[Segment]] = {}
    for segment in members:
        tiers.setdefault(tier(segment.rows, fan_in), []).append(segment)
    found = []
    for _, same in sorted(tiers.items()):
        same = _in_time(same)
        found += [same[start : start + fan_in] for start in range(0, len(same) - fan_in + 1, fan_in)]
    return found


def _rest(members: Sequence[Segment], largest: int) -> list[list[Segment]]:
    """The largest file with all smaller ones, if those hold a quarter of its rows at least or it is small itself; else
    the next largest."""
    ordered = sorted(members, key=lambda segment: (-segment.rows, segment.path))
    for start in range(len(ordered) - 1):
        first, *smaller = ordered[start:]
        worth = first.rows <= max(_TIER_ROWS, 4 * sum(s.rows for s in smaller))
        if worth and sum(s.size for s in ordered[start:]) <= largest:
            return [ordered[start:]]
    return []


def _is_over(day: date, members: Sequence[Segment], now_s: int) -> bool:
    """Whether the day has passed and its newest file, by the time in its name (UUIDv7), is older than the quiet time.
    A file whose name tells no time is taken for an old one."""
    if day == UNDATED or datetime.fromtimestamp(now_s, UTC).date() <= day:
        return False
    return all(_made_s(segment) + _QUIET_S <= now_s for segment in members)


def _made_s(segment: Segment) -> int:
    name = Path(segment.path).stem.replace("-", "")
    return int(name[:12], 16) // 1000 if re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{19}", name) else 0


def _in_time(members: Sequence[Segment]) -> list[Segment]:
    return sorted(members, key=lambda segment: (segment.first_time, segment.path))


def split_by_day(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """The rows of each UTC day, in order of time. Rows without a time belong to 1970-01-01."""
    ordered = rows if _in_order(rows["time"]) else rows.sort_by([("time", "ascending")])
    days = pc.fill_null(pc.cast(pc.cast(ordered["time"], pa.timestamp("us")), pa.date32()), UNDATED)
    if ordered.num_rows and days[0] == days[-1] and ordered["time"].null_count == 0:
        yield days[0].as_py(), ordered  # as nearly always; sorting and filtering would copy every row
        return
    for day in pc.unique(days).to_pylist():
        yield day, ordered.filter(pc.equal(days, pa.scalar(day, pa.date32())))


def _in_order(times: pa.ChunkedArray) -> bool:
    if times.null_count:
        return False
    micros = times.cast(pa.int64()).combine_chunks()
    return bool(pc.all(pc.greater_equal(micros[1:], micros[:-1])).as_py() in (True, None))


class SegmentFolder:
    """The folder `segments/`, laid out as `<table>/day=<date>/<name>.parquet`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def absolute(self, segment: Segment | str) -> Path:
        return self.root / (segment if isinstance(segment, str) else segment.path)

    def write(self, table: str, day: date, name: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Segment:
        """Write one file, durably. `name` must be new. Raises OSError (a full disk): then nothing was published."""
        relative = f"{table}/day={day.isoformat()}/{name}.parquet"
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        rows, first, last = 0, None, None
        try:
            with pq.ParquetWriter(temporary, schema, compression="zstd", compression_level=1) as writer:
                for batch in batches:
                    if batch.num_rows:
                        writer.write_batch(batch, row_group_size=_ROW_GROUP)
                        low, high = _bounds(batch)
                        rows += batch.num_rows
                        first, last = min(first or low, low), max(last or high, high)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o444)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
        return Segment(table, relative, day, rows, path.stat().st_size, first or 0, last or 0)

    def merge(self, merge: Merge, name: str, schema: pa.Schema) -> Segment:
        """Write the rows of all parts as one file, in bounded memory."""
        return self.write(merge.table, merge.day, name, self._rows_of(merge.parts, schema), schema)

    def _rows_of(self, parts: Sequence[Segment], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        pending: list[pa.RecordBatch] = []
        held = 0
        for part in parts:
            with pq.ParquetFile(self.absolute(part)) as file:
                for batch in file.iter_batches(_READ_ROWS, use_threads=False):
                    pending.append(batch.cast(schema))
                    held += batch.num_rows
                    if held >= _ROW_GROUP:
                        yield from _joined(pending, schema)
                        pending, held = [], 0
        yield from _joined(pending, schema)

    def files(self) -> Iterator[str]:
        """The relative path of every file there is, temporary ones included."""
        for path in self.root.rglob("*"):
            if path.is_file():
                yield path.relative_to(self.root).as_posix()

    def remove(self, relative: str) -> None:
        self.absolute(relative).unlink(missing_ok=True)


def _joined(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches as one, so that a file of many small ones gets large row groups."""
    if batches:
        yield from pa.Table.from_batches(batches, schema).combine_chunks().to_batches()


def _bounds(batch: pa.RecordBatch) -> tuple[int, int]:
    found = pc.min_max(batch.column("time").cast(pa.int64()))
    return found["min"].as_py() or 0, found["max"].as_py() or 0


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def day_of(micros: int | None) -> date:
    return UNDATED if micros is None else datetime.fromtimestamp(micros // 1_000_000, UTC).date()
