"""The fold of approval events, and the match of a grant to the message that asks again.

The book is what the events say, in their one order (embedded: the journal's; distributed: the approvals topic's).
`reserve` is the one thing beside the fold: between the moment a decision picks a grant and the moment its Used event
is durable, no other decision may pick it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from decision.model.decision import HoldTerms
from decision.model.errors import ApprovalError
from decision.model.events import (
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalUsed,
    Payload,
)
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import Approval, ApprovalState, Vote

CLOSED = frozenset({ApprovalState.DENIED, ApprovalState.EXPIRED, ApprovalState.USED})

ApprovalEvent = ApprovalRequested | ApprovalGranted | ApprovalDenied | ApprovalExpired | ApprovalUsed
APPROVAL_EVENTS = (ApprovalRequested, ApprovalGranted, ApprovalDenied, ApprovalExpired, ApprovalUsed)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a grant is bound to: it fits no other principal chain, database, bytes or parameter values."""

    chain: tuple[tuple[str, str], ...]
    database: str
    statement_digest: bytes
    parameters_digest: bytes

    @staticmethod
    def of(principal: Principal, database: str, statement_digest: bytes, parameters_digest: bytes) -> Binding:
        return Binding(tuple(member.key for member in principal.chain()), database, statement_digest, parameters_digest)


def covers(terms: HoldTerms, votes: tuple[Vote, ...]) -> bool:
    """Whether enough different approvers of the terms' groups have granted."""
    groups = set(terms.approvers)
    granted = {vote.approver.key for vote in votes if vote.granted and groups.intersection(vote.approver.groups)}
    return len(granted) >= terms.quorum


def covered_rules(approval: Approval) -> tuple[str, ...]:
    return tuple(terms.rule for terms in approval.holds if covers(terms, approval.votes))


