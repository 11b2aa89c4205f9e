"""Collects single calls into batches: one batch in flight, and what comes meanwhile is the next. No delay is added."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from decision.model.errors import ServiceUnavailable

T = TypeVar("T")


class Batcher(Generic[T]):
    """`send` takes a batch and gives one outcome for each element: None, or the exception that its caller gets."""

    def __init__(
        self, send: Callable[[Sequence[T]], Awaitable[Sequence[Exception | None]]], max_items: int, max_waiting: int
    ) -> None:
        self._send = send
        self._max_items = max_items
        self._max_waiting = max_waiting
        self._queue: deque[tuple[T, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, item: T) -> asyncio.Future[None]:
        """Raises ServiceUnavailable when too many wait."""
        if len(self._queue) >= self._max_waiting:
            raise ServiceUnavailable(f"more than {self._max_waiting} reports are waiting")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.append((item, future))
        if self._task is None:
            self._task = loop.create_task(self._run())
        return future

    async def close(self) -> None:
        """Send what is still queued."""
        while self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_items))]
                try:
                    outcomes = await self._send([item for item, _ in batch])
                except Exception as error:  # noqa: BLE001 - the callers of this batch get it, the next batch goes on
                    outcomes = [error] * len(batch)
                for (_, future), outcome in zip(batch, outcomes, strict=True):
                    if future.done():
                        continue
                    if outcome is None:
                        future.set_result(None)
                    else:
                        future.set_exception(outcome)
        finally:
            self._task = None
