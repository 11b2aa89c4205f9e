"""The live DuckDB file: what only the writer sees. Rows in no segment yet, the manifest of segments, what was taken and
how far each source was read; all of it changes in one transaction.

DuckDB lets no second process open a file that one has open to write; a lock beside it keeps out a second store of the
same process, too.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from analytics import ddl
from analytics.project import Coverage, Interval
from analytics.segments import Segment
from decision.model.errors import AirlockError

LIVE = "live.duckdb"
_COVERAGE = (pa.string(), pa.int64(), pa.int64(), pa.int64())

_META = """
CREATE SCHEMA meta;
CREATE TABLE meta.format (version VARCHAR);
CREATE TABLE meta.projection_offset (source VARCHAR, position BIGINT);
CREATE TABLE meta.coverage (producer_id VARCHAR, epoch BIGINT, first_seq BIGINT, last_seq BIGINT);
CREATE TABLE meta.segment (
  table_name VARCHAR, path VARCHAR, day DATE, rows BIGINT, size BIGINT, first_time BIGINT, last_time BIGINT
);
CREATE TABLE meta.retired (path VARCHAR, since BIGINT);
CREATE TABLE meta.counter (name VARCHAR, value BIGINT);
"""
_LATER = "CREATE TABLE IF NOT EXISTS meta.source (source VARCHAR, identity VARCHAR)"


class StoreError(AirlockError):
    """The analytics store can't be opened or written; the message says what to do."""

    code = "analytics_store_error"


class StoreOutdated(StoreError):
    """The store was made for other tables: it must be rebuilt from the journal."""

    code = "analytics_store_outdated"


class StoreBusy(StoreError):
    """Another process writes it."""

    code = "analytics_store_busy"


class StoreDamaged(StoreError):
    """The live file is none that DuckDB can read: it must be rebuilt from the journal."""

    code = "analytics_store_damaged"


def _refused(path: Path, error: duckdb.Error) -> StoreError:
    """What it means that DuckDB would not open the live file."""
    why = str(error).splitlines()[0]
    if holder := re.search(r"Could not set lock.*?(?:\(PID (\d+)\)|$)", why):
        return _busy(path, f", number {holder[1]}," if holder[1] else "")
    if isinstance(error, duckdb.IOException) and re.search(r"Cannot open file|Permission denied|No space left", why):
        return StoreError(f"{path} can't be opened to write: {why}", hint="look at the disk and at the folder's owner")
    return StoreDamaged(f"{path} is damaged: {why}", hint="run `airlock rebuild`: it is made again from the journal")


