"""One story by every way into an audit store: the rows are the same, however it came there or was made again."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from airlock.commands.rebuild import rebuild
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.journal.log_settings import LogSettings
from decision.journal.reader import SqliteJournalReader
from decision.journal.sqlite import SqliteJournal
from ingest.kafka_settings import KafkaSettings
from ingest.local import LocalRunner
from ingest.sequencer_journal import LogThread
from ingest.sequencer_state import load_state
from ingest.sink import KafkaSink, SinkSettings
from ingest.status import read_status
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import CODEC, story
from tests.support.eventually import eventually
from tests.support.relaying import relaying

SESSIONS = 60


def journalled(root: Path) -> int:
    """The story in a journal; how many events."""
    (root / "journal").mkdir(parents=True)

    async def fill() -> int:
        journal = SqliteJournal.open(root / "journal", producer_id="p1", codec=CODEC)
        events = await asyncio.gather(*(journal.append(event.draft) for event in story(SESSIONS)))
        await journal.close()
        return len(events)

    return asyncio.run(fill())


def embedded(root: Path) -> None:
    with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source()) as store:
        LocalRunner(store, SqliteJournalReader(root / "journal", CODEC), SystemClock()).run(lambda _: True)


def without_alerts(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """A rebuild from the journal detects again; tests/contract/test_streams_forms.py compares alerts."""
    return {table: found for table, found in rows.items() if table != "alert_events"}


@pytest.mark.kafka
def test_embedded_and_distributed_give_the_same_rows(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """The journal folded on its node, the same journal relayed and taken by the sink, and both made again."""
    one, other = tmp_path / "embedded", tmp_path / "distributed"
    events = journalled(one)
    embedded(one)
    expected = all_rows(one)
    with relaying(one / "journal", kafka_settings) as running:
        eventually(running.caught_up, 40)
    sink, stop = (
        KafkaSink(other, kafka_settings, SinkSettings(poll_s=0.05, publish_s=0.05, status_s=0.05)),
        threading.Event(),
    )
    thread = threading.Thread(target=sink.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: (status := read_status(other / FOLDER)) and status.events == events, 40)
    finally:
        stop.set()
        thread.join()
    assert all_rows(other) == expected
    config = tmp_path / "airlock.toml"
    config.write_text(
        f"[kafka]\nbootstrap_servers = {list(kafka_settings.bootstrap_servers)}\n"
        f'topic_prefix = "{kafka_settings.topic_prefix}"\npartitions = {kafka_settings.partitions}\nreplication = 1\n'
    )
    for source, root in (("kafka", other), ("journal", one)):
        shutil.rmtree(root / FOLDER)
        again = CliRunner().invoke(rebuild, ["--config", str(config), "--data-dir", str(root), "--from", source])
        assert again.output == f"{events} events were projected again\n"
        assert without_alerts(all_rows(root)) == without_alerts(expected), source
    KafkaSink(other, kafka_settings).run(_ended())
    status = read_status(other / FOLDER)
    assert status is not None and (status.events, status.duplicates) == (events, 0), "a rebuilt store goes on"


def _ended() -> threading.Event:
    """Set when a sink has looked once."""
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    return stop


def test_what_was_pruned_is_projected_again_from_the_log(tmp_path: Path) -> None:
    """The journal's oldest events are gone; the log beside it has them. Without it nothing is lost in silence."""
    events = journalled(tmp_path)
    embedded(tmp_path)
    expected = all_rows(tmp_path)
    keeping = LogThread(tmp_path, LogSettings())
    keeping.start()
    eventually(lambda: (state := load_state(tmp_path / "log")) is not None and state.size == events, 40)
    keeping.stop()

    async def prune() -> None:
        journal = SqliteJournal.open(tmp_path / "journal", producer_id="p1", codec=CODEC)
        assert await journal.prune(events) > 0
        await journal.close()

    asyncio.run(prune())
    assert SqliteJournalReader(tmp_path / "journal", CODEC).base().seq > 0
    again = CliRunner().invoke(rebuild, ["--data-dir", str(tmp_path)])
    assert again.output == f"{events} events were projected again\n"
    assert without_alerts(all_rows(tmp_path)) == without_alerts(expected)
    shutil.rmtree(tmp_path / "log")
    refused = CliRunner().invoke(rebuild, ["--data-dir", str(tmp_path)])
    assert refused.exit_code == 1 and "pruned from the journal" in refused.output
    assert without_alerts(all_rows(tmp_path)) == without_alerts(expected), "the old store stays"
