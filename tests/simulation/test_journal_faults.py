"""The fault matrix: every write of the journal fails, or fails although it was done; the wanted progress is data."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import apsw
import pytest

from decision.journal.group import GroupCommit
from decision.journal.settings import JournalSettings
from decision.journal.store import JournalStore
from decision.model.errors import AirlockError
from decision.model.events import AuditEvent
from decision.wire.events import ProtobufEventCodec
from tests.simulation.disk import Disk, Fault, SimulatedFiles
from tests.simulation.events import draft

MATRIX = json.loads((Path(__file__).parents[1] / "cases" / "journal" / "faults.json").read_text())
CODEC = ProtobufEventCodec()
SETTINGS = JournalSettings(ballast_bytes=0, min_free_bytes=0, checkpoint_pages=200)


class DirectRunner:
    """Runs a job at once and tells the result in the next turn."""

    def submit(self, job: Any, done: Any) -> None:
        loop = asyncio.get_running_loop()
        try:
            loop.call_soon(done, job(), None)
        except Exception as error:
            loop.call_soon(done, None, error)

    def stop(self) -> None: ...


class Scene:
    """A journal of three events on a simulated disk."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.files = SimulatedFiles(self.disk)
        self.phase_trace: list[tuple[str, str]] = []
        self.start = 0
        self.acknowledged: list[AuditEvent] = []

    async def prepare(self) -> tuple[JournalStore, GroupCommit]:
        store, group = self.open(SETTINGS)
        for number in (1, 2, 3):
            await self.append(group, number)
        return store, group

    def open(self, settings: JournalSettings = SETTINGS) -> tuple[JournalStore, GroupCommit]:
        store = JournalStore.open(self.files, "p", CODEC, settings, verify_all=True)
        return store, GroupCommit(store, DirectRunner(), "p", CODEC, settings)

    async def append(self, group: GroupCommit, number: int) -> str:
        try:
            self.acknowledged.append(await group.append(draft(number)))
        except AirlockError as error:
            return error.code
        return "acknowledged"

    async def act(self, phase: str, store: JournalStore, group: GroupCommit, fault: Fault | None) -> tuple[str, str]:
        """(answer, next) of what the phase asks for; `fault` is in force for the phase alone."""
        if phase == "checkpoint":
            answer = await self.append(group, 4)
        self.start = len(self.disk.trace)
        self.disk.fault = fault
        if phase == "open":
            store.abandon()
            answer = self._try_open()
        elif phase == "prune":
            answer = await self._prune(group)
        elif phase == "commit":
            answer = await self.append(group, 4)
        else:
            group._runner.submit(store.checkpoint, group._maintained)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.disk.fault = None
        self.phase_trace = self.disk.trace[self.start :]
        return answer, "none" if phase == "open" else await self.append(group, 5)

    def _try_open(self) -> str:
        try:
            store, _ = self.open()
        except (apsw.Error, OSError):
            return "refused"
        store.abandon()
        return "opened"

    async def _prune(self, group: GroupCommit) -> str:
        try:
            await group.prune(2)
        except AirlockError as error:
            return error.code
        return "pruned"


def failing(operation: str, mode: str, occurrence: int) -> tuple[Fault, list[int]]:
    """A fault at the given occurrence; the cell counts down to 0 when it happened."""
    remaining = [occurrence]

    def fault(kind: str, name: str) -> str:
        if f"{kind} {name}" != operation or remaining[0] <= 0:
            return ""
        remaining[0] -= 1
        return mode if remaining[0] == 0 else ""

    return fault, remaining


def ident(case: dict[str, Any]) -> str:
    return f"{case['phase']}-{case['operation']}-{case['mode']}"


async def perform(case: dict[str, Any], occurrence: int, *, power_cut: bool) -> bool:
    """Try one occurrence. False when the phase has no such occurrence."""
    scene = Scene()
    try:
        store, group = await scene.prepare()
        fault, remaining = failing(case["operation"], case["mode"], occurrence)
        answers = await scene.act(case["phase"], store, group, fault)
        if remaining[0]:
            return False
        assert answers == (case["answer"], case["next"]), occurrence
        store.abandon()
        kept = case["kept"]
        if power_cut:
            scene.disk.power_cut(random.Random(occurrence))
            kept = case["kept_after_power_cut"]
        store, group = scene.open()
        assert kept[0] <= store.state.events <= kept[1], occurrence
        assert store.state.head.seq >= max(event.seq for event in scene.acknowledged)
        await go_on(scene, store, group)
        return True
    finally:
        scene.disk.close()


async def go_on(scene: Scene, store: JournalStore, group: GroupCommit) -> None:
    """After the repair new events are durable, whatever the kernel forgot before."""
    assert await scene.append(group, 6) == "acknowledged"
    store.abandon()
    scene.disk.power_cut(random.Random(0))
    store, _ = scene.open()
    assert store.state.head.seq >= scene.acknowledged[-1].seq
    store.abandon()


@pytest.mark.parametrize("power_cut", [False, True], ids=["restart", "power-cut"])
@pytest.mark.parametrize("case", MATRIX["cases"], ids=ident)
async def test_a_failing_write_has_the_stated_progress(case: dict[str, Any], power_cut: bool) -> None:
    """Each occurrence of the operation in the phase: the answer, the refusal after it, and what is found later."""
    occurrence = 1
    while await perform(case, occurrence, power_cut=power_cut):
        occurrence += 1
    assert occurrence > 1, "the phase has no such operation"


@pytest.mark.parametrize("phase", list(MATRIX["phases"]))
async def test_the_matrix_is_complete(phase: str) -> None:
    """Every operation that a healthy phase performs has its rows, for both modes."""
    scene = Scene()
    store, group = await scene.prepare()
    await scene.act(phase, store, group, None)
    seen = {f"{kind} {name}" for kind, name in scene.phase_trace}
    scene.disk.close()
    listed = {
        mode: {case["operation"] for case in MATRIX["cases"] if case["phase"] == phase and case["mode"] == mode}
        for mode in ("failed", "persisted")
    }
    assert listed["failed"] == listed["persisted"] == seen


async def test_the_kernel_forgetting_pages_is_simulated() -> None:
    """The test of the test: who opens the database without rewriting the log loses what it then commits."""
    scene = Scene()
    store, group = await scene.prepare()
    await scene.act("commit", store, group, failing("sync journal.db-wal", "failed", 1)[0])
    store.abandon()
    assert committed_by_a_careless_opener(scene) == "lost"


async def test_rewriting_the_log_repairs_what_the_kernel_forgot() -> None:
    """After harden_wal the same opener loses nothing."""
    scene = Scene()
    store, group = await scene.prepare()
    await scene.act("commit", store, group, failing("sync journal.db-wal", "failed", 1)[0])
    store.abandon()
    scene.files.harden_wal()
    assert committed_by_a_careless_opener(scene) == "kept"


def committed_by_a_careless_opener(scene: Scene) -> str:
    """Open, commit with an fsync, cut the power."""
    db = scene.files.connect()
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "FULL")
    db.wal_autocheckpoint(0)
    db.execute("UPDATE meta SET epoch = 77")
    db.close()
    scene.disk.power_cut(random.Random(0))
    db = scene.files.connect()
    found = db.execute("SELECT epoch FROM meta").get
    db.close()
    scene.disk.close()
    return "kept" if found == 77 else "lost"
