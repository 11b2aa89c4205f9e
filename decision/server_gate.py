"""What every way into the decision service passes: the bound on decisions at once, and the owners of sessions."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, TypeVar

from decision.model.decision import Decision
from decision.model.errors import AirlockError, ServiceUnavailable, SessionUnknown
from decision.model.ports import DecisionPort
from decision.model.session import DecideRequest

LOG = logging.getLogger(__name__)
T = TypeVar("T")


def log_internal(error: BaseException) -> None:
    """Say where an error that is none of ours came from; never its text, which may hold a literal."""
    if isinstance(error, AirlockError) or not isinstance(error, Exception):
        return
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
    LOG.error("%s in a call of the decision service at %s", type(error).__name__, place)


class Overloaded(ServiceUnavailable):
    """More decisions at once than allowed. Travels as service_unavailable; unary calls add RESOURCE_EXHAUSTED."""


class Gate:
    """Starts decisions, at most `max_in_flight` at once, and lets each end even if its caller goes away."""

    def __init__(self, port: DecisionPort, max_in_flight: int) -> None:
        self._port = port
        self._max_in_flight = max_in_flight
        self._decisions = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def in_flight(self) -> int:
        return self._decisions

    def decide(self, request: DecideRequest) -> asyncio.Task[Decision]:
        """Start one decision. Raises Overloaded."""
        self._enter(1)
        return self._started(self._port.decide(request), 1)

    def decide_many(self, requests: list[DecideRequest]) -> asyncio.Task[list[Decision | Exception]]:
        """Start several. Raises Overloaded where not all of them have room."""
        self._enter(len(requests))
        return self._started(self._port.decide_many(requests), len(requests))

    async def finish(self, call: Coroutine[Any, Any, T]) -> T:
        """Run `call` to its end even if the caller is cancelled (deadline, disconnection)."""
        return await asyncio.shield(self._started(call, 0))

    async def drain(self, timeout_s: float) -> None:
        """Wait for what has begun, at most `timeout_s`."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)

    def _enter(self, count: int) -> None:
        if self._decisions + count > self._max_in_flight:
            raise Overloaded(f"more than {self._max_in_flight} decisions at once", hint="try again")
        self._decisions += count

    def _started(self, call: Coroutine[Any, Any, T], count: int) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)

        def done(_: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            self._decisions -= count

        task.add_done_callback(done)
        return task


class Owners:
    """Which enforcement point opened a session: no other may use it. Callers without a name own nothing.

    Bounded: the oldest sessions beyond `limit` become unknown, which denies.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._owners: OrderedDict[str, str] = OrderedDict()

    def add(self, session_id: str, name: str) -> None:
        if name:
            self._owners[session_id] = name
            if len(self._owners) > self._limit:
                self._owners.popitem(last=False)

    def remove(self, session_id: str) -> None:
        self._owners.pop(session_id, None)

    def check(self, session_id: str, name: str) -> None:
        """Raises SessionUnknown for a session of another enforcement point."""
        if name and self._owners.get(session_id) != name:
            raise SessionUnknown("this session is not open at the decision service", hint="connect again")
