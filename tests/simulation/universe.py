"""One universe: clients append to the real group commit and store, on a simulated disk, in virtual time.

Drawn from the seed: how many clients, how long they think, how long commits take, and what goes wrong: a full disk that
is cleared later, a failing operation, a crash, a disk that hangs, clients that give up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import apsw

from decision.journal.frames import unpack
from decision.journal.group import GroupCommit
from decision.journal.rows import ROWS
from decision.journal.settings import JournalSettings
from decision.journal.store import JournalStore
from decision.model.errors import ChainBroken, JournalBusy, JournalFull, JournalPoisoned, JournalUnavailable
from decision.model.events import AuditEvent
from decision.model.session import ExecutionReport, Outcome
from decision.wire.events import ProtobufEventCodec
from decision.wire.hot import EventHeads, executed_after
from tests.simulation.disk import Disk, SimulatedFiles
from tests.simulation.events import draft
from tests.simulation.loop import SimulatedLoop, SimulatedRunner

CODEC = ProtobufEventCodec()
HEADS = EventHeads("test")
SETTINGS = JournalSettings(
    ballast_bytes=64 * 1024, min_free_bytes=32 * 1024, checkpoint_pages=8, queue_limit=6, batch_events=4,
    recheck_s=0.5, stall_s=5.0, quota_bytes=64 << 20,
)  # fmt: skip


@dataclass
class History:
    """What happened: ids of the events acknowledged; numbers refused after being queued; errors by code."""

    acknowledged: list[str] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    codes: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0
    poisoned_at: float | None = None
    crashed: bool = False

    def count(self, code: str) -> None:
        self.codes[code] = self.codes.get(code, 0) + 1


class Universe:
    def __init__(self, seed: int, runner: type[SimulatedRunner] = SimulatedRunner) -> None:
        self.rng = random.Random(seed)
        self.disk = Disk(capacity=2 << 20)
        self.files = SimulatedFiles(self.disk)
        self.loop = SimulatedLoop(self.rng)
        self.history = History()
        self.trouble = self.rng.choice(("none", "full", "fail", "persisted", "enospc", "crash", "hang"))
        self._runner_class = runner
        self._number = 0
        self._misled = 0  # told within the call, or out of order
        self._asked: list[str] = []  # to be told by a call, in the order of the chain

    def run(self) -> History:
        """Run to the end, then cut the power and compare. Raises AssertionError (Deadlock) for a broken promise."""
        try:
            store = JournalStore.open(self.files, "p", CODEC, SETTINGS)
            runner = self._runner_class(self.loop, self._delays)
            group = GroupCommit(store, runner, "p", CODEC, SETTINGS)
            group.on_poisoned = self._on_poisoned
            runner.store = store  # type: ignore[attr-defined]
            self._inject()
            self.loop.run_until_complete(self._clients(group))
            self.disk.off = True
            store.abandon()
            self.disk.power_cut(self.rng)
            self.disk.other = 0
            self._compare()
            return self.history
        finally:
            self.loop.close()
            self.disk.close()

    def _delays(self) -> tuple[float, float]:
        if self.trouble == "hang" and self.rng.random() < 0.1:
            return 20.0, 0.0
        return self.rng.random() * 0.01, self.rng.random() * 0.01

    def _on_poisoned(self, error: BaseException) -> None:
        assert self.history.poisoned_at is None, "poisoned twice"
        self.history.poisoned_at = self.loop.time()

    def _inject(self) -> None:
        moment = self.rng.randrange(1, 200)
        kinds = {"fail": "failed", "persisted": "persisted", "enospc": "full", "crash": "cut"}
        if self.trouble in kinds:
            remaining = [moment]

            def fault(operation: str, name: str) -> str:
                remaining[0] -= 1
                return kinds[self.trouble] if remaining[0] == 0 else ""

            self.disk.fault = fault
        elif self.trouble == "full":
            self.loop.call_later(self.rng.random() * 0.5, self._fill, 1 << 30)
            self.loop.call_later(3.0, self._fill, 0)

    def _fill(self, size: int) -> None:
        self.disk.other = size

    async def _clients(self, group: GroupCommit) -> None:
        clients = [asyncio.create_task(self._client(group)) for _ in range(self.rng.randrange(1, 8))]
        watch = asyncio.create_task(self._watch_crash(clients))
        await asyncio.gather(*clients, return_exceptions=False)
        watch.cancel()

    async def _watch_crash(self, clients: list[asyncio.Task[None]]) -> None:
        while True:
            await asyncio.sleep(0.02)
            if self.disk.off:  # the machine is gone: nobody is answered any more
                self.history.crashed = True
                self.history.unfinished = len([client for client in clients if not client.done()])
                for client in clients:
                    client.cancel()

    async def _client(self, group: GroupCommit) -> None:
        try:
            for _ in range(self.rng.randrange(1, 15)):
                await asyncio.sleep(self.rng.choice((0.0, 0.0, self.rng.random() * 0.2)))
                await self._append(group)
        except asyncio.CancelledError:
            if not self.disk.off:
                raise

    async def _append(self, group: GroupCommit) -> None:
        self._number += 1
        number, history = self._number, self.history
        try:
            group.check()
            waiting = self._begin(group, number)
        except JournalUnavailable as error:
            history.count(error.code)
            assert isinstance(error, JournalFull | JournalBusy | JournalPoisoned)
            await asyncio.sleep(0.7)
            return
        poisoned_before = history.poisoned_at is not None
        try:
            if self.rng.random() < 0.1:
                event_id = await asyncio.wait_for(waiting, self.rng.random() * 0.01)
            else:
                event_id = await waiting
        except TimeoutError:
            return
        except JournalUnavailable as error:
            history.count(error.code)
            history.refused.add(number)
            return
        assert not poisoned_before, "acknowledged after the poison"
        if not self.disk.off:
            history.acknowledged.append(event_id)

    def _begin(self, group: GroupCommit, number: int) -> Awaitable[str]:
        """Append by one of the three ways; the event's id once it is acknowledged. Raises JournalUnavailable."""
        way, event_id = self.rng.choice(("append", "then", "encoded")), f"event-{number}"
        if way == "append":
            return self._id_of(group.append(draft(number, self.rng.choice((0, 0, 2000)))))
        answer: asyncio.Future[str] = self.loop.create_future()
        calling = True
        self._asked.append(event_id)

        def done(error: JournalUnavailable | None) -> None:
            self._misled += calling or self._asked.pop(0) != event_id
            if error is None and not answer.done():
                answer.set_result(event_id)
            elif error is not None and not answer.done():
                answer.set_exception(error)
                answer.exception()
            if self.rng.random() < 0.05:
                raise RuntimeError("whoever was told stumbles")

        try:
            if way == "then":
                group.append_then(draft(number, self.rng.choice((0, 0, 2000))), done)
            else:
                report = ExecutionReport(f"s{number}", "d" * self.rng.choice((36, 900)), 0, Outcome.COMPLETED)
                group.append_encoded(HEADS.executed(event_id, number), executed_after(report), done)
        except JournalUnavailable:
            self._asked.remove(event_id)
            raise
        finally:
            calling = False
        return answer

    async def _id_of(self, appending: Awaitable[AuditEvent]) -> str:
        return (await appending).draft.id

    def _compare(self) -> None:
        assert not self._misled, "told within the call, or out of order"
        try:
            store = JournalStore.open(self.files, "p", CODEC, SETTINGS, verify_all=True)
        except ChainBroken as error:
            raise AssertionError(error.message) from error
        stored: set[str] = set()
        rows: Any = store._db.execute(ROWS, (0,))
        for row in rows:
            stored.update(CODEC.decode(raw)[0].id for raw in unpack(row[4]))
        store.close()
        for event_id in self.history.acknowledged:
            assert event_id in stored, f"{event_id} was acknowledged and is not stored"
        if self.trouble in ("none", "hang"):
            assert not set(self.history.codes) - {"journal_busy"}, self.history.codes
        if self.trouble == "full":
            assert self.history.poisoned_at is None, "a disk that fills up slowly must not poison"


class EarlyRunner(SimulatedRunner):
    """Seeded bug: says that a job is done before it is."""

    def submit(self, job: Any, done: Any) -> None:
        self._loop.call_soon(done, self.store.state, None)  # type: ignore[attr-defined]
        super().submit(job, lambda result, error: None)


class SwallowingRunner(SimulatedRunner):
    """Seeded bug: an error of the commit is swallowed."""

    def perform(self, job: Any) -> tuple[Any, BaseException | None]:
        try:
            return job(), None
        except apsw.Error:
            return self.store.state, None  # type: ignore[attr-defined]
        except Exception as error:
            return None, error
