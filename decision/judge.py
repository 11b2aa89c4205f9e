"""From a question (one message of one session) to a decision and its event: analysis, policy, obligations.

Nothing here waits for durability or changes a session; the service does both.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from decision.analysis import Analysis, Analyzer, SessionState
from decision.analysis.redact import redact
from decision.denials import (
    CATALOG_UNKNOWN,
    FUNCTION_CALL,
    INTERNAL,
    BuiltinDenial,
    from_error,
    message_for,
)
from decision.digest import Digester
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, Evaluation, PolicyEffect
from decision.model.errors import AirlockError
from decision.model.events import MaskedColumn, PinnedValue, StatementDecided
from decision.model.facts import Facts
from decision.model.policy import ApprovalContext, Context, Phase
from decision.model.ports import PolicyEngine
from decision.model.session import DecideRequest, MessageKind
from decision.obligations import TagIndex
from decision.policy.input import InputBuilder
from decision.sessions import Session
from decision.template import TemplateCache
from decision.values import canonical

log = logging.getLogger(__name__)

LARGE_TEXT_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Catalog:
    """The newest snapshot of a database, with what is prepared from it."""

    snapshot: CatalogSnapshot
    index: TagIndex


@dataclass(slots=True)
class Question:
    """One message to decide, with everything that its decision depends on. `intent` and `ticket` are the message's
    own or the session's. `grant` is set once, before it is judged."""

    session: Session
    request: DecideRequest
    decision_id: str
    time_unix: int
    catalog: Catalog | None
    statement_digest: bytes
    parameters_digest: bytes
    intent: str
    ticket: str
    facts: Facts | None = None
    grant: ApprovalContext | None = None


@dataclass(slots=True)
class Judged:
    """The decision and what it rests on: the policy input, the evaluation, the analysis and the session's state that it
    was made in (None where there was no analysis)."""

    decision: Decision
    evaluation: Evaluation
    document: bytes = b""
    analysis: Analysis | None = None
    state: SessionState | None = None
    masked: tuple[MaskedColumn, ...] = ()
    error_code: str = ""

    def statement_text(self, text: bytes) -> str:
        """What the audit keeps of `text`: normalized, without literals."""
        return redact(text) if self.analysis is None else self.analysis.normalized_text


GrantFor = Callable[[Question], ApprovalContext | None]


