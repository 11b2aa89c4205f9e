"""Settings of the decision service. The composition (airlock.settings) reads them from airlock.toml."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from decision.model.policy import Environment
from decision.tags import parse_name


class DatabaseEntry(BaseModel):
    """One database as the decision service knows it.

    `environment` is `prod` unless said otherwise: what is forgotten is protected. `tags` as in decision.tags;
    `db_role` is the role of the upstream connection that sessions run as (empty: the upstream's own).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=63)
    engine: str = "postgres"
    environment: Environment = Environment.PROD
    labels: dict[str, str] = Field(default_factory=dict)
    tags: dict[str, list[str]] = Field(default_factory=dict)
    db_role: str = ""

    @field_validator("tags")
    @classmethod
    def _names(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for key in value:
            if len(parse_name(key)) not in (2, 3):
                raise ValueError(f"{key!r} names neither a table (schema.table) nor a column (schema.table.column)")
        return value


class ServiceSettings(BaseModel):
    """Bounds of the decision service.

    `max_sessions`: open sessions; one more is refused. `approval_wait_s`: the longest that a client may be kept
    waiting for an approval, whatever policy asks for. `approval_expires_s`: likewise for a grant's life.

    `counters_stale_s`: when the streams have not been heard of for that long, policies are told so instead of counters.

    With Kafka: `approval_confirm_s` is how long the use of an approval, or a vote, may take to come back from the event
    stream; after that it is denied. `digest_key_file` holds the key of all digests (32 bytes; default: made in the data
    folder): decision services that share approvals need the same one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "decision-service"
    max_sessions: int = Field(default=10_000, ge=1)
    approval_wait_s: int = Field(default=60, ge=0, le=3600)
    approval_expires_s: int = Field(default=24 * 3600, ge=1)
    approval_confirm_s: float = Field(default=2.0, gt=0, le=60)
    digest_key_file: Path | None = None
    counters_stale_s: float = Field(default=60.0, gt=0)
