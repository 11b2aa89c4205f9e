"""Runs the benchmarks of this folder in turn and holds their figures against the aims.

    python -m bench [--quick] [NAME…]

Results go to bench/results/; `--quick` is for a look (a short round of each, minutes instead of a quarter of an hour).
A figure that misses its aim is said so and fails nothing: the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import RESULTS

HERE = Path(__file__).parent
QUICK: dict[str, tuple[str, ...]] = {
    "analysis": ("--seconds", "0.05", "--sample", "100"),
    "analytics": ("--rows", "100000"),
    "decisions": ("--quick",),
    "grpc": ("--seconds", "0.3", "--rounds", "1"),
    "masking": ("200000",),
    "proxy": ("--quick",),
    "questions": ("--events", "100000"),
    "sink": ("--quick",),
    "relay": ("--events", "30000", "--rounds", "2"),
    "verify": ("--events", "50000", "--rounds", "1"),
}


@dataclass(frozen=True)
class Aim:
    """`path` leads to the figure in results/FILE.json; `least`: it should be at least `value`, else at most."""

    name: str
    file: str
    path: tuple[str, ...]
    value: float
    unit: str = ""
    least: bool = True


def _bulk(name: str) -> tuple[str, ...]:
    return ("bulk", f"select, airlock, {name}", "to_direct")


AIMS = (
    Aim("analysis, fresh, median", "analysis", ("corpus", "fresh", "p50"), 60, "µs", False),
    Aim("analysis, fresh, p99", "analysis", ("corpus", "fresh", "p99"), 400, "µs", False),
    Aim("analysis, repeated, p99", "analysis", ("corpus", "repeated", "p99"), 5, "µs", False),
    Aim("first decision alone, median", "decisions", ("in_process", "first, a person", "median_us"), 600, "µs", False),
    Aim("decisions, 32 in flight, warm", "decisions", ("in_process", "warm, 32 in flight", "per_second"), 6000, "/s"),
    Aim("gRPC stream, singly", "decisions", ("grpc", "stream, 32 in flight", "per_second"), 4000, "/s"),
    Aim("gRPC stream, 64 a message", "decisions", ("grpc", "stream, 64 a message", "per_second"), 7000, "/s"),
    Aim("pgbench simple, 8 clients, to pgbouncer", "proxy", ("pgbench", "simple, 8", "airlock", "to_pgbouncer"), 0.3),
    Aim("pgbench prepared, 8, to pgbouncer", "proxy", ("pgbench", "prepared, 8", "airlock", "to_pgbouncer"), 0.5),
    Aim("rows unmasked, to direct", "proxy", _bulk("nothing masked"), 0.9),
    Aim("rows masked, compiled, to direct", "proxy", _bulk("constant"), 0.7),
    Aim("rows masked, interpreted, to direct", "proxy", _bulk("constant, interpreted"), 0.4),
    *(
        Aim(f"verify, {name}, one core", "verify", ("stores", name, "events_per_cpu_s"), 100_000, "/s")
        for name in ("journal", "log", "kafka export", "parquet")
    ),
    Aim("leaves of the tree, in memory", "log", ("tree", "ours, per second"), 400_000, "/s"),
    Aim("streams worker, events of a processor", "streams", ("streams", "per_cpu_second"), 8000, "/s"),
    Aim("sink, from Kafka to durable rows", "sink", ("catch_up", "events_per_s"), 40_000, "/s"),
    Aim("sink to a bare insert, by CPU", "sink", ("catch_up", "to_insert"), 1.0),
    Aim("relay to a bare producer loop", "relay", ("relay_to_bare",), 0.8),
    Aim("decisions with the relay, to without", "durable", ("ratios", "decisions with the relay to without"), 0.8),
    *(
        Aim(f"of 10M events: {name}", "questions", ("10000000", "questions", name, "ms"), 1000, "ms", False)
        for name in ("who-read, all", "did, all", "event, one", "enumeration, all")
    ),
    Aim(
        "memory growth on ten times the rows", "proxy",
        ("ten times the rows, one connection", "nothing masked", "grown_mib"), 50, "MiB", False,
    ),
)  # fmt: skip


def names() -> list[str]:
    """The modules here that can be run by themselves."""
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if path.stem != "__main__" and 'if __name__ == "__main__":' in path.read_text()
    )


def figure(aim: Aim) -> float | None:
    """The newest result, None where it was not measured."""
    file = RESULTS / f"{aim.file}.json"
    found: Any = json.loads(file.read_text()) if file.exists() else {}
    for step in aim.path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None


def table() -> str:
    lines = [f"{'figure':44}{'measured':>12}{'aim':>12}  reached"]
    for aim in AIMS:
        found = figure(aim)
        bound = f"{'≥' if aim.least else '≤'} {aim.value:g} {aim.unit}".rstrip()
        if found is None:
            lines.append(f"{aim.name:44}{'-':>12}{bound:>12}  not measured")
            continue
        reached = found >= aim.value if aim.least else found <= aim.value
        lines.append(f"{aim.name:44}{f'{found:g} {aim.unit}'.rstrip():>12}{bound:>12}  {'yes' if reached else 'no'}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all without one")
    parser.add_argument("--quick", action="store_true", help="for a look, not for a figure")
    parser.add_argument("--table", action="store_true", help="run nothing, show the newest results")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(names()))
    if unknown:
        print(f"error: there is no benchmark {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    failed = []
    for name in () if given.table else given.names or names():
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *(QUICK.get(name, ()) if given.quick else ())]
        if subprocess.run(command, cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    print(table())
    if failed:
        print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
