"""The audit sink against a real broker: everything once, nothing silently skipped."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from analytics.live import StoreBusy
from analytics.query import CatalogReader
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.model.errors import KafkaUnavailable, SinkRefused
from decision.model.events import AlertRaised, AuditEvent, EventDraft
from ingest.kafka_clients import producer
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics
from ingest.sink import KafkaSink, SinkSettings
from ingest.status import read_status
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import CODEC, START, story
from tests.support.eventually import eventually as eventually_within
from tests.support.kafka import Broker, settings_for

pytestmark = pytest.mark.kafka

eventually = functools.partial(eventually_within, deadline_s=40.0)
QUICK = SinkSettings(poll_s=0.05, publish_s=0.05, status_s=0.05, idle_s=0.5)


def send(settings: KafkaSettings, events: Iterable[AuditEvent]) -> None:
    """As the relay sends them: the key is the session."""
    send_raw(settings, settings.topics.events, ((e.draft.correlation_id.encode(), e.raw) for e in events))


def send_raw(settings: KafkaSettings, topic: str, records: Iterable[tuple[bytes, bytes | None]]) -> None:
    client = producer(settings)
    for key, value in records:
        client.send(topic, key=key, value=value, headers=[("ce_type", b"x"), ("ce_empty", b"")])
    client.flush()
    client.close()


@contextmanager
def sinking(root: Path, settings: KafkaSettings, **more: bool) -> Iterator[KafkaSink]:
    """A running sink. What it raises is raised at the end."""
    sink, stop, failed = KafkaSink(root, settings, QUICK, **more), threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            sink.run(stop)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sink
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def ask(root: Path, sql: str) -> Sequence[tuple[object, ...]]:
    if not (root / FOLDER / "catalog.duckdb").exists():
        return []
    with CatalogReader(root) as reader:
        return reader.ask(sql).rows


def count(root: Path) -> object:
    rows = ask(root, "SELECT count(*) FROM events")
    return rows[0][0] if rows else 0


def test_events_are_there_soon_and_once(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """What is sent while it runs, and again, and out of order: each event once, the rest counted."""
    events = story(30)
    send(kafka_settings, events[70:])
    with sinking(tmp_path, kafka_settings) as sink:
        eventually(lambda: count(tmp_path) == 140)
        send(kafka_settings, [*events[:80], *events[60:90]])
        eventually(lambda: (status := read_status(tmp_path / FOLDER)) and status.duplicates == 40)
        eventually(lambda: count(tmp_path) == 210)
        assert {sample.name for sample in sink.samples()} >= {"sink_events", "sink_lag_events", "sink_duplicates"}
    with AnalyticsStore(tmp_path / "journal-like" / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.apply(events, {"journal": len(events)})
        store.publish()
    assert all_rows(tmp_path) == all_rows(tmp_path / "journal-like")
    status = read_status(tmp_path / FOLDER)
    assert status is not None and (status.lag_events, status.missing, status.source) == (0, 0, "kafka")
    assert status.position == 140 + 110


def test_a_restarted_sink_goes_on_where_it_was(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """Positions stand in the store: nothing comes a second time, nothing is left out."""
    events = story(12)
    for end in (20, 21, 84):
        send(kafka_settings, events[:end] if end == 20 else events[20 if end == 21 else 21 : end])
        with sinking(tmp_path, kafka_settings):
            eventually(lambda wanted=end: count(tmp_path) == wanted)
    status = read_status(tmp_path / FOLDER)
    assert status is not None and (status.duplicates, status.events) == (0, 84)


def test_what_is_no_event_becomes_a_dead_letter(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """Foreign, cut, huge and empty records stand in dead_letters with their place; what is around them is taken."""
    events = story(2)
    forged = dataclasses.replace(events[3].draft, source="somebody else")
    fork = CODEC.encode(forged, "p1", 1, events[3].seq, events[3].prev_hash)
    send(kafka_settings, events)
    strange: list[bytes | None] = [b"hello", b"\xff" * 40, events[2].raw[:-9], b"\x00" * 200_000, None, fork]
    send_raw(kafka_settings, kafka_settings.topics.events, ((b"k", value) for value in strange))
    send(kafka_settings, story(2, "p2"))
    with sinking(tmp_path, kafka_settings):
        eventually(lambda: count(tmp_path) == 28)
    letters = ask(tmp_path, "SELECT reason, count(*), max(octet_length(raw)) FROM dead_letters GROUP BY 1 ORDER BY 1")
    assert letters == [("conflict", 1, len(fork)), ("undecodable", 5, 65_535)]
    places = ask(tmp_path, "SELECT DISTINCT origin FROM dead_letters")
    assert len(places) == 1 and str(places[0][0]).startswith(f"{kafka_settings.topics.events}/")


def alert(number: int, title: str) -> bytes:
    raised = AlertRaised(f"a{number}", "rule", "high", title, START, START + 60_000_000_000, "alice", "issuer")
    return CODEC.encode(EventDraft(f"x{number}", START, "detections", "", raised), "detections", 0, 0, b"")


def test_alerts_are_rows_without_a_place_in_any_chain(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """They enter neither events nor coverage; what is none is a dead letter; a tombstone is nothing."""
    records: list[bytes | None] = [alert(1, "one"), alert(1, "more"), alert(2, "two"), None, story(1)[0].raw]
    send_raw(kafka_settings, kafka_settings.topics.alerts, ((b"k", value) for value in records))
    send(kafka_settings, story(1))
    with sinking(tmp_path, kafka_settings):
        eventually(lambda: count(tmp_path) == 7)
        eventually(lambda: ask(tmp_path, "SELECT count(*) FROM fact.alert_events") == [(3,)])
    assert ask(tmp_path, "SELECT reason FROM dead_letters") == [("undecodable",)]
    assert ask(tmp_path, "SELECT DISTINCT producer_id FROM meta.coverage") == [("p1",)]


def test_one_sink_writes_a_folder(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """A second one is refused; one with a folder of its own reads the same topics beside it."""
    send(kafka_settings, story(3))
    with sinking(tmp_path / "a", kafka_settings):
        eventually(lambda: count(tmp_path / "a") == 21)
        with pytest.raises(StoreBusy):
            KafkaSink(tmp_path / "a", kafka_settings, QUICK).run(threading.Event())
        with sinking(tmp_path / "b", kafka_settings):
            eventually(lambda: count(tmp_path / "b") == 21)


def drop_before(broker: Broker, topic: str, partition: int, offset: int) -> None:
    from kafka import TopicPartition

    with broker.admin() as admin:
        admin.delete_records({TopicPartition(topic, partition): offset})


def test_records_that_are_gone_are_refused(tmp_path: Path, kafka: Broker, kafka_settings: KafkaSettings) -> None:
    """Retention ran over what was not read: an error with a remedy; asked for, it goes on, and the gap is visible."""
    topic = kafka_settings.topics.events
    send_raw(kafka_settings, topic, ((b"one key", event.raw) for event in story(2)))
    (partition,) = {record.partition for record in kafka.records(topic)}
    drop_before(kafka, topic, partition, 5)
    with pytest.raises(SinkRefused, match=r"offsets 0 to 4 .* are gone") as refused:
        KafkaSink(tmp_path, kafka_settings, QUICK).run(threading.Event())
    assert "--accept-loss" in refused.value.hint
    with sinking(tmp_path, kafka_settings, accept_loss=True):
        eventually(lambda: count(tmp_path) == 9)
    assert ask(tmp_path, "SELECT first_missing, last_missing FROM gaps") == [(1, 5)]


def test_a_topic_made_again_is_refused(tmp_path: Path, kafka: Broker, kafka_settings: KafkaSettings) -> None:
    """Other records under the same offsets are not taken for the ones that follow."""
    send(kafka_settings, story(2))
    with sinking(tmp_path, kafka_settings):
        eventually(lambda: count(tmp_path) == 14)
    with kafka.admin() as admin:
        admin.delete_topics([kafka_settings.topics.events])
    eventually(lambda: remade(kafka, kafka_settings.topics.events))
    send(kafka_settings, story(9, "p2"))
    with pytest.raises(SinkRefused, match="deleted and made again"):
        KafkaSink(tmp_path, kafka_settings, QUICK).run(threading.Event())
    with sinking(tmp_path, kafka_settings, accept_loss=True):
        eventually(lambda: count(tmp_path) == 14 + 63)


def remade(broker: Broker, topic: str) -> bool:
    from kafka.errors import KafkaError

    try:
        broker.create_topics(topic)
    except KafkaError:
        return False
    return True


def test_a_sink_waits_for_its_broker(
    tmp_path: Path, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Started while it is away, and while it goes and comes again: it says so, and takes everything afterwards."""
    monkeypatch.setattr("ingest.sink_source.BOOTSTRAP_MS", 1_000)
    settings = settings_for(own_kafka, "waiting")
    events = story(8)
    own_kafka.kill()

    def error() -> str | None:
        status = read_status(tmp_path / FOLDER)
        return None if status is None else status.error

    with sinking(tmp_path, settings) as sink:
        eventually(error)
        own_kafka.start()
        send_when_there(settings, events[:28])
        eventually(lambda: count(tmp_path) == 28)
        eventually(lambda: error() == "")
        caplog.clear()
        own_kafka.kill()
        assert "Connection refused" in eventually(error)
        assert "Connection refused" in caplog.text
        assert {sample.name: sample.value for sample in sink.samples()}["sink_connected"] == 0
        own_kafka.start()
        eventually(lambda: error() == "")
        assert "Kafka is back" in caplog.text
        send_when_there(settings, events[28:])
        eventually(lambda: count(tmp_path) == 56)


def send_when_there(settings: KafkaSettings, events: Sequence[AuditEvent]) -> None:
    def topics() -> bool:
        try:
            return bool(ensure_topics(settings))
        except KafkaUnavailable:
            return False

    eventually(topics)
    send(settings, events)
