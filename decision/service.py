"""The use case: identify, analyse, evaluate, append, answer.

Every answer waits for its event to be durable. Whatever goes wrong on the way becomes a denial with an event; where not
even the event can be written, JournalUnavailable is raised and the enforcement point denies by itself.

Over 300 lines: it is the one place that implements DecisionPort, a short method for each of its calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from decision.answer import resolver
from decision.config import DatabaseEntry, ServiceSettings
from decision.consent import Consent
from decision.deciding import Decider
from decision.denials import REPLICATION, message_for, speaking_results
from decision.digest import Digester
from decision.judge import StatementJudge
from decision.meter import DecisionMeter
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import Denied, JournalUnavailable, SessionRefused
from decision.model.events import (
    AuditEvent,
    CatalogChanged,
    EnforcementGapReported,
    Payload,
    SessionClosed,
    SessionOpened,
)
from decision.model.events import SessionRefused as SessionRefusedEvent
from decision.model.metrics import Sample, gauge
from decision.model.policy import Context, Phase, Resource
from decision.model.ports import Clock, IdSource, Journal, JournalReader, PolicyEngine
from decision.model.principal import Principal
from decision.model.session import (
    Approval,
    ApprovalState,
    DecideRequest,
    EnforcementGap,
    ExecutionReport,
    PolicyStatus,
    SessionEnd,
    SessionGrant,
    SessionRequest,
)
from decision.obligations import TagIndex
from decision.order import ApprovalOrder, LocalOrder
from decision.policy.input import InputBuilder, principal_json, resource_json
from decision.question import Catalog
from decision.recorder import Recorder, Recording
from decision.sessions import Session, Sessions, Turn
from decision.tags import with_tags

T = TypeVar("T")


class CredentialVerifier(Protocol):
    async def verify(self, credential: str) -> Principal:
        """Raises IdentityError."""
        ...


class DecisionService:
    """Implements DecisionPort and PromptDecisions over its ports. `databases` are the settings' entries by name;
    `order` is whose order approvals follow, its journal's where none is given."""

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
        order: ApprovalOrder | None = None,
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
        self._meter = DecisionMeter(clock)
        self._sessions = Sessions(settings.max_sessions)
        self._catalogs: dict[str, Catalog] = {}
        self._recorder = Recorder(journal, clock, ids, settings.name)
        self.order = order or LocalOrder()
        self._consent = Consent(self.record, self.order, clock, ids, settings, digester)
        self._decider = Decider(
            recorder=self._recorder,
            judge=judge,
            consent=self._consent,
            digester=digester,
            clock=clock,
            ids=ids,
            catalogs=self._catalogs,
            meter=self._meter,
        )

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def record(self, payload: Payload, correlation_id: str, causation_id: str = "") -> AuditEvent:
        """Make one event durable and fold it. Raises JournalUnavailable."""
        return await self._decider.to_the_end(self._recorded(payload, correlation_id, causation_id))

    async def _recorded(self, payload: Payload, correlation_id: str, causation_id: str) -> AuditEvent:
        event = await self._recorder.queue(payload, correlation_id, causation_id)
        self._consent.appended(event)
        return event

    def replay(self, reader: JournalReader) -> int:
        """Rebuild the approvals from the journal of earlier runs, before the first decision, if it is their order."""
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
        event = await self._recorder.queue(opened, session_id)
        session.opened_event_id = event.draft.id
        self._sessions.add(session)
        self._meter.sessions_opened += 1
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
        time_unix = self._clock.time_unix_nano() // 1_000_000_000
        counted = self._judge.counted(session.principal, time_unix)
        context = Context(
            session_id=session.session_id,
            time_unix=time_unix,
            intent=session.request.intent,
            ticket=session.request.ticket,
            client=session.request.client,
            enforcement_point=session.request.enforcement_point,
            counters=counted.own,
            counters_behind=counted.behind,
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
        self._meter.session_refused(error.code)
        refused = SessionRefusedEvent(
            session_id, request.database, request.user, error.code, error.message, request.client,
            request.enforcement_point, principal,
        )  # fmt: skip
        await self._recorder.queue(refused, session_id)

    async def close_session(self, end: SessionEnd) -> None:
        session = self._sessions.remove(end.session_id)
        if session is None:
            return
        self._meter.sessions_closed += 1
        closed = SessionClosed(end.session_id, end.reason, end.duration_ns, end.statements, end.bytes_in, end.bytes_out)
        await self._recorder.queue(closed, end.session_id, session.opened_event_id)

    # ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def decide(self, request: DecideRequest) -> Coroutine[Any, Any, Decision]:
        """See the port. It is the message's turn from this call on, not from when the coroutine begins."""
        return self._decide(request, Turn(self._sessions.find(request.session_id)))

    async def _decide(self, request: DecideRequest, turn: Turn) -> Decision:
        try:
            return await self._decider.decide(self._sessions.get(request.session_id), request)
        finally:
            turn.end()

    def decide_now(self, request: DecideRequest, done: Callable[[Decision | Exception], None]) -> bool:
        session = self._sessions.find(request.session_id)
        return session is not None and self._decider.decide_now(session, request, done)

    async def decide_many(self, requests: Sequence[DecideRequest]) -> list[Decision | Exception]:
        answers = await asyncio.gather(*map(self._decision, requests), return_exceptions=True)
        failures = [a for a in answers if isinstance(a, BaseException) and not isinstance(a, Exception)]
        if failures:
            raise failures[0]
        return [answer for answer in answers if isinstance(answer, Decision | Exception)]

    def _decision(self, request: DecideRequest) -> Awaitable[Decision]:
        """`decide`, without a task where there is nothing to wait for."""
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        return answer if self.decide_now(request, resolver(answer)) else self.decide(request)

    # ── what enforcement points tell ────────────────────────────────────────────────────────────────────────────────

    async def report(self, report: ExecutionReport) -> None:
        (error,) = await self.report_many((report,))
        if error is not None:
            raise error

    async def report_many(self, reports: Sequence[ExecutionReport]) -> list[Exception | None]:
        recording, recorder, now = Recording(), self._recorder, self._clock.time_unix_nano()
        self._meter.executions += len(reports)
        for report in reports:
            try:
                recorder.executed(report, now, recording.settle)
            except Exception as error:  # noqa: BLE001 - the answer of this report alone
                recording.refused(error)
            else:
                recording.begun()
        return await recording.settled()

    async def sync_catalog(self, snapshot: CatalogSnapshot) -> None:
        entry = self._databases.get(snapshot.database)
        if entry is None:
            raise SessionRefused(f"there is no database entry {snapshot.database!r}")
        tagged = with_tags(snapshot, entry.tags)
        before = self._catalogs.get(entry.name)
        if before is not None and before.snapshot.version == tagged.version:
            return
        previous = "" if before is None else before.snapshot.version
        await self._recorder.queue(
            CatalogChanged(entry.name, tagged.version, previous, len(tagged.relations)), f"catalog/{entry.name}"
        )
        self._catalogs[entry.name] = Catalog(tagged, TagIndex(tagged))

    async def report_gap(self, gap: EnforcementGap) -> None:
        self._meter.gap_denials += gap.denials
        payload = EnforcementGapReported(
            gap.enforcement_point, gap.reason, gap.denials, gap.since_unix_nano, gap.until_unix_nano
        )
        await self._recorder.queue(payload, f"enforcement/{gap.enforcement_point}")

    async def policy_status(self) -> PolicyStatus:
        return self._engine.status()

    def samples(self) -> Iterator[Sample]:
        """See decision.model.metrics."""
        yield from self._meter.samples()
        yield gauge("sessions_open", "Sessions that are open now.", len(self._sessions))
        yield gauge("approvals_open", "Approvals asked for or granted, and not used.", self.order.book.open_count)

    # ── approvals ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]:
        asking = await self._verifier.verify(credential)
        return await self._consent.approvals(asking, include_closed=include_closed)

    async def expire_approvals(self) -> None:
        """Close those whose time is over: nobody may look at them for long. Raises JournalUnavailable."""
        await self._consent.expire_due()

    async def wait_approval(self, session_id: str, approval_id: str, timeout_s: float) -> ApprovalState:
        session = self._sessions.get(session_id)
        return await self._consent.wait(session.principal, approval_id, timeout_s)

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval:
        approver = await self._verifier.verify(credential)
        return await self._consent.vote(approver, approval_id, grant=grant, reason=reason)
