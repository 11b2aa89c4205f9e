"""Kafka as companies run it: TLS with client certificates, and each way to sign in, for both client libraries."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from decision.model.errors import KafkaUnavailable, SettingsError
from ingest.kafka_clients import aiokafka_options, consumer, faust_options, producer
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics, look
from tests.support.certificates import Authority
from tests.support.kafka import Broker, running_broker

pytestmark = pytest.mark.kafka

LISTENER = "listener.name.secure"
MODULES = "org.apache.kafka.common.security"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(kafka_jars: Path, authority: Authority) -> Iterator[Broker]:
    """A broker with a second listener that wants TLS, our certificate and a sign-in."""
    pair = authority.pair("broker", "localhost")
    store = pair.certificate.with_name("broker-store.pem")
    store.write_text(pair.key.read_text() + pair.certificate.read_text())
    settings = {
        "listeners": "PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{extra},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:{port},SECURE://localhost:{extra}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        f"{LISTENER}.ssl.client.auth": "required",
        f"{LISTENER}.ssl.keystore.type": "PEM",
        f"{LISTENER}.ssl.keystore.location": str(store),
        f"{LISTENER}.ssl.truststore.type": "PEM",
        f"{LISTENER}.ssl.truststore.location": str(authority.certificate),
        f"{LISTENER}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
        f"{LISTENER}.plain.sasl.jaas.config": f'{MODULES}.plain.PlainLoginModule required user_airlock="open sesame";',
        f"{LISTENER}.scram-sha-512.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
        f"{LISTENER}.oauthbearer.sasl.jaas.config": f"{MODULES}.oauthbearer.OAuthBearerLoginModule required "
        'unsecuredLoginStringClaim_sub="broker";',
    }
    with running_broker(settings) as broker:
        with broker.admin() as admin:
            admin.alter_user_scram_credentials(_scram("airlock", "open sesame"))
        yield broker


def _scram(user: str, password: str) -> list[Any]:
    from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

    return [UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)]


def unsecured_token() -> str:
    """A JWS without a signature, which this broker believes; a company's has one."""
    now = int(time.time())
    parts = [{"alg": "none"}, {"sub": "airlock", "iat": now, "exp": now + 600}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, ""])


@pytest.fixture
def signed_in(secure: Broker, authority: Authority, tmp_path: Path) -> dict[str, Any]:
    pair = authority.pair("airlock")
    return {
        "bootstrap_servers": (f"localhost:{secure.extra_port}",),
        "security_protocol": "SASL_SSL",
        "ca_file": authority.certificate,
        "certificate_file": pair.certificate,
        "key_file": pair.key,
        "partitions": 3,
        "replication": 1,
    }


def with_secret(given: dict[str, Any], mechanism: str, folder: Path, secret: str = "open sesame") -> KafkaSettings:
    file = folder / "secret"
    if mechanism == "OAUTHBEARER":
        file.write_text(unsecured_token() + "\n")
        return KafkaSettings(**given, sasl_mechanism=mechanism, token_file=file, topic_prefix="oauth")
    file.write_text(secret + "\n")
    return KafkaSettings(
        **given, sasl_mechanism=mechanism, username="airlock", password_file=file, topic_prefix=mechanism.lower()
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
async def test_both_libraries_sign_in(mechanism: str, signed_in: dict[str, Any], tmp_path: Path) -> None:
    """Topics are made, a record goes out by kafka-python and comes back by it and by aiokafka, which Faust uses."""
    from aiokafka import AIOKafkaConsumer

    settings = with_secret(signed_in, mechanism, tmp_path)
    topic = settings.topics.events
    assert set(ensure_topics(settings).made) == set(settings.topics.all)
    sending = producer(settings)
    sending.send(topic, key=b"k", value=b"through TLS").get(20)
    sending.close()
    reading = consumer(settings, topic, consumer_timeout_ms=20_000)
    assert next(iter(reading)).value == b"through TLS"
    reading.close()
    other = AIOKafkaConsumer(topic, auto_offset_reset="earliest", **aiokafka_options(settings))
    await other.start()
    try:
        assert (await other.getone()).value == b"through TLS"
    finally:
        await other.stop()
    assert faust_options(settings)["broker_credentials"].protocol.value == "SASL_SSL"


def test_a_wrong_password_is_refused_and_not_said(signed_in: dict[str, Any], tmp_path: Path) -> None:
    """The error says that the broker refuses us, and holds no secret."""
    with pytest.raises(KafkaUnavailable, match="refuse the credentials") as refused:
        look(with_secret(signed_in, "PLAIN", tmp_path, "open barley"))
    assert "barley" not in refused.value.message + refused.value.hint


def test_a_broker_that_our_authority_does_not_vouch_for_is_not_trusted(
    signed_in: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said to it, the password least of all."""
    monkeypatch.setattr("ingest.kafka_clients.BOOTSTRAP_MS", 1_500)
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(KafkaUnavailable, match="is not trusted"):
        look(with_secret({**signed_in, "ca_file": stranger.certificate}, "PLAIN", tmp_path))


def test_certificates_that_can_not_be_used_are_named(signed_in: dict[str, Any], tmp_path: Path) -> None:
    """Before anything is connected to."""
    (tmp_path / "no.pem").write_text("none")
    with pytest.raises(SettingsError, match="certificates of"):
        look(with_secret({**signed_in, "key_file": tmp_path / "no.pem"}, "PLAIN", tmp_path))
