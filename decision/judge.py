"""From a question (one message of one session) to a decision and its event: analysis, policy, obligations.

Nothing here waits for durability or changes a session; the service does both.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from decision.analysis import Analysis, Analyzer, SessionState
from decision.denials import (
    CATALOG_UNKNOWN,
    FUNCTION_CALL,
    INTERNAL,
    BuiltinDenial,
    from_error,
    message_for,
    place_of,
)
from decision.digest import Digester
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, Evaluation, PolicyEffect
from decision.model.errors import AirlockError
from decision.model.events import PinnedValue, StatementDecided
from decision.model.policy import Phase
from decision.model.ports import CounterSource, PolicyEngine, PromptEngine
from decision.model.principal import Principal
from decision.model.session import DecideRequest, MessageKind
from decision.pinned import PinnedForm, value_of
from decision.policy.input import InputBuilder
from decision.question import UNCOUNTED, Counted, GrantFor, Judged, Question, context_of
from decision.template import TemplateCache
from decision.texts import RedactedTexts, Texts
from decision.wire import hot

log = logging.getLogger(__name__)

LARGE_TEXT_BYTES = 16 * 1024


class StatementJudge:
    def __init__(
        self,
        analyzer: Analyzer,
        engine: PolicyEngine,
        builder: InputBuilder,
        digester: Digester,
        texts: Texts | None = None,
        counters: CounterSource | None = None,
    ) -> None:
        """`texts` says what is kept of a statement's words; by default nothing but the text without literals.
        `counters` tells what principals did lately; without it nobody did anything."""
        self._analyzer = analyzer
        self._engine = engine
        self._prompt = engine if isinstance(engine, PromptEngine) else None
        self._builder = builder
        self._digester = digester
        self._templates = TemplateCache()
        self._texts = texts or RedactedTexts()
        self._counters = counters
        self._patient = Analyzer(analyzer.dialect, analyzer.limits)
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="large-statements")

    @property
    def revision(self) -> str:
        """The active policy's, where decisions can be made without waiting; else empty."""
        return "" if self._prompt is None else self._prompt.revision

    def counted(self, principal: Principal, time_unix: int) -> Counted:
        """The principal's counters in that second, where the active policy reads any."""
        if self._counters is None or not self._builder.reads.counters:
            return UNCOUNTED
        return Counted.of(principal, self._counters, time_unix * 1_000_000_000)

    def judge_now(self, question: Question, grant_for: GrantFor) -> Judged | None:
        """`judge` at once; None where something must be waited for: a large text, a policy engine elsewhere."""
        if self._prompt is None or len(question.request.text) > LARGE_TEXT_BYTES:
            return None
        try:
            refused, state = self._begun(question)
            if refused is not None or question.catalog is None:
                return refused
            analysis = self._analyzer.analyze(question.request.text, question.catalog.snapshot, state)
            document, key = self._input(question, analysis, grant_for)
            evaluation = self._prompt.evaluate_now(document, key)
            return self._judged(question, analysis, state, document, evaluation)
        except Exception as error:
            return self._failed(question, error)

    async def judge(self, question: Question, grant_for: GrantFor) -> Judged:
        """Never raises for what a client sent: every failure is a denial. `grant_for` looks for an approval once the
        question's facts are known, and reserves it."""
        judged = self.judge_now(question, grant_for)
        if judged is not None:
            return judged
        try:
            refused, state = self._begun(question)
            if refused is not None or question.catalog is None:
                return refused or self.deny(question, CATALOG_UNKNOWN)
            analysis = await self._analyze(question.request.text, question.catalog.snapshot, state)
            document, key = self._input(question, analysis, grant_for)
            evaluation = await self._engine.evaluate(document, key)
            return self._judged(question, analysis, state, document, evaluation)
        except Exception as error:
            return self._failed(question, error)

    def _failed(self, question: Question, error: Exception) -> Judged:
        if isinstance(error, AirlockError):
            return self.deny(question, from_error(error))
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

    def _begun(self, question: Question) -> tuple[Judged | None, SessionState]:
        """The denial of what is never analysed, and the state in which the rest is. Raises VaultUnavailable."""
        request, session = question.request, question.session
        question.sealed_text = self._texts.sealed(question)
        state: SessionState = session.state
        if request.kind is MessageKind.FUNCTION_CALL:
            return self.deny(question, FUNCTION_CALL), state
        if question.catalog is None:
            return self.deny(question, CATALOG_UNKNOWN), state
        if request.settings != session.settings:
            state = state.with_settings(dict(request.settings))
        return None, state

    def _input(self, question: Question, analysis: Analysis, grant_for: GrantFor) -> tuple[bytes, bytes]:
        question.facts = analysis.facts
        question.grant = grant_for(question)
        return self._builder.build(
            Phase.STATEMENT,
            question.session.principal_json,
            question.request.kind.value,
            question.session.resource_json,
            analysis.document,
            context_of(question, self.counted(question.session.principal, question.time_unix)),
        )

    def _judged(
        self, question: Question, analysis: Analysis, state: SessionState, document: bytes, evaluation: Evaluation
    ) -> Judged:
        assert question.catalog is not None
        made = self._templates.of(analysis, question.catalog.index, evaluation)
        decision = Decision(
            decision_id=question.decision_id,
            effect=evaluation.effect,
            message=made.message if made.missing is None else made.missing.message,
            hint=made.hint,
            results=made.results,
            statements=made.statements,
            limits=evaluation.limits,
            advice=evaluation.advice,
            holds=evaluation.holds,
            policy_revision=evaluation.policy_revision,
            catalog_changing=made.catalog_changing,
            catalog_shared=made.catalog_shared,
            tracks=made.tracks,
            sqlstate=made.sqlstate,
            cursor=0 if made.missing is None else place_of(made.missing, question.request.text),
        )
        return Judged(decision, evaluation, document, analysis, state, made)

    def deny(self, question: Question, denial: BuiltinDenial) -> Judged:
        """The denial that no policy spoke, with its event."""
        evaluation = denial.evaluation(self._engine.status().revision)
        decision = Decision(
            decision_id=question.decision_id,
            effect=PolicyEffect.DENY,
            message=denial.shown or message_for(evaluation, evaluation.results),
            hint=denial.hint,
            results=evaluation.results,
            policy_revision=evaluation.policy_revision,
            sqlstate=denial.sqlstate,
            cursor=denial.cursor,
        )
        return Judged(decision, evaluation, error_code=denial.code)

    def is_current(self, judged: Judged) -> bool:
        """Whether the policy that judged is still the active one."""
        return judged.decision.policy_revision == self._engine.status().revision

    def overruled(self, question: Question, judged: Judged, denial: BuiltinDenial) -> Judged:
        """The denial of what policy would let through or hold, with all that it was judged by."""
        denied = self.deny(question, denial)
        return replace(denied, document=judged.document, analysis=judged.analysis, state=judged.state)

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
            message=message_for(judged.evaluation, decision.results) if judged.made is None else judged.made.message,
            results=decision.results,
            policy_revision=decision.policy_revision,
            engine=self._engine.name,
            input_json=judged.document,
            statement_digest=question.statement_digest,
            parameters_digest=question.parameters_digest,
            statement_text=self._texts.shown(judged, request.text),
            masked=judged.masked,
            limits=decision.limits,
            holds=judged.evaluation.holds,
            approval_id=approval_id,
            pinned=() if analysis is None else self._pinned(analysis, request),
            intent=question.intent,
            ticket=question.ticket,
            error_code=judged.error_code,
            latency_ns=latency_ns,
            parse_decision_id=request.parse_decision_id,
            client=session.request.client,
            enforcement_point=session.request.enforcement_point,
            sealed_text=self._texts.sealed_or_nothing(question)
            if question.sealed_text is None
            else question.sealed_text,
        )

    def form(self, question: Question, judged: Judged) -> hot.DecidedForm | None:
        """The same event but for what is the statement's own. None where the general codec has to write it: denials
        that no policy spoke, holds, what has a grant. Raises ValueError for what can't be written so."""
        decision, analysis, made = judged.decision, judged.analysis, judged.made
        if analysis is None or made is None or question.grant is not None or decision.effect is PolicyEffect.HOLD:
            return None
        kind = question.request.kind.value
        written = made.written.get(kind)
        if written is None:
            verdict = hot.verdict_part(
                kind, decision.effect, made.message, made.results, decision.policy_revision, self._engine.name
            )
            written = made.written[kind] = verdict, hot.duty_part(made.masked, decision.limits, decision.holds)
        session = question.session.written
        return hot.DecidedForm(
            session.links,
            session.session,
            written[0],
            judged.document,
            question.statement_digest,
            self._texts.shown(judged, question.request.text),
            written[1],
            question.intent,
            question.ticket,
            session.place,
            question.sealed_text or b"",
        )

    def pinned_forms(self, analysis: Analysis) -> tuple[PinnedForm, ...]:
        return tuple([PinnedForm(bound, self._digester) for bound in analysis.values])

    def _pinned(self, analysis: Analysis, request: DecideRequest) -> tuple[PinnedValue, ...]:
        pinned: list[PinnedValue] = []
        for bound in analysis.values:
            value = value_of(bound, request.parameters)
            mac = b"" if value is None else self._digester.value(bound.schema, bound.table, bound.column, value)
            pinned.append(PinnedValue(bound.statement_index, bound.schema, bound.table, bound.column, bound.role, mac))
        return tuple(pinned)
