"""The log of Kafka's events, on a real broker: each event one leaf, in the order in which it was read."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from decision.clock import SystemClock
from decision.journal.custody import KEYS, Custody
from decision.journal.tiles import TileFolder
from decision.model.errors import LogDamaged
from decision.model.events import AuditEvent
from ingest.kafka_clients import admin, producer
from ingest.kafka_settings import KafkaSettings
from ingest.sequencer_kafka import KafkaKeeper, open_keeper
from ingest.sequencer_thread import STANDING_STILL, KeeperThread
from tests.support.analytics_story import CODEC, story
from tests.support.eventually import eventually
from tests.support.kafka import Broker, settings_for
from tests.support.tlog import AT_ONCE, counted

pytestmark = pytest.mark.kafka
EVENTS = [event for pair in zip(story(60, "p1"), story(60, "p2"), strict=True) for event in pair]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.contract.test_log_kafka"])


def send(settings: KafkaSettings, events: Sequence[AuditEvent]) -> None:
    """As the relay does: keyed by session."""
    sender = producer(settings)
    for event in events:
        sender.send(settings.topics.events, key=event.draft.correlation_id.encode(), value=event.raw)
    sender.flush()
    sender.close()


def opened(data_dir: Path, settings: KafkaSettings) -> KafkaKeeper:
    return open_keeper(data_dir, settings, AT_ONCE, SystemClock(), counted, idle_s=0.5)


def kept(data_dir: Path, settings: KafkaSettings, size: int) -> list[bytes]:
    """The log's entries when it has reached `size`."""
    keeper = opened(data_dir, settings)
    try:
        eventually(lambda: keeper.step() and keeper.sequencer.size >= size, 20, what=f"{size} leaves")
        keeper.finish()
        assert keeper.behind == 0
    finally:
        keeper.close()
    return entries(data_dir)


def entries(data_dir: Path) -> list[bytes]:
    folder = TileFolder(data_dir / "log")
    checkpoint = Custody.parse((data_dir / "log" / KEYS).read_bytes()).open(folder.checkpoint()).checkpoint
    return [raw for bundle in folder.read_entries(checkpoint.size) for raw in bundle]


def in_order(raws: Sequence[bytes]) -> bool:
    """Whether each session's events stand in their order."""
    newest: dict[str, int] = {}
    for raw in raws:
        draft, producer_id, _, seq, _ = CODEC.decode(raw)
        key = f"{producer_id} {draft.correlation_id}"
        if seq < newest.get(key, 0):
            return False
        newest[key] = seq
    return True


