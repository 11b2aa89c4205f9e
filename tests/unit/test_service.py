"""The use case, with everything real but the disk and the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from decision.model.decision import PolicyEffect
from decision.model.errors import (
    ApprovalError,
    CredentialInvalid,
    JournalFull,
    JournalPoisoned,
    SessionRefused,
    SessionUnknown,
)
from decision.model.events import (
    ApprovalExpired,
    ApprovalRequested,
    ApprovalUsed,
    CatalogChanged,
    SessionOpened,
    StatementDecided,
    StatementExecuted,
)
from decision.model.events import SessionRefused as SessionRefusedEvent
from decision.model.session import (
    ApprovalState,
    DecideRequest,
    ExecutionReport,
    MessageKind,
    Outcome,
    ParameterValue,
    SessionRequest,
)
from tests.support.service import SNAPSHOT, SetClock, Stand, stand

HELD = "ALTER TABLE t ADD COLUMN note text"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(time.time_ns())


@pytest.fixture
async def it(tmp_path: Path, clock: SetClock) -> AsyncIterator[Stand]:
    async with stand(tmp_path, clock) as made:
        yield made


async def held(it: Stand, session: str, text: str = HELD) -> str:
    decision = await it.decide(session, text)
    assert decision.effect is PolicyEffect.HOLD, decision
    return decision.approval_id


async def test_an_allowed_statement_is_an_event_before_it_is_an_answer(it: Stand) -> None:
    """The decision's event is in the journal when the answer is there, with input, revision and keyed digest."""
    session = await it.session(it.human("alice"))
    decision = await it.decide(session, "SELECT id FROM t WHERE id = 987654321")
    (event,) = it.payloads(StatementDecided)
    assert (decision.effect, event.decision_id) == (PolicyEffect.ALLOW, decision.decision_id)
    assert event.policy_revision == decision.policy_revision != ""
    assert b"987654321" not in event.input_json
    assert len(event.statement_digest) == 32


async def test_a_full_journal_answers_nothing(it: Stand) -> None:
    """No event, no answer; with room again the same session goes on."""
    session = await it.session(it.human("alice"))
    it.journal.full = True
    with pytest.raises(JournalFull):
        await it.decide(session, "SELECT 1")
    with pytest.raises(JournalFull):
        await it.session(it.human("bob"))
    it.journal.full = False
    assert (await it.decide(session, "SELECT 1")).allowed


async def test_a_journal_that_fails_while_an_answer_waits_answers_nothing(it: Stand) -> None:
    """Poison between append and fsync reaches the one who asked."""
    session = await it.session(it.human("alice"))
    asking = asyncio.ensure_future(it.decide(session, "SELECT 1"))
    await asyncio.sleep(0)
    it.journal.poison()
    with pytest.raises(JournalPoisoned):
        await asking


async def test_a_held_statement_runs_once_after_its_approval(it: Stand) -> None:
    """Requested, granted by another person, used once; then it is held anew."""
    session = await it.session(it.human("alice"))
    approval = await held(it, session)
    assert await held(it, session) == approval, "asking again makes no second request"
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="reviewed")
    assert (await it.decide(session, HELD)).allowed
    assert [used.approval_id for used in it.payloads(ApprovalUsed)] == [approval]
    assert await held(it, await it.session(it.human("alice"))) != approval


@pytest.mark.parametrize("other", [HELD + " ", HELD.replace("note", "note2"), HELD + ";"])
async def test_a_grant_is_for_the_exact_bytes(it: Stand, other: str) -> None:
    """One more blank is another statement."""
    session = await it.session(it.human("alice"))
    approval = await held(it, session)
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="")
    assert (await it.decide(session, other)).effect is PolicyEffect.HOLD


async def test_a_grant_is_for_its_principal(it: Stand) -> None:
    """Somebody else's same statement is held."""
    approval = await held(it, await it.session(it.human("alice")))
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="")
    assert (await it.decide(await it.session(it.human("carol")), HELD)).effect is PolicyEffect.HOLD


