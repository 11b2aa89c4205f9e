"""Execution reports of one session: in order, several at a time, tried again until they are recorded."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from decision.model.errors import SessionUnknown
from decision.model.ports import DecisionPort
from decision.model.session import ExecutionReport

log = logging.getLogger(__name__)
RETRY_S = 0.2
BATCH = 256


class Reporter:
    """`on_level` is called with the number of reports that wait, whenever it has changed."""

    def __init__(self, port: DecisionPort, on_level: Callable[[int], None]) -> None:
        self._port = port
        self._on_level = on_level
        self._queue: deque[ExecutionReport] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, reports: Sequence[ExecutionReport]) -> None:
        self._queue.extend(reports)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._drain())
        elif len(self._queue) > BATCH:
            self._on_level(len(self._queue))

    async def _drain(self) -> None:
        while self._queue:
            batch = [self._queue[index] for index in range(min(len(self._queue), BATCH))]
            if len(batch) == 1:
                answers: Sequence[BaseException | None] = [await self._one(batch[0])]
            else:
                answers = await asyncio.gather(*map(self._port.report, batch), return_exceptions=True)
            failed = []
            for report, answer in zip(batch, answers, strict=True):
                self._queue.popleft()
                if isinstance(answer, SessionUnknown):
                    log.error("an execution of a session that the decision service forgot could not be recorded")
                elif answer is not None:
                    failed.append(report)
            self._queue.extendleft(reversed(failed))
            self._on_level(len(self._queue))
            if failed:
                await asyncio.sleep(RETRY_S)

    async def _one(self, report: ExecutionReport) -> BaseException | None:
        try:
            await self._port.report(report)
        except Exception as error:  # noqa: BLE001 - returned like gather's
            return error
        return None

    async def close(self, grace_s: float) -> int:
        """Wait until all is recorded, at most `grace_s` seconds; the number of reports that were lost."""
        task = self._task
        if task is not None and not task.done():
            await asyncio.wait([task], timeout=grace_s)
            task.cancel()
        return len(self._queue)
