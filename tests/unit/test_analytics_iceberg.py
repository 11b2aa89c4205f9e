"""The Iceberg tables hold each event once, whatever was interrupted, and others can read them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from airlock.commands.iceberg import iceberg
from analytics import ddl, iceberg_table
from analytics.iceberg import IcebergBusy, IcebergError, IcebergSink, open_catalog, publishing
from analytics.iceberg_position import Position
from analytics.query import CatalogReader
from analytics.settings import IcebergSettings
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.model.events import AuditEvent
from tests.support.analytics_story import story
from tests.support.eventually import eventually

pytest.importorskip("pyiceberg")

ROOT = Path(__file__).parents[2]
TABLES = ("events", "decisions", "approval_events")
SETTINGS = IcebergSettings(tables=TABLES, batch=20)
EVENTS = story(8, step_ns=90 * 60 * 1_000_000_000)


def taken(root: Path, events: Sequence[AuditEvent]) -> None:
    with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.apply(events, {"journal": events[-1].seq})
        store.publish()


def sink(root: Path, settings: IcebergSettings = SETTINGS) -> IcebergSink:
    return IcebergSink(root, settings)


def read_back(root: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    """By pyiceberg and by DuckDB over the files that Iceberg names: the same."""
    scanned = open_catalog(root, SETTINGS).load_table(("airlock", table)).scan().to_arrow()
    paths = [path.removeprefix("file://") for path in sink(root).files(table)]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("scanned", scanned)
        one = connection.execute(f"SELECT {columns} FROM scanned ORDER BY ALL").fetchall()
        if not paths:
            return one
        assert one == connection.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL", [paths]).fetchall()
    return one


def published(root: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    with CatalogReader(root) as reader:
        return reader.ask(f"SELECT {columns} FROM fact.{table} ORDER BY ALL", limit=100_000).rows


ALL = {
    "events": "event_id, seq, time, raw, omitted",
    "decisions": "decision_id, time, rules, principal, human, latency_us",
    "approval_events": "approval_id",
}


def holds_everything_once(root: Path) -> None:
    for table, columns in ALL.items():
        assert read_back(root, table, columns) == published(root, table, columns), table


def on_disk(root: Path) -> set[str]:
    return {f"file://{path}" for path in (root / "iceberg" / "warehouse").resolve().rglob("data/**/*.parquet")}


def referenced(root: Path) -> set[str]:
    return {path for table in TABLES for path in sink(root).files(table)}


def test_each_run_appends_what_is_new(tmp_path: Path) -> None:
    """The same rows as the audit store, once; a run without anything new commits nothing."""
    taken(tmp_path, EVENTS[:30])
    one = sink(tmp_path)
    assert one.publish().rows["events"] == 30
    holds_everything_once(tmp_path)
    again = sink(tmp_path).publish()
    assert (again.events, again.commits) == (0, 0)
    taken(tmp_path, EVENTS)
    assert one.publish().events == len(EVENTS) - 30
    holds_everything_once(tmp_path)
    assert {row["events_behind"] for row in one.status()} == {0}


def test_what_arrives_late_is_appended_late(tmp_path: Path) -> None:
    """A hole in a producer's numbers stays open until they come, and is then filled."""
    taken(tmp_path, [*EVENTS[:10], *EVENTS[25:]])
    sink(tmp_path).publish()
    taken(tmp_path, EVENTS[10:25])
    assert sink(tmp_path).publish().rows["events"] == 15
    holds_everything_once(tmp_path)


KILLER = """
import os, signal, sys
from pathlib import Path
from analytics import iceberg_table
from analytics.iceberg import IcebergSink
from analytics.settings import IcebergSettings
where, count = sys.argv[2], int(sys.argv[3])
calls = 0
def dying(original, after):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == count and not after: os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == count and after: os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call
method, _, when = where.partition(":")
if method == "commit":
    from pyiceberg.catalog.sql import SqlCatalog
    SqlCatalog.commit_table = dying(SqlCatalog.commit_table, when == "after")
else:
    setattr(iceberg_table.IcebergFact, method, dying(getattr(iceberg_table.IcebergFact, method), when == "after"))
IcebergSink(Path(sys.argv[1]), IcebergSettings(tables=("events", "decisions", "approval_events"), batch=20)).publish()
"""


