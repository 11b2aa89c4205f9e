"""The time limit of the statement that the server works on."""

from __future__ import annotations

import asyncio

from decision.model.ports import Clock
from enforcement.postgres.decisions import Step
from enforcement.postgres.protocol.core import SessionCore


class TimeLimit:
    """Tells the core when the time is over; one timer a session, set anew when another statement's turn has come."""

    def __init__(self, core: SessionCore, clock: Clock, step: Step) -> None:
        self._core = core
        self._clock = clock
        self._step = step
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._set_to = 0

    def look(self) -> None:
        """Something may have changed about what the server works on."""
        deadline = self._core.deadline_ns
        if deadline is not None and deadline != self._set_to:
            self._set(deadline)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, deadline_ns: int) -> None:
        self.cancel()
        self._set_to = deadline_ns
        left = (deadline_ns - self._clock.monotonic_ns()) / 1e9
        self._timer = self._loop.call_later(max(left, 0), self._over)

    def _over(self) -> None:
        deadline = self._core.deadline_ns
        if deadline is not None and self._clock.monotonic_ns() < deadline:
            self._set(deadline)
            return
        self._set_to = 0
        if deadline is not None:
            self._step(self._core.time_over)
