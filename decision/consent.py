"""Approvals as a use case: requests made by holds, votes, expiry and use; durable events first, then the book."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from decision.approvals.book import APPROVAL_EVENTS, ApprovalBook, Binding, covered_rules
from decision.config import ServiceSettings
from decision.digest import Digester
from decision.model.decision import PolicyEffect
from decision.model.errors import ApprovalError
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
from decision.question import Judged, Question

Append = Callable[[Payload, str], Awaitable[AuditEvent]]
"""Make a payload durable under a correlation id."""

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
    """`append` makes an event durable; every event is folded into the book only once it is."""

    def __init__(
        self, append: Append, clock: Clock, ids: IdSource, settings: ServiceSettings, digester: Digester
    ) -> None:
        self._append = append
        self._digester = digester
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._book = ApprovalBook()
        self._changed = asyncio.Event()

    def replay(self, reader: JournalReader) -> int:
        """Fold what the journal holds from earlier runs; returns how many approval events there were."""
        after, found = 0, 0
        while events := reader.read(after, _REPLAY_BATCH):
            for event in events:
                if isinstance(event.payload, APPROVAL_EVENTS):
                    self._book.apply(event.payload, event.draft.time_unix_nano)
                    found += 1
            after = events[-1].seq
        return found

    def folded(self, payload: Payload, time_unix_nano: int) -> None:
        """Fold an event that has just become durable and wake those who wait for it."""
        if not isinstance(payload, APPROVAL_EVENTS):
            return
        self._book.apply(payload, time_unix_nano)
        self._changed.set()
        self._changed = asyncio.Event()

    def _binding(self, question: Question) -> Binding:
        """The message with what it was found to touch: the same bytes under another search_path are another one."""
        return Binding.of(
            question.session.principal,
            question.session.entry.name,
            self._digester.statement(question.request.text + touched(question.facts)),
            question.parameters_digest,
        )

    def may_be_granted(self, request: DecideRequest) -> bool:
        """Whether there is an approval to look for."""
        return not self._book.nothing_open and request.kind in _RUNS

    def grant_for(self, question: Question) -> ApprovalContext | None:
        """The grant that fits this very message, reserved for it. A Parse runs nothing and takes none."""
        if not self.may_be_granted(question.request):
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
        if question.grant is None:
            return None
        return ApprovalUsed(question.grant.approval_id, question.decision_id, question.session.session_id)

    async def expire_due(self) -> None:
        """Close what has run out of time."""
        for approval_id in self._book.expired(self._clock.time_unix_nano()):
            await self._append(ApprovalExpired(approval_id), approval_id)

    async def approvals(self, asking: Principal, *, include_closed: bool) -> list[Approval]:
        """What concerns `asking`: requests that they may vote on, and their own."""
        await self.expire_due()
        groups = set(asking.groups)
        return [
            approval
            for approval in self._book.approvals(include_closed=include_closed)
            if groups.intersection(approval.approvers) or asking.involves(approval.requester)
        ]

    async def vote(self, approver: Principal, approval_id: str, *, grant: bool, reason: str) -> Approval:
        """Raises ApprovalError. Between check and durable vote another one may come first: the fold decides."""
        await self.expire_due()
        approval = self._book.check_vote(approval_id, approver, self._clock.time_unix_nano())
        payload = (ApprovalGranted if grant else ApprovalDenied)(approval_id, approver, reason)
        await self._append(payload, approval_id)
        return self._book.get(approval_id) or approval

    async def wait(self, requester: Principal, approval_id: str, timeout_s: float) -> ApprovalState:
        """The state once it is no longer `requested`, or when `timeout_s` is over."""
        deadline = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        while True:
            approval = self._book.get(approval_id)
            if approval is None or approval.requester.key != requester.key:
                raise ApprovalError(f"this session asked for no approval {approval_id}")
            if approval.expires_unix_nano <= self._clock.time_unix_nano():
                await self.expire_due()
                return ApprovalState.EXPIRED
            rest = (deadline - self._clock.monotonic_ns()) / 1e9
            if approval.state is not ApprovalState.REQUESTED or rest <= 0:
                return approval.state
            changed = self._changed
            try:
                async with asyncio.timeout(rest):
                    await changed.wait()
            except TimeoutError:
                continue
