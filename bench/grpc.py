"""Decisions a second over gRPC: unary, on the stream, several a message; as ratios to the same port called in process.

    python -m bench.grpc                                  the transport's own cost, over a port that does nothing
    python -m bench.grpc --workload package.module:Class  the same over any other port (bench.grpc_whole:Whole)

The service runs in a process of its own (uvloop), the client here (uvloop). All ways run in turn, several rounds, and
each way's best round counts, so that a busy machine costs every way alike. Figures go to bench/results/grpc.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, cast

import grpc.aio
import uvloop

from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.model.decision import ColumnGuard, Decision, MaskMethod, OutputMask, PolicyEffect, StatementObligations
from decision.model.ports import DecisionPort
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import DecideRequest, SessionGrant, SessionRequest
from decision.server import DecisionServer
from decision.server_settings import ServerSettings
from decision.wire.gen import decision_pb2, decision_pb2_grpc
from decision.wire.translate import decide_item, decision_of

RESULTS = Path(__file__).parent / "results" / "grpc.json"
TRIVIAL = "bench.grpc:Trivial"
SESSIONS = 8


class Workload(Protocol):
    """A port and what to ask of it. Made without arguments, in the service's process and in this one."""

    def port(self) -> AbstractAsyncContextManager[DecisionPort]: ...

    def session(self) -> SessionRequest: ...

    def text(self, number: int) -> bytes: ...


class Trivial:
    """A port that answers at once with a decision of ordinary size: what is left is the transport."""

    DECISION = Decision(
        "0199c0de-0000-7000-8000-000000000000", PolicyEffect.ALLOW, policy_revision="r" * 64, tracks=("select",),
        statements=(
            StatementObligations(
                0, 3, (OutputMask(2, MaskMethod.EMAIL, "masking.pii"),), (ColumnGuard(16_400, 2, MaskMethod.EMAIL),),
                (16_400,),
            ),
        ),
    )  # fmt: skip

    @contextlib.asynccontextmanager
    async def port(self) -> AsyncIterator[DecisionPort]:
        yield cast(DecisionPort, self)

    def session(self) -> SessionRequest:
        return SessionRequest("alice", "shop")

    def text(self, number: int) -> bytes:
        return b"SELECT id, email, city FROM customers WHERE id = %d" % number

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        principal = Principal("bench", request.credential, PrincipalKind.HUMAN)
        return SessionGrant("0199c0de-0000-7000-8000-000000000001", principal, request.database, "prod")

    async def decide(self, request: DecideRequest) -> Decision:
        return self.DECISION

    async def decide_many(self, requests: list[DecideRequest]) -> list[Decision | Exception]:
        return [self.DECISION] * len(requests)


def load(name: str) -> Workload:
    module, _, attribute = name.partition(":")
    return cast(Workload, getattr(importlib.import_module(module), attribute)())