def test_every_event_of_every_partition_is_one_leaf(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """Two producers over three partitions, sent twice as a relay may after a kill, over a restart of the log."""
    send(kafka_settings, EVENTS[:500])
    assert sorted(kept(tmp_path, kafka_settings, 500)) == sorted(event.raw for event in EVENTS[:500])
    send(kafka_settings, EVENTS[300:])
    found = kept(tmp_path, kafka_settings, len(EVENTS))
    assert sorted(found) == sorted(event.raw for event in EVENTS)
    assert in_order(found)


def test_what_is_no_event_is_no_leaf(
    tmp_path: Path, kafka_settings: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """It is passed over with a line in the log, and what follows is taken."""
    sender = producer(kafka_settings)
    for value in (b"\xff\xff nonsense", None, b""):
        sender.send(kafka_settings.topics.events, key=b"k", value=value)
    sender.flush()
    sender.close()
    send(kafka_settings, EVENTS[:20])
    with caplog.at_level(logging.ERROR):
        assert len(kept(tmp_path, kafka_settings, 20)) == 20
    assert caplog.text.count("is no leaf") == 3


def test_events_deleted_before_the_log_had_them_stop_it(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """The partition and the offsets are named."""
    from kafka import TopicPartition

    send(kafka_settings, EVENTS[:100])
    kept(tmp_path, kafka_settings, 100)
    send(kafka_settings, EVENTS[100:400])
    with admin(kafka_settings) as client:
        client.delete_records({TopicPartition(kafka_settings.topics.events, part): 100 for part in range(3)})
    with pytest.raises(LogDamaged, match=r"offsets \d+ to 99 of partition 0 of .* were deleted before the log had"):
        opened(tmp_path, kafka_settings)


def test_a_topic_made_again_is_another_log(tmp_path: Path, kafka_settings: KafkaSettings, kafka: Broker) -> None:
    """The same name with another identity is refused, whatever it holds."""
    send(kafka_settings, EVENTS[:50])
    kept(tmp_path, kafka_settings, 50)
    name = kafka_settings.topics.events
    with admin(kafka_settings) as client:
        client.delete_topics([name])
    eventually(lambda: made_again(kafka, name), 20, every_s=0.2, what="the topic to be made again")
    with pytest.raises(LogDamaged, match=r"this is the log log\.example/test of"):
        opened(tmp_path, kafka_settings)


def made_again(kafka: Broker, name: str) -> bool:
    try:
        kafka.create_topics(name)
    except Exception:  # the deletion takes its time
        return False
    return True


def keep(data_dir: Path, settings: KafkaSettings) -> None:
    """The process that is killed."""
    keeper = opened(data_dir, settings)
    while True:
        keeper.step()


@contextmanager
def sending(settings: KafkaSettings) -> Iterator[None]:
    """Events on their way all the time, some of them twice."""
    over = threading.Event()

    def run() -> None:
        place = 0
        while place < len(EVENTS) and not over.wait(0.1):
            send(settings, EVENTS[max(0, place - 5) : place + 15])
            place += 15

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        send(settings, EVENTS)


def test_no_kill_loses_or_doubles_a_leaf(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """Ten kills -9 at random moments while events come."""
    chance = random.Random(7)
    with sending(kafka_settings):
        for _ in range(10):
            process = FORKS.Process(target=keep, args=(tmp_path, kafka_settings), daemon=True)
            process.start()
            process.join(0.05 + chance.random() * 0.5)
            assert process.pid is not None and process.is_alive()
            os.kill(process.pid, signal.SIGKILL)
            process.join()
    found = kept(tmp_path, kafka_settings, len(EVENTS))
    assert sorted(found) == sorted(event.raw for event in EVENTS)
    assert in_order(found)


def test_the_log_waits_for_its_broker(
    tmp_path: Path, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Started before it, and while it goes and comes again: the log says so, and goes on by itself."""
    monkeypatch.setattr("ingest.sequencer_kafka.BOOTSTRAP_MS", 1_000)
    standing = tmp_path / "log" / STANDING_STILL
    settings = settings_for(own_kafka, "test")
    own_kafka.kill()
    thread = KeeperThread(tmp_path / "log", lambda: opened(tmp_path, settings))
    thread.start()
    try:
        eventually(lambda: "Kafka" in thread.standing_still, 30, what="the broker to be missed")
        own_kafka.start()
        eventually(lambda: thread.running, 60, what="the log to begin")
        send(settings, EVENTS[:30])
        eventually(lambda: (tmp_path / "log/checkpoint").exists() and len(entries(tmp_path)) == 30, 60)
        caplog.clear()
        own_kafka.kill()
        eventually(lambda: "Connection refused" in thread.standing_still, 30, what="the broker to be missed again")
        assert "Connection refused" in eventually(lambda: standing.exists() and standing.read_text())
        assert {sample.name: sample.value for sample in thread.samples()}["sequencer_standing_still"] == 1
        own_kafka.start()
        eventually(lambda: not thread.standing_still and not standing.exists(), 60, what="the log to go on")
        assert "the log goes on after" in caplog.text
        send(settings, EVENTS[30:50])
        eventually(lambda: len(entries(tmp_path)) == 50, 60, what="the rest")
    finally:
        thread.stop()
