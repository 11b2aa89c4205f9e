"""Whom the log asks beside itself, made from its settings."""

from __future__ import annotations

from decision.journal.log_settings import LogSettings
from decision.model.ports import Clock
from ingest.sequencer_publisher import Outside


def outside_of(settings: LogSettings, clock: Clock) -> Outside:
    """Witnesses and the authority for time stamps. Their libraries are imported only where they are asked for."""
    return Outside()
