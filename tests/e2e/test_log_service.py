"""`airlock ingest sequencer` as a process of its own: from Kafka to the log, and its checkpoints back to Kafka."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from decision.journal.custody import KEYS, Custody
from decision.journal.tiles import TileFolder
from decision.model.events import AuditEvent, CheckpointSigned
from ingest.kafka_clients import producer
from ingest.kafka_settings import KafkaSettings
from tests.support.analytics_story import CODEC, story
from tests.support.eventually import eventually
from tests.support.kafka import Broker

pytestmark = pytest.mark.kafka
EVENTS = story(20)


@contextmanager
def running(config: Path, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "airlock.main", "ingest", "sequencer", "--config", str(config)]
    with (data_dir.parent / "said").open("ab") as said:
        process = subprocess.Popen([*command, "--data-dir", str(data_dir)], stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def send(settings: KafkaSettings, events: Sequence[AuditEvent]) -> None:
    sender = producer(settings)
    for event in events:
        sender.send(settings.topics.events, key=event.draft.correlation_id.encode(), value=event.raw)
    sender.flush()
    sender.close()


def covered(data_dir: Path) -> list[bytes]:
    """The entries that the newest checkpoint covers."""
    folder = TileFolder(data_dir / "log")
    data = folder.checkpoint()
    if not data:
        return []
    size = Custody.parse((data_dir / "log" / KEYS).read_bytes()).open(data).checkpoint.size
    return [raw for bundle in folder.read_entries(size) for raw in bundle]


def recorded(kafka: Broker, topic: str) -> list[CheckpointSigned]:
    """The checkpoints that are events on Kafka."""
    payloads = [CODEC.decode(record.value)[0].payload for record in kafka.records(topic)]
    return [payload for payload in payloads if isinstance(payload, CheckpointSigned)]


def test_the_service_survives_a_kill_and_its_checkpoints_are_events(
    tmp_path: Path, kafka: Broker, kafka_settings: KafkaSettings
) -> None:
    """Events come, a checkpoint goes back to Kafka; killed and started again it goes on; it ends when asked to."""
    config, data_dir = tmp_path / "airlock.toml", tmp_path / "data"
    config.write_text(
        f'[kafka]\nbootstrap_servers = ["{kafka.bootstrap}"]\ntopic_prefix = "{kafka_settings.topic_prefix}"\n'
        'replication = 1\npartitions = 3\n[log]\norigin = "log.example/service"\ninterval_s = 0.2\n'
    )
    topic = kafka_settings.topics.events
    send(kafka_settings, EVENTS[:70])
    with running(config, data_dir):
        eventually(lambda: len(covered(data_dir)) >= 70, 60, what="70 leaves")
        eventually(lambda: recorded(kafka, topic), 60, every_s=1.0, what="a checkpoint on Kafka")
    send(kafka_settings, EVENTS[50:])
    with running(config, data_dir) as process:
        eventually(lambda: len(covered(data_dir)) >= 141, 60, what="all leaves")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, (tmp_path / "said").read_text()
    own = [event.raw for event in EVENTS]
    found = covered(data_dir)
    assert sorted(raw for raw in found if CODEC.place_of(raw)[0] == "p1") == sorted(own)
    others = [CODEC.decode(raw) for raw in found if raw not in set(own)]
    assert others and all(producer_id.startswith("log-") for _, producer_id, *_ in others)
    first = recorded(kafka, topic)[0]
    assert first.tree_size >= 1 and first.origin == "log.example/service"
