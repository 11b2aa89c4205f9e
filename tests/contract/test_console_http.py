"""What the console answers, over a real service and a real store: who gets in, who sees what, what is refused."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession

from airlock.pages import bound, listening
from console.app import ConsoleServer
from console.settings import ConsoleSettings
from decision.model.events import ApprovalDenied, ApprovalGranted
from tests.support.certificates import Authority
from tests.support.console import Pages, pages
from tests.support.service import SetClock

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}\u202e"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(time.time_ns())


@pytest.fixture
async def it(tmp_path: Path, clock: SetClock) -> AsyncIterator[Pages]:
    async with pages(tmp_path, clock) as made:
        yield made


def cookie_of(answer: ClientResponse) -> SimpleCookie:
    cookie = SimpleCookie()
    for header in answer.headers.getall("Set-Cookie", []):
        cookie.load(header)
    return cookie


async def test_a_valid_token_signs_in_with_a_closed_cookie(it: Pages) -> None:
    """The cookie is for this site's requests only, out of scripts' reach, bounded, and no credential."""
    token = it.stand.human("carol", "dba")
    answer = await it.post("/sign-in", {"token": token})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    morsel = cookie_of(answer)["airlock_console"]
    assert morsel["httponly"] and morsel["samesite"] == "Strict" and morsel["path"] == "/"
    assert 0 < int(morsel["max-age"]) <= 8 * 3600
    assert len(morsel.value) >= 32 and morsel.value not in token
    assert (await it.get("/feed"))[0] == 200


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJub25lIn0.e30.", "nonsense\x00", "a" * 30_000])
async def test_an_invalid_token_does_not(it: Pages, token: str) -> None:
    """The page says what is wrong and opens no session."""
    answer = await it.post("/sign-in", {"token": token})
    assert answer.status == 403
    assert 'role="alert"' in await answer.text()
    assert not cookie_of(answer)


async def test_an_agent_is_sent_away(it: Pages) -> None:
    """The console is for people; a delegated token opens nothing, whatever groups it brings."""
    answer = await it.post("/sign-in", {"token": it.stand.agent("bot", "alice", "dba")})
    assert answer.status == 403
    assert "the console is for people" in await answer.text()


@pytest.mark.parametrize(
    "path", ["/", "/feed", "/feed?part=rows", "/decisions/x", "/overview", "/approvals", "/changes"]
)
async def test_nothing_is_shown_to_nobody(it: Pages, path: str) -> None:
    """Every page leads to the sign-in."""
    answer = await it.client.get(path, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")


async def test_a_session_ends_with_time_and_by_wish(it: Pages, clock: SetClock) -> None:
    """After its life, or after signing out, the same cookie opens nothing."""
    await it.sign_in("carol", "dba")
    answer = await it.post("/sign-out", {"csrf": await it.csrf()})
    assert answer.status == 303
    assert (await it.get("/feed"))[0] == 303
    await it.sign_in("carol", "dba")
    assert (await it.get("/feed"))[0] == 200
    clock.move(8 * 3600 + 1)
    assert (await it.get("/feed"))[0] == 303


async def test_who_is_no_auditor_sees_approvals_only(it: Pages) -> None:
    """The audit trail shows what everybody did; it needs one of the configured groups."""
    await it.sign_in("mallory", "support")
    for path in ("/feed", "/feed?part=rows", "/overview", "/decisions/x"):
        status, text = await it.get(path)
        assert status == 403
        assert "auditors, dba, security" in text
    assert (await it.get("/approvals"))[0] == 200


async def test_a_foreign_host_name_is_refused(it: Pages) -> None:
    """A name that somebody else pointed at this machine gets nothing (DNS rebinding)."""
    for path in ("/sign-in", "/healthz", "/static/console.js"):
        answer = await it.client.get(path, headers={"Host": "evil.example:6480"})
        assert answer.status == 421
    assert (await it.client.get("/healthz", headers={"Host": "localhost:6480"})).status == 200


async def test_a_form_of_another_site_is_refused(it: Pages) -> None:
    """Without our Origin, or without the session's token, nothing changes."""
    approval = await it.held()
    await it.sign_in("carol", "dba")
    csrf = await it.csrf()
    vote = {"vote": "approve", "reason": "fine", "csrf": csrf}
    path = f"/approvals/{approval}"
    assert (await it.post(path, vote, Origin="https://evil.example")).status == 403
    assert (await it.post(path, vote, Origin="null")).status == 403
    assert (await it.client.post(path, data=vote)).status == 403
    for wrong in ("", csrf[:-1], csrf + "x", "ü"):
        assert (await it.post(path, {**vote, "csrf": wrong})).status == 403
    assert (await it.post("/sign-out", {"csrf": "wrong"})).status == 403
    assert not it.stand.payloads(ApprovalGranted)
    assert (await it.post(path, vote)).status == 303
    assert len(it.stand.payloads(ApprovalGranted)) == 1


