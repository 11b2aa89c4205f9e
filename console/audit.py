"""Questions to the audit store off the event loop: one reader, opened anew when the catalog was replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from analytics.catalog import CATALOG
from analytics.query import CatalogReader
from analytics.store import FOLDER

Row = dict[str, object]
Question = tuple[str, Sequence[object]]
"""SQL with `?` for every value, and the values."""

TIMEOUT_S = 8.0
MOST_ROWS = 500
MEMORY_LIMIT = "256MB"


class Audit:
    """All questions of one `ask` see the same state. One thread: the reader is not for two."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir / FOLDER / CATALOG
        self._reader: CatalogReader | None = None
        self._seen: tuple[int, int] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="console-audit")

    def state(self) -> tuple[int, int] | None:
        """Changes whenever there is something new to see; None while there is nothing at all."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    async def ask(self, *questions: Question) -> list[list[Row]]:
        """The rows of each question. Raises QueryError (CatalogMissing before the first event)."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answers, questions)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown()

    def _answers(self, questions: Sequence[Question]) -> list[list[Row]]:
        reader = self._current()
        found = []
        for sql, values in questions:
            answer = reader.ask(sql, values, limit=MOST_ROWS, timeout_s=TIMEOUT_S)
            found.append([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
        return found

    def _current(self) -> CatalogReader:
        state = self.state()
        if self._reader is None or state != self._seen:
            self._drop()
            self._reader = CatalogReader(self._data_dir, memory_limit=MEMORY_LIMIT)
            self._seen = state
        return self._reader

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def moment(text: str) -> datetime | None:
    """A time given in an address; None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
