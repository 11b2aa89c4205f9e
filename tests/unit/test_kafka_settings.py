"""The settings `[kafka]`: what is refused, and that secrets are neither shown nor said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from decision.model.errors import SettingsError
from ingest.kafka_settings import KafkaSettings
from ingest.topics import TopicFound, TopicShape, complaints

FAR = ("kafka-1.example.com:9092",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bootstrap_servers": ("kafka",)}, "HOST:PORT"),
        ({"bootstrap_servers": ("kafka:0",)}, "HOST:PORT"),
        ({"bootstrap_servers": FAR}, "without TLS"),
        ({"bootstrap_servers": FAR, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN",
          "username": "u", "password_file": "p"}, "SASL_SSL"),
        ({"ca_file": "ca.pem"}, "need TLS"),
        ({"security_protocol": "SSL", "certificate_file": "c.pem"}, "belong together"),
        ({"username": "alice"}, "SASL_SSL"),
        ({"security_protocol": "SASL_SSL"}, "sasl_mechanism"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": "u"}, "username and password_file"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "username": "u"}, "token_file"),
        ({"replication": 2, "min_insync_replicas": 3}, "more than there are copies"),
        ({"topic_prefix": "a b"}, "pattern"),
        ({"compression": "zip"}, "lz4"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_refused_at_the_start(given: dict[str, Any], said: str) -> None:
    """Each mistake is said in words that name the way out."""
    with pytest.raises(ValidationError, match=said):
        KafkaSettings(**given)


def test_plaintext_is_for_loopback_or_a_network_that_is_said_to_be_trusted() -> None:
    """Nothing leaves the machine in clear by oversight."""
    assert KafkaSettings(bootstrap_servers=("127.0.0.1:9092", "localhost:9093", "[::1]:9094")).enabled
    assert KafkaSettings(bootstrap_servers=FAR, allow_plaintext=True).enabled
    assert KafkaSettings(bootstrap_servers=FAR, security_protocol="SSL").enabled


def test_secrets_are_read_from_files_and_never_said(tmp_path: Path) -> None:
    """A missing, empty or binary file is named, its content is not."""
    file = tmp_path / "password"
    given: dict[str, Any] = {
        "bootstrap_servers": FAR, "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512",
        "username": "airlock", "password_file": file,
    }  # fmt: skip
    settings = KafkaSettings(**given)
    with pytest.raises(SettingsError, match="can't be read"):
        settings.password()
    file.write_bytes(b"\xff\xfe hunter2")
    with pytest.raises(SettingsError, match="no text") as refused:
        settings.password()
    assert "hunter2" not in refused.value.message
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        settings.password()
    file.write_text(" pass word \n")
    assert settings.password() == " pass word "
    assert "pass word" not in repr(settings)


def test_without_brokers_there_is_no_kafka() -> None:
    """What needs it says which setting is missing."""
    with pytest.raises(SettingsError, match="no Kafka is set up"):
        KafkaSettings().demand()


def test_a_majority_of_the_copies_must_be_in_sync() -> None:
    """Unless it is said otherwise."""
    assert [KafkaSettings(replication=copies).insync for copies in (1, 2, 3, 5)] == [1, 2, 2, 3]
    assert KafkaSettings(replication=3, min_insync_replicas=3).insync == 3


def test_a_topic_whose_settings_can_not_be_read_is_refused() -> None:
    """Not knowing is not good enough."""
    shape = TopicShape(3, 1, 1, -1, 1 << 20)
    found = TopicFound("airlock.events.v1", "id", 3, 1, {})
    (one,) = complaints(found, shape, bootstrap="b:1")
    assert (one.message, one.remedy) == ("its settings can't be read", "allow us DescribeConfigs on the topic")


def test_fewer_copies_in_sync_than_asked_for_are_refused() -> None:
    """acks=all means as much as min.insync.replicas says."""
    shape = TopicShape(3, 3, 2, -1, 1 << 20)
    configs = {**shape.configs(derived=False), "min.insync.replicas": "1"}
    (one,) = complaints(TopicFound("t", "id", 3, 3, configs), shape, bootstrap="b:1")
    assert "fewer than 2 copies" in one.message
    assert one.remedy.endswith("--add-config min.insync.replicas=2")
