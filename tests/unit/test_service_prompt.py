"""Decisions without a task to wait in, and executions recorded several at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.judge import LARGE_TEXT_BYTES
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import JournalBusy, JournalFull, JournalPoisoned, SessionUnknown
from decision.model.events import AuditEvent, StatementDecided, StatementExecuted
from decision.model.ports import PromptDecisions
from decision.model.session import DecideRequest, ExecutionReport, MessageKind, Outcome, ParameterValue
from decision.wire.events import ProtobufEventCodec
from tests.fakes.journal import MemoryJournal
from tests.support.service import SetClock, Stand, stand

HELD = "ALTER TABLE t ADD COLUMN note text"
READ = "SELECT id FROM t WHERE id = $1"
Answers = list[Decision | Exception]


@pytest.fixture
def clock() -> SetClock:
    return SetClock(time.time_ns())


@pytest.fixture
async def it(tmp_path: Path, clock: SetClock) -> AsyncIterator[Stand]:
    async with stand(tmp_path, clock) as made:
        yield made


def bound(session: str, value: int = 1) -> DecideRequest:
    return DecideRequest(session, READ.encode(), MessageKind.BIND, (ParameterValue(23, 0, b"%d" % value),))


async def turns(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition` holds: the journal in memory is durable at the end of a turn."""
    for _ in range(20):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come about")


def now(it: Stand, request: DecideRequest, answers: Answers) -> bool:
    return it.service.decide_now(request, answers.append)


async def test_the_service_offers_it(it: Stand) -> None:
    """The enforcement point asks for the protocol."""
    assert isinstance(it.service, PromptDecisions)


@pytest.mark.parametrize("repeated", [False, True])
async def test_the_answer_comes_once_durable_and_never_within_the_call(it: Stand, repeated: bool) -> None:
    """When `done` is called the event can be read; for a first message and for a repeated one."""
    session = await it.session(it.human("alice"))
    if repeated:
        await it.service.decide(bound(session))
    found: list[tuple[Decision | Exception, int]] = []
    before = len(it.journal.events)
    assert it.service.decide_now(bound(session, 7), lambda answer: found.append((answer, len(it.journal.events))))
    assert not found and len(it.journal.events) == before
    await turns(lambda: bool(found))
    ((decision, events),) = found
    assert isinstance(decision, Decision) and decision.allowed and events == before + 1
    last = it.journal.events[-1].payload
    assert isinstance(last, StatementDecided) and last.decision_id == decision.decision_id


async def test_a_decide_that_has_not_begun_is_not_overtaken(it: Stand) -> None:
    """From the call of `decide` to its end there is no decision without a task; afterwards there is."""
    session, answers = await it.session(it.human("alice")), Answers()
    asking = asyncio.ensure_future(it.service.decide(bound(session)))
    assert not now(it, bound(session), answers)
    await asyncio.sleep(0)
    assert not now(it, bound(session), answers)
    await asking
    assert now(it, bound(session), answers)


async def test_a_decide_that_never_begins_does_not_stay_in_the_way(it: Stand) -> None:
    """Closed or cancelled before its first step, it ends with its last reference."""
    session, answers = await it.session(it.human("alice")), Answers()
    it.service.decide(bound(session)).close()
    task = asyncio.ensure_future(it.service.decide(bound(session)))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    assert now(it, bound(session), answers)


async def test_answers_of_a_session_come_in_the_order_of_the_questions(it: Stand) -> None:
    """First and repeated messages, allowed and denied, syntax errors: one batch, one order."""
    session, answers = await it.session(it.human("alice")), Answers()
    await it.service.decide(bound(session))
    texts = ["SELECT 1", READ, "DROP TABLE t", "SELEC", READ, "SELECT 2"]
    for text in texts:
        assert now(it, replace(bound(session), text=text.encode()), answers)
    await turns(lambda: len(answers) == len(texts))
    ids = [answer.decision_id for answer in answers if isinstance(answer, Decision)]
    assert ids == [payload.decision_id for payload in it.payloads(StatementDecided)][-len(texts) :]
    effects = [answer.effect.value for answer in answers if isinstance(answer, Decision)]
    assert effects == ["allow", "allow", "deny", "deny", "allow", "allow"]


