"""A decision made at once, first or repeated, is the one that was made in turn, and so is its event.

Two services live through the same messages and changes. One decides at once wherever it can and repeats what it knows;
the other writes every event by the general codec, keeps nothing and is always asked by `decide`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from decision.model.decision import Decision
from decision.model.events import Payload, StatementDecided
from decision.model.session import DecideRequest, MessageKind, ParameterValue
from tests.support.service import SNAPSHOT, SetClock, Stand, stand

SEEDS = int(os.environ.get("AIRLOCK_TEST_SEEDS", "8"))
STEPS = 120
MADE = "CREATE TEMP TABLE mine AS SELECT email FROM t"
READ_MADE = "SELECT * FROM mine"
TEXTS = (
    "SELECT id FROM t WHERE id = $1",
    "SELECT id, email FROM t WHERE id = 7",
    "UPDATE t SET email = $1 WHERE id = $2",
    "INSERT INTO t VALUES ($1, 'x')",
    "DELETE FROM t",
    "DROP TABLE t",
    "SELEC",
    "SELECT nothing FROM nowhere",
    "BEGIN",
    "COMMIT",
    MADE,
    READ_MADE,
    "SET search_path = other",
    "SELECT 1; SELECT id FROM t",
)
USUAL = (TEXTS[0], TEXTS[2], MADE, READ_MADE)
PARAMETERS = (
    (),
    (ParameterValue(23, 0, b"1"), ParameterValue(23, 0, b"2")),
    (ParameterValue(23, 1, b"\0\0\0\1"), ParameterValue(25, 1, None)),
    (ParameterValue(25, 0, b"a@b"),),
)
SETTINGS = ((), (("search_path", "other"),), (("standard_conforming_strings", "off"),))


def message(rng: random.Random) -> DecideRequest:
    """Mostly the same few again and again."""
    usual = rng.random() < 0.7
    return DecideRequest(
        "",
        rng.choice(USUAL if usual else TEXTS).encode(),
        rng.choice((MessageKind.BIND, MessageKind.PARSE)) if usual else rng.choice(list(MessageKind)),
        rng.choice(PARAMETERS),
        rng.choice(SETTINGS) if rng.random() < 0.15 else SETTINGS[0],
        "I" if rng.random() < 0.8 else rng.choice("ITE"),
        rng.choice(("", "", "", "tidying up")),
        rng.choice(("", "", "", "OPS-1")),
        rng.choice(("", "p" * 36)),
    )


async def at_once(it: Stand, request: DecideRequest) -> tuple[Decision, bool]:
    answer: asyncio.Future[Decision | Exception] = asyncio.get_running_loop().create_future()
    if not it.service.decide_now(request, answer.set_result):
        return await it.service.decide(request), False
    decision = await answer
    assert isinstance(decision, Decision)
    return decision, True


def told(payload: Payload, session_id: str) -> object:
    """The event but for ids, and for what the two services' own clocks and sessions make different."""
    assert isinstance(payload, StatementDecided) and payload.session_id == session_id
    document = payload.input_json.replace(session_id.encode(), b"SESSION")
    linked = "to its Parse" if payload.parse_decision_id else ""
    return replace(
        payload, decision_id="", parse_decision_id=linked, session_id="", latency_ns=0, approval_id="",
        input_json=document,
    )  # fmt: skip


def same(decision: Decision) -> object:
    hint = decision.hint.replace(decision.approval_id, "APPROVAL") if decision.approval_id else decision.hint
    return replace(decision, decision_id="", approval_id="", hint=hint)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_both_ways_decide_and_record_the_same(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through repeated and new messages, settings, transactions, passing time, new catalogs and reconnecting."""
    rng, clock, prompt = random.Random(seed), SetClock(time.time_ns()), 0
    async with stand(tmp_path, clock) as one, stand(tmp_path, clock) as other:
        monkeypatch.setattr(other.service._decider._judge, "form", lambda *_: None)
        sessions = [await one.session(one.human("alice")), await other.session(other.human("alice"))]
        for _ in range(STEPS):
            chance = rng.random()
            if chance < 0.1:
                clock.move(rng.choice((0.4, 1.0)))
            elif chance < 0.13:
                snapshot = replace(SNAPSHOT, version=f"v{rng.random()}")
                for it in (one, other):
                    await it.service.sync_catalog(snapshot)
            elif chance < 0.17:
                who = rng.choice(("human", "agent"))
                sessions = [
                    await it.session(getattr(it, who)() if who == "agent" else it.human("bob")) for it in (one, other)
                ]
            request = message(rng)
            decision, now = await at_once(one, replace(request, session_id=sessions[0]))
            wanted = await other.service.decide(replace(request, session_id=sessions[1]))
            prompt += now
            assert same(decision) == same(wanted), request
            found = one.payloads(StatementDecided)[-1]
            assert found.decision_id == decision.decision_id
            assert told(found, sessions[0]) == told(other.payloads(StatementDecided)[-1], sessions[1]), request
            last, peer = one.journal.events[-1].draft, other.journal.events[-1].draft
            assert (last.source, last.time_unix_nano) == (peer.source, peer.time_unix_nano)
            assert (last.correlation_id, peer.correlation_id) == tuple(sessions)
    assert prompt > STEPS / 2
