"""Where a topic is lost and made again, nothing of the new one may be skipped in silence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from decision.model.events import AuditEvent
from ingest.kafka_clients import producer
from ingest.kafka_settings import KafkaSettings
from tests.contract.test_ingest_sink import count, eventually, remade, sinking
from tests.support.analytics_story import story
from tests.support.kafka import Broker

pytestmark = pytest.mark.kafka


def send(settings: KafkaSettings, partition: int, events: Sequence[AuditEvent]) -> None:
    client = producer(settings)
    for event in events:
        client.send(settings.topics.events, event.raw, partition=partition)
    client.flush()
    client.close()


def test_a_place_in_the_topic_of_before_is_none_in_the_new_one(
    tmp_path: Path, kafka: Broker, kafka_settings: KafkaSettings
) -> None:
    """The loss was accepted, and the sink ended before each partition of the new topic had a record; what comes there
    later begins at 0 again, whatever was read of the old one."""
    events = story(20)
    send(kafka_settings, 1, events[:40])
    with sinking(tmp_path, kafka_settings):
        eventually(lambda: count(tmp_path) == 40)
    with kafka.admin() as admin:
        admin.delete_topics([kafka_settings.topics.events])
    eventually(lambda: remade(kafka, kafka_settings.topics.events))
    send(kafka_settings, 0, events[40:50])
    with sinking(tmp_path, kafka_settings, accept_loss=True):
        eventually(lambda: count(tmp_path) == 50)
    send(kafka_settings, 1, events[50:140])
    with sinking(tmp_path, kafka_settings):
        eventually(lambda: count(tmp_path) == 140)
