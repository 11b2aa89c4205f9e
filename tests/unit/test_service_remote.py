"""A decision service whose approvals follow a topic: what it does before, while and after its events come back.

The topic is played by the test: `Topic.relay` hands what the services' journals hold to all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from decision.clock import SystemClock
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import ApprovalError, JournalUnavailable
from decision.model.events import (
    ApprovalExpired,
    ApprovalRequested,
    ApprovalUsed,
    AuditEvent,
    EventDraft,
    StatementDecided,
)
from decision.model.ports import FeedBatch
from decision.model.session import ApprovalState, DecideRequest
from decision.order import RemoteOrder
from tests.support.eventually import eventually_async
from tests.support.service import SNAPSHOT, SetClock, Stand, stand

CHANGE = "ALTER TABLE public.t ADD COLUMN more int"
PLAIN = "SELECT id FROM public.t WHERE id = 1"


class Silence:
    """A feed that tells nothing by itself."""

    async def follow(self) -> AsyncIterator[FeedBatch]:
        await asyncio.Event().wait()
        yield FeedBatch()


@dataclass
class Topic:
    """One partition, its readers, and how far each journal is relayed."""

    clock: SetClock
    stands: list[Stand] = field(default_factory=list)
    records: list[AuditEvent] = field(default_factory=list)
    relayed: dict[int, int] = field(default_factory=dict)

    def relay(self, *stands: Stand) -> None:
        """Relay the journals of `stands` (default: all), then let everybody read to the end."""
        for one in stands or self.stands:
            events = one.journal.events
            self.records += events[self.relayed.get(id(one), 0) :]
            self.relayed[id(one)] = len(events)
        self.told()

    def told(self) -> None:
        batch = FeedBatch(
            tuple((event, 0, offset) for offset, event in enumerate(self.records)), self.clock.monotonic_ns()
        )
        for one in self.stands:
            order(one).take(batch)

    async def answered(self, question: asyncio.Future[Decision], *stands: Stand) -> Decision:
        """The answer, relaying until it is there."""

        async def done() -> bool:
            self.relay(*stands)
            return question.done()

        await eventually_async(done)
        return question.result()


def order(one: Stand) -> RemoteOrder:
    assert isinstance(one.service.order, RemoteOrder)
    return one.service.order


@asynccontextmanager
async def around(topic: Topic, folder: Path, *, confirm_s: float = 5.0, name: str = "one") -> AsyncIterator[Stand]:
    from tests.fakes.journal import MemoryJournal

    remote = RemoteOrder(Silence(), topic.clock, confirm_s)
    async with stand(folder, topic.clock, order=remote, journal=MemoryJournal(name)) as made:
        topic.stands.append(made)
        yield made


@pytest.fixture
def topic() -> Topic:
    return Topic(SetClock(SystemClock().time_unix_nano()))


async def granted(topic: Topic, one: Stand, session: str) -> str:
    """The id of a grant for CHANGE, known to everybody."""
    topic.relay()
    held = await one.decide(session, CHANGE)
    assert held.effect is PolicyEffect.HOLD, held.message
    topic.relay()
    voting = asyncio.ensure_future(
        one.service.resolve_approval(one.human("carol", "dba"), held.approval_id, grant=True, reason="")
    )
    assert (await topic.answered(voting)).state is ApprovalState.GRANTED  # type: ignore[arg-type, attr-defined]
    return held.approval_id


def state(one: Stand, approval_id: str) -> ApprovalState | None:
    approval = order(one).book.get(approval_id)
    return None if approval is None else approval.state


async def test_before_the_stream_was_read_holds_are_denied(topic: Topic, tmp_path: Path) -> None:
    """Ordinary statements go on, nothing is asked for, and it is said why; once it was read, it is a hold."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        denied = await one.decide(session, CHANGE)
        assert (denied.effect, denied.sqlstate) == (PolicyEffect.DENY, "42501")
        assert denied.message.startswith("denied by airlock.approvals_away: approvals can't be confirmed while")
        assert (await one.decide(session, PLAIN)).effect is PolicyEffect.ALLOW
        assert one.payloads(ApprovalRequested) == []
        decided = one.payloads(StatementDecided)[0]
        assert (decided.error_code, decided.statement_text != "") == ("approvals_away", True)
        assert decided.input_json  # what policy said stays replayable
        topic.relay()
        assert (await one.decide(session, CHANGE)).effect is PolicyEffect.HOLD


