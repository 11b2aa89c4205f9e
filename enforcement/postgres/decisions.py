"""One session's questions to the decision service: asking, waiting for approvals, and what to say without an answer.

A service in the same process answers most of them without a task (`PromptDecisions`); the others wait in one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from decision.model.decision import Decision
from decision.model.errors import Denied, ServiceUnavailable, SessionUnknown
from decision.model.ports import Clock, DecisionPort, PromptDecisions
from decision.model.session import ApprovalState
from enforcement.config import EnforcementSettings
from enforcement.masking.engine import MaskingEngine
from enforcement.meter import PointMeter
from enforcement.postgres.catalogs import Catalogs
from enforcement.postgres.faults import place_of
from enforcement.postgres.gaps import Gaps
from enforcement.postgres.protocol import denial, messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.exchange import Exchange, Refusal
from enforcement.postgres.reporter import Reporter

log = logging.getLogger(__name__)
PATIENCE_S = 5.0  # beyond the time that an answer about an approval was asked to take
NO_ANSWER = ServiceUnavailable("no decision in time", hint="try again; nothing was executed")
WRONG_ANSWER = ServiceUnavailable("another number of decisions than asked for", hint="try again; nothing was executed")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions of an enforcement point share. `prompt` is the port as well, where it can answer at once."""

    settings: EnforcementSettings
    port: DecisionPort
    clock: Clock
    masks: MaskingEngine
    gaps: Gaps
    catalogs: Catalogs
    reporter: Reporter
    prompt: PromptDecisions | None = None
    meter: PointMeter = field(default_factory=PointMeter)


