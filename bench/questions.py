"""How fast the standard questions are answered over 1M and 10M events. Writes bench/results/questions.json.

    nice python -m bench.questions [--events 1000000 10000000] [--folder D] [--plain]

The rows are drawn by DuckDB (as many principals, tables, shapes and days as a company has; ids as UUIDv7 are) and
written as the store writes its segments, one file a table and closed day, so that only the answering is measured:
each question by a fresh reader with the memory of `airlock query` (1 GB), median of three; `cpu_ms` tells what it
costs where others keep the machine busy. `--folder` keeps the rows for the next run.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analytics import ddl
from analytics.catalog import CatalogPublisher
from analytics.live import LIVE, LiveFile
from analytics.query import CatalogReader
from analytics.questions import questions
from analytics.segments import SegmentFolder
from analytics.store import FOLDER
from bench.measure import machine, rss_mib, write
from decision.clock import Uuid7Source
from tests.support.analytics_story import story

DAYS = 90
FIRST = date(2026, 6, 1)
PER_SESSION = 12  # opened, five statements decided and executed, closed
WEEK = {"from": "2026-07-01", "to": "2026-07-08"}
GIVEN: dict[str, dict[str, dict[str, str]]] = {
    "who-read": {"all": {"table": "table_7"}, "a week": {"table": "table_7", **WEEK}},
    "did": {"all": {"principal": "agent-5"}, "a week": {"principal": "agent-5", **WEEK}},
    "denials-by-rule": {"all": {}, "a week": WEEK},
    "percentiles": {"all": {}, "a week": WEEK},
    "first-access": {"all": {"from": "2026-08-20"}, "one table": {"table": "table_7", "from": "2026-08-20"}},
    "enumeration": {"all": {}, "a day": {"from": "2026-07-01", "to": "2026-07-02"}},
    "event": {"one": {}},
    "who-changed": {"all": {"table": "table_7", "column": "column_3"}},
}  # fmt: skip

MACROS = """
CREATE MACRO h(a, b) AS (hash(a, b) % 1000003) / 1000003.0;
CREATE MACRO skew(a, b, n) AS floor(pow(h(a, b), 3) * n)::BIGINT;
CREATE MACRO v7(moment, salt) AS format('{}-{}-7{}-8{}-{}',
  substr(lpad(lower(to_hex(epoch_ms(moment))), 12, '0'), 1, 8),
  substr(lpad(lower(to_hex(epoch_ms(moment))), 12, '0'), 9, 4),
  substr(md5(salt::VARCHAR), 1, 3), substr(md5(salt::VARCHAR), 4, 3), substr(md5(salt::VARCHAR), 7, 12));