class StatementJudge:
    def __init__(self, analyzer: Analyzer, engine: PolicyEngine, builder: InputBuilder, digester: Digester) -> None:
        self._analyzer = analyzer
        self._engine = engine
        self._builder = builder
        self._digester = digester
        self._templates = TemplateCache()
        self._patient = Analyzer(analyzer.dialect, analyzer.limits)
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="large-statements")

    async def judge(self, question: Question, grant_for: GrantFor) -> Judged:
        """Never raises for what a client sent: every failure is a denial. `grant_for` looks for an approval once the
        question's facts are known, and reserves it."""
        try:
            return await self._judge(question, grant_for)
        except AirlockError as error:
            return self.deny(question, from_error(error))
        except Exception as error:
            # A defect of ours must deny this statement, not end the service. The error's own text may hold a literal.
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            log.error("%s in decision %s at %s:%s", kind, question.decision_id, place.filename, place.lineno)
            return self.deny(question, INTERNAL)

    async def _analyze(self, text: bytes, snapshot: CatalogSnapshot, state: SessionState) -> Analysis:
        """A large text may take seconds within its limits: it is analysed aside, one at a time, so that it holds up
        its own session and other large ones only."""
        if len(text) <= LARGE_TEXT_BYTES:
            return self._analyzer.analyze(text, snapshot, state)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._aside, self._patient.analyze, text, snapshot, state)

    async def _judge(self, question: Question, grant_for: GrantFor) -> Judged:
        request, session = question.request, question.session
        if request.kind is MessageKind.FUNCTION_CALL:
            return self.deny(question, FUNCTION_CALL)
        if question.catalog is None:
            return self.deny(question, CATALOG_UNKNOWN)
        state: SessionState = session.state
        if request.settings != session.settings:
            state = state.with_settings(dict(request.settings))
        analysis = await self._analyze(request.text, question.catalog.snapshot, state)
        question.facts = analysis.facts
        question.grant = grant_for(question)
        context = _context(question)
        document, key = self._builder.build(
            Phase.STATEMENT,
            session.principal_json,
            request.kind.value,
            session.resource_json,
            analysis.document,
            context,
        )
        evaluation = await self._engine.evaluate(document, key)
        made = self._templates.of(analysis, question.catalog.index, evaluation)
        decision = Decision(
            decision_id=question.decision_id,
            effect=evaluation.effect,
            message=made.message,
            hint=made.hint,
            results=made.results,
            statements=made.statements,
            limits=evaluation.limits,
            advice=evaluation.advice,
            holds=evaluation.holds,
            policy_revision=evaluation.policy_revision,
            catalog_changing=made.catalog_changing,
            tracks=made.tracks,
            sqlstate=made.sqlstate,
        )
        return Judged(decision, evaluation, document, analysis, state, made.masked)

    def deny(self, question: Question, denial: BuiltinDenial) -> Judged:
        """The denial that no policy spoke, with its event."""
        evaluation = denial.evaluation(self._engine.status().revision)
        decision = Decision(
            decision_id=question.decision_id,
            effect=PolicyEffect.DENY,
            message=message_for(evaluation, evaluation.results),
            hint=denial.hint,
            results=evaluation.results,
            policy_revision=evaluation.policy_revision,
            sqlstate=denial.sqlstate,
            cursor=denial.cursor,
        )
        return Judged(decision, evaluation, error_code=denial.code)

    def event(
        self, question: Question, judged: Judged, effect: PolicyEffect, approval_id: str, latency_ns: int
    ) -> StatementDecided:
        """The decision as its event. `effect` is what the enforcement point is told."""
        decision, analysis = judged.decision, judged.analysis
        session, request = question.session, question.request
        return StatementDecided(
            decision_id=question.decision_id,
            session_id=session.session_id,
            principal=session.principal,
            database=session.entry.name,
            environment=session.entry.environment.value,
            message_kind=request.kind.value,
            effect=effect,
            message=decision.message,
            results=decision.results,
            policy_revision=decision.policy_revision,
            engine=self._engine.name,
            input_json=judged.document,
            statement_digest=question.statement_digest,
            parameters_digest=question.parameters_digest,
            statement_text=judged.statement_text(request.text),
            masked=judged.masked,
            limits=decision.limits,
            holds=judged.evaluation.holds,
            approval_id=approval_id,
            pinned=self._pinned(analysis, request) if analysis is not None else (),
            intent=question.intent,
            ticket=question.ticket,
            error_code=judged.error_code,
            latency_ns=latency_ns,
            parse_decision_id=request.parse_decision_id,
            client=session.request.client,
            enforcement_point=session.request.enforcement_point,
        )

    def _pinned(self, analysis: Analysis, request: DecideRequest) -> tuple[PinnedValue, ...]:
        if not analysis.values:
            return ()
        pinned: list[PinnedValue] = []
        for bound in analysis.values:
            value: bytes | None = bound.literal
            if bound.parameter and bound.parameter <= len(request.parameters):
                value = canonical(request.parameters[bound.parameter - 1])
            mac = b"" if value is None else self._digester.value(bound.schema, bound.table, bound.column, value)
            pinned.append(PinnedValue(bound.statement_index, bound.schema, bound.table, bound.column, bound.role, mac))
        return tuple(pinned)


def _context(question: Question) -> Context:
    """The context of the policy input: one object for as long as a session's context stays as it is, so that it need
    not be written out again for every statement."""
    session, request = question.session, question.request
    if question.grant is None:
        known = session.context
        if (
            known is not None
            and known.time_unix == question.time_unix
            and known.transaction_status == request.transaction_status
            and known.intent == question.intent
            and known.ticket == question.ticket
        ):
            return known
    context = Context(
        session_id=session.session_id,
        time_unix=question.time_unix,
        intent=question.intent,
        ticket=question.ticket,
        client=session.request.client,
        enforcement_point=session.request.enforcement_point,
        transaction_status=request.transaction_status,
        approval=question.grant,
    )
    if question.grant is None:
        session.context = context
    return context
