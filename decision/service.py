"""The use case: identify, analyse, evaluate, append, answer.

Every answer waits for its event to be durable. Whatever goes wrong on the way becomes a denial with an event; where not
even the event can be written, JournalUnavailable is raised and the enforcement point denies by itself.

Over 300 lines: it is the one place that implements DecisionPort, a short method for each of its calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from decision.config import DatabaseEntry, ServiceSettings
from decision.consent import Consent
from decision.denials import REPLICATION, SESSION_EXPIRED, message_for, speaking_results
from decision.digest import Digester
from decision.judge import Catalog, Judged, Question, StatementJudge
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import Denied, JournalUnavailable, SessionRefused
from decision.model.events import (
    AuditEvent,
    CatalogChanged,
    EnforcementGapReported,
    EventDraft,
    Payload,
    SessionClosed,
    SessionOpened,
    StatementExecuted,
)
from decision.model.events import SessionRefused as SessionRefusedEvent
from decision.model.policy import ApprovalContext, Context, Phase, Resource
from decision.model.ports import Clock, IdSource, Journal, JournalReader, PolicyEngine
from decision.model.principal import Principal
from decision.model.session import (
    Approval,
    ApprovalState,
    DecideRequest,
    EnforcementGap,
    ExecutionReport,
    MessageKind,
    PolicyStatus,
    SessionEnd,
    SessionGrant,
    SessionRequest,
)
from decision.obligations import TagIndex
from decision.policy.input import InputBuilder, principal_json, resource_json
from decision.sessions import Session, Sessions
from decision.tags import with_tags

T = TypeVar("T")


class CredentialVerifier(Protocol):
    async def verify(self, credential: str) -> Principal:
        """Raises IdentityError."""
        ...


class DecisionService:
    """Implements DecisionPort over its ports. `databases` are the settings' entries by name."""

    def __init__(
        self,
        *,
        settings: ServiceSettings,
        databases: Mapping[str, DatabaseEntry],
        journal: Journal,
        engine: PolicyEngine,
        judge: StatementJudge,
        builder: InputBuilder,
        verifier: CredentialVerifier,
        digester: Digester,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._settings = settings
        self._databases = databases
        self._journal = journal
        self._engine = engine
        self._judge = judge
        self._builder = builder
        self._verifier = verifier
        self._digester = digester
        self._clock = clock
        self._ids = ids
        self._sessions = Sessions(settings.max_sessions)
        self._catalogs: dict[str, Catalog] = {}
        self._consent = Consent(self.record, clock, ids, settings, digester)
        self._settling: set[asyncio.Future[Any]] = set()

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _queue(self, payload: Payload, correlation_id: str, causation_id: str = "") -> Awaitable[AuditEvent]:
        """Take the event's place in the journal's order. Raises JournalUnavailable."""
        draft = EventDraft(
            id=self._ids.new_id(),
            time_unix_nano=self._clock.time_unix_nano(),
            source=self._settings.name,
            correlation_id=correlation_id,
            payload=payload,
            causation_id=causation_id,
        )
        return self._journal.append(draft)

    async def record(self, payload: Payload, correlation_id: str) -> AuditEvent:
        """Make one event durable and fold it. Raises JournalUnavailable."""
        return await self._to_the_end(self._recorded(payload, correlation_id))

    async def _recorded(self, payload: Payload, correlation_id: str) -> AuditEvent:
        event = await self._queue(payload, correlation_id)
        self._consent.folded(payload, event.draft.time_unix_nano)
        return event

    def replay(self, reader: JournalReader) -> int:
        """Rebuild the approvals from the journal of earlier runs, before the first decision."""
        return self._consent.replay(reader)

    # ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        session_id = self._ids.new_id()
        principal: Principal | None = None
        try:
            if request.replication:
                raise SessionRefused(REPLICATION.message, hint=REPLICATION.hint)
            entry = self._databases.get(request.database)
            principal = await self._verifier.verify(request.credential)
            if entry is None:
                known = ", ".join(sorted(self._databases)) or "none"
                raise SessionRefused(f"there is no database entry {request.database!r}", hint=f"known are: {known}")
            self._sessions.check_room()
            session = self._new_session(session_id, principal, entry, request)
            await self._judge_session(session)
        except Denied as error:
            if not isinstance(error, JournalUnavailable):
                await self._record_refusal(session_id, request, principal, error)
            raise
        opened = SessionOpened(
            session_id, principal, entry.name, entry.engine, entry.environment.value, entry.db_role, request.client,
            request.enforcement_point, request.intent, request.ticket,
        )  # fmt: skip
        event = await self._queue(opened, session_id)
        session.opened_event_id = event.draft.id
        self._sessions.add(session)
        return SessionGrant(
            session_id, principal, entry.name, entry.environment.value, entry.db_role, (), session.expires_unix
        )

    def _new_session(
        self, session_id: str, principal: Principal, entry: DatabaseEntry, request: SessionRequest
    ) -> Session:
        resource = Resource(entry.name, entry.engine, entry.environment, tuple(sorted(entry.labels.items())))
        return Session(
            session_id=session_id,
            principal=principal,
            principal_json=principal_json(principal),
            resource_json=resource_json(resource),
            entry=entry,
            request=replace(request, credential=""),
            opened_event_id="",
        )

    async def _judge_session(self, session: Session) -> None:
        """Raises SessionRefused when policy does not let this principal in."""
        context = Context(
            session_id=session.session_id,
            time_unix=self._clock.time_unix_nano() // 1_000_000_000,
            intent=session.request.intent,
            ticket=session.request.ticket,
            client=session.request.client,
            enforcement_point=session.request.enforcement_point,
        )
        document, key = self._builder.build(
            Phase.SESSION, session.principal_json, "connect", session.resource_json, b"", context
        )
        evaluation = await self._engine.evaluate(document, key)
        if evaluation.effect is not PolicyEffect.ALLOW:
            message = message_for(evaluation, speaking_results(evaluation))
            raise SessionRefused(message, hint=" ".join(evaluation.advice))

    async def _record_refusal(
        self, session_id: str, request: SessionRequest, principal: Principal | None, error: Denied
    ) -> None:
        refused = SessionRefusedEvent(
            session_id, request.database, request.user, error.code, error.message, request.client,
            request.enforcement_point, principal,
        )  # fmt: skip
        await self._queue(refused, session_id)

    async def close_session(self, end: SessionEnd) -> None:
        session = self._sessions.remove(end.session_id)
        if session is None:
            return
        closed = SessionClosed(end.session_id, end.reason, end.duration_ns, end.statements, end.bytes_in, end.bytes_out)
        await self._queue(closed, end.session_id, session.opened_event_id)

    # ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def decide(self, request: DecideRequest) -> Decision:
        started = self._clock.monotonic_ns()
        session = self._sessions.get(request.session_id)
        async with session.lock:
            self._journal.check()
            question = self._question(session, request)
            try:
                judged = await self._judged(question)
                waiting, decision = self._queue_decision(question, judged, started)
            except BaseException:
                self._consent.release(question.grant)
                raise
            runs = decision.effect is PolicyEffect.ALLOW and request.kind is not MessageKind.PARSE
            if runs and judged.analysis is not None and judged.state is not None:
                session.state = judged.state.advance(judged.analysis, request.transaction_status)
                session.settings = request.settings
        if len(waiting) == 1:
            self._consent.release(question.grant)
            await waiting[0]
        else:
            await self._to_the_end(self._settle(waiting, question.grant))
        return decision

    async def _to_the_end(self, settling: Coroutine[None, None, T]) -> T:
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
                self._consent.folded(event.payload, event.draft.time_unix_nano)
        finally:
            self._consent.release(grant)

    def _question(self, session: Session, request: DecideRequest) -> Question:
        return Question(
            session=session,
            request=request,
            decision_id=self._ids.new_id(),
            time_unix=self._clock.time_unix_nano() // 1_000_000_000,
            catalog=self._catalogs.get(session.entry.name),
            statement_digest=self._digester.statement(request.text),
            parameters_digest=self._digester.parameters(request.parameters),
            intent=request.intent or session.request.intent,
            ticket=request.ticket or session.request.ticket,
        )

    async def _judged(self, question: Question) -> Judged:
        expires = question.session.expires_unix
        if expires and question.time_unix >= expires:
            return self._judge.deny(question, SESSION_EXPIRED)
        return await self._judge.judge(question, self._consent.grant_for)

    def _queue_decision(
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
            waiting.append(self._queue(extra, session.session_id, question.decision_id))
        latency = self._clock.monotonic_ns() - started_ns
        event = self._judge.event(question, judged, effect, approval_id, latency)
        waiting.append(self._queue(event, session.session_id, session.opened_event_id))
        return waiting, decision

    async def decide_many(self, requests: Sequence[DecideRequest]) -> list[Decision | Exception]:
        answers = await asyncio.gather(*(self.decide(request) for request in requests), return_exceptions=True)
        failures = [a for a in answers if isinstance(a, BaseException) and not isinstance(a, Exception)]
        if failures:
            raise failures[0]
        return [answer for answer in answers if isinstance(answer, Decision | Exception)]

    # ── what enforcement points tell ────────────────────────────────────────────────────────────────────────────────

    async def report(self, report: ExecutionReport) -> None:
        executed = StatementExecuted(
            report.decision_id, report.session_id, report.statement_index, report.outcome, report.command_tag,
            report.rows, report.bytes, report.duration_ns, report.sqlstate, report.masked_cells, report.in_transaction,
        )  # fmt: skip
        await self._queue(executed, report.session_id, report.decision_id)

    async def report_many(self, reports: Sequence[ExecutionReport]) -> list[Exception | None]:
        answers = await asyncio.gather(*map(self.report, reports), return_exceptions=True)
        failures = [a for a in answers if isinstance(a, BaseException) and not isinstance(a, Exception)]
        if failures:
            raise failures[0]
        return [answer if isinstance(answer, Exception) else None for answer in answers]

    async def sync_catalog(self, snapshot: CatalogSnapshot) -> None:
        entry = self._databases.get(snapshot.database)
        if entry is None:
            raise SessionRefused(f"there is no database entry {snapshot.database!r}")
        tagged = with_tags(snapshot, entry.tags)
        before = self._catalogs.get(entry.name)
        if before is not None and before.snapshot.version == tagged.version:
            return
        previous = "" if before is None else before.snapshot.version
        await self._queue(
            CatalogChanged(entry.name, tagged.version, previous, len(tagged.relations)), f"catalog/{entry.name}"
        )
        self._catalogs[entry.name] = Catalog(tagged, TagIndex(tagged))

    async def report_gap(self, gap: EnforcementGap) -> None:
        payload = EnforcementGapReported(
            gap.enforcement_point, gap.reason, gap.denials, gap.since_unix_nano, gap.until_unix_nano
        )
        await self._queue(payload, f"enforcement/{gap.enforcement_point}")

    async def policy_status(self) -> PolicyStatus:
        return self._engine.status()

    # ── approvals ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]:
        asking = await self._verifier.verify(credential)
        return await self._consent.approvals(asking, include_closed=include_closed)

    async def wait_approval(self, session_id: str, approval_id: str, timeout_s: float) -> ApprovalState:
        session = self._sessions.get(session_id)
        return await self._consent.wait(session.principal, approval_id, timeout_s)

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval:
        approver = await self._verifier.verify(credential)
        return await self._consent.vote(approver, approval_id, grant=grant, reason=reason)
