"""Approvals as a use case: requests made by holds, votes, expiry and use; durable events first, then the book.

When an event counts is for the order to say (decision.order). Where that takes time after the event is durable, the use
of a grant is made certain before the message is let through (`claim`); else both are written together (`used`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from decision.approvals.book import APPROVAL_EVENTS, Binding, covered_rules
from decision.config import ServiceSettings
from decision.denials import (
    APPROVAL_EXPIRED,
    APPROVAL_UNCONFIRMED,
    APPROVAL_USED,
    APPROVALS_AWAY,
    BuiltinDenial,
)
from decision.digest import Digester
from decision.model.decision import PolicyEffect
from decision.model.errors import ApprovalError, JournalUnavailable
from decision.model.events import (
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalUsed,
    AuditEvent,
    Payload,
)
from decision.model.facts import Facts
from decision.model.policy import ApprovalContext
from decision.model.ports import Clock, IdSource, JournalReader
from decision.model.principal import Principal
from decision.model.session import Approval, ApprovalState, DecideRequest, MessageKind
from decision.order import ApprovalOrder, Standing
from decision.question import Judged, Question
from decision.sessions import Session


class Append(Protocol):
    """Make a payload durable and tell the order (`Consent.appended`), even if whoever asked gives up meanwhile. Raises
    JournalUnavailable."""

    def __call__(self, payload: Payload, correlation_id: str, causation_id: str = "") -> Awaitable[AuditEvent]: ...


_RUNS = (MessageKind.QUERY, MessageKind.BIND)
_REPLAY_BATCH = 2_000


def touched(facts: Facts | None) -> bytes:
    """The relations and functions that a message's names were resolved to, in one form."""
    if facts is None:
        return b""
    parts = [
        (
            sorted(
                (use.schema, use.name, use.via.value, *sorted(a.value for a in use.access)) for use in one.relations
            ),
            sorted((use.schema, use.name) for use in one.functions),
        )
        for one in facts.statements
    ]
    return b"\0" + repr(parts).encode()


