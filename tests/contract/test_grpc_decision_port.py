"""What every DecisionPort does, shown by one suite in process and over gRPC (asyncio's loop).

A new adapter is one more entry in PORTS; `service` is what stands behind it, for looking at what arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.model.catalog import (
    CatalogColumn,
    CatalogFunction,
    CatalogRelation,
    CatalogSnapshot,
    ForeignKey,
    RowPolicy,
    Rule,
    Trigger,
)
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import (
    ApprovalError,
    CredentialInvalid,
    JournalFull,
    ServiceUnavailable,
    SessionRefused,
    SessionUnknown,
)
from decision.model.facts import RelationKind
from decision.model.ports import DecisionPort
from decision.model.session import (
    ApprovalState,
    ClientInfo,
    DecideRequest,
    EnforcementGap,
    ExecutionReport,
    MessageKind,
    Outcome,
    ParameterValue,
    SessionEnd,
    SessionGrant,
    SessionRequest,
)
from decision.server import DecisionServer
from decision.server_settings import ServerSettings
from tests.fakes.decision_port import OBLIGATIONS, RULE, TERMS, MemoryDecisionPort

Connect = Callable[[MemoryDecisionPort], contextlib.AbstractAsyncContextManager[DecisionPort]]


@contextlib.asynccontextmanager
async def in_process(service: MemoryDecisionPort) -> AsyncIterator[DecisionPort]:
    yield service


@contextlib.asynccontextmanager
async def over_grpc(service: MemoryDecisionPort) -> AsyncIterator[DecisionPort]:
    server = DecisionServer(service, ServerSettings(grace_s=0.2))
    await server.start()
    client = GrpcDecisionPort(ClientSettings(target=server.target))
    try:
        yield client
    finally:
        await client.close()
        await server.stop()


PORTS: dict[str, Connect] = {"in_process": in_process, "grpc": over_grpc}


@pytest.fixture
def service() -> MemoryDecisionPort:
    return MemoryDecisionPort()


@pytest.fixture(params=PORTS)
async def port(request: pytest.FixtureRequest, service: MemoryDecisionPort) -> AsyncIterator[DecisionPort]:
    async with PORTS[request.param](service) as connected:
        yield connected


@pytest.fixture
async def session(port: DecisionPort) -> SessionGrant:
    return await port.open_session(SessionRequest("alice", "shop"))


async def test_a_session_is_opened_for_who_the_credential_proves(
    port: DecisionPort, service: MemoryDecisionPort
) -> None:
    """Everything of the request arrives and everything of the grant comes back."""
    client = ClientInfo("127.0.0.1:5", "psql", "postgres/3.2", "TLSv1.3")
    asked = SessionRequest("alice", "shop", "al", client, "edge-1", "look", "T-1", True)
    grant = await port.open_session(asked)
    assert service.opened == [asked]
    assert grant == service.sessions[grant.session_id]


async def test_a_credential_that_proves_nobody_opens_no_session(port: DecisionPort) -> None:
    """The error is the very class and text that the service raised."""
    with pytest.raises(CredentialInvalid, match="signature does not verify") as caught:
        await port.open_session(SessionRequest("nobody", "shop"))
    assert caught.value.hint == "sign in"


async def test_an_unknown_database_is_refused_with_its_hint(port: DecisionPort) -> None:
    """The way out crosses too."""
    with pytest.raises(SessionRefused) as caught:
        await port.open_session(SessionRequest("alice", "nowhere"))
    assert caught.value.hint == "known are: shop"


async def test_an_allowed_statement_brings_all_its_obligations(
    port: DecisionPort, service: MemoryDecisionPort, session: SessionGrant
) -> None:
    """Nothing of request or decision is lost, NULL and empty values included."""
    values = (ParameterValue(23, 1, b"\0\0\0\1"), ParameterValue(25, 0, None), ParameterValue(25, 0, b""))
    asked = DecideRequest(
        session.session_id, b"allow \xc3\xa9", MessageKind.BIND, values, (("search_path", "a, b"),), "T", "why", "T-2",
        "d0",
    )  # fmt: skip
    decision = await port.decide(asked)
    assert service.decided == [asked]
    assert decision.allowed and decision.statements == (OBLIGATIONS,)
    assert (decision.limits.rows, decision.limits.bytes, decision.limits.timeout_ms) == (1000, None, 0)


async def test_a_denial_is_a_decision_not_an_error(port: DecisionPort, session: SessionGrant) -> None:
    """Denied by a rule: the rule, its controls and the hint are there."""
    decision = await port.decide(DecideRequest(session.session_id, b"deny"))
    assert decision == Decision("decision-1", PolicyEffect.DENY, "not this", "do that", (RULE,), policy_revision="r1")


async def test_a_decision_for_a_session_that_is_not_open_is_refused(port: DecisionPort) -> None:
    """SessionUnknown, as after a restart of the service."""
    with pytest.raises(SessionUnknown):
        await port.decide(DecideRequest("session-9", b"allow"))


async def test_many_are_decided_in_their_order_and_errors_stand_in_their_places(
    port: DecisionPort, service: MemoryDecisionPort, session: SessionGrant
) -> None:
    """A hundred messages, one of them of an unknown session: the rest is decided, in order."""
    asked = [DecideRequest(session.session_id, b"allow %d" % number) for number in range(100)]
    asked[40] = DecideRequest("session-9", b"allow")
    answers = await port.decide_many(asked)
    assert isinstance(answers[40], SessionUnknown)
    assert [a.decision_id for a in answers if isinstance(a, Decision)] == [f"decision-{n}" for n in range(1, 100)]
    assert service.decided == [one for number, one in enumerate(asked) if number != 40]


async def test_an_internal_error_denies_without_its_text(port: DecisionPort, session: SessionGrant) -> None:
    """Whatever breaks inside is an exception outside; over a wire its text stays inside."""
    with pytest.raises((RuntimeError, ServiceUnavailable)) as caught:
        await port.decide(DecideRequest(session.session_id, b"crash"))
    assert not isinstance(caught.value, ServiceUnavailable) or "4711" not in str(caught.value)


async def test_executions_are_recorded_one_by_one(
    port: DecisionPort, service: MemoryDecisionPort, session: SessionGrant
) -> None:
    """Reports made at once all arrive, in order."""
    reports = [
        ExecutionReport(session.session_id, "d", n, Outcome.FAILED, "SELECT 3", n, 2, 3, "22012", 4, True)
        for n in range(150)
    ]
    await asyncio.gather(*(port.report(report) for report in reports))
    assert service.reports == reports


async def test_a_report_that_was_not_recorded_says_so(
    port: DecisionPort, service: MemoryDecisionPort, session: SessionGrant
) -> None:
    """The journal's error reaches who reported."""
    service.journal_full = True
    with pytest.raises(JournalFull, match="audit log unavailable"):
        await port.report(ExecutionReport(session.session_id, "d", 0, Outcome.COMPLETED))