async def test_a_vote_is_the_persons_own_and_recorded(it: Pages) -> None:
    """Approve and deny go to the decision service with the voter's name and reason."""
    first, second = await it.held("alice"), await it.held("bob")
    await it.sign_in("carol", "dba")
    csrf = await it.csrf()
    answer = await it.post(f"/approvals/{first}", {"vote": "approve", "reason": "ticket 7", "csrf": csrf})
    assert answer.headers["Location"] == f"/approvals?done={first}"
    assert "Your vote is recorded." in (await it.get(answer.headers["Location"]))[1]
    await it.post(f"/approvals/{second}", {"vote": "deny", "reason": "not now", "csrf": csrf})
    (granted,), (denied,) = it.stand.payloads(ApprovalGranted), it.stand.payloads(ApprovalDenied)
    assert (granted.approval_id, granted.approver.subject, granted.reason) == (first, "carol", "ticket 7")
    assert (denied.approval_id, denied.approver.subject, denied.reason) == (second, "carol", "not now")


async def test_nobody_approves_their_own_request(it: Pages) -> None:
    """One's own request has no buttons; a vote sent all the same is refused with the service's reason."""
    approval = await it.held("alice")
    await it.sign_in("alice", "dba")
    _, text = await it.get("/approvals")
    assert "Somebody else must decide" in text and 'value="approve"' not in text
    answer = await it.post(f"/approvals/{approval}", {"vote": "approve", "reason": "mine", "csrf": await it.csrf()})
    assert answer.status == 409
    assert "nobody may approve their own request, nor one made on their behalf" in await answer.text()
    assert not it.stand.payloads(ApprovalGranted)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vote": "approve", "reason": " "}, "a vote needs a reason"),
        ({"vote": "approve", "reason": "x" * 1001}, "a vote needs a reason"),
        ({"vote": "perhaps", "reason": "x"}, "that is no vote"),
    ],
)
async def test_a_vote_that_is_none_is_refused(it: Pages, fields: dict[str, str], message: str) -> None:
    """It needs a choice and a reason of a sensible length."""
    approval = await it.held()
    await it.sign_in("carol", "dba")
    answer = await it.post(f"/approvals/{approval}", {**fields, "csrf": await it.csrf()})
    assert answer.status == 400
    assert message in await answer.text()
    assert not it.stand.payloads(ApprovalGranted)


async def test_what_others_wrote_is_text_and_nothing_else(it: Pages) -> None:
    """Markup in a name, an intent, an alias or a filter is shown as it is written, on every page."""
    attacker = it.stand.human("<b>eve</b>")
    alias = ATTACK.replace('"', '""')
    denied = await it.ask(attacker, 'DROP TABLE t; SELECT 1 AS "<script>x</script>"', ATTACK)
    await it.ask(attacker, f'SELECT id AS "{alias}" FROM t', ATTACK)
    await it.ask(attacker, 'ALTER TABLE t ADD COLUMN "<script>y</script>" int', ATTACK)
    it.publish()
    await it.sign_in("carol", "dba")
    seen = ""
    for path in ("/feed", f"/decisions/{denied.decision_id}", "/approvals", "/overview"):
        status, text = await it.get(path)
        assert status == 200
        seen += text
    seen += (await it.get("/feed?principal=%3Cscript%3Ealert(3)%3C/script%3E&text=%22%3E%3Cscript%3Ealert(4)"))[1]
    lowered = seen.lower()
    for raw in ("<script>alert", "<script>x", "<script>y", "<img", "<b>eve", "\u202e"):
        assert raw not in lowered
    assert "&lt;b&gt;eve&lt;/b&gt;" in seen and "&lt;script&gt;alert(1)" in seen and "{{7*7}}" in seen