"""
SESSION = """
CREATE OR REPLACE TEMP TABLE session AS
SELECT i, start, v7(start, i) AS session_id, p AS number, 'agent-' || p AS principal, 'user-' || (p // 3) AS human,
  'db-' || skew(i, 'db', 8) AS database, ['prod', 'prod', 'staging', 'dev'][1 + (p % 4)] AS environment
FROM (SELECT i, $day::TIMESTAMPTZ + to_microseconds((h(i, 'start') * 86e9)::BIGINT) AS start, skew(i, 'who', 300) AS p
      FROM range($first::BIGINT, $first::BIGINT + $sessions::BIGINT) r(i));
"""
STATEMENT = """
CREATE OR REPLACE TEMP TABLE statement AS
SELECT *, v7(time, n) AS decision_id,
  CASE verb WHEN 'select' THEN 'SELECT a, b FROM table_' || t || ' WHERE id = ? /* ' || shape || ' */'
    ELSE upper(verb) || ' table_' || t || ' SET column_' || shape || ' = ? WHERE id = ?' END AS statement,
  'column_' || shape AS column_name, 'table_' || t AS table_name
FROM (
  SELECT s.*, i * 5 + k AS n, start + to_microseconds(((k + h(i * 5 + k, 'gap')) * 4e6)::BIGINT) AS time,
    skew(i * 5 + k, 'table', 400) AS t, skew(i * 5 + k, 'shape', 9) AS shape,
    CASE WHEN h(i * 5 + k, 'verb') < 0.85 THEN 'select' ELSE 'update' END AS verb,
    CASE WHEN h(i * 5 + k, 'effect') < 0.08 THEN 'deny' ELSE 'allow' END AS effect
  FROM session s, range(5) q(k)
);
"""
ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "session_starts": ("session", {
        "time": "start", "opened": "true", "who": "principal || ' for ' || human", "principal_kind": "'agent'",
        "on_behalf_of": "[human]", "intent": "'ticket ' || (i % 997)", "client_address": "'10.0.0.' || (i % 250)"}),
    "session_ends": ("session", {
        "time": "start + INTERVAL 25 seconds", "reason": "'client'", "duration_ms": "25000.0", "statements": "5"}),
    "decisions": ("statement", {
        "who": "principal || ' for ' || human", "principal_kind": "'agent'", "on_behalf_of": "[human]",
        "rules": "[CASE effect WHEN 'deny' THEN 'guardrails.rule_' || (n % 23) ELSE 'access.read' END]",
        "kinds": "[verb]", "tables": "['public.' || table_name]", "message_kind": "'query'", "statements": "1",
        "policy_revision": "'rev-1'", "statement_digest": "md5((n % 100003)::VARCHAR)", "parameters_digest": "''",
        "latency_us": "100 + 4000 * pow(h(n, 'latency'), 8)", "complete": "true", "error_code": "''"}),
    "decision_rules": ("statement", {
        "rule": "CASE effect WHEN 'deny' THEN 'guardrails.rule_' || (n % 23) ELSE 'access.read' END",
        "message": "'because'", "severity": "'high'", "controls": "['SOC2:CC6.1']"}),
    "statements": ("statement", {
        "statement_index": "0", "kinds": "[verb]", "tables": "['public.' || table_name]",
        "fingerprint": "md5(statement)", "complete": "true", "has_where": "true", "pinned": "['id']"}),
    "table_access": ("statement", {
        "statement_index": "0", "schema_name": "'public'", "kind": "'table'",
        "access": "CASE verb WHEN 'select' THEN 'read' ELSE 'write' END", "via": "'direct'", "tags": "[]"}),
    "column_access": ("statement, range(2) u(c)", {
        "statement_index": "0", "schema_name": "'public'", "column_name": "'column_' || ((shape + c) % 9)",
        "usage": "['output', 'filter'][1 + c]", "tags": "['pii.email']"}),
    "column_changes": ("statement WHERE verb = 'update'", {
        "statement_index": "0", "schema_name": "'public'", "value_mac": "md5(n::VARCHAR)",
        "row_keys": "MAP(['id'], [md5((n % 50021)::VARCHAR)])", "tags": "[]"}),
    "executions": ("statement WHERE effect = 'allow'", {
        "time": "time + to_microseconds((h(n, 'took') * 3e6)::BIGINT)", "statement_index": "0",
        "outcome": "'completed'", "command_tag": "'SELECT 5'", "rows": "skew(n, 'rows', 500)",
        "bytes": "800", "duration_ms": "3000 * pow(h(n, 'took'), 6)", "sqlstate": "''", "masked_cells": "0"}),
    "events": ("""(
        SELECT 0 AS kind, i * 12 AS seq, start AS time, session_id FROM session
        UNION ALL SELECT 1, i * 12 + 1 + 2 * (n % 5), time, session_id FROM statement
        UNION ALL SELECT 2, i * 12 + 2 + 2 * (n % 5), time + INTERVAL 1 second, session_id FROM statement
        UNION ALL SELECT 3, i * 12 + 11, start + INTERVAL 25 seconds, session_id FROM session)""", {
        "event_id": "v7(time, seq)", "type": "['SessionOpened', 'StatementDecided', 'StatementExecuted', "
        "'SessionClosed'][1 + kind]", "producer_id": "'p' || (seq % 2)", "epoch": "1", "correlation_id": "session_id",
        "time_unix_nano": "epoch_ns(time)", "prev_hash": "unhex(md5(seq::VARCHAR) || md5((seq + 1)::VARCHAR))",
        "hash": "unhex(md5((seq + 1)::VARCHAR) || md5((seq + 2)::VARCHAR))",
        "raw": "[$raws[1], $raws[2], $raws[3], $raws[4]][1 + kind] || unhex(md5(seq::VARCHAR))"}),
}  # fmt: skip


def rows_of(connection: duckdb.DuckDBPyConnection, table: str) -> pa.Table:
    """The day's rows of one fact table, in order of time, in the store's own types."""
    source, given = ROWS[table]
    have = {row[0] for row in connection.execute(f"DESCRIBE (FROM {source})").fetchall()}
    columns = []
    for column in ddl.facts()[table].columns:
        value = given.get(column.name, column.name if column.name in have else "NULL")
        columns.append(f"({value})::{column.type} AS {column.name}")
    drawn = [event.raw for event in story(1)]
    parameters = {"raws": [*drawn[:3], drawn[-1]]} if "$raws" in str(given) else {}
    sql = f"SELECT {', '.join(columns)} FROM {source} ORDER BY 1"
    return connection.execute(sql, parameters).to_arrow_table().cast(ddl.arrow_schemas()[table])


def days_of(events: int) -> Iterator[tuple[date, int, int]]:
    """(day, number of its first session, sessions)."""
    sessions = events // PER_SESSION // DAYS
    for number in range(DAYS):
        yield FIRST + timedelta(days=number), number * sessions, sessions


def fill(folder: Path, events: int, files: int) -> None:
    """The segments of so many events, `files` a table and day."""
    analytics = folder / FOLDER
    analytics.mkdir(parents=True)
    ids, segments = Uuid7Source(), SegmentFolder(analytics / "segments")
    with duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "2GB"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(MACROS)
        for day, first, sessions in days_of(events):
            connection.execute(SESSION, {"day": str(day), "first": first, "sessions": sessions})
            connection.execute(STATEMENT)
            for table in ROWS:
                rows = rows_of(connection, table)
                size = -(-rows.num_rows // files)
                for start in range(0, rows.num_rows, size):
                    part = rows.slice(start, size).combine_chunks()
                    segments.write(table, day, ids.new_id(), part.to_batches(), part.schema)


def publish(folder: Path, events: int) -> None:
    """The catalog over the files that are there."""
    analytics = (folder / FOLDER).resolve()
    listed: dict[str, list[tuple[str, str, int, int]]] = {}
    for path in sorted((analytics / "segments").rglob("*.parquet")):
        day, table = path.parent.name.removeprefix("day="), path.parents[1].name
        rows = pq.ParquetFile(path).metadata.num_rows
        listed.setdefault(table, []).append((str(path), day, rows, path.stat().st_size))
    (analytics / LIVE).unlink(missing_ok=True)
    live = LiveFile(analytics / LIVE, "1GB")
    CatalogPublisher(analytics).publish(live.connection, listed, (), (0, events, 0, 0, 0))
    live.close()


def ask(folder: Path, name: str, given: dict[str, str]) -> dict[str, Any]:
    """Milliseconds of one question, of the wall clock and of the processors, median of three fresh readers."""
    question = questions()[name]
    if name == "event":
        with CatalogReader(folder) as reader:
            chosen = reader.ask("SELECT event_id FROM events WHERE time > TIMESTAMPTZ '2026-07-15' LIMIT 1").rows
        given = {"id": str(chosen[0][0])}
    bound, costs, answered = question.bind(given, datetime(2026, 9, 1, tzinfo=UTC)), [], 0
    for _ in range(3):
        with CatalogReader(folder) as reader:
            started, spent = time.perf_counter(), time.process_time()
            answered = len(reader.ask(question.sql, bound, limit=1000, timeout_s=300).rows)
            costs.append(((time.perf_counter() - started) * 1000, (time.process_time() - spent) * 1000))
    wall, processors = (round(statistics.median(values), 1) for values in zip(*costs, strict=True))
    return {"ms": wall, "cpu_ms": processors, "rows": answered}


def measure(folder: Path) -> dict[str, Any]:
    with CatalogReader(folder) as reader:
        files, size = reader.ask("SELECT count(*), sum(bytes) FROM meta.segments").rows[0]
        started = time.perf_counter()
        reader.ask("SELECT count(DISTINCT decision_id) FROM fact.decisions", timeout_s=300)
        scan = (time.perf_counter() - started) * 1000
    answers: dict[str, Any] = {}
    for name, ways in GIVEN.items():
        for way, given in ways.items():
            answers[f"{name}, {way}"] = ask(folder, name, given)
            print(f"  {name}, {way}: {answers[f'{name}, {way}']}", flush=True)
    return {
        "files": files,
        "mib": round(int(str(size)) / 2**20),
        "count_distinct_decisions_ms": round(scan, 1),
        "questions": answers,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--files", type=int, default=1, help="files a table and day")
    parser.add_argument("--folder", type=Path, help="keep the rows here, or take those that are there")
    parser.add_argument("--no-result", action="store_true", help="print only")
    chosen = parser.parse_args()
    results: dict[str, Any] = {"machine": machine()}
    for events in chosen.events:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (chosen.folder or Path(temporary)) / f"{events}-{chosen.files}"
            if not folder.exists():
                started, making = time.perf_counter(), folder.with_suffix(".making")
                shutil.rmtree(making, ignore_errors=True)
                fill(making, events, chosen.files)
                making.rename(folder)
                publish(folder, events)
                print(f"{events} events made in {time.perf_counter() - started:.0f} s", flush=True)
            else:
                publish(folder, events)
            gc.collect()
            results[f"{events}"] = measure(folder) | {"rss_mib": round(rss_mib(os.getpid()))}
    if not chosen.no_result:
        write("questions", results, keep=True)


if __name__ == "__main__":
    main()
