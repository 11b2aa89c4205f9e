"""Waiting for a condition without sleeping longer than needed, and never for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], deadline_s: float = 10.0, *, every_s: float = 0.02, what: str = "") -> T:
    """The first truthy value of `condition`; AssertionError with the last one after `deadline_s` seconds."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}; last value {value!r}")
        time.sleep(every_s)


async def eventually_async(
    condition: Callable[[], Awaitable[T]], deadline_s: float = 10.0, *, every_s: float = 0.02, what: str = ""
) -> T:
    """`eventually` for a coroutine function, without blocking the event loop."""
    end = time.monotonic() + deadline_s
    while True:
        value = await condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}; last value {value!r}")
        await asyncio.sleep(every_s)
