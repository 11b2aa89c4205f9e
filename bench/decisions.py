"""Decisions a second and their latency, with everything real: analysis, Rego, the journal with its fsync.

    python -m bench.decisions [--quick]

- in process: the first decision alone (a text, facts and a policy input that no cache knows), for a person and for an
  agent that acts for one; then 1, 8 and 32 in flight with warm caches;
- over gRPC, the service in a process of its own: unary, stream, 64 a message;
- an OPA server asked over REST with the same policy and the very inputs that were recorded: only the evaluation.

All in one run, written to bench/results/decisions.json; what is compared takes turns in every round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from airlock.demo.postgres import free_port
from bench import grpc as grpc_bench
from bench.grpc import Asker, rate
from bench.grpc_whole import Whole
from bench.measure import latency, machine, write
from decision.clock import SystemClock
from decision.journal.reader import SqliteJournalReader
from decision.model.events import StatementDecided
from decision.model.ports import DecisionPort
from decision.model.session import DecideRequest
from decision.policy.opa import OpaEngine
from decision.wire.events import ProtobufEventCodec

OPA = Path(__file__).resolve().parents[1] / ".cache" / "bin" / "opa"
IN_FLIGHT = (1, 8, 32)


async def first_decisions(port: DecisionPort, session_id: str, whole: Whole, start: int, count: int) -> list[float]:
    """Microseconds of each of `count` decisions, one after the other, none like another."""
    found: list[float] = []
    for number in range(start, start + count):
        request = DecideRequest(session_id, whole.fresh_text(number))
        begun = time.perf_counter_ns()
        await port.decide(request)
        found.append((time.perf_counter_ns() - begun) / 1000)
        await asyncio.sleep(0.001)  # alone: what the last one left to do is done
    return found


def keep_best(found: dict[str, Any], name: str, new: dict[str, Any], field: str, *, least: bool = False) -> None:
    known = found.get(name)
    if known is None or (new[field] < known[field]) == least:
        found[name] = new


async def in_process(rounds: int, seconds: float, count: int, found: dict[str, Any]) -> list[bytes]:
    """Fill `found`; return the policy inputs of the first decisions, as recorded."""
    whole = Whole()
    number = 0
    async with whole.port() as port:
        sessions = [(await port.open_session(whole.session())).session_id for _ in range(8)]
        agent = (await port.open_session(whole.agent_session())).session_id
        asker = Asker(whole, port, None, sessions)
        for _ in range(rounds):
            for name, session in (("first, a person", sessions[0]), ("first, an agent", agent)):
                values = await first_decisions(port, session, whole, number, count)
                keep_best(found, name, latency(values), "median_us", least=True)
                number += count
            for in_flight in IN_FLIGHT:
                await rate(asker.single, in_flight, seconds / 4)
                begun = time.process_time()
                per_second, median_ms = await rate(asker.single, in_flight, seconds)
                cpu = (time.process_time() - begun) / (per_second * seconds) * 1e6
                row = {"per_second": round(per_second), "median_us": round(median_ms * 1000), "cpu_us": round(cpu, 1)}
                keep_best(found, f"warm, {in_flight} in flight", row, "per_second")
        assert whole.running is not None
        reader = SqliteJournalReader(_journal_folder(), ProtobufEventCodec())
        events = (event.payload for event in reader.read(0, 4 * count))
        return [one.input_json for one in events if isinstance(one, StatementDecided) and one.input_json]


def _journal_folder() -> Path:
    (folder,) = Path(os.environ["BENCH_FOLDER"]).glob("node-*/journal")
    return folder


@asynccontextmanager
async def opa(bundle: Any) -> AsyncIterator[OpaEngine]:
    """An OPA server with the bundle, and our engine that asks it; nothing is cached."""
    address = f"127.0.0.1:{free_port()}"
    command = [str(OPA), "run", "--server", "--addr", address, "--log-level", "error", "--disable-telemetry"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            await asyncio.to_thread(_wait_for, f"http://{address}/health")
            engine = OpaEngine(f"http://{address}", SystemClock(), timeout_s=5, cache_entries=0)
            await engine.prepare(bundle, ())
            await engine.activate(bundle)
            yield engine
            await engine.close()
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


async def opa_over_rest(bundle: Any, documents: list[bytes], rounds: int, found: dict[str, Any]) -> None:
    async with opa(bundle) as engine:
        for _ in range(rounds):
            alone: list[float] = []
            for document in documents:
                begun = time.perf_counter_ns()
                await engine.evaluate(document)
                alone.append((time.perf_counter_ns() - begun) / 1000)
            keep_best(found, "OPA over REST, alone", latency(alone), "median_us", least=True)
            left = iter(documents * 4)

            async def work(left: Any = left) -> None:
                for document in left:
                    await engine.evaluate(document)

            begun_s = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(32)))
            per_second = round(4 * len(documents) / (time.perf_counter() - begun_s))
            keep_best(found, "OPA over REST, 32 in flight", {"per_second": per_second}, "per_second")


async def measure(rounds: int, seconds: float, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    documents = (await in_process(rounds, seconds, count, found))[:count]
    if not OPA.exists():
        found["OPA over REST"] = f"left out: {OPA.name} is not there; `make fetch` brings it"
        return found
    whole = Whole()
    async with whole.port():
        assert whole.running is not None and whole.running.engine.bundle is not None
        await opa_over_rest(whole.running.engine.bundle, documents, rounds, found)
    return found


def run(*, quick: bool = False) -> dict[str, Any]:
    rounds, seconds, count = (1, 0.5, 100) if quick else (5, 1.5, 400)
    about = machine()
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        os.environ["BENCH_FOLDER"] = folder
        found = uvloop.run(measure(rounds, seconds, count))
    over_grpc = grpc_bench.run("bench.grpc_whole:Whole", 0.5 if quick else 1.5, rounds)
    result = {"machine": about, "rounds": rounds, "in_process": found, "grpc": over_grpc, "ratios": ratios(found)}
    write("decisions", result)
    return result


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Airlock's whole decision (identity of the session, analysis, Rego, fsync) to OPA's bare evaluation."""
    if "OPA over REST, alone" not in found:
        return {}
    alone, many = found["OPA over REST, alone"], found["OPA over REST, 32 in flight"]
    return {
        "first decision to OPA over REST, time": round(found["first, a person"]["median_us"] / alone["median_us"], 2),
        "warm alone to OPA over REST, time": round(found["warm, 1 in flight"]["median_us"] / alone["median_us"], 2),
        "32 in flight to OPA over REST, rate": round(found["warm, 32 in flight"]["per_second"] / many["per_second"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round: for a look, not for a figure")
    result = run(quick=parser.parse_args().quick)
    for part in ("in_process", "grpc", "ratios"):
        for name, figures in result[part].items():
            print(f"{name:40} {figures}")


if __name__ == "__main__":
    main()
