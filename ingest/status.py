"""What the process that fills the audit store tells others: `<data-dir>/analytics/status.json`, replaced as a whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

STATUS = "status.json"


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """`position` and `head` are the journal's seq taken and written; `lag_s` the age of the oldest event that analysts
    don't see yet (0: they see all), `last_lag_s` how long the newest published event took from its own time to them.
    `events`, `duplicates`, `dead_letters` are totals of the store, `missing` events lie in gaps now. With Kafka
    (`source` kafka) `position` and `head` are sums over the partitions of the events' topic."""

    pid: int
    time_unix_nano: int
    position: int
    head: int
    lag_events: int
    lag_s: float
    last_lag_s: float
    events: int
    duplicates: int
    dead_letters: int
    missing: int
    segments: int
    error: str = ""
    source: str = "journal"


def write_status(folder: Path, status: IngestStatus) -> None:
    staging = folder / f".{STATUS}"
    staging.write_text(json.dumps(asdict(status), indent=2) + "\n")
    staging.replace(folder / STATUS)


def read_status(folder: Path) -> IngestStatus | None:
    """The last status, if there is one that this version understands."""
    try:
        return IngestStatus(**json.loads((folder / STATUS).read_text()))
    except (OSError, ValueError, TypeError):
        return None
