"""An event loop whose time is virtual and whose ready callbacks run in a shuffled order, replayable by its seed."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from typing import Any


class Deadlock(AssertionError):
    """Nothing is ready and no timer will make it so: somebody waits for an answer that never comes."""


class SimulatedLoop(asyncio.BaseEventLoop):
    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            if not timers:
                raise Deadlock("nobody is ready")
            self._now = max(self._now, timers[0]._when)
        while timers and timers[0]._when <= self._now:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            ready.append(timer)
        handles = list(ready)
        ready.clear()
        self._rng.shuffle(handles)
        for handle in handles:
            if not handle._cancelled:
                handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...

    def _write_to_self(self) -> None: ...

    def _process_events(self, event_list: Any) -> None: ...


class SimulatedRunner:
    """decision.journal.runner.JobRunner in virtual time: a job takes a while, its result some more.

    `delays()` gives (seconds before the job runs, seconds before its result arrives).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, delays: Callable[[], tuple[float, float]]) -> None:
        self._loop = loop
        self._delays = delays
        self._free_at = 0.0
        self._told_at = 0.0

    def submit(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        before, after = self._delays()
        start = max(self._loop.time(), self._free_at) + before
        self._free_at = start
        self._loop.call_at(start, self._run, job, done, after)

    def _run(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None], after: float) -> None:
        result, failure = self.perform(job)
        # Results arrive in order, as from one thread: never two in one turn of the loop.
        self._told_at = max(self._told_at + 1e-6, self._loop.time() + after)
        self._loop.call_at(self._told_at, done, result, failure)

    def perform(self, job: Callable[[], Any]) -> tuple[Any, BaseException | None]:
        try:
            return job(), None
        except Exception as error:
            return None, error

    def stop(self) -> None: ...