async def serve(name: str) -> None:
    """The service's process: prints its port, ends when its standard input does."""
    async with load(name).port() as port:
        server = DecisionServer(port, ServerSettings(grace_s=0.5))
        sys.stdout.write(f"{await server.start()}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        await server.stop()


Step = Callable[[int, int], Awaitable[int]]  # (worker, number) → decisions made


class Asker:
    """The ways of asking, all over the same sessions."""

    def __init__(self, workload: Workload, client: DecisionPort, stub: Any, sessions: list[str]) -> None:
        self._workload = workload
        self._client = client
        self._stub = stub
        self._sessions = sessions

    def _request(self, worker: int, number: int) -> DecideRequest:
        return DecideRequest(self._sessions[worker % len(self._sessions)], self._workload.text(number))

    async def unary(self, worker: int, number: int) -> int:
        item = decide_item(self._request(worker, number))
        answer = await self._stub.Decide(decision_pb2.DecideRequest(items=[item]))
        decision_of(answer.answers[0].decision)
        return 1

    async def unary_64(self, worker: int, number: int) -> int:
        items = [decide_item(self._request(worker, number + k)) for k in range(64)]
        answer = await self._stub.Decide(decision_pb2.DecideRequest(items=items))
        return sum(bool(decision_of(one.decision).decision_id) for one in answer.answers)

    async def single(self, worker: int, number: int) -> int:
        await self._client.decide(self._request(worker, number))
        return 1

    async def batch_64(self, worker: int, number: int) -> int:
        answers = await self._client.decide_many([self._request(worker, number + k) for k in range(64)])
        return sum(isinstance(one, Decision) for one in answers)


async def rate(step: Step, in_flight: int, seconds: float) -> tuple[float, float]:
    """(decisions a second, median milliseconds of one step) with `in_flight` workers."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def work(worker: int) -> int:
        made = number = 0
        while (begun := time.perf_counter()) < end:
            made += await step(worker, number * in_flight + worker)
            latencies.append(time.perf_counter() - begun)
            number += 1
        return made

    begun = time.perf_counter()
    made = sum(await asyncio.gather(*(work(worker) for worker in range(in_flight))))
    return made / (time.perf_counter() - begun), sorted(latencies)[len(latencies) // 2] * 1000


async def measure(name: str, target: str, seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    workload = load(name)
    client = GrpcDecisionPort(ClientSettings(target=target, timeout_s=30))
    async with grpc.aio.insecure_channel(target) as channel, workload.port() as local:
        stub = decision_pb2_grpc.DecisionServiceStub(channel)  # type: ignore[no-untyped-call]
        remote = [(await client.open_session(workload.session())).session_id for _ in range(SESSIONS)]
        near = [(await local.open_session(workload.session())).session_id for _ in range(SESSIONS)]
        here, there = Asker(workload, local, stub, near), Asker(workload, client, stub, remote)
        ways: dict[str, tuple[Step, int]] = {
            "in process, 32 in flight": (here.single, 32),
            "in process, 64 a message": (here.batch_64, 2),
            "unary, 1 in flight": (there.unary, 1),
            "unary, 32 in flight": (there.unary, 32),
            "unary, 64 a message": (there.unary_64, 2),
            "stream, 1 in flight": (there.single, 1),
            "stream, 32 in flight": (there.single, 32),
            "stream, 128 in flight": (there.single, 128),
            "stream, 64 a message": (there.batch_64, 2),
        }
        found: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for way, (step, in_flight) in ways.items():
                per_second, median_ms = await rate(step, in_flight, seconds)
                if per_second > found.get(way, {}).get("per_second", 0):
                    found[way] = {"per_second": round(per_second), "median_ms": round(median_ms, 3)}
        await client.close()
    base = found["in process, 32 in flight"]["per_second"]
    unary = found["unary, 32 in flight"]["per_second"]
    for figures in found.values():
        figures["to_in_process"] = round(figures["per_second"] / base, 4)
        figures["to_unary"] = round(figures["per_second"] / unary, 2)
    return found


def run(name: str = TRIVIAL, seconds: float = 1.0, rounds: int = 3) -> dict[str, dict[str, float]]:
    """Start the service's process, measure, stop it."""
    command = [sys.executable, "-m", "bench.grpc", "--serve", "--workload", name]
    with (
        tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"BENCH_FOLDER": folder},
        ) as process,
    ):
        os.environ["BENCH_FOLDER"] = folder  # workloads that need one folder in both processes
        assert process.stdin is not None and process.stdout is not None
        try:
            port = int(process.stdout.readline())
            return uvloop.run(measure(name, f"127.0.0.1:{port}", seconds, rounds))
        finally:
            process.stdin.close()
            process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", default=TRIVIAL)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each way in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve(arguments.workload))
        return
    found = run(arguments.workload, arguments.seconds, arguments.rounds)
    for way, figures in found.items():
        print(
            f"{way:28} {figures['per_second']:>9.0f}/s  p50 {figures['median_ms']:>8.3f} ms"
            f"  x{figures['to_in_process']:<8} of in process  x{figures['to_unary']} of unary"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(stored | {arguments.workload: found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
