"""Counters in decisions: policies see what a principal did lately, and no two decisions with other counters are one."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from decision.clock import SystemClock
from decision.model.decision import PolicyEffect
from decision.model.events import StatementDecided
from decision.model.policy import Figures
from tests.support.service import REGO, SetClock, Stand, stand

EXAMPLE = REGO.parent / "docs" / "examples" / "budgets" / "budgets.rego"
BUDGETS = [{"counter": "rows_out_today", "most": 100, "kinds": ["agent", "human"], "when_stale": "deny"}]
READ = "SELECT id FROM public.t WHERE id = 1"


class Counters:
    """A CounterSource whose figures the test sets."""

    def __init__(self) -> None:
        self.figures: dict[str, Figures] = {}
        self.asked = 0

    def of(self, principal: tuple[str, str], time_unix_nano: int) -> Figures:
        self.asked += 1
        return self.figures.get(principal[1], ())


def with_budgets(folder: Path) -> Path:
    """The shipped bundle with the example policy and a budget."""
    bundle = folder / "rego"
    shutil.copytree(REGO, bundle)
    (bundle / "policies" / "budgets").mkdir()
    shutil.copy(EXAMPLE, bundle / "policies" / "budgets")
    data = json.loads((bundle / "data.json").read_text())
    data["settings"]["budgets"] = BUDGETS
    (bundle / "data.json").write_text(json.dumps(data))
    return bundle


@pytest.fixture
def counters() -> Counters:
    return Counters()


@asynccontextmanager
async def budgeted(folder: Path, counters: Counters) -> AsyncIterator[Stand]:
    clock = SetClock(SystemClock().time_unix_nano())
    async with stand(folder, clock, rego=with_budgets(folder), counters=counters) as made:
        yield made


async def test_a_used_up_budget_is_seen_by_the_next_decision(tmp_path: Path, counters: Counters) -> None:
    """The very same message within the same second: allowed, then denied by name, then allowed again."""
    async with budgeted(tmp_path, counters) as made:
        session = await made.session(made.human("alice"))
        assert (await made.decide(session, READ)).effect is PolicyEffect.ALLOW
        assert (await made.decide(session, READ)).effect is PolicyEffect.ALLOW
        counters.figures["alice"] = (("rows_out_today", 100),)
        denied = await made.decide(session, READ)
        assert denied.effect is PolicyEffect.DENY
        assert "budgets.rows_out_today" in denied.message
        counters.figures["alice"] = (("rows_out_today", 99),)
        assert (await made.decide(session, READ)).effect is PolicyEffect.ALLOW


async def test_the_event_holds_the_counters_that_were_seen(tmp_path: Path, counters: Counters) -> None:
    """A repeated decision's event tells its own counters, not those of the first."""
    async with budgeted(tmp_path, counters) as made:
        session = await made.session(made.human("alice"))
        for rows in (7, 7, 8):
            counters.figures["alice"] = (("rows_out_today", rows),)
            await made.decide(session, READ)
        seen = [orjson.loads(one.input_json)["context"]["counters"] for one in made.payloads(StatementDecided)]
        assert seen == [{"rows_out_today": 7}, {"rows_out_today": 7}, {"rows_out_today": 8}]
        assert made.service._meter.warm == 1


async def test_a_human_behind_an_agent_has_counters_too(tmp_path: Path, counters: Counters) -> None:
    """The agent has used nothing; the human that it acts for has."""
    async with budgeted(tmp_path, counters) as made:
        session = await made.session(made.agent("bot", "alice"))
        assert (await made.decide(session, READ)).effect is PolicyEffect.ALLOW
        counters.figures["alice"] = (("rows_out_today", 5000),)
        denied = await made.decide(session, READ)
        assert denied.effect is PolicyEffect.DENY
        assert "alice" in denied.message
        counters.figures["somebody"] = counters.figures.pop("alice")
        assert (await made.decide(session, READ)).effect is PolicyEffect.ALLOW


async def test_counters_that_are_not_to_be_believed_are_named(tmp_path: Path, counters: Counters) -> None:
    """`stale` is all that policy sees then, and this budget denies for it."""
    async with budgeted(tmp_path, counters) as made:
        counters.figures["alice"] = (("stale", 1),)
        session = await made.session(made.human("alice"))
        denied = await made.decide(session, READ)
        assert "budgets.unknown" in denied.message


async def test_a_policy_that_reads_no_counters_costs_none(tmp_path: Path, counters: Counters) -> None:
    """The shipped bundle never asks for them, and they stand in no event."""
    counters.figures["alice"] = (("rows_out_today", 5000),)
    async with stand(tmp_path, SetClock(SystemClock().time_unix_nano()), counters=counters) as made:
        session = await made.session(made.human("alice"))
        await made.decide(session, READ)
        (event,) = made.payloads(StatementDecided)
        assert orjson.loads(event.input_json)["context"]["counters"] == {}
        assert counters.asked == 0