async def test_a_grant_is_for_what_the_names_meant(it: Stand) -> None:
    """The same bytes under another search_path touch another table, and find no grant."""
    other = replace(SNAPSHOT.relations[0], schema="other", oid=4712)
    await it.service.sync_catalog(replace(SNAPSHOT, version="v2", relations=(*SNAPSHOT.relations, other)))
    session = await it.session(it.human("alice"))
    approval = await held(it, session)
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="")
    elsewhere = DecideRequest(session, HELD.encode(), settings=(("search_path", "other"),))
    assert (await it.service.decide(elsewhere)).effect is PolicyEffect.HOLD
    assert (await it.decide(session, HELD)).allowed


async def test_a_large_statement_holds_up_no_other_session(it: Stand) -> None:
    """While one session's large text is analysed, another session's statement is answered."""
    large, small = await it.session(it.human("alice")), await it.session(it.human("bob"))
    text = "SELECT id FROM t WHERE id IN (" + ",".join(["1"] * 60_000) + ")"
    waiting = asyncio.ensure_future(it.decide(large, text))
    await asyncio.sleep(0)
    assert (await it.decide(small, "SELECT 1")).allowed
    assert not waiting.done()
    assert (await waiting).effect is not PolicyEffect.HOLD


async def test_of_a_hundred_uses_of_one_grant_one_wins(it: Stand) -> None:
    """From many sessions of the same principal at once."""
    sessions = [await it.session(it.human("alice")) for _ in range(20)]
    approval = await held(it, sessions[0])
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="")
    answers = await asyncio.gather(*(it.decide(sessions[number % 20], HELD) for number in range(100)))
    assert sum(answer.allowed for answer in answers) == 1
    assert len(it.payloads(ApprovalUsed)) == 1


async def test_a_grant_whose_user_gave_up_is_used_all_the_same(it: Stand) -> None:
    """The asker is cancelled between append and fsync: the use is durable, so the grant is not free again."""
    session = await it.session(it.human("alice"))
    approval = await held(it, session)
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="")
    asking = asyncio.ensure_future(it.decide(session, HELD))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    answer = await it.decide(await it.session(it.human("alice")), HELD)
    assert (answer.effect, len(it.payloads(ApprovalUsed))) == (PolicyEffect.HOLD, 1)


async def test_a_parse_of_a_held_statement_is_allowed_and_its_bind_is_held(it: Stand) -> None:
    """A Parse runs nothing; the hold comes when it is to run, and only then asks for an approval."""
    session = await it.session(it.human("alice"))
    assert (await it.decide(session, HELD, MessageKind.PARSE)).allowed
    assert it.payloads(ApprovalRequested) == []
    assert (await it.decide(session, HELD, MessageKind.BIND)).effect is PolicyEffect.HOLD
    assert len(it.payloads(ApprovalRequested)) == 1


async def test_a_bind_sent_right_behind_its_parse_is_linked_to_it(it: Stand) -> None:
    """Its sender does not know the Parse's decision yet; the service does, of the newest for each text."""
    session, other = await it.session(it.human("alice")), await it.session(it.human("bob"))
    texts = [f"SELECT id FROM t WHERE id = {number}" for number in range(3)]
    parsed = await asyncio.gather(*(it.decide(session, text, MessageKind.PARSE) for text in texts))
    await asyncio.gather(*(it.decide(session, text, MessageKind.BIND) for text in texts))
    await it.decide(other, texts[0], MessageKind.BIND)
    again = await it.decide(session, texts[0], MessageKind.PARSE)
    await it.decide(session, texts[0], MessageKind.BIND)
    binds = [event.parse_decision_id for event in it.payloads(StatementDecided) if event.message_kind == "bind"]
    assert binds == [*(decision.decision_id for decision in parsed), "", again.decision_id]


async def test_texts_of_parses_are_kept_within_bounds(it: Stand) -> None:
    """The oldest is forgotten first; a large one is not kept."""
    session = await it.session(it.human("alice"))
    for number in range(40):
        await it.decide(session, f"SELECT {number}", MessageKind.PARSE)
    large = "SELECT '" + "x" * 20_000 + "'"
    await it.decide(session, large, MessageKind.PARSE)
    for text in ("SELECT 0", "SELECT 39", large):
        await it.decide(session, text, MessageKind.BIND)
    binds = [event.parse_decision_id for event in it.payloads(StatementDecided) if event.message_kind == "bind"]
    assert [bool(one) for one in binds] == [False, True, False]


