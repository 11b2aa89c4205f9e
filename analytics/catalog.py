"""The catalog: a small DuckDB file that analysts open, replaced as a whole by rename.

It holds every view, the list of segment files that each fact is made of, and the newest rows themselves, those that
are in no segment yet. So a reader sees one consistent state for as long as it keeps the file open, the writer never
waits for readers, and what happened half a second ago costs one small file, not one for each table.

Views, lists and comments take some 150 ms to create but change only with the segments: they are kept as a template.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from analytics import ddl
from analytics.segments import sync_folder

CATALOG = "catalog.duckdb"

_META = """
CREATE SCHEMA meta;
CREATE TABLE meta.coverage (producer_id VARCHAR, epoch BIGINT, first_seq BIGINT, last_seq BIGINT);
CREATE TABLE meta.segments (table_name VARCHAR, path VARCHAR, day DATE, rows BIGINT, bytes BIGINT);
CREATE TABLE meta.status (published TIMESTAMPTZ, events BIGINT, duplicates BIGINT, dead_letters BIGINT, missing BIGINT);
CREATE SCHEMA fact;
"""


class CatalogPublisher:
    """Makes catalog files in `folder` from the rows of a live store. One publisher a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._work = folder / "work"
        self._work.mkdir(parents=True, exist_ok=True)
        for leftover in self._work.iterdir():
            leftover.unlink()
        self._template: Path | None = None

    def outdate(self) -> None:
        """The list of segments has changed."""
        self._template = None

    def publish(
        self,
        live: duckdb.DuckDBPyConnection,
        segments: Mapping[str, Sequence[tuple[str, str, int, int]]],
        hot: Sequence[str],
        status: tuple[int, int, int, int, int],
    ) -> None:
        """Replace the catalog by one that shows what `live` holds now.

        `segments` are (absolute path, day, rows, bytes) by table, `hot` the tables with rows in `live`, `status` the
        fields of meta.status (the first in microseconds). Raises OSError or duckdb.Error; the old catalog then stays.
        """
        if self._template is None:
            self._template = self._make_template(segments)
        fresh = self._work / "fresh.duckdb"
        fresh.unlink(missing_ok=True)
        shutil.copyfile(self._template, fresh)
        live.execute(f"ATTACH {ddl.quote(str(fresh))} AS fresh")
        try:
            live.execute("BEGIN")
            for table in hot:
                live.execute(f"INSERT INTO fresh.hot.{table} FROM hot.{table}")
            live.execute("INSERT INTO fresh.meta.coverage FROM meta.coverage")
            live.execute("INSERT INTO fresh.meta.status SELECT make_timestamptz(?::BIGINT), ?, ?, ?, ?", list(status))
            live.execute("COMMIT")
        except BaseException:
            live.execute("ROLLBACK")
            raise
        finally:
            live.execute("DETACH fresh")
        fresh.chmod(0o444)
        descriptor = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.rename(self._folder / CATALOG)
        sync_folder(self._folder)

    def _make_template(self, segments: Mapping[str, Sequence[tuple[str, str, int, int]]]) -> Path:
        path = self._work / "template.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path), config={"threads": 1}) as connection:
            connection.execute("BEGIN")
            connection.execute(ddl.create_facts("hot"))
            connection.execute(_META)
            listed = [(table, *file) for table, files in segments.items() for file in files]
            for start in range(0, len(listed), 1000):
                rows = ", ".join(
                    f"({ddl.quote(table)}, {ddl.quote(file)}, DATE {ddl.quote(day)}, {rows}, {size})"
                    for table, file, day, rows, size in listed[start : start + 1000]
                )
                connection.execute(f"INSERT INTO meta.segments VALUES {rows}")
            for table in ddl.facts():
                connection.execute(ddl.fact_view(table, [file[0] for file in segments.get(table, ())]))
            connection.execute(ddl.create_views())
            connection.execute(ddl.create_comments())
            connection.execute("COMMIT")
        return path