@pytest.mark.parametrize("path", ["/sign-in", "/feed", "/nowhere", "/static/console.js", "/healthz"])
async def test_every_answer_carries_the_security_headers(it: Pages, path: str) -> None:
    """Also errors and files: no foreign or inline code, no frames, nothing stored."""
    await it.sign_in("carol", "dba")
    answer = await it.client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    text = await answer.text()
    assert " style=" not in text and "<style" not in text and " onclick" not in text


async def test_the_feed_filters(it: Pages) -> None:
    """Effect, principal, database and text narrow it; what makes no sense in an address is left out."""
    await it.ask(it.stand.human("alice"), "SELECT id FROM t WHERE id = 1", "monthly report")
    await it.ask(it.stand.agent("bot", "alice"), "DROP TABLE t")
    await it.ask(it.stand.human("bob"), "SELECT email FROM t WHERE id = 2")
    it.publish()
    await it.sign_in("carol", "dba")

    async def rows(query: str) -> int:
        status, text = await it.get(f"/feed?part=rows&{query}")
        assert status == 200
        return text.count("data-id=")

    found = {query: await rows(query) for query in (
        "", "effect=deny", "effect=masked", "principal=ALICE", "principal=bot", "database=shop", "database=other",
        "text=drop+table", "text=monthly", "text=guardrails.", "window=hour", "effect=nonsense&window=x&before=x",
        "before=2001-01-01T00:00:00%2B00:00", "principal='+OR+1%3D1+--",
    )}  # fmt: skip
    assert list(found.values()) == [3, 1, 1, 2, 1, 3, 0, 1, 1, 1, 3, 3, 0, 0], found


async def test_a_decision_shows_facts_rules_and_evidence(it: Pages) -> None:
    """The page names who for whom, the table with its tags, the rule with its controls, the event in the journal."""
    decision = await it.ask(it.stand.agent("bot", "alice"), "DROP TABLE t", "clean up")
    it.publish()
    await it.sign_in("carol", "dba")
    status, text = await it.get(f"/decisions/{decision.decision_id}")
    assert status == 200
    for word in ("bot", "for alice", "clean up", "DROP TABLE t", "guardrails.drop_critical", "critical", "SOC2:",
                 "StatementDecided", decision.decision_id, decision.policy_revision, "It did not run."):  # fmt: skip
        assert word in text, word
    assert (await it.get("/decisions/none"))[0] == 404


async def test_before_the_first_event_pages_are_empty_not_broken(it: Pages) -> None:
    """A console that is faster than the projection shows that nothing is there yet."""
    await it.sign_in("carol", "dba")
    status, text = await it.get("/feed")
    assert status == 200 and "Nothing here" in text
    assert (await it.get("/overview"))[0] == 200


async def test_the_signal_says_that_something_is_new(it: Pages) -> None:
    """A page that is open hears of a publication, and the stream ends with the session."""
    await it.sign_in("carol", "dba")
    csrf = await it.csrf()
    async with it.client.get("/changes") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        await it.ask(it.stand.human("alice"), "SELECT id FROM t")
        await asyncio.to_thread(it.publish)
        async with asyncio.timeout(10):
            while (await stream.content.readline()) != b"event: changed\n":
                pass
            await it.post("/sign-out", {"csrf": csrf})
            await stream.content.read()
        assert stream.content.at_eof()


async def test_a_large_form_is_refused(it: Pages) -> None:
    """Nobody fills the memory by a form."""
    assert (await it.post("/sign-in", {"token": "x" * 100_000})).status == 413


async def test_under_tls_the_cookie_is_bound_to_it(tmp_path: Path, clock: SetClock) -> None:
    """Over https the cookie is Secure and of this host alone, and the browser is told to stay with https."""
    authority = Authority(tmp_path / "tls")
    pair = authority.pair("console", "localhost")
    settings = ConsoleSettings(certificate_file=pair.certificate, key_file=pair.key)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    async with pages(tmp_path / "data", clock, settings) as it:
        with listening("127.0.0.1:0", exactly=True) as listener:
            server = ConsoleServer(it.app, settings, listener)
            await server.start()
            origin = f"https://127.0.0.1:{bound(listener).port}"
            token = it.stand.human("carol", "dba")
            async with ClientSession() as client, client.post(
                f"{origin}/sign-in", data={"token": token}, headers={"Origin": origin}, ssl=trusting,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                assert answer.status == 303
                assert cookie_of(answer)["__Host-airlock"]["secure"]
                assert answer.headers["Strict-Transport-Security"]
            await server.stop()