@pytest.mark.parametrize(
    ("where", "count"),
    [("_write:after", 1), ("append:before", 2), ("append:after", 1), ("note:before", 1)],
)
def test_a_kill_loses_and_doubles_nothing(tmp_path: Path, where: str, count: int) -> None:
    """Killed with files written but not committed, between two tables' commits, or before the last word: the next run
    completes it, and no file is left that no table names."""
    taken(tmp_path, EVENTS)
    child = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), where, str(count)], cwd=ROOT, capture_output=True, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    sink(tmp_path).publish()
    holds_everything_once(tmp_path)
    assert on_disk(tmp_path) == referenced(tmp_path)


def test_a_commit_by_another_is_seen_and_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers that know nothing of each other: the second one's commit fails, nothing is doubled, it goes on."""
    taken(tmp_path, EVENTS)
    original = iceberg_table.IcebergFact.append
    raced = []

    def racing(self: iceberg_table.IcebergFact, rows: pa.Table, piece: Position) -> None:
        if not raced:
            raced.append(self.name)
            other = iceberg_table.IcebergFact(open_catalog(tmp_path, SETTINGS), "airlock", self.name)
            original(other, rows, piece)
        original(self, rows, piece)

    with monkeypatch.context() as patched:
        patched.setattr(iceberg_table.IcebergFact, "append", racing)
        with pytest.raises(IcebergError, match="CommitFailed"):
            sink(tmp_path).publish()
    sink(tmp_path).publish()
    holds_everything_once(tmp_path)


def test_tables_are_by_day(tmp_path: Path) -> None:
    """Whoever asks for a day reads that day's files only."""
    taken(tmp_path, EVENTS)
    sink(tmp_path).publish()
    table = open_catalog(tmp_path, SETTINGS).load_table(("airlock", "events"))
    assert [field.name for field in table.spec().fields] == ["day"]
    day = "2026-09-23"
    part = table.scan(row_filter=f"time >= '{day}T00:00:00+00:00' and time < '2026-09-24T00:00:00+00:00'")
    assert 0 < len(list(part.plan_files())) < len(sink(tmp_path).files("events"))
    assert all(f"day={day}" in task.file.file_path for task in part.plan_files())
    assert part.to_arrow().num_rows == 16


def test_new_columns_are_added_and_old_rows_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table made by an earlier version gets the columns that it lacks."""
    whole = ddl.arrow_schemas()
    fewer = {**whole, "decisions": pa.schema([field for field in whole["decisions"] if field.name != "latency_us"])}
    taken(tmp_path, EVENTS[:30])
    with monkeypatch.context() as patched:
        patched.setattr(ddl, "arrow_schemas", lambda: fewer)
        iceberg_table.IcebergFact(open_catalog(tmp_path, SETTINGS), "airlock", "decisions")
        assert (
            "latency_us" not in open_catalog(tmp_path, SETTINGS).load_table("airlock.decisions").schema().column_names
        )
    sink(tmp_path).publish()
    holds_everything_once(tmp_path)
    table = open_catalog(tmp_path, SETTINGS).load_table("airlock.decisions")
    assert "latency_us" in table.schema().column_names
    assert table.schema().find_field("who").doc == "Who asked, for people: `agent for human`"


def test_a_table_rolled_back_gets_its_rows_again(tmp_path: Path) -> None:
    """The position goes back with the snapshot."""
    taken(tmp_path, EVENTS[:20])
    sink(tmp_path).publish()
    catalog = open_catalog(tmp_path, SETTINGS)
    first = catalog.load_table("airlock.events").current_snapshot()
    assert first is not None
    taken(tmp_path, EVENTS)
    sink(tmp_path).publish()
    table = catalog.load_table("airlock.events")
    table.manage_snapshots().rollback_to_snapshot(first.snapshot_id).commit()
    assert len(read_back(tmp_path, "events", "seq")) == 20
    sink(tmp_path).publish()
    holds_everything_once(tmp_path)


def test_expired_snapshots_take_no_position_with_them(tmp_path: Path) -> None:
    """Old snapshots are removed as Iceberg's upkeep does; the next run appends what is new only."""
    taken(tmp_path, EVENTS[:30])
    sink(tmp_path).publish()
    table = open_catalog(tmp_path, SETTINGS).load_table("airlock.events")
    current = table.current_snapshot()
    assert current is not None
    for snapshot in table.snapshots():
        if snapshot.snapshot_id != current.snapshot_id:
            table.maintenance.expire_snapshots().by_id(snapshot.snapshot_id).commit()
    taken(tmp_path, EVENTS)
    sink(tmp_path).publish()
    holds_everything_once(tmp_path)