async def full(it: Stand, session: str) -> DecideRequest:
    it.journal.full = True
    return bound(session)


async def poisoned(it: Stand, session: str) -> DecideRequest:
    it.journal.poison()
    return bound(session)


async def unknown(it: Stand, session: str) -> DecideRequest:
    return bound("nobody's")


async def large(it: Stand, session: str) -> DecideRequest:
    return DecideRequest(session, b"SELECT 1" + b" " * LARGE_TEXT_BYTES)


async def held(it: Stand, session: str) -> DecideRequest:
    return DecideRequest(session, HELD.encode())


async def approvable(it: Stand, session: str) -> DecideRequest:
    """Somebody's approval is open: whatever runs may have a grant."""
    await it.decide(session, HELD)
    return DecideRequest(session, b"SELECT 1")


@pytest.mark.parametrize("case", [full, poisoned, unknown, large, held, approvable], ids=lambda case: case.__name__)
@pytest.mark.parametrize("repeated", [False, True])
async def test_what_must_be_waited_for_is_left_alone(
    it: Stand, case: Callable[[Stand, str], object], repeated: bool
) -> None:
    """False, no event, no answer: `decide` is to be asked, and says what is the matter."""
    session, answers = await it.session(it.human("alice")), Answers()
    if repeated:
        await it.service.decide(bound(session))
    request: DecideRequest = await case(it, session)  # type: ignore[misc]
    before = len(it.journal.events)
    assert not now(it, request, answers)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not answers and len(it.journal.events) == before
    if case in (large, held, approvable):
        assert (await it.service.decide(request)).effect is not PolicyEffect.DENY
    else:
        with pytest.raises((JournalFull, JournalPoisoned, SessionUnknown)):
            await it.service.decide(request)


async def test_a_parse_needs_no_grant(it: Stand) -> None:
    """While approvals are open what runs nothing is still decided at once."""
    session, answers = await it.session(it.human("alice")), Answers()
    await it.decide(session, HELD)
    assert now(it, DecideRequest(session, b"SELECT 1", MessageKind.PARSE), answers)


@pytest.mark.parametrize("repeated", [False, True])
async def test_a_journal_that_fails_before_the_fsync_is_told(it: Stand, repeated: bool) -> None:
    """What `decide` would have raised."""
    session, answers = await it.session(it.human("alice")), Answers()
    if repeated:
        await it.service.decide(bound(session))
    assert now(it, bound(session), answers)
    it.journal.poison()
    (error,) = answers
    assert isinstance(error, JournalPoisoned)