class Step(Protocol):
    def __call__(self, work: Callable[..., None], *arguments: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How the session is reached: `tell` the client, give the core its input by `step`, end with a `restarted`
    service."""

    tell: Callable[[bytes], object]
    step: Step
    restarted: Callable[[], None]


class Decisions:
    def __init__(self, around: Surroundings, session_id: str, core: SessionCore, ways: Ways) -> None:
        self._around = around
        self._session_id = session_id
        self._core = core
        self._ways = ways
        self._loop = asyncio.get_running_loop()
        # What is asked, since when (monotonic): by a task, and without one.
        self._asked: dict[asyncio.Task[None], int] = {}
        self._prompted: dict[Exchange, int] = {}
        self._watchdog: asyncio.TimerHandle | None = None
        self._closed = False

    def ask(self, asked: Sequence[Exchange]) -> None:
        """Ask; one watchdog a session ends what takes too long."""
        self._around.reporter.hurry()
        if self._around.prompt is not None and not self._asked:
            asked = self._ask_promptly(self._around.prompt, asked)
        if asked:
            task = self._loop.create_task(self._decide(asked))
            self._asked[task] = self._core.state.now_ns
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._around.settings.decision_timeout_s, self._watch)

    def _ask_promptly(self, prompt: PromptDecisions, asked: Sequence[Exchange]) -> Sequence[Exchange]:
        """Ask in order without a task, up to the first that has to wait for something; that and those behind it."""
        for index, exchange in enumerate(asked):
            self._prompted[exchange] = self._core.state.now_ns
            if not prompt.decide_now(self._core.request(exchange), partial(self._prompt_answer, exchange)):
                del self._prompted[exchange]
                return asked[index:]
        return ()

    def _prompt_answer(self, exchange: Exchange, answer: Decision | Exception) -> None:
        since = self._prompted.pop(exchange, None)
        if since is not None:  # else it took too long, or the session is over
            self._ways.step(self._take, exchange, answer, since)

    def close(self) -> None:
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._prompted.clear()
        for task in self._asked:
            task.cancel()

    def _watch(self) -> None:
        """Refuse what has waited for too long, and look again when the oldest of the others will have."""
        self._watchdog = None
        limit_s = self._around.settings.decision_timeout_s
        late = self._around.clock.monotonic_ns() - int(limit_s * 1e9)
        for task in [task for task, since in self._asked.items() if since <= late]:
            task.cancel()
            del self._asked[task]
        for exchange in [exchange for exchange, since in self._prompted.items() if since <= late]:
            self._prompt_answer(exchange, NO_ANSWER)
        if self._closed:
            return
        left = [next(iter(since.values())) - late for since in (self._asked, self._prompted) if since]
        if left:
            if self._watchdog is not None:
                self._watchdog.cancel()
            self._watchdog = self._loop.call_later(min(left) / 1e9, self._watch)

    async def _decide(self, asked: Sequence[Exchange]) -> None:
        answers: Sequence[Decision | Exception]
        since = self._around.clock.monotonic_ns()
        try:
            if len(asked) == 1:
                answers = [await self._around.port.decide(self._core.request(asked[0]))]
            else:
                answers = await self._around.port.decide_many([self._core.request(exchange) for exchange in asked])
            if len(answers) != len(asked):
                answers = [WRONG_ANSWER] * len(asked)
        except asyncio.CancelledError:
            if self._closed:
                raise
            answers = [NO_ANSWER] * len(asked)
        except Exception as error:  # noqa: BLE001 - whatever prevents a decision denies
            answers = [error] * len(asked)
        current = asyncio.current_task()
        if current is not None:
            self._asked.pop(current, None)
        self._ways.step(self._take_all, asked, answers, since)

    def _take_all(self, asked: Sequence[Exchange], answers: Sequence[Decision | Exception], since_ns: int) -> None:
        for exchange, answer in zip(asked, answers, strict=True):
            self._take(exchange, answer, since_ns)

    def _take(self, exchange: Exchange, answer: Decision | Exception, since_ns: int) -> None:
        self._around.meter.answered(answer, self._core.state.now_ns - since_ns)
        if isinstance(answer, Decision):
            self._core.decided(exchange, answer)
        else:
            self._core.refused(exchange, self._without_decision(answer))

    def _without_decision(self, error: Exception) -> Refusal:
        self._around.gaps.count(error)
        if isinstance(error, SessionUnknown | ServiceUnavailable):
            self._around.catalogs.forget()
        if isinstance(error, SessionUnknown):
            self._ways.restarted()
        if not isinstance(error, Denied):
            log.error("no decision: %s", place_of(error))
        return denial.refusal_of_error(error)

    async def hold(self, exchange: Exchange) -> None:
        """Keep the client waiting for the approval, telling it what for; then ask again, or refuse."""
        meter = self._around.meter
        meter.holds += 1
        meter.holding += 1
        try:
            state = await self._waited(exchange)
        finally:
            meter.holding -= 1
        await self._after(exchange, state)

    async def _waited(self, exchange: Exchange) -> ApprovalState:
        """The approval's state once it is decided, or when waiting is over."""
        decision = exchange.decision
        assert decision is not None
        clock = self._around.clock
        until = clock.monotonic_ns() + decision.wait_s * 1_000_000_000
        state = ApprovalState.REQUESTED
        while state is ApprovalState.REQUESTED and not exchange.dropped:
            left = (until - clock.monotonic_ns()) / 1e9
            if left <= 0:
                break
            text = f"waiting for approval {decision.approval_id} ({left:.0f} s left): {decision.message}"
            self._ways.tell(messages.notice_response(text, hint=decision.hint))
            try:
                state = await self._approval(decision.approval_id, min(left, self._around.settings.hold_notice_s))
            except Exception as error:  # noqa: BLE001 - no waiting then: the client may run it again
                log.warning("waiting for an approval failed: %s", type(error).__name__)
                break
        return state

    async def _after(self, exchange: Exchange, state: ApprovalState) -> None:
        decision = exchange.decision
        assert decision is not None
        if exchange.dropped or not exchange.holding:
            return
        if state is ApprovalState.GRANTED:
            await self._around.catalogs.settled()
            exchange.changes = self._core.state.catalog_changes
            await self._decide([exchange])
            return
        refusal = denial.refusal_of(decision)
        if state in (ApprovalState.DENIED, ApprovalState.EXPIRED):
            refusal = denial.refusal_of_closed(refusal, decision.approval_id, state.value)
        self._ways.step(self._core.refused, exchange, refusal)

    async def _approval(self, approval_id: str, wait_s: float) -> ApprovalState:
        async with asyncio.timeout(wait_s + PATIENCE_S):
            return await self._around.port.wait_approval(self._session_id, approval_id, wait_s)