def test_one_publishes_at_a_time(tmp_path: Path) -> None:
    """A second one on the same folder is told so."""
    taken(tmp_path, EVENTS[:7])
    first = sink(tmp_path)
    with first._alone(), pytest.raises(IcebergBusy):
        sink(tmp_path).publish()


def test_what_is_new_is_appended_beside_other_work(tmp_path: Path) -> None:
    """While the writer goes on: what it publishes is there soon after; with 0 s nothing is done."""
    with publishing(tmp_path, IcebergSettings(tables=("events",))) as none:
        assert none == []
    with publishing(tmp_path, IcebergSettings(tables=("events",), every_s=0.05)) as (one,):
        taken(tmp_path, EVENTS[:21])
        eventually(lambda: one.rows == 21, 60)
        taken(tmp_path, EVENTS[:28])
        eventually(lambda: one.rows == 28, 60)
    assert {sample.name: sample.value for sample in one.samples()} == {
        "iceberg_events": 28, "iceberg_rows": 28, "iceberg_failures": 0
    }  # fmt: skip


@pytest.mark.parametrize("settings", [IcebergSettings(tables=("decision",)), IcebergSettings(tables=("dead_letters",))])
def test_a_table_that_is_none_is_named(tmp_path: Path, settings: IcebergSettings) -> None:
    """With those there are."""
    with pytest.raises(IcebergError) as caught:
        IcebergSink(tmp_path, settings)
    assert "executions" in caught.value.hint


def test_a_catalog_that_can_not_be_reached_says_what_to_check(tmp_path: Path) -> None:
    """Nothing is lost by it."""
    taken(tmp_path, EVENTS[:7])
    with pytest.raises(IcebergError) as caught:
        sink(tmp_path, IcebergSettings(catalog_uri=f"sqlite:///{tmp_path}/nowhere/catalog.db")).publish()
    assert "catalog_uri" in caught.value.hint


def test_the_commands_publish_and_tell(tmp_path: Path) -> None:
    """`airlock iceberg publish`, `status` and `files`."""
    taken(tmp_path, EVENTS[:14])
    settings = tmp_path / "airlock.toml"
    settings.write_text(f'data_dir = "{tmp_path}"\n[iceberg]\ntables = ["events"]\n')
    given = ["--config", str(settings)]
    assert CliRunner().invoke(iceberg, ["publish", *given]).output == "14 events: 14 rows in 1 tables, 1 commits\n"
    assert '"events_behind": 0' in CliRunner().invoke(iceberg, ["status", *given, "--format", "json"]).output
    listed = CliRunner().invoke(iceberg, ["files", "events", *given]).output.split()
    assert listed and all(Path(path.removeprefix("file://")).is_file() for path in listed)
    assert "published are: events" in CliRunner().invoke(iceberg, ["files", "decisions", *given]).output


SPANS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(1, 30), st.integers(0, 8)), max_size=8)


def numbers(position: Position) -> set[tuple[str, int, int]]:
    return {(p, e, n) for p, e, first, last in position.spans for n in range(first, last + 1)}


@given(SPANS, SPANS, st.integers(1, 9))
def test_positions_are_sets(
    one: list[tuple[str, int, int, int]], two: list[tuple[str, int, int, int]], most: int
) -> None:
    """Union, difference, pieces and text are those of the numbers themselves."""
    a, b = (Position.of((p, e, first, first + more) for p, e, first, more in spans) for spans in (one, two))
    assert numbers(a.with_(b)) == numbers(a) | numbers(b)
    assert numbers(a.without(b)) == numbers(a) - numbers(b)
    assert a.events() == len(numbers(a))
    pieces = list(a.pieces(most))
    assert all(piece.events() <= most for piece in pieces)
    assert sum(piece.events() for piece in pieces) == a.events() and set().union(*map(numbers, pieces)) == numbers(a)
    assert Position.from_text(a.to_text()) == a
