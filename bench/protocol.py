"""CPU of the protocol core for a statement, in memory: `python -m bench.protocol` → bench/results/protocol.json.

A client's messages go in, the decision is given at once, the server's answers come back: no sockets, no event loop, no
decision service. `prepared` is what libpq sends for a prepared statement (Bind, Describe, Execute, Sync), `simple` one
Query; both get one row back. Each form (interpreted, compiled) runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from struct import pack

from bench.measure import machine, write
from decision.model.decision import Decision, PolicyEffect, StatementObligations
from enforcement.masking.engine import MaskingEngine
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore

ROUNDS = 9
STATEMENTS = 4000
NAME = b"P0_1"
TEXT = b"SELECT abalance FROM pgbench_accounts WHERE aid = $1;"
ALLOWED = Decision("d", PolicyEffect.ALLOW, statements=(StatementObligations(0, output_count=1),))
DESCRIPTION = messages.message(84, pack("!H", 1) + b"abalance\0" + pack("!IhIhih", 1, 1, 23, 4, -1, 0))
ROW = messages.message(68, pack("!HI", 1, 1) + b"0")
DONE = messages.message(67, b"SELECT 1\0") + messages.ready_for_query("I")
PARSED, BOUND = messages.message(49, b""), messages.message(50, b"")
BIND = messages.message(66, b"\0" + NAME + b"\0" + pack("!HHI", 0, 1, 5) + b"12345" + pack("!HH", 1, 0))
PREPARED = BIND + messages.message(68, b"P\0") + messages.message(69, b"\0" + pack("!I", 0)) + messages.SYNC
SIMPLE = messages.query(b"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;")
ANSWERS = {"prepared": (PREPARED, BOUND + DESCRIPTION + ROW + DONE), "simple": (SIMPLE, DESCRIPTION + ROW + DONE)}


class Bench:
    """One session whose statements are all allowed."""

    def __init__(self) -> None:
        self.core = SessionCore("s", MaskingEngine(b"k" * 32), parameters={"client_encoding": "UTF8"})
        self.reported = 0
        self.play(messages.parse(NAME, TEXT) + messages.SYNC, PARSED + messages.ready_for_query("I"))

    def play(self, sent: bytes, answers: bytes) -> None:
        core, state = self.core, self.core.state
        state.now_ns += 1000
        core.client_data(sent)
        asked, state.asks = state.asks, []
        for exchange in asked:
            core.request(exchange)
            core.decided(exchange, ALLOWED)
        state.to_server.clear()
        state.now_ns += 1000
        core.server_data(answers)
        state.to_client.clear()
        self.reported += len(state.reports)
        state.reports = []


def measured() -> dict[str, float]:
    """Microseconds of CPU a statement, the best of the rounds."""
    found = {}
    for name, (sent, answers) in ANSWERS.items():
        bench = Bench()
        best = float("inf")
        for _ in range(ROUNDS):
            begin = time.process_time_ns()
            for _ in range(STATEMENTS):
                bench.play(sent, answers)
            best = min(best, (time.process_time_ns() - begin) / STATEMENTS)
        if bench.reported != ROUNDS * STATEMENTS or not bench.core.idle:
            raise RuntimeError("the statements did not run as they should")
        found[f"{name}_us"] = round(best / 1000, 2)
    return found


def main() -> int:
    if "--here" in sys.argv[1:]:
        print(json.dumps(measured()))
        return 0
    found = {}
    for form, off in (("interpreted", "1"), ("compiled", "0")):
        done = subprocess.run(
            [sys.executable, "-m", "bench.protocol", "--here"], cwd=Path(__file__).parent.parent,
            env={**os.environ, "AIRLOCK_NO_COMPILED": off}, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        found[form] = json.loads(done.stdout)
        print(f"{form:12} {found[form]}", flush=True)
    write("protocol", {"machine": machine(), **found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
