"""A session's questions: answered without a task where the service can, in order, in time, and never after the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, cast

import pytest

from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import JournalFull
from decision.model.ports import DecisionPort, PromptDecisions
from decision.model.session import DecideRequest
from enforcement.config import EnforcementSettings, UpstreamDatabase
from enforcement.masking.engine import MaskingEngine
from enforcement.postgres.catalogs import Catalogs
from enforcement.postgres.decisions import Decisions, Surroundings, Ways
from enforcement.postgres.gaps import Gaps
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.reporter import Reporter
from tests.clients.port import RealClock, snapshot

DATABASE = UpstreamDatabase(name="shop", upstream="postgresql://nobody@127.0.0.1/shop")
MS = 1_000_000
Done = Callable[[Decision | Exception], None]


def allowed(request: DecideRequest) -> Decision:
    return Decision(f"id of {request.text.decode()}", PolicyEffect.ALLOW)


class SetClock(RealClock):
    """Stands still until it is set."""

    now_ns = 10_000 * MS

    def monotonic_ns(self) -> int:
        return self.now_ns


class Service:
    """Keeps what it is asked. A text with `wait` it does not decide promptly; what it does is answered by `answer`."""

    def __init__(self) -> None:
        self.prompt: list[tuple[DecideRequest, Done]] = []
        self.slow: list[DecideRequest] = []
        self.asked: list[bytes] = []
        self.hurry = asyncio.Event()

    def decide_now(self, request: DecideRequest, done: Done) -> bool:
        if b"wait" in request.text:
            return False
        self.asked.append(request.text)
        self.prompt.append((request, done))
        return True

    async def decide(self, request: DecideRequest) -> Decision:
        self.asked.append(request.text)
        self.slow.append(request)
        await self.hurry.wait()
        return allowed(request)

    async def decide_many(self, requests: list[DecideRequest]) -> list[Decision | Exception]:
        return [await self.decide(request) for request in requests]


class Session:
    """Decisions between a real protocol core and `Service`."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self.service = Service()
        assert isinstance(self.service, PromptDecisions)
        port, clock = cast(DecisionPort, self.service), SetClock()
        self.clock = clock
        settings = EnforcementSettings(data_dir=folder, databases=(DATABASE,), decision_timeout_s=timeout_s)
        self.gaps = Gaps(port, "pep", clock)
        masks = MaskingEngine(b"k" * 16)
        self.reporter = Reporter(port)
        around = Surroundings(
            settings, port, clock, masks, self.gaps, Catalogs(port, snapshot, 60.0), self.reporter, self.service
        )
        self.core = SessionCore("s", masks)
        self.taken = asyncio.Event()
        self.decisions = Decisions(around, "s", self.core, Ways(lambda _: None, self.step, lambda: None))

    def step(self, work: Callable[..., None], *arguments: object) -> None:
        work(*arguments)
        self.taken.set()

    def ask(self, *texts: bytes) -> None:
        """Each text is prepared, so that several may be asked for at once."""
        self.core.state.now_ns = self.clock.monotonic_ns()
        for text in texts:
            self.core.client_data(messages.parse(text, text))
        asked, self.core.state.asks = self.core.state.asks, []
        self.decisions.ask(asked)

    @property
    def forwarded(self) -> bytes:
        return b"".join(self.core.state.to_server)


class Playing(Protocol):
    def __call__(self, work: Callable[[Session], Awaitable[None]], timeout_s: float = 30.0) -> None: ...


@pytest.fixture
def play(tmp_path: Path) -> Playing:
    def run(work: Callable[[Session], Awaitable[None]], timeout_s: float = 30.0) -> None:
        async def main() -> None:
            session = Session(tmp_path, timeout_s)
            async with asyncio.timeout(10):
                await work(session)
            session.decisions.close()

        asyncio.run(main())

    return run


def test_a_prompt_decision_needs_no_task(play: Playing) -> None:
    """The answer leads straight to the forwarded statement; nobody waits for it in a task."""

    async def work(session: Session) -> None:
        session.ask(b"one")
        assert len(asyncio.all_tasks()) == 1
        [(request, done)] = session.service.prompt
        assert session.forwarded == b""
        done(allowed(request))
        assert b"one" in session.forwarded

    play(work)


def test_what_follows_a_slow_decision_is_asked_behind_it(play: Playing) -> None:
    """From the first that has to wait on, a task asks, in order; later ones do not overtake it."""

    async def work(session: Session) -> None:
        session.ask(b"one", b"wait", b"two")
        session.ask(b"three")
        while len(session.service.asked) < 4:
            session.service.hurry.set()
            await asyncio.sleep(0)
        assert session.service.asked == [b"one", b"wait", b"two", b"three"]
        assert len(session.service.prompt) == 1

    play(work)


def test_after_a_slow_decision_prompt_ones_are_asked_again(play: Playing) -> None:
    """Once no task is under way, the short way is open."""

    async def work(session: Session) -> None:
        session.ask(b"wait")
        session.service.hurry.set()
        await session.taken.wait()
        session.ask(b"one")
        assert len(session.service.prompt) == 1

    play(work)


def test_a_prompt_decision_that_does_not_come_is_refused(play: Playing) -> None:
    """After the time limit the statement is denied and counted, and the late answer changes nothing."""

    async def work(session: Session) -> None:
        session.ask(b"one")
        session.clock.now_ns += 20 * MS
        await session.taken.wait()
        refused = session.forwarded
        assert b"one" not in refused and b"airlock" in refused
        assert session.gaps.denials == 1
        [(request, done)] = session.service.prompt
        done(allowed(request))
        assert session.forwarded == refused

    play(work, 0.02)


def test_each_prompt_decision_has_its_own_time(play: Playing) -> None:
    """Those that are answered in time are not refused with the one before them that is late."""

    async def work(session: Session) -> None:
        session.ask(b"one")
        session.clock.now_ns += 15 * MS
        session.ask(b"two")
        session.clock.now_ns += 5 * MS
        await session.taken.wait()
        assert session.gaps.denials == 1
        request, _ = session.service.prompt[1]
        assert request.text == b"two"
        session.taken.clear()
        session.clock.now_ns += 15 * MS
        await session.taken.wait()
        assert session.gaps.denials == 2

    play(work, 0.02)


def test_after_the_end_a_prompt_decision_is_ignored(play: Playing) -> None:
    """A decision that comes when the session is over forwards nothing."""

    async def work(session: Session) -> None:
        session.ask(b"one")
        session.decisions.close()
        [(request, done)] = session.service.prompt
        done(allowed(request))
        assert session.forwarded == b""

    play(work)


def test_an_exception_in_place_of_a_prompt_decision_denies(play: Playing) -> None:
    """A journal that can't record refuses the statement, and the denial is counted for a later record."""

    async def work(session: Session) -> None:
        session.ask(b"one")
        [(_, done)] = session.service.prompt
        done(JournalFull("audit log unavailable"))
        assert b"one" not in session.forwarded
        assert session.gaps.denials == 1

    play(work)