async def test_a_request_comes_before_the_decision_that_made_it(it: Stand) -> None:
    """Cause before effect in the journal's order."""
    await held(it, await it.session(it.human("alice")))
    kinds = [type(event.payload) for event in it.journal.events]
    assert kinds.index(ApprovalRequested) < kinds.index(StatementDecided)


async def test_nobody_approves_their_own_statement_by_any_way(it: Stand) -> None:
    """Neither the requester, nor the human behind the agent, nor an agent of an approver."""
    own = await held(it, await it.session(it.human("alice", "dba")))
    with pytest.raises(ApprovalError):
        await it.service.resolve_approval(it.human("alice", "dba"), own, grant=True, reason="")
    with pytest.raises(ApprovalError):
        await it.service.resolve_approval(it.agent("bot", "carol", "dba"), own, grant=True, reason="")
    with pytest.raises(ApprovalError):
        await it.service.resolve_approval(it.agent("bot", "alice", "dba"), own, grant=True, reason="")


async def test_a_denied_request_stays_denied(it: Stand) -> None:
    """Later grants are refused; the statement asks anew."""
    session = await it.session(it.human("alice"))
    approval = await held(it, session)
    closed = await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=False, reason="no")
    assert closed.state is ApprovalState.DENIED
    with pytest.raises(ApprovalError):
        await it.service.resolve_approval(it.human("carol", "dba"), approval, grant=True, reason="")
    assert await held(it, session) != approval


async def test_an_approval_expires_with_an_event(it: Stand) -> None:
    """After its time it can't be granted, and the log says so."""
    session = await it.session(it.human("alice"))
    approval = await held(it, session)
    it.clock.move(2 * 24 * 3600)
    approver = it.human("bob", "dba")
    with pytest.raises(ApprovalError):
        await it.service.resolve_approval(approver, approval, grant=True, reason="")
    assert [one.approval_id for one in it.payloads(ApprovalExpired)] == [approval]


async def test_approvals_survive_a_restart(it: Stand, tmp_path: Path, clock: SetClock) -> None:
    """A service started on the same journal knows the grant."""
    approval = await held(it, await it.session(it.human("alice")))
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="")
    async with stand(tmp_path, clock, journal=it.journal) as again:
        assert (await again.decide(await again.session(again.human("alice")), HELD)).allowed


async def test_approvals_are_shown_to_whom_they_concern(it: Stand) -> None:
    """To the requester and to approvers, not to others."""
    await held(it, await it.session(it.human("alice")))
    assert len(await it.service.list_approvals(it.human("alice"))) == 1
    assert len(await it.service.list_approvals(it.human("bob", "dba"))) == 1
    assert await it.service.list_approvals(it.human("eve", "sales")) == []


async def test_waiting_for_an_approval_ends_with_the_vote(it: Stand) -> None:
    """The one who waits is woken by the grant."""
    session = await it.session(it.human("alice"))
    approval = await held(it, session)
    waiting = asyncio.ensure_future(it.service.wait_approval(session, approval, 60))
    await asyncio.sleep(0)
    await it.service.resolve_approval(it.human("bob", "dba"), approval, grant=True, reason="")
    assert await waiting is ApprovalState.GRANTED


async def test_only_the_requester_waits_for_an_approval(it: Stand) -> None:
    """Another session learns nothing of it."""
    approval = await held(it, await it.session(it.human("alice")))
    with pytest.raises(ApprovalError):
        await it.service.wait_approval(await it.session(it.human("eve")), approval, 0)


async def test_an_expired_credential_ends_the_session(it: Stand) -> None:
    """The next statement is denied, with an event that says why."""
    session = await it.session(it.human("alice"))
    it.clock.move(9 * 3600)
    decision = await it.decide(session, "SELECT 1")
    assert decision.effect is PolicyEffect.DENY
    assert it.payloads(StatementDecided)[-1].error_code == "session_expired"


async def test_a_function_call_is_denied_as_an_event(it: Stand) -> None:
    """The fast-path protocol bypasses SQL."""
    decision = await it.decide(await it.session(it.human("alice")), "", MessageKind.FUNCTION_CALL)
    assert decision.effect is PolicyEffect.DENY
    assert it.payloads(StatementDecided)[-1].error_code == "function_call"


async def test_without_a_catalog_everything_is_denied(tmp_path: Path, clock: SetClock) -> None:
    """Names can't be resolved, so nothing can be known."""
    async with stand(tmp_path, clock, catalog=False) as bare:
        decision = await bare.decide(await bare.session(bare.human("alice")), "SELECT 1")
    assert decision.effect is PolicyEffect.DENY


