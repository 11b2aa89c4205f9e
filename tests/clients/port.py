"""A small deterministic decision service in memory: rules are patterns over the text."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
from decision.model.errors import CredentialInvalid, SessionRefused
from decision.model.principal import Principal, PrincipalKind
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

TOKEN = "good-token"


class RealClock:
    def time_unix_nano(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


@dataclass
class Rule:
    """What is decided for texts that `pattern` is found in. `obligations` sees the request."""

    pattern: str
    effect: PolicyEffect = PolicyEffect.DENY
    message: str = "refused by test rule"
    hint: str = ""
    statements: tuple[StatementObligations, ...] = ()
    limits: Limits = field(default_factory=Limits)
    wait_s: int = 0

    def matches(self, text: str) -> bool:
        return re.search(self.pattern, text, re.IGNORECASE | re.DOTALL) is not None


@dataclass
class FakePort:
    rules: list[Rule] = field(default_factory=list)
    requests: list[DecideRequest] = field(default_factory=list)
    decisions: dict[str, DecideRequest] = field(default_factory=dict)
    opened: list[SessionRequest] = field(default_factory=list)
    reports: list[ExecutionReport] = field(default_factory=list)
    ended: list[SessionEnd] = field(default_factory=list)
    gaps: list[EnforcementGap] = field(default_factory=list)
    synced: list[CatalogSnapshot] = field(default_factory=list)
    approvals: dict[str, ApprovalState] = field(default_factory=dict)
    failing: Exception | None = None
    db_role: str = ""
    upstream_parameters: tuple[tuple[str, str], ...] = ()
    expires_unix: int = 0
    delay_s: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        self.opened.append(request)
        if self.failing is not None:
            raise self.failing
        if request.replication:
            raise SessionRefused("replication is not allowed", hint="connect without it")
        if request.credential != TOKEN:
            raise CredentialInvalid("the token is malformed", hint="get one by airlock token")
        if request.database == "nowhere":
            raise SessionRefused("there is no database entry 'nowhere'", hint="known are: shop")
        principal = Principal("test", request.user, PrincipalKind.HUMAN)
        return SessionGrant(
            f"session-{len(self.opened)}", principal, request.database, "prod", self.db_role, self.upstream_parameters,
            self.expires_unix,
        )  # fmt: skip

    async def decide(self, request: DecideRequest) -> Decision:
        self.requests.append(request)
        decision_id = f"d{len(self.requests)}"
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return self._decided(request, decision_id)

    def _decided(self, request: DecideRequest, decision_id: str) -> Decision:
        if self.failing is not None:
            raise self.failing
        self.decisions[decision_id] = request
        text = request.text.decode()
        changing = re.match(r"\s*(create|alter|drop)\b", text, re.IGNORECASE) is not None
        for rule in self.rules:
            if rule.matches(text):
                return self._apply(rule, request, decision_id, changing)
        return Decision(decision_id, PolicyEffect.ALLOW, catalog_changing=changing)

    def _apply(self, rule: Rule, request: DecideRequest, decision_id: str, changing: bool) -> Decision:
        effect, approval_id = rule.effect, ""
        if effect is PolicyEffect.HOLD:
            approval_id = f"a-{rule.pattern}"
            state = self.approvals.setdefault(approval_id, ApprovalState.REQUESTED)
            if request.kind is MessageKind.PARSE:
                effect = PolicyEffect.ALLOW
            elif state is ApprovalState.GRANTED:
                effect = PolicyEffect.ALLOW
                self.approvals[approval_id] = ApprovalState.USED
        return Decision(
            decision_id,
            effect,
            message=rule.message if effect is not PolicyEffect.ALLOW else "",
            hint=rule.hint,
            results=(RuleResult("test.rule", effect, rule.message),),
            statements=rule.statements,
            limits=rule.limits,
            holds=(HoldTerms("test.rule", ("approvers",)),) if effect is PolicyEffect.HOLD else (),
            approval_id=approval_id if effect is PolicyEffect.HOLD else "",
            catalog_changing=changing,
            wait_s=rule.wait_s,
        )

    async def decide_many(self, requests: Sequence[DecideRequest]) -> list[Decision | Exception]:
        found = await asyncio.gather(*map(self.decide, requests), return_exceptions=True)
        return [one for one in found if isinstance(one, Decision | Exception)]

    async def report(self, report: ExecutionReport) -> None:
        if self.failing is not None:
            raise self.failing
        self.reports.append(report)

    async def report_many(self, reports: Sequence[ExecutionReport]) -> list[Exception | None]:
        found = await asyncio.gather(*map(self.report, reports), return_exceptions=True)
        return [one if isinstance(one, Exception) else None for one in found]

    async def close_session(self, end: SessionEnd) -> None:
        self.ended.append(end)

    async def sync_catalog(self, snapshot: CatalogSnapshot) -> None:
        self.synced.append(snapshot)

    async def report_gap(self, gap: EnforcementGap) -> None:
        if self.failing is not None:
            raise self.failing
        self.gaps.append(gap)

    async def policy_status(self) -> PolicyStatus:
        return PolicyStatus("fake", "r1", 0)

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]:
        return []

    async def wait_approval(self, session_id: str, approval_id: str, timeout_s: float) -> ApprovalState:
        for _ in range(int(timeout_s / 0.02) + 1):
            if self.approvals[approval_id] is not ApprovalState.REQUESTED:
                break
            await asyncio.sleep(0.02)
        return self.approvals[approval_id]

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval:
        raise NotImplementedError

    # ── what tests ask ──────────────────────────────────────────────────────────────────────────────────────────────

    def texts(self, kind: MessageKind | None = None) -> list[str]:
        return [request.text.decode() for request in self.requests if kind is None or request.kind is kind]

    def executed(self, pattern: str) -> list[ExecutionReport]:
        """Reports of executions whose text `pattern` is found in."""
        return [one for one in self.reports if re.search(pattern, self.decisions[one.decision_id].text.decode())]


class PromptPort(FakePort):
    """Decides without a task as well, unless it is to be slow; answers come in a later turn of the loop."""

    def decide_now(self, request: DecideRequest, done: Callable[[Decision | Exception], None]) -> bool:
        if self.delay_s:
            return False
        self.requests.append(request)
        answer: Decision | Exception
        try:
            answer = self._decided(request, f"d{len(self.requests)}")
        except Exception as error:
            answer = error
        asyncio.get_running_loop().call_soon(done, answer)
        return True


def masks(
    *ordinals: tuple[int, MaskMethod],
    count: int,
    tables: tuple[int, ...] = (),
    guards: tuple[tuple[int, int, MaskMethod], ...] = (),
    index: int = 0,
    other_tables: bool = False,
) -> StatementObligations:
    return StatementObligations(
        index,
        output_count=count,
        masks=tuple(OutputMask(ordinal, method, "test.mask") for ordinal, method in ordinals),
        guards=tuple(ColumnGuard(*guard) for guard in guards),
        tables=tables,
        other_tables=other_tables,
    )


async def snapshot(dsn: str, database: str) -> CatalogSnapshot:
    return CatalogSnapshot(database, 180000, "v1")


Eventually = Callable[[], bool]
