"""Embedded and distributed detect the same: one story by the journal, and by Kafka, streams and sink."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from analytics.query import CatalogReader
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.journal.reader import SqliteJournalReader
from decision.journal.sqlite import SqliteJournal
from decision.model.events import ApprovalGranted, ApprovalRequested, AuditEvent
from ingest.alerts import EmbeddedDetections
from ingest.alerts_settings import DetectionSettings
from ingest.app import Streams
from ingest.app_records import ensure_stream_topics
from ingest.counters import Counters, Key, decode_counters, read_counters
from ingest.kafka_clients import producer
from ingest.kafka_settings import KafkaSettings
from ingest.local import LocalRunner, LocalSettings
from ingest.sink import KafkaSink, SinkSettings
from tests.support.analytics_story import CODEC
from tests.support.eventually import eventually_async
from tests.support.kafka import Broker
from tests.support.streams_story import SECOND, Told, agent_of, denied, looked, opened, person, read, refused

pytestmark = pytest.mark.kafka

DETECTING = DetectionSettings()
ALERTS = (
    "SELECT alert_id, rule, severity, principal, principal_issuer, database, observed, threshold, window_start, "
    "window_end, evidence, time FROM alerts ORDER BY alert_id"
)


def tale() -> list[Told]:
    """Something for most of the rules, by people and an agent, over many sessions."""
    start = time.time_ns() - 300 * SECOND
    alice = person("alice")
    bot = agent_of("bot", alice)
    made: list[Told] = []
    for number in range(90):
        session, at = f"s{number}", start + number * SECOND
        who = (alice, bot, person("carol"))[number % 3]
        made.append(opened(at, session, who))
        made += read(at + 1, session, f"d{number}.1", who, 6_000)
        made.append(denied(at + 2_000_000, session, f"d{number}.2", who))
        made.append(looked(at + 3_000_000, session, f"d{number}.3", who, f"t{number}"))
        if number == 30:
            asked = ApprovalRequested("a1", f"d{number}.2", session, bot, "shop", "DROP", b"", b"", (), 0)
            made.append((at + 3_500_000, session, asked))
            made.append((at + 3_600_000, "a1", ApprovalGranted("a1", alice)))
        made.append(refused(at + 4_000_000, f"r{number}", "root", f"10.0.0.{number % 2}:99"))
    return made


async def journalled(folder: Path, stories: Sequence[Told]) -> list[AuditEvent]:
    """The story in a journal, and the events as it made them durable."""
    from decision.model.events import EventDraft

    (folder / "journal").mkdir(parents=True)
    journal = SqliteJournal.open(folder / "journal", producer_id="p1", codec=CODEC)
    drafts = [EventDraft(f"e{n}", at, "decision-service", key, payload) for n, (at, key, payload) in enumerate(stories)]
    events = await asyncio.gather(*(journal.append(draft) for draft in drafts))
    await journal.close()
    return list(events)


def embedded(folder: Path) -> None:
    """By the runner, in batches of 50, with a restart in the middle."""
    clock = SystemClock()
    for steps in (3, 1_000):
        with AnalyticsStore(folder / FOLDER, clock, Uuid7Source()) as store:
            detections = EmbeddedDetections(folder / FOLDER, DETECTING, clock)
            reader = SqliteJournalReader(folder / "journal", CODEC)
            runner = LocalRunner(store, reader, clock, LocalSettings(batch=50, publish_s=0.0), detections)
            left = iter(range(steps))
            while next(left, None) is not None and runner.step():
                pass
            if steps > 3:
                runner.run(lambda _: True)
            else:
                detections.close()


async def distributed(folder: Path, settings: KafkaSettings, events: Sequence[AuditEvent], alerts: int) -> None:
    """By a worker and a sink, until as many alerts are stored."""
    topics = ensure_stream_topics(settings)
    client = producer(settings)
    for event in events:
        client.send(settings.topics.events, key=event.draft.correlation_id.encode(), value=event.raw)
        if isinstance(event.payload, ApprovalRequested | ApprovalGranted):
            client.send(settings.topics.approvals, key=event.payload.approval_id.encode(), value=event.raw)
    client.flush()
    client.close()
    left: list[str] = []
    streams = Streams(settings, DETECTING, topics, "w-0", folder / "w", SystemClock(), left.append)
    sink, stop = KafkaSink(folder, settings, SinkSettings(poll_s=0.05, publish_s=0.05)), threading.Event()
    thread = threading.Thread(target=sink.run, args=(stop,))
    thread.start()
    try:
        await streams.start()

        async def taken() -> bool:
            done = streams.source.counts["events"] == len(events) and streams.approvals.counts["events"] == 2
            return done and streams.folds.totals()["signals"] == streams.signalled

        await eventually_async(taken, 40)

        async def stored() -> bool:
            return len(ask(folder)) >= alerts and ask(folder) == ask(folder.with_name("embedded"))

        try:
            await eventually_async(stored, 20, every_s=0.2)
        except AssertionError:
            assert ask(folder) == ask(folder.with_name("embedded"))
        await streams.stop()
    finally:
        stop.set()
        thread.join()
    assert not left


def ask(folder: Path) -> list[tuple[object, ...]]:
    if not (folder / FOLDER / "catalog.duckdb").exists():
        return []
    with CatalogReader(folder) as reader:
        return reader.ask(ALERTS).rows


async def test_both_forms_raise_the_same_alerts_and_count_the_same(
    tmp_path: Path, kafka: Broker, kafka_settings: KafkaSettings
) -> None:
    """Row by row the same in the view `alerts`, and the same counters for the decisions."""
    events = await journalled(tmp_path / "embedded", tale())
    embedded(tmp_path / "embedded")
    rows = ask(tmp_path / "embedded")
    rules = {row[1] for row in rows}
    assert rules >= {"mass_read", "denial_burst", "first_sensitive_access", "sign_in_failures", "table_enumeration"}
    assert "approval_self_dealing" in rules
    (tmp_path / "distributed").mkdir()
    await distributed(tmp_path / "distributed", kafka_settings, events, len(rows))

    counted: dict[Key, Counters] = {}
    for record in kafka.records(kafka_settings.topics.counters):
        counters = decode_counters(record.value)
        counted[counters.principal] = counters
    local = read_counters(tmp_path / "embedded" / FOLDER)
    now = time.time_ns()
    assert {key: one.at(now) for key, one in counted.items()} == {key: one.at(now) for key, one in local.items()}
    assert dict(local["https://id.example", "alice"].at(now))["rows_out_1h"] == 60 * 6_000, "the agent's count, too"
