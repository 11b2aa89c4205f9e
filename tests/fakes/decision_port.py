"""A small deterministic DecisionPort in memory, for tests of the transport and of what calls the port.

Its rules are the simplest that show a transport's mistakes: an open session is needed, texts are decided by their first
word, decisions are numbered in the order of the calls, everything told is kept in lists.

    allow …      allowed, with every kind of obligation filled in
    deny …       denied, by a rule
    hold …       held, and asks for an approval
    wait …       decided only once `release()` was called
    raise CODE   the error of the tree with that code
    crash        an exception that is none of ours
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from decision.model.catalog import CatalogSnapshot
from decision.model.decision import (
    ColumnGuard,
    Decision,
    HoldTerms,
    Limits,
    MaskMethod,
    OutputMask,
    PolicyEffect,
    RuleResult,
    StatementObligations,
)
from decision.model.errors import ApprovalError, CredentialInvalid, JournalFull, SessionRefused, SessionUnknown
from decision.model.principal import Principal, PrincipalKind
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
    Vote,
)
from decision.wire.errors import tree

DATABASE = "shop"
RULE = RuleResult("test.rule", PolicyEffect.DENY, "not this", "high", ("SOC2:CC6.1",))
TERMS = HoldTerms("test.hold", ("owners",), 2, 600, 3, "")
OBLIGATIONS = StatementObligations(
    0, 2, (OutputMask(2, MaskMethod.EMAIL, "test.mask"),), (ColumnGuard(16_400, 3, MaskMethod.NULL),), (16_400,),
    (1,), True,
)  # fmt: skip


class MemoryDecisionPort:
    """Credentials are names: `alice` is a human, `nobody` proves nothing."""

    def __init__(self) -> None:
        self.sessions: dict[str, SessionGrant] = {}
        self.opened: list[SessionRequest] = []
        self.decided: list[DecideRequest] = []
        self.reports: list[ExecutionReport] = []
        self.ended: list[SessionEnd] = []
        self.catalogs: list[CatalogSnapshot] = []
        self.gaps: list[EnforcementGap] = []
        self.approvals: dict[str, Approval] = {}
        self.journal_full = False
        self._released = asyncio.Event()
        self.waiting = 0

    def release(self) -> None:
        self._released.set()

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        principal = self._verified(request.credential)
        if request.database != DATABASE:
            raise SessionRefused("there is no such database", hint=f"known are: {DATABASE}")
        self.opened.append(request)
        session_id = f"session-{len(self.opened)}"
        grant = SessionGrant(session_id, principal, DATABASE, "prod", "reader", (("a", "b"), ("a", "c")), 4_000_000_000)
        self.sessions[session_id] = grant
        return grant

    async def decide(self, request: DecideRequest) -> Decision:
        grant = self.sessions.get(request.session_id)
        if grant is None:
            raise SessionUnknown("this session is not open at the decision service", hint="connect again")
        self.decided.append(request)
        decision_id = f"decision-{len(self.decided)}"
        word, _, rest = request.text.decode().partition(" ")
        if word == "wait":
            self.waiting += 1
            await self._released.wait()
        if word == "raise":
            raise next(leaf for leaf in tree() if leaf.code == rest)("as asked", hint="the way out")
        if word == "crash":
            raise RuntimeError("secret 4711")
        if word == "deny":
            return Decision(decision_id, PolicyEffect.DENY, "not this", "do that", (RULE,), policy_revision="r1")
        if word == "hold":
            return self._held(decision_id, grant, request)
        limits = Limits(rows=1000, bytes=None, timeout_ms=0, read_only=True)
        return Decision(
            decision_id, PolicyEffect.ALLOW, statements=(OBLIGATIONS,), limits=limits, advice=("mind",),
            policy_revision="r1", catalog_changing=True, tracks=("select",),
        )  # fmt: skip

    async def decide_many(self, requests: Sequence[DecideRequest]) -> list[Decision | Exception]:
        answers = await asyncio.gather(*(self.decide(request) for request in requests), return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, Decision | Exception)]

    async def report(self, report: ExecutionReport) -> None:
        if self.journal_full:
            raise JournalFull("audit log unavailable: the disk is full", hint="make room")
        self.reports.append(report)

    async def report_many(self, reports: Sequence[ExecutionReport]) -> list[Exception | None]:
        found = await asyncio.gather(*map(self.report, reports), return_exceptions=True)
        return [one if isinstance(one, Exception) else None for one in found]

    async def close_session(self, end: SessionEnd) -> None:
        if self.sessions.pop(end.session_id, None) is None:
            raise SessionUnknown("this session is not open at the decision service", hint="connect again")
        self.ended.append(end)

    async def sync_catalog(self, snapshot: CatalogSnapshot) -> None:
        self.catalogs.append(snapshot)

    async def report_gap(self, gap: EnforcementGap) -> None:
        self.gaps.append(gap)

    async def policy_status(self) -> PolicyStatus:
        return PolicyStatus("memory", "r1", 17, ("guardrails", "access"), "")

    async def wait_approval(self, session_id: str, approval_id: str, timeout_s: float) -> ApprovalState:
        if session_id not in self.sessions:
            raise SessionUnknown("this session is not open at the decision service", hint="connect again")
        return self._approval(approval_id).state

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]:
        self._verified(credential)
        return [a for a in self.approvals.values() if include_closed or a.state is ApprovalState.REQUESTED]

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval:
        approver = self._verified(credential)
        asked = self._approval(approval_id)
        if approver.involves(asked.requester):
            raise ApprovalError("nobody approves their own statement", hint="ask someone else")
        state = ApprovalState.GRANTED if grant else ApprovalState.DENIED
        votes = (*asked.votes, Vote(approver, grant, reason, 19))
        fields = {name: getattr(asked, name) for name in Approval.__dataclass_fields__}
        self.approvals[approval_id] = Approval(**fields | {"state": state, "votes": votes})
        return self.approvals[approval_id]

    def _verified(self, credential: str) -> Principal:
        if credential == "nobody":
            raise CredentialInvalid("the token's signature does not verify", hint="sign in")
        return Principal("memory", credential, PrincipalKind.HUMAN, f"{credential}@example.com", ("staff",))

    def _held(self, decision_id: str, grant: SessionGrant, request: DecideRequest) -> Decision:
        approval_id = f"approval-{len(self.approvals) + 1}"
        self.approvals[approval_id] = Approval(
            approval_id, ApprovalState.REQUESTED, grant.principal, DATABASE, "hold $1", b"s", b"p", ("test.hold",),
            ("owners",), 2, 17, 18, request.intent, request.ticket, decision_id, request.session_id, (), (TERMS,),
        )  # fmt: skip
        return Decision(
            decision_id, PolicyEffect.HOLD, "needs consent", holds=(TERMS,), approval_id=approval_id, wait_s=3
        )

    def _approval(self, approval_id: str) -> Approval:
        found = self.approvals.get(approval_id)
        if found is None:
            raise ApprovalError("there is no such approval", hint="airlock approvals list")
        return found
