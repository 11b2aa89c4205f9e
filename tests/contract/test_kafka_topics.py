"""The topics as a real broker has them: made right, and refused where they could lose or reorder events."""

from __future__ import annotations

import threading
import uuid

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from decision.model.errors import KafkaUnavailable, TopicRefused
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics, judge, look, make_topics
from tests.support.eventually import eventually
from tests.support.kafka import Broker, free_port, settings_for

pytestmark = pytest.mark.kafka


@pytest.fixture
def fresh(kafka: Broker) -> KafkaSettings:
    """Settings under whose prefix nothing exists yet."""
    return settings_for(kafka, f"fresh-{uuid.uuid4().hex[:8]}")


def change(broker: Broker, topic: str, **configs: str) -> None:
    """Set what is named, and wait until the broker says so itself."""
    wanted = {key.replace("_", "."): value for key, value in configs.items()}
    with broker.admin() as admin:

        def told() -> dict[str, str]:
            found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
            return {key: found["topic"][topic][key]["value"] for key in wanted}

        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
        eventually(lambda: told() == wanted, what=f"{wanted} of {topic}")


def test_missing_topics_are_made_sound(fresh: KafkaSettings) -> None:
    """All four are made, the trail's for ever and uncompacted, and a second look finds nothing to do or to say."""
    made = make_topics(fresh)
    assert set(made.made) == set(fresh.topics.all)
    assert made.topics[fresh.topics.events].configs["retention.ms"] == "-1"
    assert made.topics[fresh.topics.counters].configs["cleanup.policy"] == "compact"
    again = ensure_topics(fresh)
    assert again.made == ()
    assert again.cluster_id == made.cluster_id
    assert again.topics[fresh.topics.events].topic_id == made.topics[fresh.topics.events].topic_id


@pytest.mark.parametrize(
    ("configs", "said"),
    [
        ({"cleanup_policy": "compact"}, "compacted"),
        ({"cleanup_policy": "compact,delete"}, "compacted"),
        ({"retention_ms": "604800000"}, "keeps events 7.0 days"),
        ({"retention_bytes": "1073741824"}, "beyond a size"),
        ({"unclean_leader_election_enable": "true"}, "drop events"),
        ({"max_message_bytes": "100000"}, "largest requests"),
        ({"message_timestamp_type": "LogAppendTime"}, "time of an event"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_a_topic_that_could_lose_events_is_refused(
    kafka: Broker, kafka_settings: KafkaSettings, configs: dict[str, str], said: str
) -> None:
    """The error names the topic, what is wrong, and the command that mends it."""
    change(kafka, kafka_settings.topics.approvals, **configs)
    with pytest.raises(TopicRefused) as refused:
        ensure_topics(kafka_settings)
    assert kafka_settings.topics.approvals in refused.value.message
    assert said in refused.value.message
    (key,) = configs
    assert f"--add-config {key.replace('_', '.')}=" in refused.value.hint


def test_derived_topics_may_be_compacted_and_short(kafka: Broker, kafka_settings: KafkaSettings) -> None:
    """Alerts and counters are no part of the trail."""
    change(kafka, kafka_settings.topics.alerts, cleanup_policy="compact,delete", retention_ms="3600000")
    assert judge(kafka_settings, ensure_topics(kafka_settings)) == []


def test_another_number_of_partitions_is_refused(kafka_settings: KafkaSettings) -> None:
    """Keys would go elsewhere than before."""
    with pytest.raises(TopicRefused, match="3 partitions, the settings say 6"):
        ensure_topics(kafka_settings.model_copy(update={"partitions": 6}))


def test_a_finite_retention_is_what_the_settings_ask_for(kafka: Broker, kafka_settings: KafkaSettings) -> None:
    """A topic may keep longer than asked for, never shorter."""
    asked = kafka_settings.model_copy(update={"retention_days": 30})
    change(kafka, asked.topics.events, retention_ms=str(31 * 86_400_000))
    assert judge(asked, look(asked)) == []
    change(kafka, asked.topics.events, retention_ms=str(29 * 86_400_000))
    assert [one.topic for one in judge(asked, look(asked))] == [asked.topics.events]


def test_missing_topics_are_only_complained_of_where_they_may_not_be_made(fresh: KafkaSettings) -> None:
    """`create_topics = false` leaves making them to the operator, and the brokers untouched."""
    careful = fresh.model_copy(update={"create_topics": False})
    with pytest.raises(TopicRefused, match="it does not exist"):
        ensure_topics(careful)
    assert look(careful).topics == {}


def test_more_copies_than_brokers_are_refused_with_the_setting(fresh: KafkaSettings) -> None:
    """The error says which setting a single broker needs."""
    with pytest.raises(TopicRefused) as refused:
        ensure_topics(fresh.model_copy(update={"replication": 3}))
    assert "replication = 1" in refused.value.hint


def test_a_broker_that_is_away_is_said_to_be(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the address that does not answer; trying again and again leaves nothing behind."""
    monkeypatch.setattr("ingest.kafka_clients.BOOTSTRAP_MS", 300)
    away = KafkaSettings(bootstrap_servers=(f"127.0.0.1:{free_port()}",))
    threads = threading.active_count()
    for _ in range(3):
        with pytest.raises(KafkaUnavailable, match=f"{away.bootstrap_servers[0]}: Connection refused"):
            ensure_topics(away)
    assert threading.active_count() == threads, "each attempt leaves a thread behind"
