"""DecideStream: pipelined decisions of one caller.

Every item becomes one call of the port, made in the order of arrival: the port decides the messages of one session in
the order of the calls. Answers wait in a line per session and leave from its head, so that they are in order within a
session however the port finishes; sessions don't wait for each other. What became ready in one turn of the event loop
leaves as one message. A stream with `max_stream_in_flight` unanswered items is not read further, and flow control then
holds the caller back.

A decision that has begun is never cancelled, neither by its deadline nor by the caller's going away: its event would
be half made. The caller is answered at the deadline; the decision ends by itself and its event shows no execution.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from decision.model.decision import Decision
from decision.model.errors import ServiceUnavailable, TextRefused
from decision.model.session import DecideRequest
from decision.server_gate import Gate, log_internal
from decision.wire.errors import error_message
from decision.wire.gen import decision_pb2
from decision.wire.mapping import WireMismatch
from decision.wire.translate import DECIDE_REQUEST, DECISION

Answer = decision_pb2.DecideAnswer


class _Waiting:
    """One unanswered item."""

    __slots__ = ("answer", "request_id", "session_id", "timer")

    def __init__(self, request_id: int, session_id: str) -> None:
        self.request_id = request_id
        self.session_id = session_id
        self.answer: Answer | None = None
        self.timer: asyncio.TimerHandle | None = None


def answer_of(request_id: int, outcome: Decision | BaseException) -> Answer:
    """The DecideAnswer for a decision or for what was raised instead."""
    if isinstance(outcome, Decision):
        return Answer(request_id=request_id, decision=DECISION.fields(outcome))
    log_internal(outcome)
    return Answer(request_id=request_id, error=error_message(outcome))


class DecideStream:
    """One open stream."""

    def __init__(
        self,
        gate: Gate,
        check: Callable[[str], None],
        *,
        max_items: int,
        max_in_flight: int,
        timeout_s: float,
    ) -> None:
        self._gate = gate
        self._check = check
        self._max_items = max_items
        self._max_in_flight = max_in_flight
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._lines: dict[str, deque[_Waiting]] = {}
        self._unanswered = 0
        self._room = asyncio.Event()
        self._room.set()
        self._ready: list[Answer] = []
        self._wake = asyncio.Event()
        self._read_all = False

    async def serve(self, requests: AsyncIterator[Any]) -> AsyncIterator[decision_pb2.DecideStreamResponse]:
        """The answers to `requests`, until the caller has closed its side and everything is answered."""
        reader = self._loop.create_task(self._read(requests))
        reader.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._ready:
                    batch, self._ready = self._ready[: self._max_items], self._ready[self._max_items :]
                    yield decision_pb2.DecideStreamResponse(answers=batch)
                if reader.done() and not self._unanswered and not self._ready:
                    reader.result()
                    return
        finally:
            reader.cancel()

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        async for message in requests:
            if len(message.items) > self._max_items:
                refusal = TextRefused(f"a message holds more than {self._max_items} items")
                for item in message.items:
                    self._settle(self._wait_in_line(item), refusal)
                continue
            for item in message.items:
                await self._room.wait()
                self._begin(item)

    def _begin(self, item: Any) -> None:
        waiting = self._wait_in_line(item)
        try:
            self._check(item.session_id)
            request: DecideRequest = DECIDE_REQUEST.decode(item)
            task = self._gate.decide(request)
        except (WireMismatch, ServiceUnavailable) as error:
            self._settle(waiting, error if isinstance(error, ServiceUnavailable) else TextRefused(str(error)))
            return
        except Exception as error:  # noqa: BLE001 - whatever a check raises is this item's answer
            self._settle(waiting, error)
            return
        timeout_s = min(item.timeout_ms / 1000 if item.timeout_ms > 0 else self._timeout_s, self._timeout_s)
        waiting.timer = self._loop.call_later(timeout_s, self._expire, waiting)
        task.add_done_callback(lambda done: self._finish(waiting, done))

    def _wait_in_line(self, item: Any) -> _Waiting:
        waiting = _Waiting(item.request_id, item.session_id)
        self._lines.setdefault(waiting.session_id, deque()).append(waiting)
        self._unanswered += 1
        if self._unanswered >= self._max_in_flight:
            self._room.clear()
        return waiting

    def _expire(self, waiting: _Waiting) -> None:
        self._settle(waiting, ServiceUnavailable("no decision in time", hint="try again"))

    def _finish(self, waiting: _Waiting, done: asyncio.Task[Decision]) -> None:
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        self._settle(waiting, done.result() if error is None else error)

    def _settle(self, waiting: _Waiting, outcome: Decision | BaseException) -> None:
        """Note the answer; send everything that now stands answered at the head of its session's line."""
        if waiting.timer is not None:
            waiting.timer.cancel()
        if waiting.answer is not None:
            return  # answered at its deadline
        waiting.answer = answer_of(waiting.request_id, outcome)
        line = self._lines[waiting.session_id]
        while line and line[0].answer is not None:
            self._ready.append(line.popleft().answer)  # type: ignore[arg-type]
            self._unanswered -= 1
        if not line:
            del self._lines[waiting.session_id]
        if self._unanswered < self._max_in_flight:
            self._room.set()
        self._wake.set()
