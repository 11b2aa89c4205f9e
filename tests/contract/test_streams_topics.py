"""The topics that only workers use: made by them, or by hand."""

from __future__ import annotations

import pytest

from decision.model.errors import TopicRefused
from ingest.app_records import ensure_stream_topics
from ingest.kafka_settings import KafkaSettings


def test_workers_make_their_topics_only_where_they_may(kafka_settings: KafkaSettings) -> None:
    """With `create_topics = false` a missing one is named, with the way out; once it is there they go on."""
    by_hand = kafka_settings.model_copy(update={"create_topics": False})
    with pytest.raises(TopicRefused, match=r"\.signals\.v1 does not exist"):
        ensure_stream_topics(by_hand)
    assert ensure_stream_topics(kafka_settings).partitions == kafka_settings.partitions
    assert ensure_stream_topics(by_hand).partitions == kafka_settings.partitions
