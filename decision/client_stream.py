"""One DecideStream for all decisions of an enforcement point.

Decisions asked for in one turn of the event loop leave as one message (up to `max_items` and half the message limit);
answers are matched by request id. When the stream ends, for whatever reason, everything unanswered is refused with
ServiceUnavailable, never asked again: the service may have recorded a decision, and asking twice would record two.
The next decision opens a new stream, unless the back-off is still running: then it is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from decision.client_settings import ClientSettings
from decision.model.decision import Decision
from decision.model.errors import AirlockError, LimitExceeded, ObligationUnfulfillable, ServiceUnavailable
from decision.model.session import DecideRequest
from decision.wire.errors import error_of
from decision.wire.gen import decision_pb2
from decision.wire.translate import decide_item, decision_of

LOG = logging.getLogger(__name__)
UNREACHABLE = "the decision service can't be reached"


class StreamClient:
    """The stream and what waits on it. `open_call` starts a DecideStream call on the channel."""

    def __init__(self, settings: ClientSettings, open_call: Callable[[], Any]) -> None:
        self._settings = settings
        self._open_call = open_call
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, tuple[asyncio.Future[Decision], asyncio.TimerHandle]] = {}
        self._queue: deque[tuple[Any, int]] = deque()
        self._queued = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._next_id = 1
        self._backoff_s = 0.0
        self._quiet_until = 0.0
        self._closed = False

    def ask(self, request: DecideRequest) -> asyncio.Future[Decision]:
        """The decision to come. The future raises what the service raised, or ServiceUnavailable."""
        self._admit()
        request_id = self._next_id
        self._next_id += 1
        item = decide_item(request, request_id, int(self._settings.timeout_s * 1000))
        size = item.ByteSize()
        if size > self._settings.max_message_bytes // 2:
            raise LimitExceeded(
                f"the message is over {self._settings.max_message_bytes // 2} bytes", hint="send a smaller statement"
            )
        future: asyncio.Future[Decision] = self._loop.create_future()
        timer = self._loop.call_later(self._settings.timeout_s, self._expire, request_id)
        self._waiting[request_id] = (future, timer)
        self._queue.append((item, size))
        self._queued.set()
        if self._task is None:
            self._task = self._loop.create_task(self._run())
        return future

    async def close(self) -> None:
        self._closed = True
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._refuse_all("this client is closed")

    def _admit(self) -> None:
        if self._closed:
            raise ServiceUnavailable("this client is closed")
        if len(self._waiting) >= self._settings.max_in_flight:
            raise ServiceUnavailable(f"more than {self._settings.max_in_flight} decisions are waiting")
        if self._task is None and self._loop.time() < self._quiet_until:
            raise ServiceUnavailable(UNREACHABLE, hint="it is tried again in a moment")

    async def _run(self) -> None:
        """One stream, from its opening to its end."""
        call = self._open_call()
        writer = self._loop.create_task(self._write(call))
        reason = UNREACHABLE
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                self._backoff_s = 0.0
                for answer in message.answers:
                    self._answered(answer)
            if (code := await call.code()) is not grpc.StatusCode.OK:
                reason = f"{UNREACHABLE} ({code.name.lower()})"
        except grpc.aio.AioRpcError as error:
            reason = f"{UNREACHABLE} ({error.code().name.lower()})"
        except grpc.aio.UsageError:
            pass
        finally:
            writer.cancel()
            call.cancel()
            self._task = None
            self._backoff_s = min(self._settings.backoff_max_s, self._backoff_s * 2 or self._settings.backoff_min_s)
            self._quiet_until = self._loop.time() + self._backoff_s
            if not self._closed:
                LOG.warning("decision stream ended: %s, %d unanswered", reason, len(self._waiting))
            self._refuse_all(reason)

    async def _write(self, call: Any) -> None:
        """Send what is queued, all of a turn at once. A failed write shows at the reader, which ends the stream."""
        try:
            while True:
                await self._queued.wait()
                self._queued.clear()
                while self._queue:
                    await call.write(decision_pb2.DecideStreamRequest(items=self._batch()))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            call.cancel()

    def _batch(self) -> list[Any]:
        items: list[Any] = []
        room = self._settings.max_message_bytes // 2
        while self._queue and len(items) < self._settings.max_items:
            item, size = self._queue[0]
            if items and size > room:
                break
            room -= size
            items.append(item)
            self._queue.popleft()
        return items

    def _answered(self, answer: Any) -> None:
        found = self._waiting.pop(answer.request_id, None)
        if found is None:
            return  # after its deadline
        future, timer = found
        timer.cancel()
        if future.done():
            return  # its caller went away
        outcome = outcome_of(answer)
        if isinstance(outcome, Decision):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)

    def _expire(self, request_id: int) -> None:
        future, _ = self._waiting.pop(request_id)
        if not future.done():
            future.set_exception(ServiceUnavailable("no decision in time", hint="try again"))

    def _refuse_all(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, {}
        self._queue.clear()
        self._queued.clear()
        for future, timer in waiting.values():
            timer.cancel()
            if not future.done():
                future.set_exception(ServiceUnavailable(reason, hint="try again"))


def outcome_of(answer: Any) -> Decision | AirlockError:
    """The decision or the error in a DecideAnswer; an empty answer is an obligation that nobody here knows."""
    which = answer.WhichOneof("answer")
    if which == "error":
        return error_of(answer.error)
    if which is None:
        return ObligationUnfulfillable("the answer holds nothing that this version knows")
    try:
        return decision_of(answer.decision)
    except ObligationUnfulfillable as error:
        return error
