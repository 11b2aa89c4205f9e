"""The numbers of the embedded projection, which runs as a child of the node and writes a status file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from airlock.metrics_handed import alive
from analytics.settings import FOLDER
from decision.model.metrics import Sample, counter, gauge
from ingest.status import read_status


class IngestSamples:
    """What the embedded projection says of itself in its status file."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def samples(self) -> Iterator[Sample]:
        status = read_status(self._folder)
        if status is None:
            return
        yield gauge("ingest_up", "Whether the process that projects the journal is alive.", float(alive(status.pid)))
        yield gauge(
            "ingest_status_age_seconds", "How old these numbers are.", time.time() - status.time_unix_nano / 1e9
        )
        yield gauge("ingest_position", "The seq of the journal that the audit store has taken.", status.position)
        yield gauge("ingest_lag_events", "Durable events that the audit store has not taken.", status.lag_events)
        yield gauge("ingest_lag_seconds", "Age of the oldest event that analysts don't see yet.", status.lag_s)
        yield gauge("ingest_delay_seconds", "From the newest published event to analysts seeing it.", status.last_lag_s)
        yield gauge("ingest_events", "Events in the audit store.", status.events)
        yield gauge("ingest_missing_events", "Events that lie in gaps of their producers' sequences.", status.missing)
        yield gauge("ingest_segments", "Parquet segments that the catalog lists.", status.segments)
        yield counter("ingest_duplicates", "Events that came again and were dropped.", status.duplicates)
        yield counter("ingest_dead_letters", "Events that could not be read or projected.", status.dead_letters)
        yield gauge("ingest_failing", "Whether reading the journal fails now.", float(bool(status.error)))
