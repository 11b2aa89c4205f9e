"""Which days a legal hold covers, table by table, found in the segments themselves.

A day of a table is kept whole as soon as one of its rows is covered. Rows without a principal of their own are covered
through their decision, session or approval; rows of which that can't be told any more (their decision is gone) are
covered too: what might be evidence stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

from analytics import ddl
from analytics.retention_ledger import Hold
from analytics.segments import Segment

Day = tuple[str, date]
"""A fact table and a UTC day."""

_SOURCES = ("session_starts", "decisions", "approval_events")
_BY_DECISION = (
    "decision_rules", "statements", "table_access", "column_access", "masked_columns", "column_changes"
)  # fmt: skip
_OF_A_SESSION = ("SessionOpened", "SessionRefused", "SessionClosed", "StatementDecided", "StatementExecuted")
_FILES = 500  # opened in one question


def covered(holds: Sequence[Hold], segments: Sequence[Segment], candidates: Sequence[Segment], root: Path) -> dict[
    Day, tuple[str, ...]
]:  # fmt: skip
    """Of the days of `candidates`, those that a hold keeps, with the holds' ids. `segments` are all there are, in the
    folder `root`. Raises duckdb.Error or OSError where a file can't be read: then nothing may go."""
    found: dict[Day, list[str]] = {}
    for hold in holds:
        days = {(s.table, s.day) for s in candidates if hold.spans(s.day)}
        if not hold.by_day_alone:
            days = _matching(hold, segments, [s for s in candidates if hold.spans(s.day)], root)
        for day in days:
            found.setdefault(day, []).append(hold.id)
    return {day: tuple(ids) for day, ids in found.items()}


def _matching(hold: Hold, segments: Sequence[Segment], candidates: Sequence[Segment], root: Path) -> set[Day]:
    if not candidates:
        return set()
    days: set[Day] = set()
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"}) as connection:
        work = root.parent / "work"
        if work.is_dir():
            connection.execute(f"SET temp_directory = {ddl.quote(str(work / 'cover'))}")
        _find_related(connection, hold, segments, root)
        for table, members in _by_table(candidates).items():
            condition = _condition(table)
            if condition is None:
                days.update((table, member.day) for member in members)
                continue
            place = {str(root / member.path): member.day for member in members}
            for part in _parts(list(place)):
                rows = connection.execute(
                    f"SELECT DISTINCT filename FROM {_files(part, filename=True)} AS t WHERE {condition}",
                    _parameters(condition, hold),
                ).fetchall()
                days.update((table, place[path]) for (path,) in rows)
    return days


def _find_related(connection: duckdb.DuckDBPyConnection, hold: Hold, segments: Sequence[Segment], root: Path) -> None:
    """The sessions, decisions and approvals that the hold is about, and all there are, as temporary tables."""
    tables = _by_table(segments)
    for name in _SOURCES:
        paths = [str(root / member.path) for member in tables.get(name, ())]
        columns = ", ".join(f"NULL::{c.type} AS {c.name}" for c in ddl.facts()[name].columns)
        rows = _files(paths) if paths else f"(SELECT {columns} WHERE false)"
        connection.execute(f"CREATE TEMP VIEW {name} AS FROM {rows}")
    for statement in (
        f"CREATE TEMP TABLE its_sessions AS SELECT session_id AS id FROM session_starts WHERE {_WHO} "
        f"UNION SELECT session_id FROM decisions WHERE {_WHO}",
        f"CREATE TEMP TABLE its_decisions AS SELECT decision_id AS id FROM decisions WHERE {_WHO}",
        f"CREATE TEMP TABLE its_approvals AS SELECT approval_id AS id FROM approval_events WHERE {_NAMED} "
        "OR decision_id IN (FROM its_decisions) OR session_id IN (FROM its_sessions)",
    ):
        connection.execute(statement, _parameters(statement, hold))
    connection.execute(
        "CREATE TEMP TABLE known AS SELECT session_id AS id FROM session_starts "
        "UNION SELECT session_id FROM decisions UNION SELECT decision_id FROM decisions"
    )


_WHO = (
    "($principal = '' OR principal = $principal OR human = $principal OR list_contains(on_behalf_of, $principal)) "
    "AND ($database = '' OR database = $database)"
)
_NAMED = "($principal = '' OR principal = $principal) AND ($database = '' OR coalesce(database, '') IN ('', $database))"


def _condition(table: str) -> str | None:
    """What makes a row of `table` covered; None: each of them is."""
    if table in ("session_starts", "decisions"):
        return _WHO
    if table == "session_ends":
        return "session_id IN (FROM its_sessions) OR session_id NOT IN (FROM known)"
    if table == "executions":
        return (
            "session_id IN (FROM its_sessions) OR decision_id IN (FROM its_decisions) "
            "OR (session_id NOT IN (FROM known) AND decision_id NOT IN (FROM known))"
        )
    if table in _BY_DECISION:
        return "decision_id IN (FROM its_decisions) OR decision_id NOT IN (FROM known)"
    if table == "approval_events":
        return "approval_id IN (FROM its_approvals)"
    if table == "alert_events":
        return _NAMED
    if table == "events":
        types = ", ".join(map(ddl.quote, _OF_A_SESSION))
        return (
            "correlation_id IN (FROM its_sessions) OR correlation_id IN (FROM its_decisions) "
            "OR correlation_id IN (FROM its_approvals) "
            f"OR (type IN ({types}) AND correlation_id NOT IN (FROM known)) OR starts_with(type, 'Approval')"
        )
    return None


def _parameters(sql: str, hold: Hold) -> dict[str, str]:
    given = {"principal": hold.principal, "database": hold.database}
    return {name: value for name, value in given.items() if f"${name}" in sql}


def _by_table(segments: Iterable[Segment]) -> Mapping[str, list[Segment]]:
    found: dict[str, list[Segment]] = {}
    for segment in segments:
        found.setdefault(segment.table, []).append(segment)
    return found


def _parts(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), _FILES):
        yield paths[start : start + _FILES]


def _files(paths: Sequence[str], *, filename: bool = False) -> str:
    listed = ", ".join(map(ddl.quote, paths))
    return f"read_parquet([{listed}], hive_partitioning = false{', filename = true' if filename else ''})"
