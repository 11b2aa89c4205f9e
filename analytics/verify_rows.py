"""The tables that analysts read, held against the events: made again beside, and compared row by row.

The chain and the log vouch for an event's bytes. What people look at are rows made of them (decisions, table_access …),
and somebody who can write the files can change these alone. So every event is folded again, into a store of its own,
and each table compared with the published one as a multiset: rows claim no order. The views through which they are
asked are compared, too: one that leaves out somebody's rows shows a clean history of intact tables. Left out are tables
that are not made from events alone (alerts: by detections; dead letters: they say where something was read).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from analytics import ddl
from analytics.catalog import CATALOG
from analytics.intake import Run
from analytics.store import AnalyticsStore
from analytics.verify_entries import Progress, Report
from decision.journal.verify_core import Finding, Tampering
from decision.model.ports import Clock, IdSource

_BATCH = 8_192
_OTHERWISE_MADE = ("alert_events", "dead_letters")
_NAMES = ("event_id", "decision_id", "session_id", "approval_id", "statement_index")


@dataclass(frozen=True, slots=True)
class _Difference:
    """The first row (by time) that is only in one of the two, as `name value` pairs, and how many there are."""

    row: str
    count: int


def check_rows(folder: Path, work: Path, clock: Clock, ids: IdSource, progress: Progress | None = None) -> Report:
    """Make the tables of the store in `folder` again in `work`, which the caller removes, and compare. The store must
    lie where it was made, as its catalog names its files. `events` of the report: the rows that were compared."""
    where = str(folder)
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"}) as connection:
        connection.execute(f"SET temp_directory = {ddl.quote(str(work / 'spill'))}")
        connection.execute("SET TimeZone = 'UTC'")
        try:
            connection.execute(f"ATTACH {ddl.quote(str(folder / CATALOG))} AS stored (READ_ONLY)")
            _make_again(connection, work / "fresh", clock, ids, progress)
            connection.execute(f"ATTACH {ddl.quote(str(work / 'fresh' / CATALOG))} AS fresh (READ_ONLY)")
            rows, finding = _compared(connection)
            finding = finding or _other_views(connection)
        except (duckdb.Error, OSError) as error:
            why = next(iter(str(error).splitlines()), type(error).__name__)
            return Report("tables", where, finding=Finding(Tampering.EDITED, f"a table can't be read: {why}"))
    note = f"{rows} rows of {len(ddl.facts()) - len(_OTHERWISE_MADE)} tables made again from the events"
    return Report("tables", where, rows, finding=finding, notes=(note,))


def _make_again(
    connection: duckdb.DuckDBPyConnection, folder: Path, clock: Clock, ids: IdSource, progress: Progress | None
) -> None:
    ((total,),) = connection.execute("SELECT count(*) FROM stored.fact.events").fetchall()
    done = 0
    with AnalyticsStore(folder, clock, ids) as fresh:
        for batch in connection.sql("SELECT raw FROM stored.fact.events").to_arrow_reader(_BATCH):
            raws = [raw or b"" for raw in batch.column("raw").to_pylist()]
            run = Run("journal", range(done + 1, done + 1 + len(raws)), raws)
            done += len(raws)
            fresh.take((run,), {"journal": done})
            if progress is not None:
                progress(done, total)
        fresh.publish()


def _compared(connection: duckdb.DuckDBPyConnection) -> tuple[int, Finding | None]:
    """How many rows are the same, and the first table with others."""
    rows = 0
    for table, relation in ddl.facts().items():
        if table in _OTHERWISE_MADE:
            continue
        since = connection.execute(
            "SELECT max(complete_since) FROM stored.meta.retention WHERE table_name IN (?, 'events')", [table]
        ).fetchone()
        limit = f" WHERE time >= DATE '{since[0]}'" if since and since[0] is not None else ""
        names = [column.name for column in relation.columns if column.name in _NAMES]
        only = [
            _difference(connection, table, limit, names, *pair) for pair in (("stored", "fresh"), ("fresh", "stored"))
        ]
        extra, missing = only
        if extra is not None or missing is not None:
            return rows, _finding(table, extra, missing)
        ((count,),) = connection.execute(f"SELECT count(*) FROM stored.fact.{table}{limit}").fetchall()
        rows += count
    return rows, None


def _other_views(connection: duckdb.DuckDBPyConnection) -> Finding | None:
    """The first view or macro, by its name, that is not as this version makes it; `cold` is the list of files, whose
    rows were compared."""
    shown = []
    for catalog in ("stored", "fresh"):
        views = connection.execute(
            "SELECT schema_name || '.' || view_name, sql FROM duckdb_views() WHERE database_name = ? AND NOT internal "
            "AND schema_name <> 'cold'",
            [catalog],
        ).fetchall()
        others = connection.execute(
            "SELECT schema_name || '.' || table_name, 'a table' FROM duckdb_tables() WHERE database_name = $1 "
            "AND schema_name NOT IN ('hot', 'meta') UNION ALL SELECT schema_name || '.' || function_name, "
            "macro_definition FROM duckdb_functions() WHERE database_name = $1 AND NOT internal",
            [catalog],
        ).fetchall()
        shown.append({name: str(sql).replace(f"{catalog}.", "") for name, sql in (*views, *others)})
    stored, fresh = shown
    for name in sorted(stored.keys() | fresh.keys()):
        if stored.get(name) != fresh.get(name):
            what = Tampering.EDITED if name in stored and name in fresh else Tampering.DROPPED
            if name not in fresh:
                what = Tampering.INSERTED
            message = "it is not the view that this version makes (or another version made it: `airlock rebuild`)"
            return Finding(what, message).at(f"view {name}")
    return None


def _difference(
    connection: duckdb.DuckDBPyConnection, table: str, limit: str, names: list[str], one: str, other: str
) -> _Difference | None:
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE odd AS (SELECT * FROM {one}.fact.{table}{limit}) "
        f"EXCEPT ALL (SELECT * FROM {other}.fact.{table}{limit})"
    )
    ((count,),) = connection.execute("SELECT count(*) FROM odd").fetchall()
    if not count:
        return None
    shown = connection.execute(f"SELECT {', '.join(['time', *names])} FROM odd ORDER BY ALL LIMIT 1").fetchall()[0]
    return _Difference(", ".join(f"{name} {value}" for name, value in zip(["time", *names], shown, strict=True)), count)


def _finding(table: str, extra: _Difference | None, missing: _Difference | None) -> Finding:
    if extra is not None and missing is not None:
        what, seen = Tampering.EDITED, extra
        message = f"{extra.count} rows are not what the events make (or another version of Airlock made them: "
        message += "`airlock rebuild`)"
    elif extra is not None:
        what, seen, message = Tampering.INSERTED, extra, f"{extra.count} rows that no event makes"
    else:
        assert missing is not None
        what, seen, message = Tampering.DROPPED, missing, f"{missing.count} rows that the events make are missing"
    return Finding(what, message).at(f"table {table}, {seen.row}")
