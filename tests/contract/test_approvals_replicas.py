"""Two decision services share approvals over a real broker: given at one, known to the other, used once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from airlock.issuer import DevelopmentIssuer
from decision.clock import SystemClock
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import AirlockError, ApprovalError
from decision.model.events import ApprovalUsed, StatementDecided
from decision.model.session import Approval, ApprovalState
from ingest.kafka_settings import KafkaSettings
from tests.support.eventually import eventually_async
from tests.support.kafka import Broker, settings_for
from tests.support.replicas import Replica, replica

pytestmark = pytest.mark.kafka
CHANGE = "ALTER TABLE public.t ADD COLUMN more int"
PLAIN = "SELECT id FROM public.t WHERE id = 1"
Pair = tuple[Replica, Replica]


@pytest.fixture
def issuer(tmp_path: Path) -> DevelopmentIssuer:
    return DevelopmentIssuer(tmp_path / "issuer", SystemClock())


@pytest.fixture
async def pair(tmp_path: Path, kafka_settings: KafkaSettings, issuer: DevelopmentIssuer) -> AsyncIterator[Pair]:
    async with (
        replica(tmp_path / "one", kafka_settings, issuer) as one,
        replica(tmp_path / "two", kafka_settings, issuer) as two,
    ):
        await one.usable()
        await two.usable()
        yield one, two


async def state_at(where: Replica, credential: str, approval_id: str) -> ApprovalState | None:
    found = await where.service.list_approvals(credential, include_closed=True)
    return next((one.state for one in found if one.approval_id == approval_id), None)


async def listed(where: Replica, credential: str, approval_id: str) -> None:
    async def there() -> bool:
        return await state_at(where, credential, approval_id) is not None

    await eventually_async(there, what="the request is listed")


async def granted(where: Replica, asked: Decision, dba: str, *others: Replica) -> None:
    """Granted at `where`, and known to be so at `others`."""
    await listed(where, dba, asked.approval_id)
    approval = await where.service.resolve_approval(dba, asked.approval_id, grant=True, reason="fine")
    assert approval.state is ApprovalState.GRANTED
    for other in others:

        async def known(other: Replica = other) -> bool:
            return await state_at(other, dba, asked.approval_id) is ApprovalState.GRANTED

        await eventually_async(known)


async def test_held_at_one_granted_at_the_other(pair: Pair, issuer: DevelopmentIssuer) -> None:
    """The request is listed at the other service; its grant releases who waits at the first within a second, and the
    statement runs there once. The third time it is held again."""
    one, two = pair
    dba = issuer.issue("carol", groups=["dba"])
    session = await one.session(issuer.issue("alice"))
    held = await one.decide(session, CHANGE)
    assert held.effect is PolicyEffect.HOLD
    assert (await one.decide(session, CHANGE)).approval_id == held.approval_id
    waiting = asyncio.ensure_future(one.service.wait_approval(session, held.approval_id, 30))
    await listed(two, dba, held.approval_id)
    begun = time.monotonic()
    approval = await two.service.resolve_approval(dba, held.approval_id, grant=True, reason="fine")
    assert approval.state is ApprovalState.GRANTED
    assert await waiting is ApprovalState.GRANTED
    assert time.monotonic() - begun < 1
    allowed = await one.decide(session, CHANGE)
    assert (allowed.effect, allowed.message) == (PolicyEffect.ALLOW, "")
    (decided,) = [e.payload for e in one.events() if isinstance(e.payload, StatementDecided) and e.payload.approval_id
                  and e.payload.effect is PolicyEffect.ALLOW]  # fmt: skip
    assert decided.approval_id == held.approval_id
    again = await one.decide(await one.session(issuer.issue("alice")), CHANGE)
    assert again.effect is PolicyEffect.HOLD
    assert again.approval_id != held.approval_id


async def test_a_grant_is_used_where_it_was_not_asked_for(pair: Pair, issuer: DevelopmentIssuer) -> None:
    """The same person's same statement through the other service."""
    one, two = pair
    held = await one.decide(await one.session(issuer.issue("alice")), CHANGE)
    await granted(one, held, issuer.issue("carol", groups=["dba"]), two)
    session = await two.session(issuer.issue("alice"))
    assert (await two.decide(session, CHANGE)).effect is PolicyEffect.ALLOW