async def test_a_stream_that_is_silent_for_too_long_is_away(topic: Topic, tmp_path: Path) -> None:
    """A grant that is known from before is not taken, and not spent either."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        approval_id = await granted(topic, one, session)
        topic.clock.move(6)
        assert "approvals_away" in (await one.decide(session, CHANGE)).message
        with pytest.raises(ApprovalError, match="away"):
            await one.service.resolve_approval(one.human("dan", "dba"), approval_id, grant=False, reason="")
        assert one.payloads(ApprovalUsed) == []
        topic.relay()
        answer = await topic.answered(asyncio.ensure_future(one.decide(session, CHANGE)))
        assert answer.effect is PolicyEffect.ALLOW


async def test_what_does_not_come_back_makes_it_away(topic: Topic, tmp_path: Path) -> None:
    """The stream is read, but this service's own request is not in it after the time for that."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        topic.told()
        held = await one.decide(session, CHANGE)
        assert held.effect is PolicyEffect.HOLD
        topic.clock.move(6)
        topic.told()
        assert "approvals_away" in (await one.decide(session, CHANGE)).message
        topic.relay()
        assert (await one.decide(session, CHANGE)).approval_id == held.approval_id


async def test_a_relay_that_is_not_ready_makes_it_away(topic: Topic, tmp_path: Path) -> None:
    """Nothing is spent where it would not get to the stream."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        await granted(topic, one, session)
        order(one)._ready = lambda: False
        assert "approvals_away" in (await one.decide(session, CHANGE)).message
        assert one.payloads(ApprovalUsed) == []


async def test_a_request_is_known_before_it_comes_back(topic: Topic, tmp_path: Path) -> None:
    """The same message asks once, and who asked may wait for it; nobody else."""
    async with around(topic, tmp_path) as one:
        topic.told()
        session = await one.session(one.human("alice"))
        held = await one.decide(session, CHANGE)
        again = await one.decide(await one.session(one.human("alice")), CHANGE)
        assert again.approval_id == held.approval_id
        assert len(one.payloads(ApprovalRequested)) == 1
        assert await one.service.wait_approval(session, held.approval_id, 0) is ApprovalState.REQUESTED
        with pytest.raises(ApprovalError, match="asked for no approval"):
            await one.service.wait_approval(await one.session(one.human("bob")), held.approval_id, 0)


async def test_a_use_is_decided_once_it_comes_back(topic: Topic, tmp_path: Path) -> None:
    """Used before decided in the journal, and no answer in between."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        approval_id = await granted(topic, one, session)
        asking = asyncio.ensure_future(one.decide(session, CHANGE))

        async def used() -> bool:
            return bool(one.payloads(ApprovalUsed))

        await eventually_async(used)
        assert not asking.done()
        answer = await topic.answered(asking)
        assert answer.effect is PolicyEffect.ALLOW
        kinds = [type(event.payload) for event in one.journal.events]
        assert kinds[-2:] == [ApprovalUsed, StatementDecided]
        assert one.payloads(StatementDecided)[-1].approval_id == approval_id
        assert state(one, approval_id) is ApprovalState.USED


async def test_who_comes_second_is_denied(topic: Topic, tmp_path: Path) -> None:
    """Both services write Used; the first in the stream runs, the other is told that it was used elsewhere."""
    async with around(topic, tmp_path) as one, around(topic, tmp_path, name="two") as two:
        sessions = [(where, await where.session(where.human("alice"))) for where in (one, two)]
        approval_id = await granted(topic, one, sessions[0][1])
        asking = [asyncio.ensure_future(where.decide(session, CHANGE)) for where, session in sessions]

        async def both() -> bool:
            return bool(one.payloads(ApprovalUsed)) and bool(two.payloads(ApprovalUsed))

        await eventually_async(both)
        topic.relay(two)
        topic.relay(one)
        answers = [await topic.answered(question) for question in asking]
        assert [answer.effect for answer in answers] == [PolicyEffect.DENY, PolicyEffect.ALLOW]
        assert "airlock.approval_used" in answers[0].message
        assert {state(where, approval_id) for where in (one, two)} == {ApprovalState.USED}


async def test_an_expiry_that_comes_first_counts(topic: Topic, tmp_path: Path) -> None:
    """The other service closed the approval before the use came to the stream."""
    async with around(topic, tmp_path) as one, around(topic, tmp_path, name="two") as two:
        session = await one.session(one.human("alice"))
        approval_id = await granted(topic, one, session)
        asking = asyncio.ensure_future(one.decide(session, CHANGE))

        async def used() -> bool:
            return bool(one.payloads(ApprovalUsed))

        await eventually_async(used)
        await two.service.record(ApprovalExpired(approval_id), approval_id)
        topic.relay(two)
        assert "airlock.approval_expired" in (await topic.answered(asking)).message


