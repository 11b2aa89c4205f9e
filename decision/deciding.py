"""One message of an open session to its decision and its events, and the order of both.

Most messages need nothing to be waited for but the journal: they are decided `at_once`, and whoever asked is told when
the event is durable. Where something else must be waited for (a large text, a policy engine elsewhere) or an approval
may be involved, the message is decided `in_turn`, under the session's lock. `decide_now` does the former only; `decide`
tries it first, once it is the message's turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from decision.analysis import SessionState
from decision.answer import Answer, Done, resolver
from decision.consent import Consent
from decision.denials import APPROVALS_AWAY, OUTDATED, SESSION_EXPIRED
from decision.digest import Digester
from decision.judge import StatementJudge
from decision.meter import DecisionMeter
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import JournalUnavailable
from decision.model.events import AuditEvent, Payload
from decision.model.policy import ApprovalContext
from decision.model.ports import Clock, IdSource
from decision.model.session import DecideRequest, MessageKind
from decision.question import Catalog, Judged, Question
from decision.recorder import Recorder
from decision.sessions import Session
from decision.warm import Warm, WarmCache

T = TypeVar("T")


class Decider:
    """`catalogs` are the newest by the name of the database entry; the service exchanges them."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        judge: StatementJudge,
        consent: Consent,
        digester: Digester,
        clock: Clock,
        ids: IdSource,
        catalogs: Mapping[str, Catalog],
        meter: DecisionMeter,
    ) -> None:
        self._recorder = recorder
        self._judge = judge
        self._consent = consent
        self._digester = digester
        self._clock = clock
        self._ids = ids
        self._catalogs = catalogs
        self._meter = meter
        self._warm = WarmCache()
        self._settling: set[asyncio.Future[Any]] = set()

    def decide_now(self, session: Session, request: DecideRequest, done: Done) -> bool:
        """See PromptDecisions."""
        if session.turns:
            return False
        try:
            return self._at_once(session, session.link(request), self._clock.monotonic_ns(), done)
        except Exception:  # noqa: BLE001 - nothing was queued, so `decide` is asked and meets the same error
            return False

    async def decide(self, session: Session, request: DecideRequest) -> Decision:
        started = self._clock.monotonic_ns()
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        async with session.lock:
            request = session.link(request)
            if self._at_once(session, request, started, resolver(answer)):
                waiting: list[Awaitable[AuditEvent]] = []
                question = None
            else:
                self._recorder.check()
                question = self._question(session, request)
                waiting, decision = await self._in_turn(question, started)
        if question is None:
            return await answer
        try:
            await self.to_the_end(self._settle(waiting, question.grant))
        except JournalUnavailable:
            self._meter.unanswered += 1
            raise
        self._meter.answered(decision, started)
        return decision

    # ── at once ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _at_once(self, session: Session, request: DecideRequest, started_ns: int, done: Done) -> bool:
        """Decide and queue the event; False, and nothing done, where that can't be. What raises comes before the event
        is queued. Raises JournalUnavailable."""
        if self._consent.may_be_granted(session, request):
            return False
        time_unix_nano = self._clock.time_unix_nano()
        time_unix = time_unix_nano // 1_000_000_000
        warm = self._warm.find(
            session,
            request,
            self._catalogs.get(session.entry.name),
            self._judge.revision,
            time_unix,
            self._judge.counted(session.principal, time_unix),
        )
        if warm is not None and not self._expired(session, warm.context.time_unix):
            decision_id = self._ids.new_id()
            session.remember(request, decision_id)
            after = self._after(request, decision_id, warm, started_ns)
            answer = Answer(Decision(decision_id, *warm.rest), done, self._meter, started_ns)
            self._recorder.decided(after, time_unix_nano, answer.settle)
            self._meter.warm += 1
            return True
        self._recorder.check()
        question = self._question(session, request)
        judged = self._denied_unjudged(question) or self._judge.judge_now(question, self._consent.grant_for)
        if judged is None or judged.decision.effect is PolicyEffect.HOLD:
            return False
        self._queue_plain(question, judged, time_unix_nano, started_ns, done)
        return True

    def _queue_plain(
        self, question: Question, judged: Judged, time_unix_nano: int, started_ns: int, done: Done
    ) -> None:
        """Queue the one event of a decision in which no approval has a part, and let the session go on from it."""
        session, request, decision = question.session, question.request, judged.decision
        state = self._state_after(question, judged)
        answer = Answer(decision, done, self._meter, started_ns)
        warm, after = self._written(question, judged, started_ns)
        if after:
            self._recorder.decided(after, time_unix_nano, answer.settle)
        else:
            latency = self._clock.monotonic_ns() - started_ns
            event = self._judge.event(question, judged, decision.effect, "", latency)
            self._recorder.queue_then(event, session.session_id, session.opened_event_id, answer.settle)
        self._go_on(session, request, state)
        if warm is not None and warm.state is session.state:
            self._warm.keep(session, request, warm)

    def _written(self, question: Question, judged: Judged, started_ns: int) -> tuple[Warm | None, bytes]:
        """The decision as it may be repeated, and the second half of its event; None and nothing where the general
        codec has to write it."""
        catalog, state, context = question.catalog, judged.state, question.session.context
        try:
            form = self._judge.form(question, judged)
            if form is None or catalog is None or state is None or context is None or judged.analysis is None:
                return None, b""
            pinned = self._judge.pinned_forms(judged.analysis)
            warm = Warm(catalog, state, context, judged.decision.policy_revision, form, pinned, judged.decision)
            return warm, self._after(question.request, question.decision_id, warm, started_ns)
        except ValueError:
            return None, b""

    def _after(self, request: DecideRequest, decision_id: str, warm: Warm, started_ns: int) -> bytes:
        parameters = request.parameters
        return warm.form.after(
            decision_id,
            self._digester.parameters(parameters) if parameters else b"",
            b"".join([one.part(parameters) for one in warm.pinned]) if warm.pinned else b"",
            self._clock.monotonic_ns() - started_ns,
            request.parse_decision_id,
        )

    # ── in turn ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _in_turn(self, question: Question, started_ns: int) -> tuple[list[Awaitable[AuditEvent]], Decision]:
        """Decide with all that may have to be waited for, under the session's lock: the events queued, the decision."""
        try:
            judged = self._denied_unjudged(question)
            if judged is None:
                judged = await self._judge.judge(question, self._consent.grant_for)
                judged = await self._consented(question, judged)
            state = self._state_after(question, judged)
            waiting, decision = self._queue(question, judged, started_ns)
        except BaseException:
            self._consent.release(question.grant)
            raise
        self._go_on(question.session, question.request, state)
        return waiting, decision

    async def _consented(self, question: Question, judged: Judged) -> Judged:
        """`judged`, or its denial where it rests on an approval that can't be asked for or is not ours to use."""
        effect, denial = judged.decision.effect, None
        if effect is PolicyEffect.HOLD and question.request.kind is not MessageKind.PARSE and self._consent.away:
            denial = APPROVALS_AWAY
        elif effect is PolicyEffect.ALLOW and question.grant is not None:
            denial = await self._consent.claim(question)
            if denial is None and self._consent.awaited and not self._is_current(question, judged):
                denial = OUTDATED
        return judged if denial is None else self._judge.overruled(question, judged, denial)

    def _is_current(self, question: Question, judged: Judged) -> bool:
        """Whether what was judged a while ago would be judged likewise now."""
        same_catalog = self._catalogs.get(question.session.entry.name) is question.catalog
        return same_catalog and self._judge.is_current(judged)

    def _queue(
        self, question: Question, judged: Judged, started_ns: int
    ) -> tuple[list[Awaitable[AuditEvent]], Decision]:
        """Queue the decision's events, the cause before the effect. Raises JournalUnavailable."""
        session, decision = question.session, judged.decision
        effect, approval_id = decision.effect, ""
        extra: Payload | None = None
        if effect is PolicyEffect.HOLD and question.request.kind is MessageKind.PARSE:
            # A Parse runs nothing: it may be prepared, and is held when it is to run with its values.
            effect = PolicyEffect.ALLOW
            decision = replace(decision, effect=effect, message="", hint="", holds=())
        elif effect is PolicyEffect.HOLD:
            asked = self._consent.request_for(question, judged)
            approval_id = asked if isinstance(asked, str) else asked.approval_id
            extra = None if isinstance(asked, str) else asked
            hint = f"ask for: airlock approvals approve {approval_id}; then run the statement again. {decision.hint}"
            decision = replace(
                decision, approval_id=approval_id, hint=hint.strip(), wait_s=self._consent.wait_s(judged)
            )
        elif effect is PolicyEffect.ALLOW and question.grant is not None:
            extra = self._consent.used(question)
            approval_id = question.grant.approval_id
        waiting: list[Awaitable[AuditEvent]] = []
        if extra is not None:
            waiting.append(self._recorder.queue(extra, session.session_id, question.decision_id))
        latency = self._clock.monotonic_ns() - started_ns
        event = self._judge.event(question, judged, effect, approval_id, latency)
        waiting.append(self._recorder.queue(event, session.session_id, session.opened_event_id))
        return waiting, decision

    async def to_the_end(self, settling: Coroutine[None, None, T]) -> T:
        """Whoever asked may give up while the fsync runs; what becomes durable must be folded all the same, or a used
        grant would look free."""
        task = asyncio.ensure_future(settling)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return await asyncio.shield(task)

    async def _settle(self, waiting: Sequence[Awaitable[AuditEvent]], grant: ApprovalContext | None) -> None:
        """Wait for a decision's events, then fold those about approvals."""
        try:
            for event in [await one for one in waiting]:
                self._consent.appended(event)
        finally:
            self._consent.release(grant)

    # ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _question(self, session: Session, request: DecideRequest) -> Question:
        decision_id = self._ids.new_id()
        session.remember(request, decision_id)
        return Question(
            session=session,
            request=request,
            decision_id=decision_id,
            time_unix=self._clock.time_unix_nano() // 1_000_000_000,
            catalog=self._catalogs.get(session.entry.name),
            statement_digest=self._digester.statement(request.text),
            parameters_digest=self._digester.parameters(request.parameters),
            intent=request.intent or session.request.intent,
            ticket=request.ticket or session.request.ticket,
        )

    def _expired(self, session: Session, time_unix: int) -> bool:
        return session.expires_unix != 0 and time_unix >= session.expires_unix

    def _denied_unjudged(self, question: Question) -> Judged | None:
        if self._expired(question.session, question.time_unix):
            return self._judge.deny(question, SESSION_EXPIRED)
        return None

    def _state_after(self, question: Question, judged: Judged) -> SessionState | None:
        """The session's state once the message was let through; None where nothing runs."""
        runs = judged.decision.effect is PolicyEffect.ALLOW and question.request.kind is not MessageKind.PARSE
        if not runs or judged.analysis is None or judged.state is None:
            return None
        return judged.state.advance(judged.analysis, question.request.transaction_status)

    def _go_on(self, session: Session, request: DecideRequest, state: SessionState | None) -> None:
        if state is not None:
            session.state = state
            session.settings = request.settings