def _locked(path: Path) -> IO[bytes]:
    """The writer's lock. DuckDB keeps other processes out, but lets a second store of this process in."""
    try:
        file = path.with_suffix(".lock").open("ab")
    except OSError as error:
        raise StoreError(
            f"{path} can't be opened to write: {error.strerror}", hint="look at the disk and at the folder's owner"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise _busy(path, "") from error
    return file


def _busy(path: Path, holder: str) -> StoreBusy:
    return StoreBusy(
        f"another process{holder} writes the audit store in {path.parent}",
        hint="`airlock up`, `airlock ingest` and `airlock ingest sink` do while they run: stop them on this data "
        "folder, then try again; what was published can be asked meanwhile",
    )


class LiveFile:
    """The open file. Every change happens inside `with live:`, a transaction."""

    def __init__(self, path: Path, memory_limit: str) -> None:
        self._lock = _locked(path)
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": memory_limit,
            "preserve_insertion_order": False,
        }
        try:
            self.connection = duckdb.connect(str(path), config=settings)
        except duckdb.Error as error:
            self._lock.close()
            raise _refused(path, error) from error
        self.connection.execute("SET TimeZone = 'UTC'")
        try:
            self._prepare(path)
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path) -> None:
        if not self.connection.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'meta'").fetchall():
            with self:
                self.connection.execute(_META)
                self.connection.execute(ddl.create_facts("hot"))
                self.connection.execute("INSERT INTO meta.format VALUES (?)", [ddl.version()])
        self.connection.execute(_LATER)
        found = self.connection.execute("SELECT version FROM meta.format").fetchall()
        if found != [(ddl.version(),)]:
            raise StoreOutdated(f"{path} was made by another version of Airlock", hint="run `airlock rebuild`")

    def __enter__(self) -> None:
        self.connection.execute("BEGIN")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.connection.execute("COMMIT" if kind is None else "ROLLBACK")

    def close(self) -> None:
        self.connection.close()
        self._lock.close()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def positions(self) -> dict[str, int]:
        return dict(self.connection.execute("FROM meta.projection_offset").fetchall())

    def identities(self) -> dict[str, str]:
        """What each source was when it was first read (a topic's id): another of that name is not the same."""
        return dict(self.connection.execute("FROM meta.source").fetchall())

    def coverage(self) -> Coverage:
        return Coverage(Interval(*row) for row in self.connection.execute("FROM meta.coverage").fetchall())

    def segments(self) -> list[Segment]:
        return [Segment(*row) for row in self.connection.execute("FROM meta.segment").fetchall()]

    def retired(self) -> dict[str, int]:
        return dict(self.connection.execute("FROM meta.retired").fetchall())

    def counters(self) -> dict[str, int]:
        return dict(self.connection.execute("FROM meta.counter").fetchall())

    def hot_rows(self) -> dict[str, int]:
        """How many rows are in no segment yet, for each table that has any."""
        counts = {
            table: self.connection.execute(f"SELECT count(*) FROM hot.{table}").fetchall()[0][0]
            for table in ddl.facts()
        }
        return {table: count for table, count in counts.items() if count}

    def table(self, table: str) -> pa.Table:
        return self.connection.sql(f"FROM hot.{table}").to_arrow_table()

    # ── changing, inside a transaction ──────────────────────────────────────────────────────────────────────────────

    def insert(self, table: str, rows: pa.Table) -> None:
        self.connection.register("incoming", rows)
        self.connection.execute(f"INSERT INTO hot.{table} FROM incoming")
        self.connection.unregister("incoming")

    def clear(self, table: str) -> None:
        self.connection.execute(f"DELETE FROM hot.{table}")

    def save_positions(self, positions: Mapping[str, int]) -> None:
        for source, position in positions.items():
            self.connection.execute("DELETE FROM meta.projection_offset WHERE source = ?", [source])
            self.connection.execute("INSERT INTO meta.projection_offset VALUES (?, ?)", [source, position])

    def save_identities(self, identities: Mapping[str, str]) -> None:
        for source, identity in identities.items():
            self.connection.execute("DELETE FROM meta.source WHERE source = ?", [source])
            self.connection.execute("INSERT INTO meta.source VALUES (?, ?)", [source, identity])

    def save_coverage(self, changed: Mapping[tuple[str, int], int], intervals: Sequence[Interval]) -> None:
        """What `Coverage.changes` gave."""
        for (producer_id, epoch), low in changed.items():
            self.connection.execute(
                "DELETE FROM meta.coverage WHERE producer_id = ? AND epoch = ? AND last_seq >= ?",
                [producer_id, epoch, low],
            )
        if intervals:
            columns = zip(*intervals, strict=True)
            arrays = [pa.array(one, kind) for one, kind in zip(columns, _COVERAGE, strict=True)]
            rows = pa.Table.from_arrays(arrays, names=list(Interval._fields))
            self.connection.register("incoming", rows)
            self.connection.execute("INSERT INTO meta.coverage FROM incoming")
            self.connection.unregister("incoming")

    def save_counters(self, counters: Mapping[str, int]) -> None:
        self.connection.execute("DELETE FROM meta.counter")
        values = [item for pair in counters.items() for item in pair]
        self.connection.execute(f"INSERT INTO meta.counter VALUES {', '.join(['(?, ?)'] * len(counters))}", values)

    def add_segments(self, segments: Iterable[Segment]) -> None:
        values = [
            f"({ddl.quote(s.table)}, {ddl.quote(s.path)}, DATE '{s.day.isoformat()}', {s.rows}, {s.size}, "
            f"{s.first_time}, {s.last_time})"
            for s in segments
        ]
        if values:  # at once: a statement each takes longer than all of them together
            self.connection.execute(f"INSERT INTO meta.segment VALUES {', '.join(values)}")

    def retire(self, paths: Sequence[str], since: int) -> None:
        """Take the segments out of the manifest; their files wait for readers that still list them."""
        for start in range(0, len(paths), 1000):
            part = paths[start : start + 1000]
            self.connection.execute(f"DELETE FROM meta.segment WHERE path IN ({', '.join(map(ddl.quote, part))})")
            values = ", ".join(f"({ddl.quote(path)}, {since})" for path in part)
            self.connection.execute(f"INSERT INTO meta.retired VALUES {values}")

    def forget(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.connection.execute("DELETE FROM meta.retired WHERE path = ?", [path])