async def test_a_hundred_uses_of_one_grant(pair: Pair, issuer: DevelopmentIssuer) -> None:
    """At once, over both services: exactly one runs; the others are told that it is used, or ask for a new one."""
    alice, dba = issuer.issue("alice"), issuer.issue("carol", groups=["dba"])
    for _ in range(3):
        sessions = [(where, await where.session(alice)) for where in pair for _ in range(50)]
        held = await pair[0].decide(sessions[0][1], CHANGE)
        await granted(pair[1], held, dba, pair[0])
        answers = await asyncio.gather(*(where.decide(session, CHANGE) for where, session in sessions))
        assert Counter(answer.effect for answer in answers)[PolicyEffect.ALLOW] == 1
        denied = [answer for answer in answers if answer.effect is PolicyEffect.DENY]
        assert all("airlock.approval_used" in answer.message for answer in denied)
        for where in pair:
            assert await state_at(where, dba, held.approval_id) is ApprovalState.USED
        for asked in await pair[0].service.list_approvals(dba):
            await pair[0].service.resolve_approval(dba, asked.approval_id, grant=False, reason="once is enough")


async def test_a_hundred_votes_for_and_against(pair: Pair, issuer: DevelopmentIssuer) -> None:
    """At once, over both services: one outcome, the same at both, and told to each voter."""
    alice = issuer.issue("alice")
    voters = [issuer.issue(f"dba{number}", groups=["dba"]) for number in range(100)]
    held = await pair[0].decide(await pair[0].session(alice), CHANGE)
    for where in pair:
        await listed(where, voters[0], held.approval_id)

    async def vote(number: int) -> Approval | ApprovalError:
        try:
            return await pair[number % 2].service.resolve_approval(
                voters[number], held.approval_id, grant=number % 4 < 2, reason=""
            )
        except ApprovalError as error:
            return error

    answers = await asyncio.gather(*map(vote, range(100)))
    told = {answer.state for answer in answers if not isinstance(answer, ApprovalError)}
    assert len(told) == 1
    assert told < {ApprovalState.GRANTED, ApprovalState.DENIED}
    assert {await state_at(where, voters[0], held.approval_id) for where in pair} == told
    late = [answer for answer in answers if isinstance(answer, ApprovalError)]
    assert all(f"already {next(iter(told)).value}" in error.message for error in late)


async def test_a_use_that_does_not_come_back_is_spent_and_denied(
    tmp_path: Path, kafka_settings: KafkaSettings, issuer: DevelopmentIssuer
) -> None:
    """The relay dies before it could send the Used event: denied, and said that the approval is spent. Then approvals
    are away, ordinary statements go on; once the relay is back the approval is used up everywhere."""
    dba = issuer.issue("carol", groups=["dba"])
    async with replica(tmp_path / "one", kafka_settings, issuer, approval_confirm_s=1.0) as one:
        await one.usable()
        session = await one.session(issuer.issue("alice"))
        held = await one.decide(session, CHANGE)
        await granted(one, held, dba)
        one.running.service.order._ready = lambda: True  # the moment between the relay's last word and its death
        one.stop_relay()
        denied = await one.decide(session, CHANGE)
        assert denied.effect is PolicyEffect.DENY
        assert "airlock.approval_unconfirmed" in denied.message
        assert "spent" in denied.message
        assert (await one.decide(session, PLAIN)).effect is PolicyEffect.ALLOW
        away = await one.decide(session, CHANGE)
        assert (away.effect, away.approval_id) == (PolicyEffect.DENY, "")
        assert "airlock.approvals_away" in away.message
        with pytest.raises(ApprovalError, match="event stream is away"):
            await one.service.resolve_approval(dba, held.approval_id, grant=True, reason="")
        one.start_relay()
        await one.usable()
        assert await state_at(one, dba, held.approval_id) is ApprovalState.USED
        assert (await one.decide(session, CHANGE)).effect is PolicyEffect.HOLD


