"""Durable decisions a second against what a disk gives at least, and what the relay beside them costs.

    python -m bench.durable [--quick]       writes bench/results/durable.json

In turns within one run, so that a busy disk or machine troubles all alike; the best round of each counts:
- floor: events of the same size appended to a plain file, an fdatasync for each;
- SQLite: one INSERT and one COMMIT for each, WAL and synchronous=FULL, as a service would write its audit table;
- decisions: analysis, Rego, journal, answer, with 1, 8 and 32 in flight and warm caches;
- the same with 32 in flight while `airlock ingest relay` sends the journal to a real broker, and how far that got.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import uvloop

from bench.grpc import Asker, rate
from bench.grpc_whole import Whole
from bench.measure import machine, write
from decision.journal.reader import SqliteJournalReader
from decision.wire.events import ProtobufEventCodec
from tests.support.kafka import Broker, running_broker

ROOT = Path(__file__).resolve().parents[1]
IN_FLIGHT = (1, 8, 32)


def floor(folder: Path, event: bytes, seconds: float) -> float:
    """Events a second, one fdatasync each."""
    file = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        made, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            os.write(file, event)
            os.fdatasync(file)
            made += 1
        return made / (time.perf_counter() - begun)
    finally:
        os.close(file)


def plain_sqlite(folder: Path, event: bytes, seconds: float) -> float:
    """Events a second, a transaction each."""
    with contextlib.closing(apsw.Connection(str(folder / "plain.db"))) as database:
        database.pragma("journal_mode", "wal")
        database.pragma("synchronous", "FULL")
        database.execute("CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, raw BLOB)")
        made, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            with database:
                database.execute("INSERT INTO event (raw) VALUES (?)", (event,))
            made += 1
        return made / (time.perf_counter() - begun)


@contextlib.contextmanager
def relaying(data_dir: Path, broker: Broker, number: int) -> Iterator[None]:
    """The relay of a journal, as a process of its own."""
    config = data_dir / "relay.toml"
    config.write_text(
        f'[kafka]\nbootstrap_servers = ["{broker.bootstrap}"]\ntopic_prefix = "bench{number}"\n'
        "partitions = 4\nreplication = 1\n"
    )
    command = [
        sys.executable,
        "-m",
        "airlock.main",
        "ingest",
        "relay",
        "--config",
        str(config),
        "--data-dir",
        str(data_dir),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def relayed(data_dir: Path) -> int:
    """The newest seq that the relay has had acknowledged."""
    file = data_dir / "journal" / "relay.json"
    return int(json.loads(file.read_text())["seq"]) if file.exists() else 0


async def one_round(folder: Path, broker: Broker | None, number: int, seconds: float) -> dict[str, float]:
    """Figures of one round, each way in turn."""
    whole, found = Whole(), {}
    async with whole.port() as port:
        (data_dir,) = [path for path in folder.glob("node-*") if not (path / "used").exists()]
        (data_dir / "used").touch()
        sessions = [(await port.open_session(whole.session())).session_id for _ in range(8)]
        asker = Asker(whole, port, None, sessions)
        await rate(asker.single, 32, seconds / 4)
        raw = SqliteJournalReader(data_dir / "journal", ProtobufEventCodec()).read(20, 1)[0].raw
        found["event bytes"] = len(raw)
        found["floor"] = await asyncio.to_thread(floor, folder, raw, seconds)
        found["SQLite"] = await asyncio.to_thread(plain_sqlite, folder, raw, seconds)
        for in_flight in IN_FLIGHT:
            found[f"decisions, {in_flight} in flight"] = (await rate(asker.single, in_flight, seconds))[0]
        if broker is not None:
            with relaying(data_dir, broker, number):
                end = time.perf_counter() + 30
                reader = SqliteJournalReader(data_dir / "journal", ProtobufEventCodec())
                while relayed(data_dir) < reader.head()[0] and time.perf_counter() < end:
                    await asyncio.sleep(0.1)  # it has what was there before
                before = relayed(data_dir)
                per_second = (await rate(asker.single, 32, 2 * seconds))[0]
                found["decisions, 32 in flight, relayed"] = per_second
                found["events relayed meanwhile"] = (relayed(data_dir) - before) / (2 * seconds)
            found["decisions, 32 in flight, after"] = (await rate(asker.single, 32, seconds))[0]
    return found


async def rounds(folder: Path, broker: Broker | None, count: int, seconds: float) -> list[dict[str, float]]:
    return [await one_round(folder, broker, number, seconds) for number in range(count)]


def run(*, quick: bool = False) -> dict[str, Any]:
    from tests.support import toolchains

    about = machine()
    count, seconds = (1, 0.5) if quick else (5, 2.0)
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        os.environ["BENCH_FOLDER"] = folder
        with running_broker() if toolchains.kafka() else contextlib.nullcontext() as broker:
            made = uvloop.run(rounds(Path(folder), broker, count, seconds))
    best = {name: round(max(one[name] for one in made)) for name in made[0]}
    fastest = best["decisions, 32 in flight"]
    ratios = {
        "decisions to floor": round(fastest / best["floor"], 2),
        "decisions to SQLite": round(fastest / best["SQLite"], 2),
        "one at a time to floor": round(best["decisions, 1 in flight"] / best["floor"], 2),
    }
    if broker is not None:
        beside = [
            one["decisions, 32 in flight, relayed"]
            / ((one["decisions, 32 in flight"] + one["decisions, 32 in flight, after"]) / 2)
            for one in made
        ]
        ratios["decisions with the relay to without"] = round(sorted(beside)[len(beside) // 2], 2)
    result = {"machine": about, "rounds": count, "per_second": best, "ratios": ratios}
    write("durable", result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round: for a look, not for a figure")
    result = run(quick=parser.parse_args().quick)
    for part in ("per_second", "ratios"):
        for name, figure in result[part].items():
            print(f"{name:44} {figure:>10,}")


if __name__ == "__main__":
    main()
