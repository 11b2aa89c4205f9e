"""What all benchmarks share: the machine described, percentiles, the best of several rounds, results as files.

Other programs may run on the machine: each figure is the best of its rounds, all ways take their turns in each round,
and CPU time, which others disturb less, stands beside rates.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Processors, memory, versions, and the load at this moment: above 1, others took part of the processors."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_name(),
        "memory_gib": round(memory / 2**30, 1),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "when": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie. ValueError for no values."""
    if not values:
        raise ValueError("no values were measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latency(values_us: Sequence[float]) -> dict[str, float]:
    return {
        "median_us": round(percentile(values_us, 0.5), 1),
        "p99_us": round(percentile(values_us, 0.99), 1),
        "count": len(values_us),
    }


def rss_mib(pid: int) -> float:
    """Resident memory of a process now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write(name: str, found: dict[str, Any], *, keep: bool = False) -> None:
    """Keep `found` as bench/results/NAME.json. `keep`: parts that were not measured now stay as they were."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    if keep and path.exists():
        found = {**json.loads(path.read_text()), **found}
    path.write_text(json.dumps(found, indent=1) + "\n")
