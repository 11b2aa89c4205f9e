"""Execution reports of all sessions: in order, several at a time, tried again until they are recorded.

One task for the whole enforcement point, so that reports of many sessions share a group commit. They wait a moment
for a decision to share it with as well: a commit of their own would make the next decision wait for its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence

from decision.model.errors import SessionUnknown
from decision.model.ports import DecisionPort
from decision.model.session import ExecutionReport

log = logging.getLogger(__name__)
RETRY_S = 0.2
BATCH = 256
LINGER_S = 0.01  # the longest that a report waits for company


class Reporter:
    def __init__(self, port: DecisionPort) -> None:
        self._port = port
        self._queue: deque[ExecutionReport] = deque()
        self._waiting: Counter[str] = Counter()
        self._levels: dict[str, Callable[[int], None]] = {}
        self._wake: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = False  # what is queued is to be sent without waiting for company
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Reports that are not recorded yet, those on their way not counted."""
        return len(self._queue)

    def watch(self, session_id: str, on_level: Callable[[int], None]) -> None:
        """`on_level` is called with the number of the session's reports that wait, whenever some were recorded."""
        self._levels[session_id] = on_level

    def add(self, session_id: str, reports: Sequence[ExecutionReport]) -> int:
        """Queue them; the number of the session's reports that wait now."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        self._queue.extend(reports)
        waiting = self._waiting[session_id] = self._waiting[session_id] + len(reports)
        if self._timer is None and self._queue:
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._lingered)
        return waiting

    def hurry(self) -> None:
        """A decision is about to be asked for: what is queued goes with it."""
        if self._queue:
            self._due = True
            if self._wake is not None and not self._wake.done():
                self._wake.set_result(None)

    def _lingered(self) -> None:
        self._timer = None
        self.hurry()

    async def _work(self) -> None:
        while True:
            while not (self._queue and self._due):
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]
            self._due = bool(self._queue)
            failed = await self._send(batch)
            if failed:
                self._queue.extendleft(reversed(failed))
                await asyncio.sleep(RETRY_S)
                self._due = True

    async def _send(self, batch: list[ExecutionReport]) -> list[ExecutionReport]:
        """Those that could not be recorded."""
        try:
            answers = await self._port.report_many(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, they are tried again
            log.debug("executions not recorded yet: %s", type(error).__name__)
            return batch
        if len(answers) != len(batch):
            log.error("another number of answers than executions reported; they are reported again")
            return batch
        failed = []
        recorded: dict[str, int] = {}
        for report, answer in zip(batch, answers, strict=True):
            if answer is not None and not isinstance(answer, SessionUnknown):
                failed.append(report)
                continue
            if answer is not None:
                log.error("an execution of a session that the decision service forgot could not be recorded")
            recorded[report.session_id] = recorded.get(report.session_id, 0) + 1
        for session_id, count in recorded.items():
            self._recorded(session_id, count)
        return failed

    def _recorded(self, session_id: str, count: int) -> None:
        waiting = self._waiting[session_id] = self._waiting[session_id] - count
        level = self._levels.get(session_id)
        if level is not None:
            level(waiting)

    async def drain(self, session_id: str, grace_s: float) -> int:
        """Wait until all of the session is recorded, at most `grace_s` seconds; the number of reports given up."""
        if self._waiting[session_id]:
            self.hurry()
            done = asyncio.get_running_loop().create_future()
            self._levels[session_id] = lambda left: None if left or done.done() else done.set_result(None)
            await asyncio.wait([done], timeout=grace_s)
        self._levels.pop(session_id, None)
        lost = self._waiting.pop(session_id, 0)
        if lost:
            self._queue = deque(report for report in self._queue if report.session_id != session_id)
        return lost

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
