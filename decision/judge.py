"""From a question (one message of one session) to a decision and its event: analysis, policy, obligations.

Nothing here waits for durability or changes a session; the service does both.
"""

from __future__ import annotations

import logging
import traceback
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
    missing_name,
    speaking_results,
)
from decision.digest import Digester
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, Evaluation, PolicyEffect, StatementObligations
from decision.model.errors import AirlockError
from decision.model.events import MaskedColumn, PinnedValue, StatementDecided
from decision.model.facts import Kind
from decision.model.policy import ApprovalContext, Context, Phase
from decision.model.ports import PolicyEngine
from decision.model.session import DecideRequest, MessageKind
from decision.obligations import ObligationCache, TagIndex
from decision.policy.input import InputBuilder
from decision.sessions import Session
from decision.values import canonical

log = logging.getLogger(__name__)

_CATALOG_CHANGING = frozenset({Kind.DDL, Kind.DCL, Kind.DO, Kind.CALL})


@dataclass(frozen=True, slots=True)
class Catalog:
    """The newest snapshot of a database, with what is prepared from it."""

    snapshot: CatalogSnapshot
    index: TagIndex


@dataclass(frozen=True, slots=True)
class Question:
    """One message to decide, with everything that its decision depends on."""

    session: Session
    request: DecideRequest
    decision_id: str
    time_unix: int
    catalog: Catalog | None
    statement_digest: bytes
    parameters_digest: bytes
    grant: ApprovalContext | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The decision, its event (latency still 0) and the analysis that it rests on (None where there was none)."""

    decision: Decision
    event: StatementDecided
    evaluation: Evaluation
    analysis: Analysis | None = None


class StatementJudge:
    def __init__(self, analyzer: Analyzer, engine: PolicyEngine, builder: InputBuilder, digester: Digester) -> None:
        self._analyzer = analyzer
        self._engine = engine
        self._builder = builder
        self._digester = digester
        self._obligations = ObligationCache()

    async def judge(self, question: Question) -> Judged:
        """Never raises for what a client sent: every failure is a denial."""
        try:
            return await self._judge(question)
        except AirlockError as error:
            return self.deny(question, from_error(error))
        except Exception as error:
            # A defect of ours must deny this statement, not end the service. The error's own text may hold a literal.
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            log.error("%s in decision %s at %s:%s", kind, question.decision_id, place.filename, place.lineno)
            return self.deny(question, INTERNAL)

    async def _judge(self, question: Question) -> Judged:
        request, session = question.request, question.session
        if request.kind is MessageKind.FUNCTION_CALL:
            return self.deny(question, FUNCTION_CALL)
        if question.catalog is None:
            return self.deny(question, CATALOG_UNKNOWN)
        state: SessionState = session.state.with_settings(dict(request.settings))
        analysis = self._analyzer.analyze(request.text, question.catalog.snapshot, state)
        context = Context(
            session_id=session.session_id,
            time_unix=question.time_unix,
            intent=request.intent or session.request.intent,
            ticket=request.ticket or session.request.ticket,
            client=session.request.client,
            enforcement_point=session.request.enforcement_point,
            transaction_status=request.transaction_status,
            approval=question.grant,
        )
        document, key = self._builder.build(
            Phase.STATEMENT,
            session.principal_json,
            request.kind.value,
            session.resource_json,
            analysis.document,
            context,
        )
        evaluation = await self._engine.evaluate(document, key)
        obligations: tuple[StatementObligations, ...] = ()
        if evaluation.effect is PolicyEffect.ALLOW:
            index = question.catalog.index
            obligations = self._obligations.resolve(analysis.document, analysis.facts, index, evaluation)
        decision = _decision(question, evaluation, analysis, obligations)
        event = self._event(question, decision, evaluation, document, analysis)
        return Judged(decision, event, evaluation, analysis)

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
        event = self._event(question, decision, evaluation, b"", None, denial.code)
        return Judged(decision, event, evaluation)

    def _event(
        self,
        question: Question,
        decision: Decision,
        evaluation: Evaluation,
        document: bytes,
        analysis: Analysis | None,
        error_code: str = "",
    ) -> StatementDecided:
        session, request = question.session, question.request
        return StatementDecided(
            decision_id=question.decision_id,
            session_id=session.session_id,
            principal=session.principal,
            database=session.entry.name,
            environment=session.entry.environment.value,
            message_kind=request.kind.value,
            effect=decision.effect,
            message=decision.message,
            results=decision.results,
            policy_revision=decision.policy_revision,
            engine=self._engine.name,
            input_json=document,
            statement_digest=question.statement_digest,
            parameters_digest=question.parameters_digest,
            statement_text=analysis.normalized_text if analysis is not None else redact(request.text),
            masked=_masked_columns(decision, analysis),
            limits=decision.limits,
            holds=evaluation.holds,
            pinned=self._pinned(analysis, request) if analysis is not None else (),
            intent=request.intent or session.request.intent,
            ticket=request.ticket or session.request.ticket,
            error_code=error_code,
            parse_decision_id=request.parse_decision_id,
            client=session.request.client,
            enforcement_point=session.request.enforcement_point,
        )

    def _pinned(self, analysis: Analysis, request: DecideRequest) -> tuple[PinnedValue, ...]:
        pinned: list[PinnedValue] = []
        for bound in analysis.values:
            value: bytes | None = bound.literal
            if bound.parameter and bound.parameter <= len(request.parameters):
                value = canonical(request.parameters[bound.parameter - 1])
            mac = b"" if value is None else self._digester.value(bound.schema, bound.table, bound.column, value)
            pinned.append(PinnedValue(bound.statement_index, bound.schema, bound.table, bound.column, bound.role, mac))
        return tuple(pinned)


def _decision(
    question: Question, evaluation: Evaluation, analysis: Analysis, obligations: tuple[StatementObligations, ...]
) -> Decision:
    results = speaking_results(evaluation)
    state, message = missing_name(results, analysis.facts) or ("42501", message_for(evaluation, results))
    kinds = {kind for statement in analysis.facts.statements for kind in statement.kinds}
    return Decision(
        decision_id=question.decision_id,
        effect=evaluation.effect,
        message=message,
        sqlstate=state,
        hint=" ".join(evaluation.advice) if evaluation.effect is PolicyEffect.HOLD else "",
        results=results,
        statements=obligations,
        limits=evaluation.limits,
        advice=evaluation.advice,
        holds=evaluation.holds,
        policy_revision=evaluation.policy_revision,
        catalog_changing=bool(kinds & _CATALOG_CHANGING),
        tracks=tuple("+".join(kind.value for kind in statement.kinds) for statement in analysis.facts.statements),
    )


def _masked_columns(decision: Decision, analysis: Analysis | None) -> tuple[MaskedColumn, ...]:
    if analysis is None:
        return ()
    masked: list[MaskedColumn] = []
    for obligation in decision.statements:
        names = {output.ordinal: output.name for output in analysis.facts.statements[obligation.index].output}
        for mask in obligation.masks:
            masked.append(
                MaskedColumn(obligation.index, mask.ordinal, names.get(mask.ordinal, ""), mask.method.value, mask.rule)
            )
    return tuple(masked)