class Consent:
    """`append` makes an event durable; `order` says when it counts, and holds the book."""

    def __init__(
        self,
        append: Append,
        order: ApprovalOrder,
        clock: Clock,
        ids: IdSource,
        settings: ServiceSettings,
        digester: Digester,
    ) -> None:
        self._append = append
        self._order = order
        self._book = order.book
        self._digester = digester
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._changed = asyncio.Event()
        self._expiring: set[str] = set()
        order.on_change = self._on_change

    def replay(self, reader: JournalReader) -> int:
        """Hand the order what the journal holds from earlier runs; returns how many approval events there were. Does
        nothing where the journal is not the order."""
        after, found = 0, 0
        while not self._order.awaited and (events := reader.read(after, _REPLAY_BATCH)):
            for event in events:
                self._order.appended(event)
                found += isinstance(event.payload, APPROVAL_EVENTS)
            after = events[-1].seq
        return found

    def appended(self, event: AuditEvent) -> None:
        """An event of this service has become durable."""
        self._order.appended(event)

    def _on_change(self) -> None:
        """Wake those who wait for an approval."""
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def away(self) -> bool:
        """Whether approvals can neither be used nor asked for now."""
        return self._order.away

    @property
    def awaited(self) -> bool:
        """Whether it takes time to make a grant's use certain."""
        return self._order.awaited

    def _binding(self, question: Question) -> Binding:
        """The message with what it was found to touch: the same bytes under another search_path are another one."""
        return Binding.of(
            question.session.principal,
            question.session.entry.name,
            self._digester.statement(question.request.text + touched(question.facts)),
            question.parameters_digest,
        )

    def may_be_granted(self, session: Session, request: DecideRequest) -> bool:
        """Whether there is an approval to look for."""
        return self._book.may_hold(session.holder) and request.kind in _RUNS

    def grant_for(self, question: Question) -> ApprovalContext | None:
        """The grant that fits this very message, reserved for it. A Parse runs nothing and takes none."""
        if not self.may_be_granted(question.session, question.request) or self._order.away:
            return None
        approval = self._book.find(self._binding(question), self._clock.time_unix_nano())
        if approval is None or approval.state is not ApprovalState.GRANTED:
            return None
        self._book.reserve(approval.approval_id)
        voters = tuple(vote.approver.subject for vote in approval.votes if vote.granted)
        return ApprovalContext(approval.approval_id, covered_rules(approval), voters)

    def release(self, grant: ApprovalContext | None) -> None:
        if grant is not None:
            self._book.release(grant.approval_id)

    def request_for(self, question: Question, judged: Judged) -> ApprovalRequested | str:
        """What a hold asks for: a new request, or the id of the open one that the same message made before."""
        now = self._clock.time_unix_nano()
        binding = self._binding(question)
        known = self._book.find(binding, now)
        if known is not None:
            return known.approval_id
        for unread in self._order.unread():
            if _binding_of(unread) == binding and unread.expires_unix_nano > now:
                return unread.approval_id
        bound = self._settings.approval_expires_s
        expires_s = min((terms.expires_s for terms in judged.evaluation.holds), default=bound)
        return ApprovalRequested(
            approval_id=self._ids.new_id(),
            decision_id=question.decision_id,
            session_id=question.session.session_id,
            requester=question.session.principal,
            database=question.session.entry.name,
            statement=judged.statement_text(question.request.text),
            statement_digest=binding.statement_digest,
            parameters_digest=question.parameters_digest,
            holds=judged.evaluation.holds,
            expires_unix_nano=now + min(expires_s, bound) * 1_000_000_000,
            intent=question.intent,
            ticket=question.ticket,
        )

    def wait_s(self, judged: Judged) -> int:
        """How long the client may be kept waiting."""
        if judged.decision.effect is not PolicyEffect.HOLD:
            return 0
        wanted = min((terms.wait_s for terms in judged.evaluation.holds), default=0)
        return min(wanted, self._settings.approval_wait_s)

    def used(self, question: Question) -> ApprovalUsed | None:
        """The event that is to be written with the decision that uses a grant; None where `claim` has written it."""
        if question.grant is None or self._order.awaited:
            return None
        return ApprovalUsed(question.grant.approval_id, question.decision_id, question.session.session_id)

    async def claim(self, question: Question) -> BuiltinDenial | None:
        """Make certain that the question's grant is used by this decision and no other, here or at another service;
        why it can't be, otherwise. Once the Used event is written the grant is spent, whatever comes of it. Raises
        JournalUnavailable."""
        grant = question.grant
        if grant is None or not self._order.awaited:
            return None
        if self._order.away:
            return APPROVALS_AWAY
        used = ApprovalUsed(grant.approval_id, question.decision_id, question.session.session_id)
        self._book.spend(grant.approval_id)
        try:
            event = await self._append(used, question.session.session_id, question.decision_id)
        except JournalUnavailable:
            self._book.unspend(grant.approval_id)
            raise
        match await self._order.standing(event):
            case Standing.COUNTED:
                return None
            case Standing.OVERTAKEN:
                approval = self._book.get(grant.approval_id)
                expired = approval is not None and approval.state is ApprovalState.EXPIRED
                return APPROVAL_EXPIRED if expired else APPROVAL_USED
            case Standing.UNCONFIRMED:
                return APPROVAL_UNCONFIRMED

    async def expire_due(self) -> None:
        """Close what has run out of time."""
        if self._order.away:
            return
        due = [one for one in self._book.expired(self._clock.time_unix_nano()) if one not in self._expiring]
        self._expiring.update(due)
        try:
            events = [await self._append(ApprovalExpired(approval_id), approval_id) for approval_id in due]
            await asyncio.gather(*map(self._order.standing, events))
        finally:
            self._expiring.difference_update(due)

    async def approvals(self, asking: Principal, *, include_closed: bool) -> list[Approval]:
        """What concerns `asking`: requests that they may vote on, and their own. Raises ApprovalError where none are
        known yet."""
        if not self._order.known:
            raise ApprovalError(APPROVALS_AWAY.message, hint=APPROVALS_AWAY.hint)
        await self.expire_due()
        groups = set(asking.groups)
        return [
            approval
            for approval in self._book.approvals(include_closed=include_closed)
            if groups.intersection(approval.approvers) or asking.involves(approval.requester)
        ]

    async def vote(self, approver: Principal, approval_id: str, *, grant: bool, reason: str) -> Approval:
        """The approval after the vote. Raises ApprovalError. Between check and vote another one may come first: the
        order decides."""
        if self._order.away:
            raise ApprovalError(APPROVALS_AWAY.message, hint=APPROVALS_AWAY.hint)
        await self.expire_due()
        approval = self._book.check_vote(approval_id, approver, self._clock.time_unix_nano())
        payload = (ApprovalGranted if grant else ApprovalDenied)(approval_id, approver, reason)
        event = await self._append(payload, approval_id)
        if await self._order.standing(event) is Standing.UNCONFIRMED:
            raise ApprovalError(
                "your vote is recorded, but did not come back from the event stream in time",
                hint="it counts once the stream is back; airlock approvals show tells when",
            )
        return self._book.get(approval_id) or approval

    async def wait(self, requester: Principal, approval_id: str, timeout_s: float) -> ApprovalState:
        """The state once it is no longer `requested`, or when `timeout_s` is over."""
        deadline = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        while True:
            state = await self._state_for(requester, approval_id)
            rest = (deadline - self._clock.monotonic_ns()) / 1e9
            if state is not ApprovalState.REQUESTED or rest <= 0:
                return state
            changed = self._changed
            try:
                async with asyncio.timeout(rest):
                    await changed.wait()
            except TimeoutError:
                continue

    async def _state_for(self, requester: Principal, approval_id: str) -> ApprovalState:
        known: Approval | ApprovalRequested | None = self._book.get(approval_id)
        if known is None:
            known = next((one for one in self._order.unread() if one.approval_id == approval_id), None)
        if known is None or known.requester.key != requester.key:
            raise ApprovalError(f"this session asked for no approval {approval_id}")
        if known.expires_unix_nano <= self._clock.time_unix_nano():
            await self.expire_due()
            return ApprovalState.EXPIRED
        return known.state if isinstance(known, Approval) else ApprovalState.REQUESTED


def _binding_of(asked: ApprovalRequested) -> Binding:
    return Binding.of(asked.requester, asked.database, asked.statement_digest, asked.parameters_digest)
