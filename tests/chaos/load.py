"""What runs against the composition while it is being killed: askers over gRPC and clients through the enforcement
point, each noting the id of every decision whose answer it has seen."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision
from decision.model.errors import AirlockError, ApprovalError
from decision.model.session import DecideRequest, ExecutionReport, Outcome, SessionRequest

STATEMENTS = (
    "SELECT id FROM customers WHERE id = {n}",
    "SELECT count(*) FROM orders WHERE id < {n}",
    "UPDATE products SET stock = {n} WHERE id = {n}",
    "DELETE FROM orders",
    "DROP TABLE payments",
)
_DECISION = re.compile(r"decision ([0-9a-f-]{36})")


@dataclass
class Seen:
    """Ids of decisions that were answered, by session; how many askings failed."""

    by_session: dict[str, list[str]] = field(default_factory=dict)
    through_proxy: set[str] = field(default_factory=set)
    failures: int = 0
    grants: int = 0
    let_through: Counter[bytes] = field(default_factory=Counter)  # by text that needs a grant, each given once

    @property
    def acknowledged(self) -> set[str]:
        return {one for ids in self.by_session.values() for one in ids} | self.through_proxy


@dataclass(frozen=True)
class Service:
    """A decision service, how to call it, and the catalog that it is told."""

    target: str
    token_file: Path
    snapshot: CatalogSnapshot


async def ask(service: Service, credential: str, seen: Seen, ending: asyncio.Event, seed: int) -> None:
    """Sessions of some statements each, one after the other, over one connection; a new one after each failure."""
    chance = random.Random(seed)
    while not ending.is_set():
        port: GrpcDecisionPort | None = None
        try:
            port = GrpcDecisionPort(ClientSettings(target=service.target, token_file=service.token_file, timeout_s=5))
            await port.sync_catalog(service.snapshot)
            while not ending.is_set():
                grant = await port.open_session(SessionRequest(credential, "shop", enforcement_point="chaos"))
                answered = seen.by_session.setdefault(grant.session_id, [])
                for _ in range(chance.randint(5, 60)):
                    text = chance.choice(STATEMENTS).format(n=chance.randint(1, 1_000_000)).encode()
                    decision = await port.decide(DecideRequest(grant.session_id, text))
                    answered.append(decision.decision_id)
                    await _report(port, grant.session_id, decision, chance)
                    await asyncio.sleep(chance.uniform(0, 0.01))  # a client's own time
        except (AirlockError, OSError):
            seen.failures += 1
            await asyncio.sleep(0.1)  # as a client does that tries again
        finally:
            if port is not None:
                with suppress(Exception):
                    async with asyncio.timeout(3):
                        await port.close()


async def _report(port: GrpcDecisionPort, session_id: str, decision: Decision, chance: random.Random) -> None:
    if decision.allowed:
        rows = chance.randint(0, 1_000)
        await port.report(ExecutionReport(session_id, decision.decision_id, 0, Outcome.COMPLETED, rows=rows))


async def consent(
    services: Sequence[Service], requester: str, approver: str, seen: Seen, ending: asyncio.Event
) -> None:
    """Held at one service, granted at the other, then run at both at once, again and again: a grant is for one run."""
    number = 0
    while not ending.is_set():
        ports: list[GrpcDecisionPort] = []
        try:
            for one in services:
                port = GrpcDecisionPort(ClientSettings(target=one.target, token_file=one.token_file, timeout_s=5))
                ports.append(port)
                await port.sync_catalog(one.snapshot)
            while not ending.is_set():
                opened = [await port.open_session(SessionRequest(requester, "shop")) for port in ports]
                number += 1
                text = f"ALTER TABLE support_tickets ADD COLUMN note_{id(seen)}_{number} text".encode()
                held = await ports[0].decide(DecideRequest(opened[0].session_id, text))
                if not held.approval_id:  # the event stream is away
                    seen.let_through[text] += 2 * held.allowed
                    seen.failures += 1
                    await asyncio.sleep(0.2)
                    continue
                await _granted(ports[-1], approver, held.approval_id, ending)
                seen.grants += 1
                for _ in range(4):
                    asked = [
                        port.decide(DecideRequest(session.session_id, text))
                        for port, session in zip(ports, opened, strict=True)
                    ]
                    for answer in await asyncio.gather(*asked, return_exceptions=True):
                        seen.let_through[text] += isinstance(answer, Decision) and answer.allowed
        except (AirlockError, OSError):
            seen.failures += 1
            await asyncio.sleep(0.1)  # as a client does that tries again
        finally:
            for port in ports:
                with suppress(Exception):
                    async with asyncio.timeout(3):
                        await port.close()


async def _granted(port: GrpcDecisionPort, approver: str, approval_id: str, ending: asyncio.Event) -> None:
    """Vote, once this service has heard of it."""
    while not ending.is_set():
        try:
            await port.resolve_approval(approver, approval_id, grant=True, reason="chaos")
            return
        except ApprovalError:
            await asyncio.sleep(0.05)


async def use(dsn: str, seen: Seen, ending: asyncio.Event, seed: int) -> None:
    """A client of the enforcement point. It learns the decision's id only from what is refused."""
    chance = random.Random(seed)
    while not ending.is_set():
        try:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
                while not ending.is_set():
                    try:
                        await connection.execute(
                            f"SELECT id FROM customers WHERE id = {chance.randint(1, 400)}".encode()
                        )
                        await connection.execute(b"DROP TABLE payments")
                    except psycopg.errors.InsufficientPrivilege as error:
                        found = _DECISION.search(error.diag.message_detail or "")
                        if found:
                            seen.through_proxy.add(found[1])
                    await asyncio.sleep(chance.uniform(0, 0.05))
        except (psycopg.Error, OSError):
            seen.failures += 1
            await asyncio.sleep(0.2)