async def test_a_closed_session_is_told_of_and_gone(
    port: DecisionPort, service: MemoryDecisionPort, session: SessionGrant
) -> None:
    """Its end arrives whole; a second end is refused."""
    end = SessionEnd(session.session_id, "network", 1, 2, 3, 4)
    await port.close_session(end)
    assert service.ended == [end]
    with pytest.raises(SessionUnknown):
        await port.close_session(end)


@pytest.mark.parametrize("relations", [0, 1, 2000])
async def test_a_catalog_of_any_size_arrives_whole(
    port: DecisionPort, service: MemoryDecisionPort, relations: int
) -> None:
    """Two thousand relations with everything a relation can have, far over any chunk."""
    await port.sync_catalog(catalog(relations))
    assert service.catalogs == [catalog(relations)]


async def test_a_gap_is_reported(port: DecisionPort, service: MemoryDecisionPort) -> None:
    """Denials given alone are told on repair."""
    gap = EnforcementGap("edge-1", "service_unavailable", 3, 10, 20)
    await port.report_gap(gap)
    assert service.gaps == [gap]


async def test_the_policy_status_names_the_active_bundle(port: DecisionPort, service: MemoryDecisionPort) -> None:
    """Engine, revision and policies."""
    assert await port.policy_status() == await service.policy_status()


async def test_a_hold_is_listed_approved_and_seen_by_who_waits(port: DecisionPort, session: SessionGrant) -> None:
    """The approval's whole way, with its terms and its votes."""
    held = await port.decide(DecideRequest(session.session_id, b"hold", intent="fix", ticket="T-3"))
    assert (held.effect, held.holds, held.wait_s) == (PolicyEffect.HOLD, (TERMS,), 3)
    assert await port.wait_approval(session.session_id, held.approval_id, 0.1) is ApprovalState.REQUESTED
    (listed,) = await port.list_approvals("bob")
    assert (listed.approval_id, listed.intent, listed.holds) == (held.approval_id, "fix", (TERMS,))
    granted = await port.resolve_approval("bob", held.approval_id, grant=True, reason="looks right")
    assert granted.state is ApprovalState.GRANTED
    assert [(vote.approver.subject, vote.granted, vote.reason) for vote in granted.votes] == [
        ("bob", True, "looks right")
    ]
    assert await port.wait_approval(session.session_id, held.approval_id, 0.1) is ApprovalState.GRANTED
    assert await port.list_approvals("bob") == []
    assert await port.list_approvals("bob", include_closed=True) == [granted]


async def test_nobody_approves_their_own_statement(port: DecisionPort, session: SessionGrant) -> None:
    """The service's refusal arrives as ApprovalError, for a denial too; so does an unknown approval."""
    held = await port.decide(DecideRequest(session.session_id, b"hold"))
    for grant in (True, False):
        with pytest.raises(ApprovalError, match="their own"):
            await port.resolve_approval("alice", held.approval_id, grant=grant, reason="")
    with pytest.raises(ApprovalError, match="no such"):
        await port.resolve_approval("bob", "approval-9", grant=True, reason="")
    with pytest.raises(CredentialInvalid):
        await port.list_approvals("nobody")


def catalog(relations: int) -> CatalogSnapshot:
    column = CatalogColumn("id", 1, 23, "integer", True, False, True, ("key",))
    made = tuple(
        CatalogRelation(
            "public", f"t{number}", 16_384 + number, RelationKind.VIEW, (column,) * 5, "SELECT 1",
            (("id",), ("a", "b")),
            (ForeignKey("f", ("id",), "public", "t0", ("id",), "cascade", "set_null"),),
            (Trigger("tr", ("insert",), "public", "fn", False),), (Rule("r", "update", True, "DO NOTHING"),),
            (RowPolicy("p", "all", "true", "false"),), True, (("public", "t0"),), (("public", "t1"), ("x", "y")), -1,
            ("pii",),
        )
        for number in range(relations)
    )  # fmt: skip
    function = CatalogFunction(
        "public", "fn", 9, ("integer",), "trigger", "plpgsql", "volatile", "function", True, False
    )
    return CatalogSnapshot("shop", 180_004, "digest", ("a", "b"), made, (function,) * (relations // 10), ("citext",))
