"""One machine without Kafka: what the audit store and the log have leaves the journal, and nothing else does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from airlock.pruning import Pruner, rules_of, taken_by_all
from airlock.settings import Settings
from analytics.query import CatalogReader
from decision.clock import SystemClock
from decision.journal.pruning import ReplayReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.journal.tiles import FOLDER, TileFolder
from decision.journal.verify import verify_journal
from decision.model.events import AuditEvent
from ingest.local_process import LocalProcess
from ingest.sequencer_state import load_state
from tests.support.eventually import eventually_async
from tests.support.journal_load import CODEC, append, draft

COUNT = 2_000
SMALL = JournalSettings(ballast_bytes=0, min_free_bytes=0, keep_s=0.0, keep_bytes=0)


async def appended(journal: SqliteJournal) -> list[AuditEvent]:
    """Approvals of now, so that they live."""
    now, events = SystemClock().time_unix_nano(), []
    for start in range(0, COUNT, 100):
        drafts = [draft(number) for number in range(start, start + 100)]
        made = [type(one)(one.id, now, one.source, one.correlation_id, one.payload) for one in drafts]
        events += await asyncio.gather(*[journal.append(one) for one in made])
    return events


async def test_what_both_have_leaves_and_is_still_all_there(tmp_path: Path) -> None:
    """Nothing goes while one of them has not begun. Then the journal empties; every event is in the audit store and a
    leaf of the log, the journal still verifies, and living approvals are replayed."""
    settings = Settings(data_dir=tmp_path, journal=SMALL)
    journal = SqliteJournal.open(tmp_path / "journal", producer_id="node-1", codec=CODEC, settings=SMALL)
    pruner = Pruner(
        journal, rules_of(settings, relayed=False), lambda: taken_by_all(settings, relayed=False), SystemClock()
    )
    events = await appended(journal)
    assert await pruner.step() == 0
    runner = LocalProcess(tmp_path, nice=0)
    runner.start()
    try:

        async def empty() -> bool:
            await pruner.step()
            return journal.stats().events == 0

        await eventually_async(empty, 40)
    finally:
        assert runner.stop() == 0
    await append(journal, [draft(COUNT)])
    await journal.close()
    assert verify_journal(tmp_path / "journal", CODEC).events == 1
    with CatalogReader(tmp_path) as reader:
        assert reader.ask("SELECT count(DISTINCT event_id) FROM events").rows == [(COUNT,)]
    state = load_state(tmp_path / FOLDER)
    assert state is not None and state.size == COUNT
    leaves = [raw for part in TileFolder(tmp_path / FOLDER).read_entries(COUNT) for raw in part]
    assert leaves == [event.raw for event in events]
    living = [event for event in events if type(event.payload).__name__.startswith("Approval")]
    assert ReplayReader(tmp_path / "journal", CODEC).read(0, COUNT) == living
