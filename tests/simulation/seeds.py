"""Seeds of simulations: printed, and replayable.

AIRLOCK_SIM_SEED=1234      run that one universe only
AIRLOCK_SIM_SECONDS=600    run that long (per simulation) instead of the default
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator


def seeds(default_seconds: float, start: int | None = None) -> Iterator[int]:
    """Seeds to run until the time is over; another start each time, unless one is asked for."""
    chosen = os.environ.get("AIRLOCK_SIM_SEED")
    if chosen is not None:
        yield int(chosen)
        return
    first = int.from_bytes(os.urandom(3), "big") * 1000 if start is None else start
    print(f"seeds from {first}; replay one with AIRLOCK_SIM_SEED=…")
    end = time.monotonic() + float(os.environ.get("AIRLOCK_SIM_SECONDS", default_seconds))
    seed = first
    while time.monotonic() < end:
        yield seed
        seed += 1
