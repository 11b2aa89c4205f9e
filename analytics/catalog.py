"""The catalog: a small DuckDB file that analysts open, replaced as a whole by rename.

It holds every view, the list of segment files that each fact is made of, and the newest rows themselves, those that
are in no segment yet. So a reader sees one consistent state for as long as it keeps the file open, the writer never
waits for readers, and what happened half a second ago costs one small file, not one for each table.

Views and comments take some 150 ms to create and never change: they are kept as a template. Where segments changed,
only the lists of those tables are replaced in it (about 1 ms each).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from analytics import ddl
from analytics.retention import CLASS_OF
from analytics.retention_ledger import Book, Ledger, LedgerDamaged
from analytics.segments import sync_folder

CATALOG = "catalog.duckdb"

Listed = Mapping[str, Sequence[tuple[str, str, int, int]]]
"""Segment files by table: (absolute path, day, rows, bytes)."""

_META = """
CREATE SCHEMA meta;
CREATE TABLE meta.coverage (producer_id VARCHAR, epoch BIGINT, first_seq BIGINT, last_seq BIGINT);
CREATE TABLE meta.segments (table_name VARCHAR, path VARCHAR, day DATE, rows BIGINT, bytes BIGINT);
CREATE TABLE meta.status (published TIMESTAMPTZ, events BIGINT, duplicates BIGINT, dead_letters BIGINT, missing BIGINT);
CREATE TABLE meta.retention (
  class VARCHAR, table_name VARCHAR, complete_since DATE, expired_at TIMESTAMPTZ, expired_rows BIGINT
);
CREATE TABLE meta.holds (
  hold_id VARCHAR, scope VARCHAR, reason VARCHAR, set_by VARCHAR, set_at TIMESTAMPTZ, principal VARCHAR,
  database VARCHAR, first_day DATE, last_day DATE, released_by VARCHAR, released_at TIMESTAMPTZ, released_reason VARCHAR
);
CREATE SCHEMA cold;
CREATE SCHEMA fact;
"""


class CatalogPublisher:
    """Makes catalog files in `folder` from the rows of a live store. One publisher a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._work = folder / "work"
        self._work.mkdir(parents=True, exist_ok=True)
        for leftover in self._work.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        self._template: Path | None = None
        self._ledger = Ledger(folder)
        self._shown: tuple[int, int] | None = None
        self._book = Book()
        self.outdated: set[str] = set(ddl.facts())

    def outdate(self, tables: Iterable[str]) -> None:
        """The lists of these tables' segments have changed."""
        self.outdated.update(tables)

    @property
    def stale(self) -> bool:
        """Whether a legal hold or an expiry was recorded since the last publication."""
        return self._shown != self._ledger.signature()

    def publish(
        self,
        live: duckdb.DuckDBPyConnection,
        segments: Listed,
        hot: Sequence[str],
        status: tuple[int, int, int, int, int],
    ) -> None:
        """Replace the catalog by one that shows what `live` holds now.

        `segments` are the files of the outdated tables at least, `hot` the tables with rows in `live`, `status` the
        fields of meta.status (the first in microseconds). Raises OSError or duckdb.Error; the old catalog then stays.
        """
        if self._template is None:
            self._template = self._make_template()
        shown = self._read_ledger()
        if self.outdated:
            try:
                with _attached(live, self._template, "template"):
                    self._list_segments(live, segments)
                    if not hot:
                        self._fill(live, "template", (), status)
            except BaseException:
                self._template, self.outdated = None, set(ddl.facts())
                raise
            filled, self.outdated = not hot, set()
        else:
            filled = False
        fresh = self._work / "fresh.duckdb"
        fresh.unlink(missing_ok=True)
        shutil.copyfile(self._template, fresh)
        if not filled:
            with _attached(live, fresh, "fresh"):
                self._fill(live, "fresh", hot, status)
        fresh.chmod(0o444)
        descriptor = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.rename(self._folder / CATALOG)
        sync_folder(self._folder)
        self._shown = shown

    def _read_ledger(self) -> tuple[int, int]:
        """Take what the ledger says now. A damaged one shows what it said before; `airlock retention` tells why."""
        signature = self._ledger.signature()
        if signature != self._shown:
            with suppress(LedgerDamaged):
                self._book = self._ledger.read()
        return signature

    def _make_template(self) -> Path:
        path = self._work / "template.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path), config={"threads": 1}) as connection:
            connection.execute("BEGIN")
            connection.execute(ddl.create_facts("hot"))
            connection.execute(_META)
            for table in ddl.facts():
                connection.execute(ddl.cold_view(table, (), "template"))
                connection.execute(ddl.fact_view(table))
            connection.execute(ddl.create_views())
            connection.execute(ddl.create_comments())
            connection.execute("COMMIT")
        return path

    def _fill(
        self,
        live: duckdb.DuckDBPyConnection,
        name: str,
        hot: Sequence[str],
        status: tuple[int, int, int, int, int],
    ) -> None:
        for table in hot:
            live.execute(f"INSERT INTO {name}.hot.{table} FROM hot.{table}")
        for table in ("coverage", "status", "retention", "holds"):
            live.execute(f"DELETE FROM {name}.meta.{table}")
        live.execute(f"INSERT INTO {name}.meta.coverage FROM meta.coverage")
        live.execute(f"INSERT INTO {name}.meta.status SELECT make_timestamptz(?::BIGINT), ?, ?, ?, ?", list(status))
        live.execute(f"INSERT INTO {name}.meta.retention VALUES {_retention(self._book)}")
        for hold in self._book.holds:
            live.execute(
                f"INSERT INTO {name}.meta.holds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    hold.id, hold.scope(), hold.reason, hold.set_by, hold.set_at, hold.principal or None,
                    hold.database or None, hold.first, hold.last, hold.released_by or None, hold.released_at,
                    hold.released_reason or None,
                ],
            )  # fmt: skip

    def _list_segments(self, live: duckdb.DuckDBPyConnection, segments: Listed) -> None:
        tables = sorted(self.outdated)
        names = ", ".join(map(ddl.quote, tables))
        live.execute(f"DELETE FROM template.meta.segments WHERE table_name IN ({names})")
        listed = [(table, *file) for table in tables for file in segments.get(table, ())]
        for start in range(0, len(listed), 1000):
            rows = ", ".join(
                f"({ddl.quote(table)}, {ddl.quote(file)}, DATE {ddl.quote(day)}, {rows}, {size})"
                for table, file, day, rows, size in listed[start : start + 1000]
            )
            live.execute(f"INSERT INTO template.meta.segments VALUES {rows}")
        for table in tables:
            live.execute(ddl.cold_view(table, [file[0] for file in segments.get(table, ())], "template"))


@contextmanager
def _attached(live: duckdb.DuckDBPyConnection, path: Path, name: str) -> Iterator[None]:
    """The file at `path` as database `name`, changed in one transaction."""
    live.execute(f"ATTACH {ddl.quote(str(path))} AS {name}")
    try:
        live.execute("BEGIN")
        try:
            yield
            live.execute("COMMIT")
        except BaseException:
            live.execute("ROLLBACK")
            raise
    finally:
        live.execute(f"DETACH {name}")


def _retention(book: Book) -> str:
    """The rows of meta.retention, one for each fact table."""
    floors, expired = book.floors(), book.expired_rows()
    last = {name: run.time for run in book.runs for name in run.rows_of}
    rows = []
    for table, name in CLASS_OF.items():
        since = f"DATE '{floors[name]}'" if name in floors else "NULL"
        when = f"TIMESTAMPTZ '{last[name].isoformat()}'" if name in last else "NULL"
        rows.append(f"({ddl.quote(name)}, {ddl.quote(table)}, {since}, {when}, {expired.get(name, 0)})")
    return ", ".join(rows)