@pytest.mark.slow
async def test_the_broker_dies_in_between(own_kafka: Broker, tmp_path: Path, issuer: DevelopmentIssuer) -> None:
    """While it is away approvals are denied, never used twice, and ordinary decisions go on; a grant that nobody tried
    to use is still there afterwards."""
    kafka, dba, alice = settings_for(own_kafka, "race"), issuer.issue("carol", groups=["dba"]), issuer.issue("alice")
    async with replica(tmp_path / "one", kafka, issuer) as one, replica(tmp_path / "two", kafka, issuer) as two:
        await one.usable()
        await two.usable()
        sessions = [(where, await where.session(alice)) for where in (one, two) for _ in range(4)]
        held = await one.decide(sessions[0][1], CHANGE)
        await granted(two, held, dba, one)
        own_kafka.kill()

        async def away() -> bool:
            return one.backbone.order.away and two.backbone.order.away

        await eventually_async(away)
        for where, session in sessions:
            assert "airlock.approvals_away" in (await where.decide(session, CHANGE)).message
            assert (await where.decide(session, PLAIN)).effect is PolicyEffect.ALLOW
        await asyncio.to_thread(own_kafka.start)
        await asyncio.gather(one.usable(40), two.usable(40))
        answers = await asyncio.gather(*(where.decide(session, CHANGE) for where, session in sessions))
        assert Counter(answer.effect for answer in answers)[PolicyEffect.ALLOW] == 1
        uses = [e for where in (one, two) for e in where.events() if isinstance(e.payload, ApprovalUsed)]
        assert 1 <= len(uses) <= 2


@pytest.mark.slow
async def test_the_broker_dies_while_grants_are_used(
    own_kafka: Broker, tmp_path: Path, issuer: DevelopmentIssuer
) -> None:
    """Killed under a load of holds, votes and uses at both services, again and again: no grant runs twice, and at the
    end grants work again."""
    kafka, dba, alice = settings_for(own_kafka, "load"), issuer.issue("carol", groups=["dba"]), issuer.issue("alice")
    async with replica(tmp_path / "one", kafka, issuer) as one, replica(tmp_path / "two", kafka, issuer) as two:
        await asyncio.gather(one.usable(), two.usable())
        over = asyncio.Event()

        async def use(where: Replica, text: str) -> None:
            session = await where.session(alice)
            while not over.is_set():
                answer = await where.decide(session, text)
                if answer.effect is PolicyEffect.HOLD:
                    await where.service.wait_approval(session, answer.approval_id, 1)
                elif answer.effect is PolicyEffect.DENY:
                    await asyncio.sleep(0.05)
                else:  # the change is not in the catalog: nothing would be understood in this session
                    session = await where.session(alice)

        async def consent(where: Replica) -> None:
            while not over.is_set():
                try:
                    for asked in await where.service.list_approvals(dba):
                        await where.service.resolve_approval(dba, asked.approval_id, grant=True, reason="")
                except AirlockError:
                    pass
                await asyncio.sleep(0.05)

        texts = [f"ALTER TABLE public.t ADD COLUMN c{number} int" for number in range(3)]
        load = [use(where, text) for where in (one, two) for text in texts for _ in range(2)]
        tasks = [asyncio.ensure_future(one) for one in (*load, consent(one), consent(two))]
        for _ in range(2):
            before = len(runs(one, two))

            async def goes_on(before: int = before) -> bool:
                return len(runs(one, two)) > before + 20

            await eventually_async(goes_on, 40, every_s=0.2, what="grants are used")
            own_kafka.kill()
            await asyncio.to_thread(own_kafka.start)
        before = len(runs(one, two))
        await eventually_async(goes_on, 40, every_s=0.2, what="grants are used at the end")
        over.set()
        await asyncio.gather(*tasks)
        used = Counter(runs(one, two))
        assert max(used.values()) == 1


def runs(*replicas: Replica) -> list[str]:
    """The approvals of all statements that were let through by one."""
    return [
        event.payload.approval_id
        for where in replicas
        for event in where.events()
        if isinstance(event.payload, StatementDecided)
        and event.payload.effect is PolicyEffect.ALLOW
        and event.payload.approval_id
    ]


async def test_nothing_is_known_before_the_stream_was_read(tmp_path: Path, issuer: DevelopmentIssuer) -> None:
    """A service that starts while there is no broker: it starts, decides, and denies whatever needs an approval."""
    nowhere = KafkaSettings(bootstrap_servers=("127.0.0.1:1",), replication=1)
    async with replica(tmp_path / "one", nowhere, issuer) as one:
        session = await one.session(issuer.issue("alice"))
        assert (await one.decide(session, PLAIN)).effect is PolicyEffect.ALLOW
        denied = await one.decide(session, CHANGE)
        assert "airlock.approvals_away" in denied.message
        with pytest.raises(ApprovalError, match="event stream is away"):
            await one.service.list_approvals(issuer.issue("carol", groups=["dba"]))
