"""Telling whoever asked: a decision once its event is durable, or why it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from decision.meter import DecisionMeter
from decision.model.decision import Decision
from decision.model.errors import JournalUnavailable

Done = Callable[[Decision | Exception], None]


class Answer:
    """A decision that waits for its event to be durable."""

    __slots__ = ("_decision", "_done", "_meter", "_started_ns")

    def __init__(self, decision: Decision, done: Done, meter: DecisionMeter, started_ns: int) -> None:
        self._decision = decision
        self._done = done
        self._meter = meter
        self._started_ns = started_ns

    def settle(self, error: JournalUnavailable | None) -> None:
        if error is None:
            self._meter.answered(self._decision, self._started_ns)
            self._done(self._decision)
        else:
            self._meter.unanswered += 1
            self._done(error)


def resolver(future: asyncio.Future[Decision]) -> Done:
    """Resolves `future`, unless whoever waits for it has given up."""

    def resolve(answer: Decision | Exception) -> None:
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
            future.exception()  # seen: whoever waits may be gone by then
        else:
            future.set_result(answer)

    return resolve
