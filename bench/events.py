"""Events of a workload like pgbench's, as the decision service itself writes them: few distinct statements, each again
and again, prepared and plain, every decision followed by its execution.

`workload(count)` runs the whole service in process (identity, analysis, Rego, journal) and returns the stored bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw

from bench.grpc_whole import Whole
from bench.hot import SETTINGS
from decision.journal import frames
from decision.model.decision import Decision, PolicyEffect
from decision.model.ports import DecisionPort
from decision.model.session import DecideRequest, ExecutionReport, MessageKind, Outcome, ParameterValue

SESSIONS = 20
_AT_ONCE = 64

PREPARED = (
    b"SELECT id, city FROM customers WHERE id = $1",
    b"SELECT id, email, city FROM customers WHERE id = $1",
    b"UPDATE customers SET city = $2 WHERE id = $1",
    b"SELECT count(*) FROM customers WHERE city = $1",
)
PLAIN = (b"SELECT id, email, city FROM customers WHERE id = %d", b"SELECT city FROM customers WHERE id = %d")


def _request(session_id: str, number: int) -> DecideRequest:
    if number % 4 == 3:
        return DecideRequest(
            session_id, PLAIN[number // 4 % len(PLAIN)] % (number % 97), MessageKind.QUERY, (), SETTINGS
        )
    text = PREPARED[number % len(PREPARED)]
    values = [ParameterValue(23, 0, b"%d" % (number % 100_000)), ParameterValue(25, 0, b"town %d" % (number % 50))]
    return DecideRequest(
        session_id, text, MessageKind.BIND, tuple(values[: text.count(b"$")]), SETTINGS, parse_decision_id="p" * 36
    )


def _report(decision: Decision, session_id: str, number: int) -> ExecutionReport:
    rows = number % 3
    duration = 150_000 + (number * 7_919) % 4_000_000
    return ExecutionReport(
        session_id, decision.decision_id, 0, Outcome.COMPLETED, f"SELECT {rows}", rows, 40 * rows, duration
    )


async def _client(port: DecisionPort, session_id: str, numbers: Iterator[int], count: int) -> None:
    for number in numbers:
        if number >= count:
            return
        decision = await port.decide(_request(session_id, number))
        if decision.effect is PolicyEffect.ALLOW:
            await port.report(_report(decision, session_id, number))


async def _run(count: int) -> list[bytes]:
    whole = Whole()
    async with whole.port() as port:
        assert whole.running is not None
        sessions = [
            (await port.open_session(whole.agent_session() if n % 4 == 0 else whole.session())).session_id
            for n in range(SESSIONS)
        ]
        numbers = iter(range(count // 2))
        await asyncio.gather(
            *(
                _client(port, session, numbers, count // 2)
                for session, _ in zip(itertools.cycle(sessions), range(_AT_ONCE))
            )
        )
    (folder,) = Path(os.environ["BENCH_FOLDER"]).glob("node-*/journal")
    database = apsw.Connection(str(folder / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
    found: list[bytes] = []
    for (packed,) in database.execute("SELECT frames FROM batch ORDER BY last_seq"):
        found.extend(frames.unpack(packed, 0))
    database.close()
    return found


def workload(count: int) -> list[bytes]:
    """The stored bytes of about `count` events, in the journal's order."""
    before = os.environ.get("BENCH_FOLDER")
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        os.environ["BENCH_FOLDER"] = folder
        try:
            return asyncio.run(_run(count))
        finally:
            if before is None:
                del os.environ["BENCH_FOLDER"]
            else:
                os.environ["BENCH_FOLDER"] = before
