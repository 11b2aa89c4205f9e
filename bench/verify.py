"""How fast each store is verified, on one core. Writes bench/results/verify.json.

    python -m bench.verify [--events 200000] [--rounds 2]

Events of usual size (1.9 kB, a policy input in each), one producer's chain. `hash` is the bare SHA-256 over the same
bytes, chained: what no verification can be faster than. CPU time of the process, which runs one thread; the best of the
rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from airlock.commands.verify import quickly
from airlock.verification import Sources, verify, verify_bundle
from analytics.evidence_bundle import write_bundle
from analytics.verify_entries import Report
from analytics.verify_log import custody_of
from bench.journal import decided
from bench.measure import machine, write
from decision.journal.chain import GENESIS, chain_hash
from tests.support.verify_stores import CODEC, START, Stores, make_stores

NOW = START * 2
INPUT = b'{"phase":"statement","principal":{"groups":["' + b"g" * 1_350 + b'"]}}'


def history(count: int) -> list[bytes]:
    raws, head = [], GENESIS
    for seq in range(1, count + 1):
        draft = decided(seq)
        payload = replace(draft.payload, input_json=INPUT)  # type: ignore[type-var]
        draft = replace(draft, time_unix_nano=START + seq * 1_000_000, payload=payload)
        raws.append(CODEC.encode(draft, "p1", 1, seq, head))
        head = chain_hash(head, seq, raws[-1])
    return raws


def bare(raws: list[bytes]) -> None:
    head = GENESIS
    for raw in raws:
        head = hashlib.sha256(head + raw).digest()


def told(_: str) -> Callable[[int, int], None]:
    return lambda done, total: None


def good(reports: list[Report]) -> None:
    for report in reports:
        if report.finding is not None:
            raise SystemExit(f"{report.store}: {report.finding}")


def ways(stores: Stores, bundle: Path) -> dict[str, Callable[[], None]]:
    return {
        "journal": lambda: good(quickly(Sources(journal=stores.journal), told)),
        "log": lambda: good(verify(Sources(log=stores.log), NOW, told)),
        "kafka export": lambda: good(verify(Sources(export=stores.export), NOW, told)),
        "parquet": lambda: good(verify(Sources(parquet=stores.parquet), NOW, told)),
        "bundle": lambda: good([verify_bundle(bundle, None, told(""))]),
    }


PEAK = """
import sys
from pathlib import Path
from airlock.main import run
status = run(["verify", "--data-dir", sys.argv[1]])
line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(line.split()[1])
sys.exit(status)
"""


def peak_mib(data_dir: Path) -> int:
    """The most memory that `airlock verify` of a data folder takes, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(data_dir)], capture_output=True, text=True, check=True)
    return round(int(done.stdout.splitlines()[-1]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    count = chosen.events
    raws = history(count)
    with tempfile.TemporaryDirectory() as folder:
        stores = make_stores(Path(folder) / "data", raws, hot=1_000, direct=8_192)
        bundle = Path(folder) / "bundle.zip"
        write_bundle(bundle, stores.log, custody_of(stores.log, None), START, START * 2)
        size = sum(map(len, raws))
        found: dict[str, dict[str, float]] = {}
        everything = Sources(log=stores.log, journal=stores.journal, parquet=stores.parquet)
        rounds = {"hash": lambda: bare(raws), **ways(stores, bundle)}
        rounds["all of a data folder"] = lambda: good(verify(everything, NOW, told))
        for _ in range(chosen.rounds):
            for name, work in rounds.items():
                wall, cpu = time.perf_counter(), time.process_time()
                work()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                times = 3 if name == "all of a data folder" else 1
                best = found.setdefault(name, {"events_per_cpu_s": 0.0, "events_per_s": 0.0})
                best["events_per_cpu_s"] = max(best["events_per_cpu_s"], round(times * count / cpu))
                best["events_per_s"] = max(best["events_per_s"], round(times * count / wall))
        few = make_stores(Path(folder) / "few", raws[: count // 4], hot=1_000, direct=8_192)
        memory = {f"{count // 4} events": peak_mib(few.root), f"{count} events": peak_mib(stores.root)}
    for name, figures in found.items():
        figures["to_hash"] = round(figures["events_per_cpu_s"] / found["hash"]["events_per_cpu_s"], 3)
        print(f"{name:22} {figures['events_per_cpu_s']:>10,.0f}/s of CPU  {figures['events_per_s']:>10,.0f}/s")
    print(f"memory: {memory}")
    write("verify", {"machine": machine(), "events": count, "bytes_each": round(size / count), "stores": found,
                     "peak_rss_mib": memory})  # fmt: skip


if __name__ == "__main__":
    main()
