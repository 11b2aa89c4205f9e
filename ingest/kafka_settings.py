"""The settings `[kafka]`: where the brokers are, how to sign in, what the topics are like, what the relay may take."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from decision.endpoint import is_loopback, read_file
from decision.model.errors import SettingsError
from ingest.topics import FOR_EVER, Topics, TopicShape

MIB = 1024 * 1024
_REQUEST_BYTES = MIB
"""Of the largest request to one partition: a batch, the event that no longer fitted it, and what Kafka adds."""
_SCRAM_OR_PLAIN = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class KafkaSettings(BaseModel):
    """Sizes in bytes, durations in seconds. Without `bootstrap_servers` there is no Kafka.

    `bootstrap_servers` (HOST:PORT each) are the brokers that are asked first for all others. `client_id` names us in
    the brokers' logs and quotas. `topic_prefix` begins the name of every topic and of every consumer group.

    `security_protocol`: beyond loopback anything without TLS is refused unless `allow_plaintext` says that the network
    itself is trusted. With TLS: `ca_file` is the authority of the brokers' certificates (default: the system's),
    `certificate_file` and `key_file` (PEM) are what we show. With SASL: `sasl_mechanism`, `username` and
    `password_file`, which is read at each start; OAUTHBEARER takes its token from `token_file`, read anew whenever a
    broker asks for one.

    `create_topics`: topics that are missing are made; otherwise they are complained of. `partitions` is how many each
    topic has: it can't be changed later, because the order within a session and within an approval hangs on it.
    `replication` copies, of which `min_insync_replicas` (default: a majority of them) must have an event before it
    counts as relayed. `retention_days`: what the events' and approvals' topics keep at least (-1: for ever).

    `compression` of what the relay sends. The relay holds at most `relay_events` events and `relay_bytes` in memory
    that the brokers have not acknowledged. `batch_bytes`: of one request and partition, at most.
    `request_timeout_s`: after that long without an answer a broker is given up and asked again. `away_log_s`: how
    often the log repeats that the brokers can't be reached.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap_servers: tuple[str, ...] = ()
    client_id: str = Field(default="airlock", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    topic_prefix: str = Field(default="airlock", pattern=r"^[A-Za-z0-9._-]{1,180}$")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    allow_plaintext: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = ""
    username: str = ""
    password_file: Path | None = None
    token_file: Path | None = None

    create_topics: bool = True
    partitions: int = Field(default=12, ge=1, le=1_000)
    replication: int = Field(default=3, ge=1, le=32)
    min_insync_replicas: int | None = Field(default=None, ge=1, le=32)
    retention_days: int = Field(default=FOR_EVER, ge=FOR_EVER)

    compression: Literal["lz4", "gzip", "none"] = "lz4"
    relay_events: int = Field(default=16_384, ge=1_024, le=1_000_000)
    relay_bytes: int = Field(default=32 * MIB, ge=MIB, le=1024 * MIB)
    batch_bytes: int = Field(default=256 * 1024, ge=96 * 1024, le=768 * 1024)
    request_timeout_s: float = Field(default=15.0, ge=1.0, le=300.0)
    away_log_s: float = Field(default=60.0, gt=0)

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            host, colon, port = server.rpartition(":")
            if not (host and colon and port.isdigit() and 0 < int(port) < 65_536):
                raise ValueError("each entry is HOST:PORT, e.g. kafka-1.example.com:9092")
        return servers

    @model_validator(mode="after")
    def _sound(self) -> KafkaSettings:
        for complaint in (self._about_tls(), self._about_sasl(), self._about_copies()):
            if complaint:
                raise ValueError(complaint)
        return self

    def _about_tls(self) -> str:
        named = self.ca_file or self.certificate_file or self.key_file
        if named and not self.tls:
            return f"ca_file, certificate_file and key_file need TLS: security_protocol = '{self._with_tls}'"
        if (self.certificate_file is None) != (self.key_file is None):
            return "certificate_file and key_file belong together: set both or neither"
        beyond = [server for server in self.bootstrap_servers if not is_loopback(server.rpartition(":")[0])]
        if beyond and not self.tls and not self.allow_plaintext:
            return (
                f"events and passwords don't go to {beyond[0]} without TLS: security_protocol = '{self._with_tls}', or "
                "allow_plaintext = true where the network itself is trusted"
            )
        return ""

    def _about_sasl(self) -> str:
        given = bool(self.username) or self.password_file is not None or self.token_file is not None
        if not self.sasl:
            if self.sasl_mechanism or given:
                return "sasl_mechanism, username, password_file and token_file need security_protocol = 'SASL_SSL'"
            return ""
        if not self.sasl_mechanism:
            return "SASL needs sasl_mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
        if self.sasl_mechanism in _SCRAM_OR_PLAIN and not (
            self.username and self.password_file and not self.token_file
        ):
            return f"{self.sasl_mechanism} needs username and password_file, and nothing else"
        if self.sasl_mechanism == "OAUTHBEARER" and not (
            self.token_file and not self.username and not self.password_file
        ):
            return "OAUTHBEARER needs token_file, and nothing else"
        return ""

    def _about_copies(self) -> str:
        if self.insync > self.replication:
            return (
                f"min_insync_replicas is {self.insync}, more than there are copies (replication = {self.replication})"
            )
        return ""

    @property
    def _with_tls(self) -> str:
        return "SASL_SSL" if self.sasl else "SSL"

    @property
    def enabled(self) -> bool:
        return bool(self.bootstrap_servers)

    @property
    def topics(self) -> Topics:
        return Topics(self.topic_prefix)

    @property
    def tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    @property
    def insync(self) -> int:
        """`min_insync_replicas`, or a majority of the copies."""
        return self.min_insync_replicas or self.replication // 2 + 1

    @property
    def shape(self) -> TopicShape:
        return TopicShape(self.partitions, self.replication, self.insync, self.retention_days, _REQUEST_BYTES)

    def password(self) -> str:
        """What `password_file` holds. Raises SettingsError; never quotes it."""
        return _secret(self.password_file, "kafka.password_file")

    def token(self) -> str:
        """What `token_file` holds now. Raises SettingsError; never quotes it."""
        return _secret(self.token_file, "kafka.token_file")

    def demand(self) -> KafkaSettings:
        """Itself. Raises SettingsError where there is no Kafka, or nothing installed that speaks to it."""
        if not self.enabled:
            raise SettingsError(
                "no Kafka is set up", hint='add to the settings: [kafka] bootstrap_servers = ["HOST:9092"]'
            )
        if find_spec("kafka") is None:
            raise SettingsError("Kafka needs the package kafka-python", hint="pip install 'airlock[kafka]'")
        return self


def _secret(path: Path | None, key: str) -> str:
    if path is None:
        raise SettingsError(f"{key} is not set", hint=f"set {key.partition('.')[2]} in [kafka]")
    try:
        text = read_file(path, key).decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{key}: {path} is no text", hint="write the secret as UTF-8 text") from None
    if not text:
        raise SettingsError(f"{key}: {path} is empty", hint="write the secret into it, alone")
    return text
