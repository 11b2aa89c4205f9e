"""How fast events become leaves of the signed log, and how fast one is found and proved. Writes bench/results/log.json.

    python -m bench.log [--events 100000] [--rounds 3]

`tree` is the Merkle tree in memory against the hashes that it can't do without (two for each leaf) and against another
implementation; `sequencer` the whole way from a journal to a published checkpoint against writing the same bytes
durably, without any tree; `proofs` are made from the tiles on the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymerkle import InmemoryTree

from bench.measure import latency, machine, write
from decision.clock import SystemClock
from decision.journal.custody import Custody
from decision.journal.log_settings import LogSettings
from decision.journal.merkle import Frontier
from decision.journal.notes import VerifierKey
from decision.journal.proofs import parse_proof, verify_proof
from decision.journal.proving import find_leaf, make_proof, newest_checkpoint, read_custody
from decision.journal.reader import SqliteJournalReader
from decision.journal.sqlite import SqliteJournal
from decision.journal.tile_writer import DurableFolder
from decision.journal.tiles import TileFolder
from ingest.sequencer_journal import open_keeper
from tests.support.analytics_story import CODEC, story

SETTINGS = LogSettings(origin="log.example/bench")


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def tree(raws: list[bytes], rounds: int) -> dict[str, Any]:
    """Leaves per second, the best of the rounds."""

    def bare() -> None:
        sha256 = hashlib.sha256
        for raw in raws:
            leaf = sha256(b"\x00" + raw).digest()
            sha256(b"\x01" + leaf + leaf).digest()

    def other() -> None:
        oracle = InmemoryTree(algorithm="sha256")
        for raw in raws[: len(raws) // 10]:
            oracle.append_entry(raw)

    best = {"ours": 0.0, "hashes alone": 0.0, "pymerkle": 0.0}
    for _ in range(rounds):
        best["hashes alone"] = max(best["hashes alone"], len(raws) / timed(bare))
        best["ours"] = max(best["ours"], len(raws) / timed(lambda: Frontier().extend_data(raws)))
        best["pymerkle"] = max(best["pymerkle"], len(raws) // 10 / timed(other))
    found: dict[str, Any] = {f"{name}, per second": round(rate) for name, rate in best.items()}
    found["to_hashes_alone"] = round(best["ours"] / best["hashes alone"], 2)
    return found


async def fill(folder: Path, events: int) -> list[bytes]:
    journal = SqliteJournal.open(folder, producer_id="node-1", codec=CODEC)
    drafts = [event.draft for event in story(min(events, 7_000) // 7)]
    written = 0
    while written < events:
        await asyncio.gather(*(journal.append(draft) for draft in drafts[: events - written]))
        written += len(drafts)
    await journal.close()
    reader, raws = SqliteJournalReader(folder, CODEC), list[bytes]()
    while found := reader.read_raw(len(raws), 10_000):
        raws += [raw for _, raw in found]
    return raws


def sequencer(base: Path, raws: list[bytes], rounds: int) -> dict[str, Any]:
    """Events per second, the best of the rounds."""
    best = {"journal to checkpoint": 0.0, "the same bytes, durably": 0.0}
    cpu_s = float("inf")
    for number in range(rounds):
        files = DurableFolder(base / f"bare-{number}")

        def bare(files: DurableFolder = files) -> None:
            for start in range(0, len(raws), 256):
                files.write(f"{start // 25_600}/{start}", b"".join(raws[start : start + 256]))
            files.sync()

        def whole(data_dir: Path = base / f"log-{number}") -> None:
            data_dir.mkdir()
            (data_dir / "journal").symlink_to(base / "journal")
            keeper = open_keeper(data_dir, SETTINGS, SystemClock(), os.urandom)
            keeper.finish()
            keeper.close()

        best["the same bytes, durably"] = max(best["the same bytes, durably"], len(raws) / timed(bare))
        used = time.process_time()
        best["journal to checkpoint"] = max(best["journal to checkpoint"], len(raws) / timed(whole))
        cpu_s = min(cpu_s, time.process_time() - used)
    found: dict[str, Any] = {f"{name}, per second": round(rate) for name, rate in best.items()}
    found["cpu_us"] = round(cpu_s / len(raws) * 1e6, 1)
    found["to_bare_writing"] = round(best["journal to checkpoint"] / best["the same bytes, durably"], 2)
    return found


def proofs(data_dir: Path, raws: list[bytes]) -> dict[str, Any]:
    folder = TileFolder(data_dir / "log")
    custody, checkpoint = read_custody(folder), newest_checkpoint(folder)
    trusted = Custody.of(VerifierKey.parse((folder.root / "verifier.txt").read_text()))
    made, verified = list[float](), list[float]()
    for index in range(0, len(raws), max(1, len(raws) // 500)):
        started = time.perf_counter()
        data = make_proof(folder, custody, checkpoint, index, raws[index]).encode()
        made.append((time.perf_counter() - started) * 1e6)
        started = time.perf_counter()
        verify_proof(parse_proof(data), trusted)
        verified.append((time.perf_counter() - started) * 1e6)
    oldest = timed(lambda: find_leaf(folder, len(raws), raws[0]))
    return {
        "made": latency(made),
        "verified": latency(verified),
        "found without a hint, the oldest, ms": round(oldest * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        raws = asyncio.run(fill(base / "journal", given.events))
        found = {
            "machine": machine(),
            "events": len(raws),
            "bytes_an_event": round(sum(map(len, raws)) / len(raws)),
            "tree": tree(raws, given.rounds),
            "sequencer": sequencer(base, raws, given.rounds),
            "proofs": proofs(base / "log-0", raws),
        }
    write("log", found)
    for name in ("tree", "sequencer", "proofs"):
        print(name, found[name])


if __name__ == "__main__":
    main()
