"""The settings of the analytics store, of what is kept in it, and of its copy in Iceberg."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

FOLDER = "analytics"
"""Of a data folder: where the store is."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`seal_events`: so many events in the live file make a segment; `direct_events`: a batch so large becomes a
    segment at once, past the live file. `seal_after_s`: rows no older than this stay out of segments (other readers of
    the Parquet files see them then). `fan_in`: so many files of one size become one. `largest_bytes`: files are not
    merged beyond. `grace_s`: how long a replaced file stays for readers that opened the catalog before; no question
    may run longer."""

    seal_events: int = 2_000
    direct_events: int = 1_000
    seal_after_s: float = 60.0
    fan_in: int = 16
    largest_bytes: int = 256 * 1024 * 1024
    grace_s: float = 900.0
    memory_limit: str = "256MB"


DEFAULTS = StoreSettings()


class RetentionSettings(BaseModel):
    """How many days each class of data stays in the audit store; 0: for ever. What is older goes by whole UTC days when
    `airlock retention apply` is run, except what a legal hold keeps. `decisions` are decisions with their rules,
    statements, tables and columns; `administration` is changes of policy, settings and catalogs, checkpoints and gaps;
    `events` the stored bytes of every event. The journal and the log have limits of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decisions: int = Field(default=400, ge=0, le=36_500)
    executions: int = Field(default=400, ge=0, le=36_500)
    sessions: int = Field(default=400, ge=0, le=36_500)
    approvals: int = Field(default=1_096, ge=0, le=36_500)
    alerts: int = Field(default=400, ge=0, le=36_500)
    administration: int = Field(default=1_096, ge=0, le=36_500)
    events: int = Field(default=914, ge=0, le=36_500)


class IcebergSettings(BaseModel):
    """A copy of the facts as Iceberg tables, for Trino, Spark and whatever else reads them; needs the extra `iceberg`.

    `every_s`: the process that writes the audit store appends what is new so often (0: only `airlock iceberg publish`
    does). `catalog_uri`: a SQL catalog (`sqlite:///…`, `postgresql+psycopg://…`) or a REST catalog (`https://…`);
    without one it is a SQLite file in the data folder. `warehouse`: where tables are made (`file:///…`, `s3://…`);
    without one in the data folder. Credentials are given as pyiceberg takes them (PYICEBERG_CATALOG__AIRLOCK__…).
    `tables`: facts to publish (default: all that follow from events). `batch`: so many events become one commit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every_s: float = Field(default=0.0, ge=0, le=86_400)
    catalog_uri: str = ""
    warehouse: str = ""
    namespace: str = Field(default="airlock", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
    tables: tuple[str, ...] = ()
    batch: int = Field(default=50_000, ge=1, le=1_000_000)
