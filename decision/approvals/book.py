"""The fold of approval events, and the match of a grant to the message that asks again.

The book is what the events say, in their one order (embedded: the journal's; distributed: the approvals topic's, see
decision.approvals.partitioned). The first event that decides something decides it; what contradicts it later changes
nothing, so whoever folds the same order knows the same:

    requested ──quorum of grants──▶ granted ──▶ used
        │ └──────a denial──▶ denied     │
        └──────────────expired──────────┴─────▶ expired

`reserve` is the one thing beside the fold: between the moment a decision picks a grant and the moment its Used event
has its place in the order, no other decision of this service may pick it.
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


Chain = tuple[tuple[str, str], ...]
Holder = tuple[Chain, str]
"""Whose grants they are: a principal's chain and the database."""


def chain_of(principal: Principal) -> Chain:
    """Who asks and everyone behind, by their keys."""
    return tuple([member.key for member in principal.chain()])


@dataclass(frozen=True, slots=True)
class Binding:
    """What a grant is bound to: it fits no other principal chain, database, bytes or parameter values."""

    chain: Chain
    database: str
    statement_digest: bytes
    parameters_digest: bytes

    @staticmethod
    def of(principal: Principal, database: str, statement_digest: bytes, parameters_digest: bytes) -> Binding:
        return Binding(chain_of(principal), database, statement_digest, parameters_digest)


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
        self._open: dict[Holder, int] = {}  # how many open ones each has
        self._reserved: set[str] = set()
        self._spent: set[str] = set()  # reserved for good

    def apply(self, payload: Payload, time_unix_nano: int) -> bool:
        """Fold one durable event; whether it changed anything. Those that are not about approvals, or come too late to
        change one, do nothing."""
        return isinstance(payload, APPROVAL_EVENTS) and self._fold(payload, time_unix_nano)

    def _fold(self, payload: ApprovalEvent, time_unix_nano: int) -> bool:
        if isinstance(payload, ApprovalRequested):
            return self._request(payload, time_unix_nano)
        approval = self._by_id.get(payload.approval_id)
        if approval is None:
            return False
        after = _after(approval, payload, time_unix_nano)
        if after is approval:
            return False
        if after.state in CLOSED:
            self._close(after)
        else:
            self._by_id[after.approval_id] = after
        return True

    def _request(self, payload: ApprovalRequested, time_unix_nano: int) -> bool:
        if payload.approval_id in self._by_id:
            return False
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
        binding = _binding(self._by_id[payload.approval_id])
        self._by_binding.setdefault(binding, []).append(payload.approval_id)
        holder = (binding.chain, binding.database)
        self._open[holder] = self._open.get(holder, 0) + 1
        return True

    def _close(self, approval: Approval) -> None:
        """Keep a closed approval for show, at the end of the order; forget the oldest closed ones past the limit."""
        self._by_id.pop(approval.approval_id, None)
        self._by_id[approval.approval_id] = approval
        self._reserved.discard(approval.approval_id)
        self._spent.discard(approval.approval_id)
        binding = _binding(approval)
        ids = self._by_binding[binding]
        ids.remove(approval.approval_id)
        if not ids:
            del self._by_binding[binding]
        holder = (binding.chain, binding.database)
        self._open[holder] -= 1
        if not self._open[holder]:
            del self._open[holder]
        if len(self._by_id) > self._limit:
            oldest = next((key for key, value in self._by_id.items() if value.state in CLOSED), None)
            if oldest is not None:
                del self._by_id[oldest]

    @property
    def open_count(self) -> int:
        """How many wait for a vote or for use."""
        return sum(self._open.values())

    def may_hold(self, holder: Holder) -> bool:
        """Whether `find` may find something for its messages."""
        return bool(self._open) and holder in self._open

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
        if approval_id not in self._spent:
            self._reserved.discard(approval_id)

    def spend(self, approval_id: str) -> None:
        """From now on `release` does nothing: a Used event is on its way and may come to count at any time."""
        self._spent.add(approval_id)

    def unspend(self, approval_id: str) -> None:
        """After all there will be no Used event."""
        self._spent.discard(approval_id)

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


def _after(
    approval: Approval, payload: ApprovalGranted | ApprovalDenied | ApprovalExpired | ApprovalUsed, time_unix_nano: int
) -> Approval:
    """The approval after an event: the same object where the event comes too late, or too early, to change it."""
    waits, granted = approval.state is ApprovalState.REQUESTED, approval.state is ApprovalState.GRANTED
    match payload:
        case ApprovalGranted():
            return _granted(approval, payload, time_unix_nano) if waits else approval
        case ApprovalDenied():
            if not waits or not _may_vote(approval, payload.approver):
                return approval
            vote = Vote(payload.approver, False, payload.reason, time_unix_nano)
            return replace(approval, state=ApprovalState.DENIED, votes=(*approval.votes, vote))
        case ApprovalExpired():
            return replace(approval, state=ApprovalState.EXPIRED) if waits or granted else approval
        case ApprovalUsed():
            return replace(approval, state=ApprovalState.USED) if granted else approval
        case _:
            assert_never(payload)


def _granted(approval: Approval, payload: ApprovalGranted, time_unix_nano: int) -> Approval:
    known = {vote.approver.key for vote in approval.votes}
    if payload.approver.key in known or not _may_vote(approval, payload.approver):
        return approval
    votes = (*approval.votes, Vote(payload.approver, True, payload.reason, time_unix_nano))
    complete = all(covers(terms, votes) for terms in approval.holds)
    return replace(approval, votes=votes, state=ApprovalState.GRANTED if complete else approval.state)


def _may_vote(approval: Approval, approver: Principal) -> bool:
    """Whether the vote counts: `check_vote` refuses the others, but the log may hold what another version let through,
    or what somebody else wrote."""
    return approver.kind is PrincipalKind.HUMAN and not approver.involves(approval.requester)
