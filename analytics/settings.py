"""The settings of the analytics store."""

from __future__ import annotations

from dataclasses import dataclass


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
