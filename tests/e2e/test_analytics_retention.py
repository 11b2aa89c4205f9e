"""`airlock retention` beside a running projection, and a rebuild afterwards."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner

from airlock.commands.rebuild import rebuild
from airlock.commands.retention import retention
from analytics.query import CatalogMissing, CatalogReader
from decision.journal.sqlite import SqliteJournal
from ingest.local_process import LocalProcess
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import CODEC, story
from tests.support.eventually import eventually


def rows(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    try:
        with CatalogReader(data_dir) as reader:
            return reader.ask(sql).rows
    except CatalogMissing:
        return []


def said(data_dir: Path, *arguments: str) -> str:
    """What the command prints, with settings that keep sessions and decisions for thirty days."""
    config = data_dir / "airlock.toml"
    config.write_text(f'data_dir = "{data_dir}"\n[retention]\nsessions = 30\ndecisions = 30\n')
    result = CliRunner().invoke(retention, [*arguments, "--config", str(config)])
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_retention_is_applied_by_the_running_writer_and_outlives_a_rebuild(tmp_path: Path) -> None:
    """Sessions and decisions older than thirty days go while the projection runs, unless a hold covers them; its
    release lets them go; a store made anew has the same rows."""
    events = story(6)  # of some months ago
    (tmp_path / "journal").mkdir()
    journal = SqliteJournal.open(tmp_path / "journal", producer_id="p1", codec=CODEC)
    await asyncio.gather(*(journal.append(event.draft) for event in events))
    await journal.close()
    runner = LocalProcess(tmp_path, nice=0)
    runner.start()
    try:
        eventually(lambda: rows(tmp_path, "SELECT count(*) FROM events") == [(len(events),)], 30)
        held = said(tmp_path, "hold", "add", "--principal", "alice", "--reason", "case 4711", "--by", "legal")
        assert held == "hold-1 keeps: principal alice\n"
        assert (
            said(tmp_path, "apply", "--yes") == "nothing is older than it is kept for, but for what hold-1 may keep\n"
        )
        eventually(
            lambda: rows(tmp_path, "SELECT scope, reason FROM legal_holds") == [("principal alice", "case 4711")]
        )
        assert rows(tmp_path, "SELECT count(*) FROM decisions") == [(18,)]
        said(tmp_path, "hold", "release", "hold-1", "--reason", "settled", "--by", "legal")
        planned = json.loads(said(tmp_path, "plan", "--format", "json"))
        assert {row["class"] for row in planned if row["rows"]} == {"sessions", "decisions"}
        assert "rows in" in said(tmp_path, "apply", "--yes", "--by", "ann")
        assert rows(tmp_path, "SELECT count(*) FROM decisions") == [(0,)]
        assert rows(tmp_path, "SELECT count(*) FROM events") == [(len(events),)]
        assert said(tmp_path, "apply", "--yes") == "nothing is older than it is kept for\n"
        shown = {row["class"]: row for row in json.loads(said(tmp_path, "show", "--format", "json"))}
        assert shown["decisions"]["complete_since"] and shown["events"]["complete_since"] is None
    finally:
        assert runner.stop() == 0
    before = all_rows(tmp_path)
    assert CliRunner().invoke(rebuild, ["--data-dir", str(tmp_path)]).exit_code == 0
    assert all_rows(tmp_path) == before
    assert "released" in said(tmp_path, "holds", "--all", "--format", "json")