async def test_a_defect_denies(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `decide`: an internal error is a denial with its event."""
    session, answers = await it.session(it.human("alice")), Answers()
    monkeypatch.setattr("decision.analysis.Analyzer.analyze", lambda *_: 1 / 0)
    assert now(it, bound(session), answers)
    await turns(lambda: bool(answers))
    assert isinstance(answers[0], Decision) and answers[0].effect is PolicyEffect.DENY
    assert it.payloads(StatementDecided)[-1].error_code == "internal_error"


async def test_an_expired_session_is_denied_though_its_message_is_known(it: Stand, clock: SetClock) -> None:
    """Repeating a decision never outlives the credential."""
    session, answers = await it.session(it.human("alice")), Answers()
    await it.service.decide(bound(session))
    clock.move(24 * 3600)
    assert now(it, bound(session), answers)
    await turns(lambda: bool(answers))
    assert isinstance(answers[0], Decision) and not answers[0].allowed
    assert it.payloads(StatementDecided)[-1].error_code == "session_expired"


async def test_decide_many_answers_in_order_with_each_failure_in_its_place(it: Stand) -> None:
    """Messages that need no task and those that do, mixed."""
    session = await it.session(it.human("alice"))
    texts = ["SELECT 1", HELD, "SELECT 2", "SELECT 3 " + " " * LARGE_TEXT_BYTES, "SELECT 4"]
    requests = [DecideRequest(session, text.encode()) for text in texts]
    answers = await it.service.decide_many([*requests, bound("nobody's")])
    assert isinstance(answers.pop(), SessionUnknown)
    assert [a.effect.value for a in answers if isinstance(a, Decision)] == ["allow", "hold", "allow", "allow", "allow"]
    decided = [payload.decision_id for payload in it.payloads(StatementDecided)]
    assert decided == [a.decision_id for a in answers if isinstance(a, Decision)]


def executed(number: int, tag: str = "SELECT 1") -> ExecutionReport:
    return ExecutionReport("s", f"d{number}", 0, Outcome.COMPLETED, tag, rows=number)


async def test_executions_are_recorded_in_their_order(it: Stand) -> None:
    """All of a call, whatever stands in them; an event that the codec has to mend is one of them."""
    reports = [executed(1), executed(2, "SELECT \ud800"), executed(3, "x" * 70_000), executed(4)]
    assert await it.service.report_many(reports) == [None] * 4
    found = [ProtobufEventCodec().decode(event.raw)[0].payload for event in it.journal.events[-4:]]
    assert all(isinstance(payload, StatementExecuted) for payload in found)
    assert [payload.rows for payload in found] == [1, 2, 3, 4]
    assert found[1].command_tag == "SELECT ?" and len(found[2].command_tag) == 256
    assert await it.service.report_many([]) == []


async def test_a_report_that_cannot_be_recorded_is_answered_alone(it: Stand) -> None:
    """Its neighbours are durable."""
    answers = await it.service.report_many([executed(1), executed(1 << 63), executed(2)])
    assert [type(answer) for answer in answers] == [type(None), ValueError, type(None)]
    assert [payload.rows for payload in it.payloads(StatementExecuted)] == [1, 2]
    with pytest.raises(ValueError, match="out of range"):
        await it.service.report(executed(1 << 63))


async def test_each_report_is_answered_by_what_became_of_it(tmp_path: Path, clock: SetClock) -> None:
    """Those beyond the queue's bound are refused, those before are durable."""
    async with stand(tmp_path, clock, journal=MemoryJournal(queue_limit=3)) as it:
        answers = await it.service.report_many([executed(number) for number in range(5)])
        assert [type(answer) for answer in answers] == [type(None)] * 3 + [JournalBusy] * 2
        assert [payload.rows for payload in it.payloads(StatementExecuted)] == [0, 1, 2]
        reporting = asyncio.ensure_future(it.service.report_many([executed(8), executed(9)]))
        await asyncio.sleep(0)
        it.journal.poison()
        assert [type(answer) for answer in await reporting] == [JournalPoisoned] * 2


class OnDisk(SqliteJournal):
    """With the reading that the service does before its first decision."""

    def read(self, after_seq: int, limit: int) -> list[AuditEvent]:
        return []


async def test_reports_that_take_several_commits_are_all_durable_at_the_answer(tmp_path: Path, clock: SetClock) -> None:
    """On the real journal, with batches smaller than the call."""
    settings = JournalSettings(ballast_bytes=0, min_free_bytes=0, batch_events=4)
    journal = OnDisk.open(tmp_path, producer_id="p", codec=ProtobufEventCodec(), settings=settings)
    async with stand(tmp_path, clock, journal=journal) as it:  # type: ignore[arg-type]
        reader = SqliteJournalReader(tmp_path, ProtobufEventCodec())
        after = reader.head()[0]
        assert await it.service.report_many([executed(number) for number in range(10)]) == [None] * 10
        found = [event.payload for event in reader.read(after, 20)]
        assert [payload.rows for payload in found if isinstance(payload, StatementExecuted)] == list(range(10))
        reader.close()
    await journal.close()


async def test_who_gives_up_waiting_for_reports_leaves_them_recorded(it: Stand) -> None:
    """Cancelled between append and fsync, nothing is lost and nobody is hurt."""
    reporting = asyncio.ensure_future(it.service.report_many([executed(1), executed(2)]))
    await asyncio.sleep(0)
    reporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reporting
    await turns(lambda: len(it.payloads(StatementExecuted)) == 2)
