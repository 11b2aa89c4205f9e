"""The settings `[kafka]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ingest.topics import Topics


class KafkaSettings(BaseModel):
    """`bootstrap_servers` (HOST:PORT each) are where the brokers are asked for first; without any there is no Kafka.
    `topic_prefix` begins the name of every topic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap_servers: tuple[str, ...] = ()
    topic_prefix: str = Field(default="airlock", pattern=r"^[A-Za-z0-9._-]{1,180}$")

    @property
    def enabled(self) -> bool:
        return bool(self.bootstrap_servers)

    @property
    def topics(self) -> Topics:
        return Topics(self.topic_prefix)
