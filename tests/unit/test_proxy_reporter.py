"""Execution reports share the next decision's commit, yet none waits long, is lost, or overtakes another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import pytest

from decision.model.errors import JournalFull
from decision.model.ports import DecisionPort
from decision.model.session import ExecutionReport, Outcome
from enforcement.postgres import reporter as module
from enforcement.postgres.reporter import BATCH, Reporter


class Recorder:
    """Keeps what is reported; `failing` reports are refused first. `enough` is done when `wanted` are there."""

    def __init__(self, wanted: int, failing: int = 0) -> None:
        self.recorded: list[str] = []
        self.failing = failing
        self.wanted = wanted
        self.enough = asyncio.Event()

    async def report(self, report: ExecutionReport) -> None:
        if self.failing:
            self.failing -= 1
            raise JournalFull("full")
        self.recorded.append(report.decision_id)
        if len(self.recorded) >= self.wanted:
            self.enough.set()

    async def report_many(self, reports: Sequence[ExecutionReport]) -> list[Exception | None]:
        found = await asyncio.gather(*map(self.report, reports), return_exceptions=True)
        return [one if isinstance(one, Exception) else None for one in found]


def reports(count: int) -> list[ExecutionReport]:
    return [ExecutionReport("s", f"d{number}", 0, Outcome.COMPLETED) for number in range(count)]


def run(wanted: int, work: Callable[[Reporter, Recorder], Awaitable[None]], failing: int = 0) -> list[str]:
    async def main() -> list[str]:
        port = Recorder(wanted, failing)
        reporter = Reporter(cast(DecisionPort, port))
        try:
            async with asyncio.timeout(10):
                await work(reporter, port)
        finally:
            await reporter.close()
        return port.recorded

    return asyncio.run(main())


NAMES = [f"d{number}" for number in range(3 * BATCH)]


def test_a_report_goes_without_a_decision_to_share_with() -> None:
    """A session that asks nothing more has its execution recorded all the same."""

    async def work(reporter: Reporter, port: Recorder) -> None:
        assert reporter.add("s", reports(1)) == 1
        await port.enough.wait()

    assert run(1, work) == NAMES[:1]


def test_a_report_goes_with_the_next_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time limit on waiting, it is asking for a decision that sends what is queued."""
    monkeypatch.setattr(module, "LINGER_S", 3600.0)

    async def work(reporter: Reporter, port: Recorder) -> None:
        reporter.add("s", reports(2))
        reporter.hurry()
        await port.enough.wait()

    assert run(2, work) == NAMES[:2]


def test_more_than_a_batch_goes_in_order_without_another_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit one batch follows it at once."""
    monkeypatch.setattr(module, "LINGER_S", 3600.0)

    async def work(reporter: Reporter, port: Recorder) -> None:
        reporter.add("s", reports(3 * BATCH))
        reporter.hurry()
        await port.enough.wait()

    assert run(3 * BATCH, work) == NAMES


def test_a_refused_report_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full journal delays reports; it does not lose them."""
    monkeypatch.setattr(module, "RETRY_S", 0.0)

    async def work(reporter: Reporter, port: Recorder) -> None:
        reporter.add("s", reports(3))
        await port.enough.wait()

    assert sorted(run(3, work, failing=3)) == NAMES[:3]


def test_the_end_of_a_session_sends_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draining a session waits for no decision."""
    monkeypatch.setattr(module, "LINGER_S", 3600.0)

    async def work(reporter: Reporter, port: Recorder) -> None:
        reporter.watch("s", lambda _: None)
        reporter.add("s", reports(2))
        assert await reporter.drain("s", 5.0) == 0

    assert run(2, work) == NAMES[:2]
