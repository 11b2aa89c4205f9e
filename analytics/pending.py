"""What the store knows of a batch: what became of it, and what is left to commit."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import pyarrow as pa

from analytics.project import Interval
from analytics.segments import Segment


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch; `oldest_ns` and `newest_ns` are of its new events' times, 0 if there are none."""

    events: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    oldest_ns: int = 0
    newest_ns: int = 0


@dataclass(slots=True)
class Pending:
    """A batch that was folded: its rows for the live file, or the segments that are being written of them, and what
    changes with them in one transaction."""

    applied: Applied
    tables: Mapping[str, pa.Table]
    files: list[Future[Segment]]
    coverage: tuple[dict[tuple[str, int], int], list[Interval]]
    positions: Mapping[str, int]
    identities: Mapping[str, str]
