"""Questions to the catalog, by a reader that can do nothing but read.

What holds it, each by itself enough for its part:
- only statements that read are taken, as DuckDB's own parser sees them (analytics.query_guard), and the catalog is
  attached read-only;
- external access is off but for the very segment files that the catalog lists, so no other file can be read;
- nothing can be attached, copied, loaded or set: the configuration is locked;
- segments and catalog are files without permission to write.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from analytics import ddl
from analytics.catalog import CATALOG
from analytics.query_guard import QueryError, QueryRefused, check
from analytics.store import FOLDER

LONGEST_S = 600.0
__all__ = [
    "LONGEST_S", "Answer", "CatalogMissing", "CatalogReader", "QueryError", "QueryRefused", "QueryTimeout", "ViewInfo"
]  # fmt: skip


class CatalogMissing(QueryError):
    code = "catalog_missing"


class QueryTimeout(QueryError):
    code = "query_timeout"


@dataclass(frozen=True, slots=True)
class Answer:
    """`rows` hold Python values, times aware of UTC. `truncated`: there are more than the limit."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool


@dataclass(frozen=True, slots=True)
class ViewInfo:
    name: str
    comment: str
    columns: tuple[ddl.Column, ...]


class CatalogReader:
    """One state of the catalog, opened for questions. Raises CatalogMissing where nothing was ever published.

    Use one reader for questions that must see the same state, a new one to see what is new. Not thread-safe.
    """

    def __init__(self, data_dir: Path, *, memory_limit: str = "1GB", threads: int = 2) -> None:
        path = (data_dir / FOLDER / CATALOG).resolve()
        if not path.is_file():
            raise CatalogMissing(
                f"there is nothing to ask in {data_dir}: no events were projected yet",
                hint="start `airlock up` (or name its folder with --data-dir), then ask again",
            )
        self._connection = duckdb.connect(":memory:", config={"threads": threads, "memory_limit": memory_limit})
        try:
            self._lock_down(path)
        except duckdb.Error as error:
            self._connection.close()
            raise QueryError(f"{path} can't be read: {_first_line(error)}", hint="run `airlock rebuild`") from error

    def _lock_down(self, path: Path) -> None:
        connection = self._connection
        connection.execute(f"ATTACH {ddl.quote(str(path))} AS audit (READ_ONLY)")
        connection.execute("USE audit")
        allowed = [row[0] for row in connection.execute("SELECT path FROM audit.meta.segments").fetchall()]
        connection.execute(f"SET allowed_paths = [{', '.join(ddl.quote(file) for file in allowed)}]")
        for setting in (
            "TimeZone = 'UTC'",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "python_enable_replacements = false",
            "temp_directory = ''",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")

    def __enter__(self) -> CatalogReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def ask(
        self,
        sql: str,
        parameters: Sequence[object] | Mapping[str, object] = (),
        *,
        limit: int = 10_000,
        timeout_s: float = 30.0,
    ) -> Answer:
        """The answer to one question, at most `limit` rows of it; `parameters` stand for its `?`, or by name for its
        `$name`. Raises QueryRefused, QueryTimeout, QueryError."""
        if not 0 < timeout_s <= LONGEST_S:
            raise QueryRefused(f"a question may take from 0 to {LONGEST_S:.0f} s", hint="choose a --timeout within")
        self._check(sql)
        timer = threading.Timer(timeout_s, self._connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            self._connection.execute(sql, dict(parameters) if isinstance(parameters, Mapping) else list(parameters))
            described = self._connection.description or []
            rows = self._connection.fetchmany(limit + 1)
        except duckdb.InterruptException as error:
            raise QueryTimeout(
                f"no answer within {timeout_s:g} s", hint="narrow it by `time`, or give it a longer --timeout"
            ) from error
        except duckdb.Error as error:
            raise QueryError(str(error), hint=_hint(error)) from error
        finally:
            timer.cancel()
            timer.join()  # a thread that lives on at exit keeps DuckDB's types, which it complains about
        return Answer(
            tuple(str(column[0]) for column in described),
            tuple(str(column[1]) for column in described),
            rows[:limit],
            len(rows) > limit,
        )

    def _check(self, sql: str) -> None:
        try:
            check(self._connection, sql)
        except duckdb.Error as error:
            raise QueryError(str(error), hint=_hint(error)) from error

    def list_views(self) -> list[ViewInfo]:
        """Every documented view, as the catalog describes it."""
        names = dict(
            self._connection.execute(
                "SELECT view_name, comment FROM duckdb_views() WHERE database_name = 'audit' AND schema_name = 'main' "
                "AND NOT internal ORDER BY view_name"
            ).fetchall()
        )
        columns: dict[str, list[ddl.Column]] = {name: [] for name in names}
        for view, column, kind, comment in self._connection.execute(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
            "WHERE database_name = 'audit' AND schema_name = 'main' ORDER BY table_name, column_index"
        ).fetchall():
            if view in columns:
                columns[view].append(ddl.Column(column, kind, comment or ""))
        return [ViewInfo(name, comment or "", tuple(columns[name])) for name, comment in names.items()]

    def describe(self, name: str) -> ViewInfo:
        """One view. Raises QueryError that names those there are."""
        views = {view.name: view for view in self.list_views()}
        if name not in views:
            raise QueryError(f"there is no view {name!r}", hint=f"there are: {', '.join(views)}")
        return views[name]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _hint(error: duckdb.Error) -> str:
    if re.search(r"/segments/.*\.parquet", str(error)):
        return "a file of the audit store is missing or damaged: `airlock rebuild` makes the store again"
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        return "`airlock query --list` shows the views, `--describe VIEW` their columns"
    if isinstance(error, duckdb.PermissionException):
        return "only the audit store can be read, nothing else"
    if isinstance(error, duckdb.OutOfMemoryException):
        return "it needs more memory than a question may take: narrow it by `time`, or ask for fewer columns"
    return ""
