"""The real decision service behind DecisionPort, in process and over gRPC: the same answers, the same events.

Identity, analysis, policy and the event codec are the real ones; the journal is a chain in memory, because durability
is the journal's own test.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from airlock.issuer import DevelopmentIssuer
from decision.analysis import Analyzer
from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.clock import SystemClock, Uuid7Source
from decision.config import DatabaseEntry, ServiceSettings
from decision.digest import Digester
from decision.identity.settings import IdentitySettings
from decision.identity.verifier import TokenVerifier
from decision.judge import StatementJudge
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.decision import Decision, MaskMethod, PolicyEffect
from decision.model.errors import CredentialInvalid, SessionRefused, SessionUnknown
from decision.model.events import StatementDecided
from decision.model.facts import RelationKind
from decision.model.policy import Environment
from decision.model.ports import DecisionPort
from decision.model.principal import PrincipalKind
from decision.model.session import DecideRequest, ExecutionReport, Outcome, SessionEnd, SessionRequest
from decision.policy.embedded import EmbeddedEngine
from decision.policy.input import InputBuilder
from decision.policy.reload import BundleReloader
from decision.server import DecisionServer
from decision.server_settings import ServerSettings
from decision.service import DecisionService
from tests.fakes.journal import MemoryJournal

REGO = Path(__file__).parents[2] / "rego"


@dataclass
class Stand:
    """The port as its callers see it, what it recorded, and who signs tokens."""

    port: DecisionPort
    journal: MemoryJournal
    issuer: DevelopmentIssuer

    async def session(self, *, agent: bool = False) -> str:
        if agent:
            token = self.issuer.issue("bot", PrincipalKind.AGENT, groups=["agents"], on_behalf_of="alice")
        else:
            token = self.issuer.issue("alice", groups=["analysts"])
        grant = await self.port.open_session(SessionRequest(token, "shop", "alice"))
        await self.port.sync_catalog(catalog())
        return grant.session_id


@contextlib.asynccontextmanager
async def whole_service(
    folder: Path, journal: MemoryJournal
) -> AsyncIterator[tuple[DecisionService, DevelopmentIssuer]]:
    clock = SystemClock()
    issuer = DevelopmentIssuer(folder, clock)
    engine = EmbeddedEngine(clock)
    await BundleReloader(REGO, engine).load()
    builder = InputBuilder(lambda: engine.reads)
    digester = Digester(b"k" * 32)
    yield (
        DecisionService(
            settings=ServiceSettings(),
            databases={"shop": DatabaseEntry(name="shop", environment=Environment.PROD)},
            journal=journal,
            engine=engine,
            judge=StatementJudge(Analyzer(), engine, builder, digester),
            builder=builder,
            verifier=TokenVerifier(IdentitySettings(issuers=(issuer.settings(),)), clock),
            digester=digester,
            clock=clock,
            ids=Uuid7Source(),
        ),
        issuer,
    )
    await engine.close()


@pytest.fixture(params=["in_process", "grpc"])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    journal = MemoryJournal()
    with tempfile.TemporaryDirectory() as folder:
        async with whole_service(Path(folder), journal) as (service, issuer):
            if request.param == "in_process":
                yield Stand(service, journal, issuer)
                return
            server = DecisionServer(service, ServerSettings(grace_s=0.2))
            await server.start()
            client = GrpcDecisionPort(ClientSettings(target=server.target))
            yield Stand(client, journal, issuer)
            await client.close()
            await server.stop()


def catalog() -> CatalogSnapshot:
    def column(name: str, number: int, *tags: str) -> CatalogColumn:
        return CatalogColumn(name, number, 25, "text", tags=tags)

    customers = CatalogRelation(
        "public", "customers", 16_400, RelationKind.TABLE,
        (column("id", 1), column("email", 2, "pii.email"), column("city", 3)), keys=(("id",),),
    )  # fmt: skip
    return CatalogSnapshot("shop", 180_004, "v1", ("public",), (customers,))


async def test_an_agents_read_is_allowed_with_the_mask_at_its_column(stand: Stand) -> None:
    """The obligation names the output column and guards the base column."""
    session = await stand.session(agent=True)
    decision = await stand.port.decide(DecideRequest(session, b"SELECT city, email FROM customers"))
    assert decision.effect is PolicyEffect.ALLOW, decision.message
    (obligations,) = decision.statements
    assert [(mask.ordinal, mask.method) for mask in obligations.masks] == [(2, MaskMethod.EMAIL)]
    assert [(guard.table_oid, guard.number) for guard in obligations.guards] == [(16_400, 2)]
    assert decision.limits.rows == 1000


@pytest.mark.parametrize("text", [b"DROP TABLE customers", b"DELETE FROM customers", b"no statement", b"\xff\xfe"])
async def test_what_an_agent_may_not_do_is_denied_with_a_message(stand: Stand, text: bytes) -> None:
    """By policy, or because it can't be understood; and it is on record."""
    session = await stand.session(agent=True)
    decision = await stand.port.decide(DecideRequest(session, text))
    assert decision.effect is not PolicyEffect.ALLOW and decision.message
    decided = [event.payload for event in stand.journal.events if isinstance(event.payload, StatementDecided)]
    assert [event.decision_id for event in decided] == [decision.decision_id]


