"""The power is cut at every single write of a pruning: an approval is in the journal or aside, never in neither."""

from __future__ import annotations

import asyncio
import contextlib
import random

import apsw

from decision.journal import frames
from decision.journal.group import GroupCommit
from decision.journal.pruning import PruneRules, PruneWish
from decision.journal.settings import JournalSettings
from decision.journal.store import JournalStore
from decision.wire.envelope import APPROVALS, about
from decision.wire.events import ProtobufEventCodec
from tests.simulation.disk import Disk, PowerCut, SimulatedFiles
from tests.simulation.test_journal_faults import DirectRunner
from tests.support.journal_load import draft

CODEC = ProtobufEventCodec()
SETTINGS = JournalSettings(ballast_bytes=0, min_free_bytes=0, checkpoint_pages=200)
EVENTS = [0, 48, 49, 1, 148, 149, 2, 3]
LIVING = {2, 3, 5, 6}
"""Of them, by seq, the approvals."""
WISH = PruneWish(PruneRules(0.0, 0, APPROVALS, 3_600.0), 6, draft(200).time_unix_nano, CODEC, about)


async def filled(disk: Disk) -> JournalStore:
    store = JournalStore.open(SimulatedFiles(disk), "p", CODEC, SETTINGS, verify_all=True)
    group = GroupCommit(store, DirectRunner(), "p", CODEC, SETTINGS)
    for number in EVENTS:
        await group.append(draft(number))
    store.checkpoint()
    return store


def found(disk: Disk) -> tuple[int, set[int], set[int]]:
    """Where the journal begins after recovery and verification, the approvals aside, and all approvals known."""
    store = JournalStore.open(SimulatedFiles(disk), "p", CODEC, SETTINGS, verify_all=True)
    database: apsw.Connection = store._db
    aside: set[int] = set()
    if database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'kept'").get:
        aside = {seq for (seq,) in database.execute("SELECT seq FROM kept")}
    here = {
        CODEC.place_of(raw)[2]
        for (packed,) in database.execute("SELECT frames FROM batch")
        for raw in frames.unpack(packed)
        if about(raw)[1].startswith(APPROVALS)
    }
    base = store.state.base.seq
    store.abandon()
    return base, aside, aside | here


def operations() -> int:
    """How many a whole pruning takes."""
    disk = Disk()
    store = asyncio.run(filled(disk))
    before = disk.operations
    store.prune_oldest(WISH)
    store.abandon()
    return disk.operations - before


def test_no_cut_loses_an_approval_or_half_of_a_pruning() -> None:
    """Whatever was written: the journal begins where it did with nothing aside, or after what went with all aside."""
    outcomes = set()
    for cut_at in range(operations() + 1):
        disk = Disk()
        store = asyncio.run(filled(disk))
        left = [cut_at]

        def fault(_: str, __: str, left: list[int] = left) -> str:
            left[0] -= 1
            return "cut" if left[0] < 0 else ""

        disk.fault = fault
        with contextlib.suppress(PowerCut, apsw.Error, OSError):
            store.prune_oldest(WISH)
        disk.fault = None
        store.abandon()
        disk.power_cut(random.Random(cut_at))
        base, aside, known = found(disk)
        assert known == LIVING, f"cut at {cut_at}"
        assert (base, aside) in ((0, set()), (6, LIVING)), f"cut at {cut_at}"
        outcomes.add(base)
    assert outcomes == {0, 6}
