"""What one repeated statement costs the decision service, in CPU microseconds by thread.

    python -m bench.hot [--seconds S] [--in-flight N]

Eight sessions bind one prepared statement again and again, as pgbench does, each with its report; everything is real
but the enforcement point. CPU time (of the event loop's thread; of all others, which is the journal's writer) is what
to compare: it stays the same on a busy machine, rates do not. Prints a table and writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from bench.grpc_whole import Whole
from decision.model.decision import Decision
from decision.model.ports import DecisionPort, PromptDecisions
from decision.model.session import DecideRequest, ExecutionReport, MessageKind, Outcome, ParameterValue

TEXT = b"SELECT id, city FROM customers WHERE id = $1"
SETTINGS = (("search_path", '"$user", public'), ("standard_conforming_strings", "on"), ("client_encoding", "UTF8"))


def request(session_id: str, number: int) -> DecideRequest:
    value = ParameterValue(23, 0, b"%d" % (number % 100_000))
    return DecideRequest(session_id, TEXT, MessageKind.BIND, (value,), SETTINGS, parse_decision_id="p" * 36)


def executed(decision: Decision, session_id: str) -> ExecutionReport:
    return ExecutionReport(session_id, decision.decision_id, 0, Outcome.COMPLETED, "SELECT 1", 1, 93, 412_345)


async def waiting(port: DecisionPort, session_id: str, until: float, *, report: bool) -> int:
    """One client that awaits each decision; the number of them."""
    count = 0
    while time.perf_counter() < until:
        decision = await port.decide(request(session_id, count))
        count += 1
        if report:
            await port.report(executed(decision, session_id))
    return count


async def prompt(port: DecisionPort, session_id: str, until: float, *, report: bool) -> int:
    """The same without a task to wait in: each answer asks for the next decision."""
    assert isinstance(port, PromptDecisions)
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    count = 0

    def answered(decision: Decision | Exception) -> None:
        nonlocal count
        if isinstance(decision, Exception):
            over.set_exception(decision)
            return
        count += 1
        if time.perf_counter() >= until:
            over.set_result(count)
        elif not port.decide_now(request(session_id, count), answered):
            over.set_exception(RuntimeError("it had to wait"))

    while not port.decide_now(request(session_id, 0), answered):
        await port.decide(request(session_id, 0))
    return await over


async def reporting(port: DecisionPort, sessions: list[str], until: float) -> int:
    """Executions alone, one call for as many as there are sessions."""
    decisions = [(await port.decide(request(one, 0)), one) for one in sessions]
    count = 0
    while time.perf_counter() < until:
        answers = await port.report_many([executed(*one) for one in decisions])
        assert not any(answers)
        count += len(answers)
    return count


async def timed(work: Callable[[float], Awaitable[int]], seconds: float, commits: list[int]) -> dict[str, Any]:
    commits[0] = 0
    loop, whole = time.thread_time(), time.process_time()
    count = await work(time.perf_counter() + seconds)
    loop, whole = time.thread_time() - loop, time.process_time() - whole
    return {
        "count": count,
        "loop_us": round(loop / count * 1e6, 1),
        "writer_us": round((whole - loop) / count * 1e6, 1),
        "commit_us": round((whole - loop) / max(commits[0], 1) * 1e6, 1),
        "per_commit": round(count / max(commits[0], 1), 1),
    }


async def measure(seconds: float, in_flight: int) -> None:
    whole = Whole()
    async with whole.port() as port:
        assert whole.running is not None
        commits = [0]
        whole.running.journal.on_commit(lambda _: commits.__setitem__(0, commits[0] + 1))
        sessions = [(await port.open_session(whole.session())).session_id for _ in range(in_flight)]

        async def all_of(one: Any, until: float, **options: Any) -> int:
            return sum(await asyncio.gather(*(one(port, session, until, **options) for session in sessions)))

        works: dict[str, Callable[[float], Awaitable[int]]] = {
            "decide": lambda until: all_of(waiting, until, report=False),
            "decide, report": lambda until: all_of(waiting, until, report=True),
            "decide, alone": lambda until: waiting(port, sessions[0], until, report=False),
            "report_many": lambda until: reporting(port, sessions, until),
        }
        if isinstance(port, PromptDecisions):
            works["decide_now"] = lambda until: all_of(prompt, until, report=False)
            works["decide_now, alone"] = lambda until: prompt(port, sessions[0], until, report=False)
        for name, work in works.items():
            await timed(work, seconds / 4, commits)
            print(f"{name:20} {await timed(work, seconds, commits)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--in-flight", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        os.environ["BENCH_FOLDER"] = folder
        uvloop.run(measure(arguments.seconds, arguments.in_flight))


if __name__ == "__main__":
    main()
