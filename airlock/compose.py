"""The composition: real adapters built once, handed to the parts that ask for their ports."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airlock.issuer import DevelopmentIssuer
from airlock.settings import DatabaseSettings, PolicySettings, Settings
from airlock.vaults import open_vault, texts_of
from decision.analysis import Analyzer
from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.clock import SystemClock, Uuid7Source
from decision.config import DatabaseEntry
from decision.digest import Digester
from decision.erasure import TextOffice
from decision.identity.settings import IdentitySettings
from decision.identity.verifier import TokenVerifier
from decision.journal.checkpoint_tail import follow_checkpoints
from decision.journal.pruning import ReplayReader
from decision.journal.sqlite import SqliteJournal
from decision.judge import StatementJudge
from decision.keys import load_key, load_or_make_key
from decision.model.errors import AirlockError, JournalUnavailable, SettingsError
from decision.model.events import PolicyActivated, PolicyRejected
from decision.model.metrics import Sample
from decision.model.ports import Clock, CounterSource, PolicyEngine
from decision.order import ApprovalOrder
from decision.policy.embedded import EmbeddedEngine
from decision.policy.input import InputBuilder, Reads
from decision.policy.reload import BundleReloader, ReloadableEngine
from decision.service import DecisionService
from decision.wire.events import ProtobufEventCodec

log = logging.getLogger(__name__)

EXPIRE_S = 30.0


class Engine(PolicyEngine, ReloadableEngine, Protocol):
    """A policy engine whose bundle can be exchanged, and which knows what that bundle reads."""

    @property
    def reads(self) -> Reads: ...

    def samples(self) -> Iterable[Sample]: ...


@dataclass
class RunningService:
    """A decision service with everything that belongs to it. `close` in the reverse order of building."""

    service: DecisionService
    journal: SqliteJournal
    engine: Engine
    watchers: tuple[asyncio.Task[None], ...]
    texts: TextOffice

    async def close(self) -> None:
        for watcher in self.watchers:
            watcher.cancel()
        await asyncio.gather(*self.watchers, return_exceptions=True)
        await self.engine.close()
        await self.journal.close()


def producer_id(data_dir: Path) -> str:
    """The name of this process slot's chain: made once, kept in the data folder."""
    path = data_dir / "producer-id"
    try:
        with path.open("x") as file:
            file.write(f"node-{secrets.token_hex(4)}")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        pass
    return path.read_text().strip()


def private_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def identity_settings(settings: Settings, issuer: DevelopmentIssuer) -> IdentitySettings:
    """The issuers that are believed; the development issuer unless others are configured."""
    issuers = settings.identity.issuers
    if settings.identity.with_development_issuer:
        issuers = (*issuers, issuer.settings())
    if not issuers:
        raise SettingsError(
            "no issuer is believed", hint="set [[identity.issuers]] or identity.development_issuer = true"
        )
    return IdentitySettings(issuers=issuers, max_token_bytes=settings.identity.max_token_bytes)


def database_entries(databases: tuple[DatabaseSettings, ...]) -> dict[str, DatabaseEntry]:
    return {database.name: database.entry() for database in databases}


def make_engine(policy: PolicySettings, clock: Clock) -> Engine:
    if policy.engine == "embedded":
        return EmbeddedEngine(clock)
    from decision.policy.opa import OpaEngine  # its HTTP client costs start-up time, which only this choice pays

    return OpaEngine(policy.opa_url, clock, timeout_s=policy.timeout_s)


def digest_key(settings: Settings) -> bytes:
    """The secret of all keyed digests. Raises SettingsError."""
    own = private_folder(settings.data_dir / "keys") / "digest.key"
    shared = settings.decision.digest_key_file
    return load_or_make_key(own) if shared is None else load_key(shared, "decision.digest_key_file")


async def start_service(
    settings: Settings,
    databases: Mapping[str, DatabaseEntry],
    on_poisoned: Callable[[BaseException], None],
    order: ApprovalOrder | None = None,
    counters: CounterSource | None = None,
) -> RunningService:
    """Open the journal (through verification), load the policy, rebuild the approvals where the journal is their order.

    Raises SettingsError, ChainBroken, JournalUnavailable or BundleRejected.
    """
    clock, ids, codec = SystemClock(), Uuid7Source(), ProtobufEventCodec()
    data_dir = settings.data_dir
    digester = Digester(digest_key(settings))
    verifier = TokenVerifier(identity_settings(settings, DevelopmentIssuer(data_dir, clock)), clock)
    folder = private_folder(data_dir / "journal")
    journal = SqliteJournal.open(
        folder,
        producer_id=producer_id(data_dir),
        codec=codec,
        settings=settings.journal,
        epoch_floor=clock.time_unix_nano() // 1_000_000_000,
    )
    journal.on_poisoned = on_poisoned
    engine = make_engine(settings.policy, clock)
    builder = InputBuilder(lambda: engine.reads)
    vault = open_vault(settings)
    judge = StatementJudge(Analyzer(), engine, builder, digester, texts_of(settings.texts, vault), counters)
    service = DecisionService(
        settings=settings.decision,
        databases=databases,
        journal=journal,
        engine=engine,
        judge=judge,
        builder=builder,
        verifier=verifier,
        digester=digester,
        clock=clock,
        ids=ids,
        order=order,
    )
    texts = TextOffice(vault, settings.texts, verifier, service.record)
    if service.order.awaited:
        service.order.on_other = texts.folded  # an erasure elsewhere is one here; alone, nobody else asks for one
    service.replay(ReplayReader(folder, codec))

    async def activated(revision: str, previous: str, policies: tuple[str, ...]) -> None:
        await service.record(PolicyActivated(revision, previous, engine.name, policies), "policy")

    async def rejected(revision: str, error: str) -> None:
        await service.record(PolicyRejected(revision, error, engine.status().revision), "policy")

    reloader = BundleReloader(
        settings.policy.bundle,
        engine,
        poll_s=settings.policy.poll_s,
        on_activated=activated,
        on_rejected=rejected,
    )
    try:
        await texts.finish()
        await reloader.load()
    except AirlockError:
        await engine.close()
        await journal.close()
        raise
    watching = [reloader.run(), expire_approvals(service)]
    if not service.order.awaited:  # else the sequencer has a journal of its own
        watching.append(follow_checkpoints(data_dir / "log", lambda signed: service.record(signed, "log")))
    return RunningService(service, journal, engine, tuple(map(asyncio.create_task, watching)), texts)


async def expire_approvals(service: DecisionService) -> None:
    """Close approvals whose time is over, until cancelled."""
    while True:
        await asyncio.sleep(EXPIRE_S)
        try:
            await service.expire_approvals()
        except JournalUnavailable as error:
            log.warning("approvals whose time is over stay open: %s", error.message)


def remote_service(settings: Settings) -> GrpcDecisionPort:
    """The decision service that `[proxy] decision_service` names."""
    proxy = settings.proxy
    client = ClientSettings(
        target=proxy.decision_service,
        token_file=proxy.token_file,
        ca_file=proxy.ca_file,
        certificate_file=proxy.certificate_file,
        key_file=proxy.key_file,
    )
    client.check()
    return GrpcDecisionPort(client)
