"""What sharing approvals costs: decisions that need none, and the way of those that do.

    python -m bench.approvals [--quick]

- statements that need no approval, 32 in flight and warm, in turns: a service alone; one that follows the approvals and
  counters topics of a broker; the same with a policy that reads counters;
- two services around a broker, with their relays: from a vote at one to the client that waits at the other, and the
  decision that uses the grant there (its Used event goes to the broker and back before the answer), beside the same
  with one service alone.

All in one run, written to bench/results/approvals.json. Services, relays and feeds share one process here, so the
round trips are longer than they would be on machines of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from airlock.compose import start_service
from airlock.host import Host
from airlock.issuer import DevelopmentIssuer
from airlock.settings import IdentityTable, Settings
from bench.measure import latency, machine, write
from decision.clock import SystemClock
from decision.config import ServiceSettings
from decision.model.decision import PolicyEffect
from decision.model.session import ApprovalState, DecideRequest, SessionRequest
from decision.service import DecisionService
from ingest.kafka_settings import KafkaSettings
from tests.support.kafka import running_broker, settings_for
from tests.support.replicas import Replica, replica
from tests.support.service import DATABASE, REGO, SNAPSHOT

IN_FLIGHT = 32
PLAIN = b"SELECT id FROM public.t WHERE id = 1"
CHANGE = b"ALTER TABLE public.t ADD COLUMN more int"
EXAMPLE = REGO.parent / "docs" / "examples" / "budgets" / "budgets.rego"


class Person:
    """Tokens of one issuer."""

    def __init__(self, folder: Path) -> None:
        self.issuer = DevelopmentIssuer(folder, SystemClock())
        self.alice = self.issuer.issue("alice")
        self.dba = self.issuer.issue("carol", groups=["dba"])


async def session(service: DecisionService, person: Person) -> str:
    return (await service.open_session(SessionRequest(person.alice, "shop"))).session_id


async def alone(stack: AsyncExitStack, folder: Path, person: Person, **more: Any) -> DecisionService:
    """A decision service whose journal is the order."""
    settings = Settings(
        data_dir=folder, decision=ServiceSettings(), identity=IdentityTable(issuers=(person.issuer.settings(),)), **more
    )
    running = await start_service(settings, {"shop": DATABASE}, Host().fail)
    stack.push_async_callback(running.close)
    await running.service.sync_catalog(SNAPSHOT)
    return running.service


async def at_once(service: DecisionService, sessions: list[str], seconds: float) -> tuple[int, float]:
    """Decisions a second, and CPU microseconds of this process for each."""
    end, done = time.monotonic() + seconds, 0

    async def ask(own: str) -> None:
        nonlocal done
        request = DecideRequest(own, PLAIN)
        while time.monotonic() < end:
            answer = await service.decide(request)
            assert answer.effect is PolicyEffect.ALLOW, answer.message
            done += 1

    begun = time.process_time()
    await asyncio.gather(*map(ask, sessions))
    return round(done / seconds), (time.process_time() - begun) / done * 1e6


async def plain(folder: Path, kafka: KafkaSettings, person: Person, rounds: int, seconds: float) -> dict[str, Any]:
    """The forms in turns; the best round of each."""
    budgets = folder / "rego"
    shutil.copytree(REGO, budgets)
    (budgets / "policies" / "budgets").mkdir()
    shutil.copy(EXAMPLE, budgets / "policies" / "budgets")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(replica(folder / "shared", kafka, person.issuer))
        other = await stack.enter_async_context(replica(folder / "counted", kafka, person.issuer, bundle=budgets))
        for one in (first, other):
            await one.usable()
            one.stop_relay()  # a process of its own elsewhere
        forms: dict[str, DecisionService] = {
            "alone": await alone(stack, folder / "alone", person),
            "shared": first.service,
            "shared, counters read": other.service,
        }
        found: dict[str, Any] = {}
        sessions = {name: [await session(one, person) for _ in range(IN_FLIGHT)] for name, one in forms.items()}
        for _ in range(rounds):
            for name, one in forms.items():
                per_second, cpu_us = await at_once(one, sessions[name], seconds)
                if name not in found or found[name]["cpu_us"] > cpu_us:
                    found[name] = {"per_second": per_second, "cpu_us": round(cpu_us, 1)}
        for row in found.values():
            row["cpu_to_alone"] = round(row["cpu_us"] / found["alone"]["cpu_us"], 3)
        return found


async def timed(times: list[float], question: Callable[[], Awaitable[Any]]) -> Any:
    begun = time.perf_counter_ns()
    answer = await question()
    times.append((time.perf_counter_ns() - begun) / 1000)
    return answer


async def approved(asked: DecisionService, voted: DecisionService, person: Person, count: int) -> dict[str, Any]:
    """Microseconds of the steps of `count` approvals: asked for and used at one, voted for at the other."""
    votes: list[float] = []
    releases: list[float] = []
    uses: list[float] = []
    for _ in range(count):
        own = await session(asked, person)
        request = DecideRequest(own, CHANGE)
        held = await asked.decide(request)
        assert held.effect is PolicyEffect.HOLD, held.message

        async def released(own: str = own, held_id: str = held.approval_id) -> None:
            assert await asked.wait_approval(own, held_id, 30) is ApprovalState.GRANTED

        while not any(one.approval_id == held.approval_id for one in await voted.list_approvals(person.dba)):
            await asyncio.sleep(0.005)
        waiting = asyncio.ensure_future(timed(releases, released))
        await asyncio.sleep(0)

        async def vote(held_id: str = held.approval_id) -> None:
            await voted.resolve_approval(person.dba, held_id, grant=True, reason="")

        await timed(votes, vote)
        await waiting

        async def use(request: DecideRequest = request) -> None:
            answer = await asked.decide(request)
            assert answer.effect is PolicyEffect.ALLOW, answer.message

        await timed(uses, use)
    return {"vote": latency(votes), "vote to release": latency(releases), "use": latency(uses)}


async def ways(folder: Path, kafka: KafkaSettings, person: Person, count: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        pair: list[Replica] = []
        for name in ("one", "two"):
            pair.append(await stack.enter_async_context(replica(folder / name, kafka, person.issuer)))
        for one in pair:
            await one.usable()
        single = await alone(stack, folder / "single", person)
        return {
            "two services": await approved(pair[0].service, pair[1].service, person, count),
            "one service alone": await approved(single, single, person, count),
        }


async def measured(folder: Path, quick: bool) -> dict[str, Any]:
    person = Person(folder / "issuer")
    with running_broker() as broker:
        forms = await plain(folder, settings_for(broker, "plain"), person, 2 if quick else 5, 1.0 if quick else 3.0)
        steps = await ways(folder, settings_for(broker, "ways"), person, 10 if quick else 100)
    return {"machine": machine(), "needing no approval, 32 in flight": forms, "approvals, microseconds": steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    folder = Path(tempfile.mkdtemp(prefix="airlock-bench-"))
    try:
        write("approvals", asyncio.run(measured(folder, quick)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
