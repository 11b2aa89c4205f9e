"""Analysis in processes that are killed when they take too long or too much."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from decision.analysis import Analyzer, Limits, SessionState
from decision.model.errors import AnalysisError, LimitExceeded, SyntaxRefused
from decision.sandbox import Sandbox, SandboxSettings

STATE = SessionState()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("mysql") as one:
        yield one


def test_a_sandbox_gives_the_same_analysis(sandbox: Sandbox) -> None:
    """The process is no difference."""
    text = b"SELECT ssn FROM users WHERE id = 1"
    assert sandbox.analyze(text, None, STATE) == Analyzer("mysql").analyze(text, None, STATE)


def test_refusals_come_through(sandbox: Sandbox) -> None:
    """The worker's error is raised here, and the worker lives on."""
    before = sandbox.restarts
    with pytest.raises(SyntaxRefused):
        sandbox.analyze(b"SELECT 'x", None, STATE)
    assert sandbox.restarts == before


HUNGRY = {
    "parentheses": b"SELECT " + b"(" * 10_000 + b"1" + b")" * 10_000,
    "large": b"SELECT 1" + b" " * 100_000_000,
    "subscripts": b"SELECT a" + b"[1]" * 9_000,
    "unions": b"SELECT 1" + b" UNION SELECT 1" * 8_000,
    "nots": b"SELECT " + b"NOT " * 25_000 + b"1",
    "sums": b"SELECT " + b"1+" * 14_000 + b"1",
    "joins": b"SELECT * FROM a" + b" JOIN a ON 1" * 6_000,
    "cases": b"SELECT " + b"CASE WHEN 1 THEN " * 4_000 + b"1" + b" END" * 4_000,
    "stars": b"SELECT * FROM " + b"(SELECT * FROM " * 150 + b"a" + b") x" * 150,
    "nul": b"SELECT 1\0",
    "no text": b"SELECT \xff\xfe",
    "comments": b"/*" * 50_000,
    "quotes": b"'" * 99_999,
}


@pytest.mark.parametrize("text", HUNGRY.values(), ids=HUNGRY.keys())
def test_no_text_hangs_or_ends_the_process(sandbox: Sandbox, text: bytes) -> None:
    """Each is answered or refused within the deadline, and the next statement is analysed."""
    begun = time.monotonic()
    try:
        sandbox.analyze(text, None, STATE)
    except AnalysisError as error:
        assert b"SELECT" not in error.message.encode()
    assert time.monotonic() - begun < sandbox.settings.deadline_s + 1
    assert sandbox.analyze(b"SELECT 1", None, STATE).facts.complete


def test_a_worker_that_misses_the_deadline_is_replaced() -> None:
    """The message is refused, the next one has a fresh worker."""
    limits = Limits(text_bytes=10_000_000, depth=4_000, work=10_000_000)
    with Sandbox("mysql", limits, SandboxSettings(deadline_s=0.02)) as one:
        with pytest.raises(LimitExceeded, match="took more than"):
            one.analyze(b"SELECT 1" + b" UNION SELECT 1" * 9_000, None, STATE)
        assert one.restarts == 1
        object.__setattr__(one, "settings", SandboxSettings(deadline_s=5))
        assert one.analyze(b"SELECT 1", None, STATE).facts.complete


def test_a_worker_that_dies_is_replaced(sandbox: Sandbox) -> None:
    """Killed from outside: one refusal, then a fresh worker."""
    sandbox.analyze(b"SELECT 1", None, STATE)
    worker = sandbox._idle.queue[0]
    assert worker is not None
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait(10)
    with pytest.raises(LimitExceeded):
        sandbox.analyze(b"SELECT 1", None, STATE)
    assert sandbox.analyze(b"SELECT 1", None, STATE).facts.complete


def test_a_closed_sandbox_leaves_no_process() -> None:
    """Close ends the workers."""
    one = Sandbox("sqlite")
    one.analyze(b"SELECT 1", None, STATE)
    worker = one._idle.queue[0]
    assert worker is not None
    one.close()
    assert worker.process.poll() is not None
