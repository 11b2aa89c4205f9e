"""The broker that the tests run against: what they rely on."""

from __future__ import annotations

import pytest

from ingest.topics import Topics
from tests.support.kafka import Broker

pytestmark = pytest.mark.kafka


def produce(broker: Broker, topic: str, values: list[bytes]) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    try:
        for value in values:
            producer.send(topic, key=b"one key", value=value)
        producer.flush()
    finally:
        producer.close()


def test_the_shared_broker_has_the_topics_of_this_test(kafka: Broker, kafka_topics: Topics) -> None:
    """Each test finds its four topics, empty, with three partitions."""
    produce(kafka, kafka_topics.events, [b"first", b"second"])
    assert [record.value for record in kafka.records(kafka_topics.events)] == [b"first", b"second"]
    with kafka.admin() as admin:
        names = [kafka_topics.events, kafka_topics.approvals, kafka_topics.alerts, kafka_topics.counters]
        assert {len(topic["partitions"]) for topic in admin.describe_topics(names)} == {3}
    assert kafka.records(kafka_topics.approvals) == []


def test_what_a_broker_acknowledged_survives_its_kill(own_kafka: Broker) -> None:
    """Killed and started again, it has the same port and all the records."""
    own_kafka.create_topics("kept")
    produce(own_kafka, "kept", [b"a", b"b", b"c"])
    before = own_kafka.bootstrap
    own_kafka.kill()
    assert not own_kafka.alive()
    assert own_kafka.start() == before
    assert [record.value for record in own_kafka.records("kept")] == [b"a", b"b", b"c"]
