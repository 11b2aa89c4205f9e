"""Two different events under one number: a fork of a producer's chain, or an edited copy. Never dropped silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa

from analytics import ddl
from analytics.project import DeadLetterRow
from analytics.project.fold import dead_letter
from decision.model.events import AuditEvent

Key = tuple[str, int, int]


def conflicting(
    repeated: Sequence[AuditEvent],
    new: Sequence[AuditEvent],
    live: duckdb.DuckDBPyConnection,
    segments: Callable[[str], Sequence[str]],
    origin: str = "journal",
) -> list[DeadLetterRow]:
    """A dead letter for each of `repeated` whose chain value is not that of the event taken under its number (in this
    batch, in the live file or in a segment), unless the same bytes are a dead letter already.

    `segments` gives the files of a fact table."""
    if not repeated:
        return []
    taken: dict[Key, bytes] = {_key(event): event.hash for event in new}
    taken |= _stored([event for event in repeated if _key(event) not in taken], live, segments("events"))
    letters: dict[tuple[Key, bytes], DeadLetterRow] = {}
    for event in repeated:
        if taken.get(_key(event)) != event.hash:
            letters[_key(event), event.raw] = dead_letter(
                event, "conflict", "another event was taken under its number", origin
            )
    if not letters:
        return []
    known = _known(live, segments("dead_letters"))
    return [letter for (_, raw), letter in letters.items() if raw not in known]


def _key(event: AuditEvent) -> Key:
    return (event.producer_id, event.epoch, event.seq)


def _from(table: str, columns: str, segments: Sequence[str]) -> str:
    """A subquery over everything that was taken into one fact table."""
    live = f"SELECT {columns} FROM hot.{table}"
    if not segments:
        return f"({live})"
    listed = ", ".join(ddl.quote(path) for path in segments)
    return f"({live} UNION ALL SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = false))"


def _stored(events: Sequence[AuditEvent], live: duckdb.DuckDBPyConnection, segments: Sequence[str]) -> dict[Key, bytes]:
    if not events:
        return {}
    wanted = pa.table(
        {
            "producer_id": [event.producer_id for event in events],
            "epoch": pa.array([event.epoch for event in events], pa.int64()),
            "seq": pa.array([event.seq for event in events], pa.int64()),
        }
    )
    low, high = min(event.seq for event in events), max(event.seq for event in events)
    stored = _from("events", "producer_id, epoch, seq, hash", segments)
    live.register("wanted", wanted)
    try:
        found = live.execute(
            f"SELECT e.producer_id, e.epoch, e.seq, e.hash FROM {stored} e "
            f"JOIN wanted w ON w.producer_id = e.producer_id AND w.epoch = e.epoch AND w.seq = e.seq "
            f"WHERE e.seq BETWEEN {low} AND {high}"
        ).fetchall()
    finally:
        live.unregister("wanted")
    return {(producer_id, epoch, seq): hash_ for producer_id, epoch, seq, hash_ in found}


def _known(live: duckdb.DuckDBPyConnection, segments: Sequence[str]) -> set[bytes]:
    stored = _from("dead_letters", "reason, raw", segments)
    return {raw for (raw,) in live.execute(f"SELECT raw FROM {stored} WHERE reason = 'conflict'").fetchall()}
