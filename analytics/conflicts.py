"""Two different events under one number: a fork of a producer's chain, or an edited copy. Never dropped silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from analytics import ddl
from analytics.intake import Batch, Intake, Key, key_of
from analytics.project import DeadLetterRow
from analytics.project.fold import dead_letter
from analytics.retention_ledger import Ledger, RetentionError
from analytics.segments import Segment, day_of
from decision.model.events import AuditEvent


def conflict_letters(
    batch: Batch,
    repeated: Sequence[int],
    intake: Intake,
    live: duckdb.DuckDBPyConnection,
    segments: Sequence[tuple[Segment, str]],
    folder: Path,
) -> list[DeadLetterRow]:
    """A dead letter for each of the events `repeated` of a batch that is not the one taken under its number."""
    events = {number: intake.decode(batch.raws[number]) for number in repeated}
    taken = batch.hashes({key_of(event) for event in events.values()})
    found = conflicting(list(events.values()), taken, live, segments, _kept_from(folder))
    numbers = {id(event): number for number, event in events.items()}
    letters = []
    for event in found:
        origin, position = batch.origin(numbers[id(event)])
        letter = dead_letter(event, "conflict", "another event was taken under its number", origin)
        letters.append(letter._replace(position=position))
    return letters


def _kept_from(folder: Path) -> str:
    """The first day whose events are kept in full, as a date; empty where all are."""
    try:
        floor = Ledger(folder).read().floors().get("events")
    except RetentionError:
        return ""  # a letter too many rather than a fork unseen
    return "" if floor is None else floor.isoformat()


def conflicting(
    repeated: Sequence[AuditEvent],
    taken: Mapping[Key, bytes],
    live: duckdb.DuckDBPyConnection,
    segments: Sequence[tuple[Segment, str]],
    kept_from: str = "",
) -> list[AuditEvent]:
    """Those of `repeated` whose chain value is not that of the event taken under their number: in this batch (`taken`),
    in the live file or in a segment. None twice, and none whose bytes are a dead letter already. An event of a day
    before `kept_from` that is nowhere was expired, and can't be compared.

    `segments` are those of events and dead letters, each with its file."""
    if not repeated:
        return []
    there = dict(taken)
    there |= _stored([event for event in repeated if key_of(event) not in taken], live, segments)
    found: dict[tuple[Key, bytes], AuditEvent] = {}
    for event in repeated:
        known = there.get(key_of(event))
        expired = known is None and day_of(event.draft.time_unix_nano // 1000).isoformat() < kept_from
        if known != event.hash and not expired:
            found[key_of(event), event.raw] = event
    if not found:
        return []
    letters = _letters(live, [path for segment, path in segments if segment.table == "dead_letters"])
    return [event for (_, raw), event in found.items() if raw not in letters]


def _from(table: str, columns: str, paths: Sequence[str]) -> str:
    """A subquery over everything that was taken into one fact table."""
    live = f"SELECT {columns} FROM hot.{table}"
    if not paths:
        return f"({live})"
    listed = ", ".join(ddl.quote(path) for path in paths)
    return f"({live} UNION ALL SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = false))"


def _stored(
    events: Sequence[AuditEvent], live: duckdb.DuckDBPyConnection, segments: Sequence[tuple[Segment, str]]
) -> dict[Key, bytes]:
    """The chain values of what stands under the events' numbers. Only files of their times are opened: what stands
    there under another time is another event."""
    if not events:
        return {}
    wanted = pa.table(
        {
            "producer_id": [event.producer_id for event in events],
            "epoch": pa.array([event.epoch for event in events], pa.int64()),
            "seq": pa.array([event.seq for event in events], pa.int64()),
        }
    )
    times = [event.draft.time_unix_nano // 1000 for event in events]
    paths = [
        path
        for segment, path in segments
        if segment.table == "events" and segment.first_time <= max(times) and segment.last_time >= min(times)
    ]
    low, high = min(event.seq for event in events), max(event.seq for event in events)
    stored = _from("events", "producer_id, epoch, seq, hash", paths)
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


def _letters(live: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> set[bytes]:
    stored = _from("dead_letters", "reason, raw", paths)
    return {raw for (raw,) in live.execute(f"SELECT raw FROM {stored} WHERE reason = 'conflict'").fetchall()}