@pytest.mark.parametrize(
    ("request_", "error", "code"),
    [
        (SessionRequest("no token", "shop"), CredentialInvalid, "credential_invalid"),
        (SessionRequest("no token", "shop", replication=True), SessionRefused, "session_refused"),
    ],
)
async def test_a_refused_session_is_an_event(
    it: Stand, request_: SessionRequest, error: type[Exception], code: str
) -> None:
    """Who nobody knows still leaves a trace, without the credential."""
    with pytest.raises(error):
        await it.service.open_session(request_)
    (refused,) = it.payloads(SessionRefusedEvent)
    assert refused.code == code
    assert it.payloads(SessionOpened) == []


async def test_an_unknown_database_is_refused_only_to_those_who_proved_themselves(it: Stand) -> None:
    """The names of databases are no public knowledge."""
    with pytest.raises(CredentialInvalid):
        await it.service.open_session(SessionRequest("no token", "nonsense"))
    with pytest.raises(SessionRefused, match="nonsense"):
        await it.service.open_session(SessionRequest(it.human("alice"), "nonsense"))


async def test_a_session_that_is_not_open_decides_nothing(it: Stand) -> None:
    """Made-up ids and closed sessions alike."""
    with pytest.raises(SessionUnknown):
        await it.decide("01a1fda8-0ae5-72e3-b9d2-58e3a7383866", "SELECT 1")


async def test_a_defect_in_analysis_denies_that_statement(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is a denial with an event, and its text stays inside."""
    session = await it.session(it.human("alice"))

    def broken(*_: object) -> None:
        raise RuntimeError("secret literal")

    monkeypatch.setattr("decision.analysis.analyzer.Analyzer.analyze", broken)
    decision = await it.decide(session, "SELECT 1")
    assert decision.effect is PolicyEffect.DENY
    assert it.payloads(StatementDecided)[-1].error_code == "internal_error"
    assert "secret" not in str(it.payloads(StatementDecided)[-1])


async def test_a_pinned_key_has_the_same_digest_bound_or_written(it: Stand) -> None:
    """`WHERE id = 42` as text and as a bound binary value can be found by the same digest."""
    session = await it.session(it.human("alice"))
    await it.decide(session, "SELECT email FROM t WHERE id = 42")
    bound = ParameterValue(23, 1, (42).to_bytes(4, "big"))
    request = DecideRequest(session, b"SELECT email FROM t WHERE id = $1", MessageKind.BIND, (bound,))
    await it.service.decide(request)
    first, second = (event.pinned for event in it.payloads(StatementDecided))
    assert first[0].mac == second[0].mac != b""


async def test_masks_name_the_outputs_and_guard_the_table(it: Stand) -> None:
    """An agent's read of a tagged column carries the mask; the event says which column was masked."""
    session = await it.session(it.agent())
    decision = await it.decide(session, "SELECT id, email AS e FROM t")
    (obligation,) = decision.statements
    assert [mask.ordinal for mask in obligation.masks] == [2]
    assert [(guard.table_oid, guard.number) for guard in obligation.guards] == [(4711, 2)]
    assert [masked.name for masked in it.payloads(StatementDecided)[-1].masked] == ["e"]


async def test_an_execution_points_to_its_decision(it: Stand) -> None:
    """The report becomes an event caused by the decision."""
    session = await it.session(it.human("alice"))
    decision = await it.decide(session, "SELECT 1")
    await it.service.report(ExecutionReport(session, decision.decision_id, 0, Outcome.COMPLETED, "SELECT 1", 1))
    assert it.journal.events[-1].draft.causation_id == decision.decision_id
    assert it.payloads(StatementExecuted)[0].rows == 1


async def test_an_unchanged_catalog_makes_no_event(it: Stand) -> None:
    """Polling the catalog does not fill the journal."""
    await it.service.sync_catalog(SNAPSHOT)
    assert len(it.payloads(CatalogChanged)) == 1


async def test_sessions_are_bounded(it: Stand) -> None:
    """One more than the limit is refused, with the way out."""
    token = it.human("alice")
    for _ in range(200):
        await it.session(token)
    with pytest.raises(SessionRefused, match="too many"):
        await it.session(token)