async def test_a_late_use_is_denied_and_spent(topic: Topic, tmp_path: Path) -> None:
    """Nothing comes back in time: denied, and neither this nor a later message gets that approval again."""
    async with around(topic, tmp_path, confirm_s=0.05) as one:
        session = await one.session(one.human("alice"))
        approval_id = await granted(topic, one, session)
        late = await one.decide(session, CHANGE)
        assert "airlock.approval_unconfirmed" in late.message
        assert "spent all the same" in late.message
        held = await one.decide(session, CHANGE)
        assert held.approval_id != approval_id
        topic.relay()
        assert state(one, approval_id) is ApprovalState.USED
        assert len(one.payloads(ApprovalUsed)) == 1
        assert list(order(one).samples())[-1].value == 1


async def test_who_gives_up_while_it_is_confirmed_has_spent_it(topic: Topic, tmp_path: Path) -> None:
    """A cancelled call leaves a Used event on its way: the grant is not free again."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        approval_id = await granted(topic, one, session)
        asking = asyncio.ensure_future(one.decide(session, CHANGE))

        async def used() -> bool:
            return bool(one.payloads(ApprovalUsed))

        await eventually_async(used)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert (await one.decide(session, CHANGE)).approval_id != approval_id
        topic.relay()
        assert len(one.payloads(ApprovalUsed)) == 1


async def test_a_journal_that_refuses_the_use_spends_nothing(topic: Topic, tmp_path: Path) -> None:
    """There is no Used event, so the grant is still there when there is room again."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        await granted(topic, one, session)
        append, one.journal.append = one.journal.append, _refuse  # type: ignore[method-assign]
        with pytest.raises(JournalUnavailable):
            await one.decide(session, CHANGE)
        one.journal.append = append  # type: ignore[method-assign]
        answer = await topic.answered(asyncio.ensure_future(one.decide(session, CHANGE)))
        assert answer.effect is PolicyEffect.ALLOW


def _refuse(draft: EventDraft) -> asyncio.Future[AuditEvent]:
    raise JournalUnavailable("audit log unavailable: full")


async def test_a_catalog_that_changes_meanwhile_denies(topic: Topic, tmp_path: Path) -> None:
    """What was consented to may touch something else now."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        await granted(topic, one, session)
        asking = asyncio.ensure_future(one.decide(session, CHANGE))

        async def used() -> bool:
            return bool(one.payloads(ApprovalUsed))

        await eventually_async(used)
        await one.service.sync_catalog(replace(SNAPSHOT, version="v2"))
        assert "airlock.outdated" in (await topic.answered(asking)).message


async def test_a_late_vote_is_recorded_and_says_so(topic: Topic, tmp_path: Path) -> None:
    """It counts once it comes back."""
    async with around(topic, tmp_path, confirm_s=0.05) as one:
        topic.told()
        held = await one.decide(await one.session(one.human("alice")), CHANGE)
        topic.relay()
        with pytest.raises(ApprovalError, match="did not come back"):
            await one.service.resolve_approval(one.human("carol", "dba"), held.approval_id, grant=True, reason="")
        assert state(one, held.approval_id) is ApprovalState.REQUESTED
        topic.relay()
        assert state(one, held.approval_id) is ApprovalState.GRANTED


async def test_what_has_run_out_is_closed_once(topic: Topic, tmp_path: Path) -> None:
    """However many ask at the same time."""
    async with around(topic, tmp_path) as one:
        topic.told()
        held = await one.decide(await one.session(one.human("alice")), CHANGE)
        topic.relay()
        topic.clock.move(25 * 3600)
        topic.relay()
        carol = one.human("carol", "dba")
        asking = asyncio.gather(*(one.service.list_approvals(carol, include_closed=True) for _ in range(3)))
        (found, *_) = await topic.answered(asking)  # type: ignore[arg-type, misc]
        assert [approval.approval_id for approval in found] == [held.approval_id]
        assert len(one.payloads(ApprovalExpired)) == 1
        assert state(one, held.approval_id) is ApprovalState.EXPIRED


async def test_others_approvals_cost_a_principal_nothing(topic: Topic, tmp_path: Path) -> None:
    """While one person's request is open, another one's statements are decided at once all the same."""
    async with around(topic, tmp_path) as one:
        session = await one.session(one.human("alice"))
        await granted(topic, one, session)
        told: list[Decision | Exception] = []
        mine = DecideRequest(session, PLAIN.encode())
        other = DecideRequest(await one.session(one.human("bob")), PLAIN.encode())
        assert not one.service.decide_now(mine, told.append)
        assert one.service.decide_now(other, told.append)

        async def answered() -> bool:
            return bool(told)

        await eventually_async(answered)
