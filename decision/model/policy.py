"""The parts of a policy input beside Facts: phase, action, resource and context (JSON Schema: rego/schemas)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from decision.model.session import ClientInfo


class Phase(StrEnum):
    SESSION = "session"
    STATEMENT = "statement"
    APPROVAL = "approval"


class Environment(StrEnum):
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


@dataclass(frozen=True, slots=True)
class Resource:
    """The database as policies see it."""

    database: str
    engine: str
    environment: Environment
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalContext:
    """A grant that fits this very message: `rules` are the holds that it covers."""

    approval_id: str
    rules: tuple[str, ...]
    approvers: tuple[str, ...]


Figures = tuple[tuple[str, int], ...]
"""What a principal did lately, by name and in the names' order."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything about the request that is neither who, what nor where. `time_unix` in seconds. `counters` are those of
    who asks, `counters_behind` (issuer, subject, counters) those of whom it acts for, nearest first."""

    session_id: str
    time_unix: int
    intent: str = ""
    ticket: str = ""
    client: ClientInfo = ClientInfo()
    enforcement_point: str = ""
    transaction_status: str = "I"
    approval: ApprovalContext | None = None
    counters: Figures = ()
    counters_behind: tuple[tuple[str, str, Figures], ...] = ()
