"""The names of the topics and what their records are.

| topic | key | value |
|---|---|---|
| `<prefix>.events.v1` | session id, else correlation id, else producer id | the journal's bytes of the event |
| `<prefix>.approvals.v1` | approval id | the bytes of the approval's event: the same record as in events |
| `<prefix>.alerts.v1` | alert id | an AuditEvent with AlertRaised, outside any chain: raised again, it replaces |
| `<prefix>.counters.v1` | principal | a Counters message: the newest one of a key counts |
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics under one prefix."""

    prefix: str = "airlock"

    @property
    def events(self) -> str:
        return f"{self.prefix}.events.{VERSION}"

    @property
    def approvals(self) -> str:
        return f"{self.prefix}.approvals.{VERSION}"

    @property
    def alerts(self) -> str:
        return f"{self.prefix}.alerts.{VERSION}"

    @property
    def counters(self) -> str:
        return f"{self.prefix}.counters.{VERSION}"
