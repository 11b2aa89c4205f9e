"""The topics that only workers use: made by them, or by hand."""

from __future__ import annotations

import pytest

from decision.model.errors import TopicRefused
from ingest.app_records import ensure_stream_topics
from ingest.kafka_settings import KafkaSettings
from tests.contract.test_kafka_topics import change
from tests.support.kafka import Broker

pytestmark = pytest.mark.kafka


def test_workers_make_their_topics_only_where_they_may(kafka_settings: KafkaSettings) -> None:
    """With `create_topics = false` a missing one is named, with the way out; once it is there they go on."""
    by_hand = kafka_settings.model_copy(update={"create_topics": False})
    with pytest.raises(TopicRefused, match=r"\.signals\.v1 is refused: it does not exist") as refused:
        ensure_stream_topics(by_hand)
    assert refused.value.hint == "airlock kafka topics create"
    assert ensure_stream_topics(kafka_settings).partitions == kafka_settings.partitions
    assert ensure_stream_topics(by_hand).partitions == kafka_settings.partitions


def test_first_times_that_would_be_forgotten_are_refused(kafka: Broker, kafka_settings: KafkaSettings) -> None:
    """A topic of the workers with the wrong clean-up is named, with the command that mends it."""
    ensure_stream_topics(kafka_settings)
    change(kafka, kafka_settings.topics.firsts, cleanup_policy="delete")
    with pytest.raises(TopicRefused, match=r"\.firsts\.v1 is refused: its cleanup\.policy is not compact") as refused:
        ensure_stream_topics(kafka_settings)
    assert refused.value.hint.endswith("--add-config cleanup.policy=compact")