class ApprovalBook:
    """All approvals known, by id and by what they are bound to. `limit` bounds the closed ones that are remembered."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._by_id: dict[str, Approval] = {}
        self._by_binding: dict[Binding, list[str]] = {}
        self._reserved: set[str] = set()

    def apply(self, payload: Payload, time_unix_nano: int) -> None:
        """Fold one durable event. Events that are not about approvals, or come too late to change one, do nothing."""
        if isinstance(payload, APPROVAL_EVENTS):
            self._fold(payload, time_unix_nano)

    def _fold(self, payload: ApprovalEvent, time_unix_nano: int) -> None:
        if isinstance(payload, ApprovalRequested):
            self._request(payload, time_unix_nano)
            return
        approval = self._by_id.get(payload.approval_id)
        if approval is None or approval.state in CLOSED:
            return
        match payload:
            case ApprovalGranted():
                self._by_id[approval.approval_id] = _granted(approval, payload, time_unix_nano)
            case ApprovalDenied():
                vote = Vote(payload.approver, False, payload.reason, time_unix_nano)
                self._close(replace(approval, state=ApprovalState.DENIED, votes=(*approval.votes, vote)))
            case ApprovalExpired():
                self._close(replace(approval, state=ApprovalState.EXPIRED))
            case ApprovalUsed():
                self._close(replace(approval, state=ApprovalState.USED))
            case _:
                assert_never(payload)

    def _request(self, payload: ApprovalRequested, time_unix_nano: int) -> None:
        if payload.approval_id in self._by_id:
            return
        groups = tuple(dict.fromkeys(group for terms in payload.holds for group in terms.approvers))
        self._by_id[payload.approval_id] = Approval(
            approval_id=payload.approval_id,
            state=ApprovalState.REQUESTED,
            requester=payload.requester,
            database=payload.database,
            statement=payload.statement,
            statement_digest=payload.statement_digest,
            parameters_digest=payload.parameters_digest,
            rules=tuple(terms.rule for terms in payload.holds),
            approvers=groups,
            quorum=max((terms.quorum for terms in payload.holds), default=1),
            requested_unix_nano=time_unix_nano,
            expires_unix_nano=payload.expires_unix_nano,
            intent=payload.intent,
            ticket=payload.ticket,
            decision_id=payload.decision_id,
            session_id=payload.session_id,
            holds=payload.holds,
        )
        self._by_binding.setdefault(_binding(self._by_id[payload.approval_id]), []).append(payload.approval_id)

    def _close(self, approval: Approval) -> None:
        """Keep a closed approval for show, at the end of the order; forget the oldest closed ones past the limit."""
        self._by_id.pop(approval.approval_id, None)
        self._by_id[approval.approval_id] = approval
        self._reserved.discard(approval.approval_id)
        ids = self._by_binding.get(_binding(approval), [])
        if approval.approval_id in ids:
            ids.remove(approval.approval_id)
        if not ids:
            self._by_binding.pop(_binding(approval), None)
        if len(self._by_id) > self._limit:
            oldest = next((key for key, value in self._by_id.items() if value.state in CLOSED), None)
            if oldest is not None:
                del self._by_id[oldest]

    @property
    def nothing_open(self) -> bool:
        """Whether `find` can find nothing."""
        return not self._by_binding

    def get(self, approval_id: str) -> Approval | None:
        return self._by_id.get(approval_id)

    def approvals(self, *, include_closed: bool = False) -> list[Approval]:
        """Newest request first."""
        chosen = [a for a in self._by_id.values() if include_closed or a.state not in CLOSED]
        return sorted(chosen, key=lambda a: (a.requested_unix_nano, a.approval_id), reverse=True)

    def find(self, binding: Binding, now_unix_nano: int) -> Approval | None:
        """The open approval that fits: a free grant before a request that still waits."""
        found: Approval | None = None
        for approval_id in self._by_binding.get(binding, ()):
            approval = self._by_id[approval_id]
            if approval_id in self._reserved or approval.expires_unix_nano <= now_unix_nano:
                continue
            if approval.state is ApprovalState.GRANTED:
                return approval
            found = found or approval
        return found

    def reserve(self, approval_id: str) -> None:
        """Take a grant for the decision in hand. `release` it if that decision does not use it after all."""
        if approval_id in self._reserved:
            raise ApprovalError(f"approval {approval_id} is in use by another decision")
        self._reserved.add(approval_id)

    def release(self, approval_id: str) -> None:
        self._reserved.discard(approval_id)

    def expired(self, now_unix_nano: int) -> list[str]:
        """Ids of open approvals whose time is over, for Expired events."""
        return [
            a.approval_id
            for a in self._by_id.values()
            if a.state not in CLOSED and a.expires_unix_nano <= now_unix_nano and a.approval_id not in self._reserved
        ]

    def check_vote(self, approval_id: str, approver: Principal, now_unix_nano: int) -> Approval:
        """The approval, if `approver` may vote on it now. Raises ApprovalError saying why not."""
        approval = self._by_id.get(approval_id)
        if approval is None:
            raise ApprovalError(f"no approval {approval_id}", hint="airlock approvals list shows the open ones")
        if approval.state is not ApprovalState.REQUESTED:
            raise ApprovalError(f"approval {approval_id} is already {approval.state.value}")
        if approval.expires_unix_nano <= now_unix_nano:
            raise ApprovalError(f"approval {approval_id} has expired", hint="run the statement again to ask anew")
        if approver.kind is not PrincipalKind.HUMAN:
            raise ApprovalError("only a person may approve", hint="sign in as yourself, not as an agent or a service")
        if approver.involves(approval.requester):
            raise ApprovalError(
                "nobody may approve their own request, nor one made on their behalf", hint="ask another approver"
            )
        if not set(approval.approvers).intersection(approver.groups):
            raise ApprovalError(f"approvers must be in one of the groups {', '.join(approval.approvers)}")
        if any(vote.approver.key == approver.key for vote in approval.votes):
            raise ApprovalError(f"you have already voted on approval {approval_id}")
        return approval


def _binding(approval: Approval) -> Binding:
    return Binding.of(approval.requester, approval.database, approval.statement_digest, approval.parameters_digest)


def _granted(approval: Approval, payload: ApprovalGranted, time_unix_nano: int) -> Approval:
    """Count the vote, unless it is one that may not count (the log may hold what another version let through)."""
    known = {vote.approver.key for vote in approval.votes}
    if payload.approver.key in known or payload.approver.involves(approval.requester):
        return approval
    votes = (*approval.votes, Vote(payload.approver, True, payload.reason, time_unix_nano))
    complete = all(covers(terms, votes) for terms in approval.holds)
    return replace(approval, votes=votes, state=ApprovalState.GRANTED if complete else approval.state)