async def test_the_record_of_a_decision_holds_its_whole_input_and_no_literal(stand: Stand) -> None:
    """The policy input is there for explanation and replay; the value that was asked for is not."""
    session = await stand.session()
    await stand.port.decide(DecideRequest(session, b"SELECT id FROM customers WHERE email = 'literal-4711'"))
    await stand.port.report(ExecutionReport(session, "d", 0, Outcome.COMPLETED, "SELECT 1", 1))
    await stand.port.close_session(SessionEnd(session))
    (decided,) = [event.payload for event in stand.journal.events if isinstance(event.payload, StatementDecided)]
    assert b'"customers"' in decided.input_json
    assert not any(b"literal-4711" in raw or b"eyJ" in raw for raw in [event.raw for event in stand.journal.events])


async def test_a_batch_is_decided_as_one_by_one(stand: Stand) -> None:
    """The same texts in one message and singly: the same effects, in the same order on record."""
    session = await stand.session()
    texts = [b"SELECT 1", b"DROP TABLE customers", b"SELECT email FROM customers", b"("] * 8
    requests = [DecideRequest(session, text) for text in texts]
    together = await stand.port.decide_many(requests)
    singly = [await stand.port.decide(request) for request in requests]
    assert all(isinstance(answer, Decision) for answer in together)
    plain = [
        replace(answer, decision_id="", approval_id="", hint="") for answer in together if isinstance(answer, Decision)
    ]
    again = [replace(answer, decision_id="", approval_id="", hint="") for answer in singly]
    assert [answer.effect for answer in plain] == [answer.effect for answer in again]
    assert [answer.statements for answer in plain] == [answer.statements for answer in again]
    ids = [d.payload.decision_id for d in stand.journal.events if isinstance(d.payload, StatementDecided)]
    assert ids == [answer.decision_id for answer in (*together, *singly) if isinstance(answer, Decision)]


async def test_who_is_not_known_gets_no_session(stand: Stand) -> None:
    """A forged token, an unknown database, an unknown session: the errors are the same both ways."""
    with tempfile.TemporaryDirectory() as folder:
        forged = DevelopmentIssuer(Path(folder), SystemClock()).issue("alice")
    with pytest.raises(CredentialInvalid):
        await stand.port.open_session(SessionRequest(forged, "shop"))
    with pytest.raises(SessionRefused):
        await stand.port.open_session(SessionRequest(stand.issuer.issue("alice"), "nowhere"))
    with pytest.raises(SessionUnknown):
        await stand.port.decide(DecideRequest("none", b"SELECT 1"))


async def test_the_policy_status_names_the_bundle(stand: Stand) -> None:
    """Its revision stands in every decision."""
    status = await stand.port.policy_status()
    decision = await stand.port.decide(DecideRequest(await stand.session(), b"SELECT 1"))
    assert status.revision and decision.policy_revision == status.revision
