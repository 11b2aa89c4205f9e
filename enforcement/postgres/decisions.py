"""One session's questions to the decision service: asking, waiting for approvals, and what to say without an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from decision.model.decision import Decision
from decision.model.errors import Denied, ServiceUnavailable, SessionUnknown
from decision.model.ports import Clock, DecisionPort
from decision.model.session import ApprovalState
from enforcement.config import EnforcementSettings
from enforcement.postgres.catalogs import Catalogs
from enforcement.postgres.faults import place_of
from enforcement.postgres.gaps import Gaps
from enforcement.postgres.protocol import denial, messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.exchange import Exchange, Masks, Refusal
from enforcement.postgres.reporter import Reporter

log = logging.getLogger(__name__)
PATIENCE_S = 5.0  # beyond the time that an answer about an approval was asked to take
NO_ANSWER = ServiceUnavailable("no decision in time", hint="try again; nothing was executed")
WRONG_ANSWER = ServiceUnavailable("another number of decisions than asked for", hint="try again; nothing was executed")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions of an enforcement point share."""

    settings: EnforcementSettings
    port: DecisionPort
    clock: Clock
    masks: Masks
    gaps: Gaps
    catalogs: Catalogs
    reporter: Reporter


@dataclass(frozen=True, slots=True)
class Ways:
    """How the session is reached: `tell` the client, give the core its input by `step`, end with a `restarted`
    service."""

    tell: Callable[[bytes], None]
    step: Callable[[Callable[[], None]], None]
    restarted: Callable[[], None]


class Decisions:
    def __init__(self, around: Surroundings, session_id: str, core: SessionCore, ways: Ways) -> None:
        self._around = around
        self._session_id = session_id
        self._core = core
        self._ways = ways
        self._loop = asyncio.get_running_loop()
        self._asked: dict[asyncio.Task[None], int] = {}  # since when (monotonic)
        self._watchdog: asyncio.TimerHandle | None = None
        self._closed = False

    def ask(self, asked: Sequence[Exchange]) -> None:
        """Ask in a task; one watchdog a session ends those that take too long."""
        self._around.reporter.hurry()
        task = self._loop.create_task(self._decide(asked))
        self._asked[task] = self._core.state.now_ns
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._around.settings.decision_timeout_s, self._watch)

    def close(self) -> None:
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        for task in self._asked:
            task.cancel()

    def _watch(self) -> None:
        self._watchdog = None
        limit_s = self._around.settings.decision_timeout_s
        now = self._around.clock.monotonic_ns()
        for task, since in list(self._asked.items()):
            left = since / 1e9 + limit_s - now / 1e9
            if left > 0:
                self._watchdog = self._loop.call_later(left, self._watch)
                return
            task.cancel()
            del self._asked[task]

    async def _decide(self, asked: Sequence[Exchange]) -> None:
        answers: Sequence[Decision | Exception]
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
        self._ways.step(lambda: self._answered(asked, answers))

    def _answered(self, asked: Sequence[Exchange], answers: Sequence[Decision | Exception]) -> None:
        for exchange, answer in zip(asked, answers, strict=True):
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
        if exchange.dropped or not exchange.holding:
            return
        if state is ApprovalState.GRANTED:
            await self._decide([exchange])
            return
        refusal = denial.refusal_of(decision)
        if state in (ApprovalState.DENIED, ApprovalState.EXPIRED):
            refusal = denial.refusal_of_closed(refusal, decision.approval_id, state.value)
        self._ways.step(lambda: self._core.refused(exchange, refusal))

    async def _approval(self, approval_id: str, wait_s: float) -> ApprovalState:
        async with asyncio.timeout(wait_s + PATIENCE_S):
            return await self._around.port.wait_approval(self._session_id, approval_id, wait_s)
