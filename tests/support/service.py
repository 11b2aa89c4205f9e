"""The real decision service for tests: real identity, analysis and policy, a journal in memory, time as we set it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from airlock.issuer import DevelopmentIssuer
from decision.analysis import Analyzer
from decision.clock import Uuid7Source
from decision.config import DatabaseEntry, ServiceSettings
from decision.digest import Digester
from decision.identity.settings import IdentitySettings
from decision.identity.verifier import TokenVerifier
from decision.judge import StatementJudge
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.decision import Decision
from decision.model.facts import RelationKind
from decision.model.policy import Environment
from decision.model.ports import CounterSource
from decision.model.principal import PrincipalKind
from decision.model.session import DecideRequest, MessageKind, SessionRequest
from decision.order import ApprovalOrder
from decision.policy.embedded import EmbeddedEngine
from decision.policy.input import InputBuilder
from decision.policy.reload import BundleReloader
from decision.service import DecisionService
from tests.fakes.journal import MemoryJournal

REGO = Path(__file__).parents[2] / "rego"
DATABASE = DatabaseEntry(
    name="shop", environment=Environment.PROD, tags={"public.t": ["critical"], "public.t.email": ["pii.email"]}
)
SNAPSHOT = CatalogSnapshot(
    "shop", 180000, "v1",
    relations=(
        CatalogRelation(
            "public", "t", 4711, RelationKind.TABLE,
            (CatalogColumn("id", 1, 23, "int4", not_null=True), CatalogColumn("email", 2, 25, "text")),
            keys=(("id",),),
        ),
    ),
)  # fmt: skip

T = TypeVar("T")


class SetClock:
    """Time stands still until it is moved. It starts at the real time, so that tokens of now are valid."""

    def __init__(self, time_unix_nano: int) -> None:
        self.now = time_unix_nano

    def time_unix_nano(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@dataclass
class Stand:
    service: DecisionService
    journal: MemoryJournal
    issuer: DevelopmentIssuer
    clock: SetClock

    def human(self, name: str, *groups: str) -> str:
        return self.issuer.issue(name, groups=groups)

    def agent(self, name: str = "bot", human: str = "alice", *groups: str) -> str:
        return self.issuer.issue(name, PrincipalKind.AGENT, groups=groups, on_behalf_of=human)

    async def session(self, credential: str) -> str:
        return (await self.service.open_session(SessionRequest(credential, "shop"))).session_id

    async def decide(self, session_id: str, text: str, kind: MessageKind = MessageKind.QUERY) -> Decision:
        return await self.service.decide(DecideRequest(session_id, text.encode(), kind))

    def payloads(self, kind: type[T]) -> list[T]:
        return [event.payload for event in self.journal.events if isinstance(event.payload, kind)]


@asynccontextmanager
async def stand(
    folder: Path,
    clock: SetClock,
    *,
    journal: MemoryJournal | None = None,
    catalog: bool = True,
    rego: Path = REGO,
    order: ApprovalOrder | None = None,
    counters: CounterSource | None = None,
) -> AsyncIterator[Stand]:
    """A service on `journal` (rebuilt from it, as after a restart)."""
    kept = journal or MemoryJournal()
    issuer = DevelopmentIssuer(folder, clock)
    engine = EmbeddedEngine(clock, budget_ns=10**10)  # a busy machine is no slow policy
    await BundleReloader(rego, engine).load()
    builder = InputBuilder(lambda: engine.reads)
    digester = Digester(b"k" * 32)
    service = DecisionService(
        settings=ServiceSettings(max_sessions=200),
        databases={"shop": DATABASE},
        journal=kept,
        engine=engine,
        judge=StatementJudge(Analyzer(), engine, builder, digester, counters=counters),
        builder=builder,
        verifier=TokenVerifier(IdentitySettings(issuers=(issuer.settings(),)), clock),
        digester=digester,
        clock=clock,
        ids=Uuid7Source(),
        order=order,
    )
    service.replay(kept)
    if catalog:
        await service.sync_catalog(SNAPSHOT)
    yield Stand(service, kept, issuer, clock)
    await engine.close()
