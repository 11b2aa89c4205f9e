"""Power cuts at any moment: what was acknowledged is there, in order, and the chain verifies."""

from __future__ import annotations

import random

import apsw
import pytest

from decision.journal.chain import Head, chain_hash
from decision.journal.frames import unpack
from decision.journal.rows import ROWS, verify_rows
from decision.journal.settings import JournalSettings
from decision.journal.state import Batch
from decision.journal.store import JournalStore
from decision.model.errors import ChainBroken
from decision.wire.events import ProtobufEventCodec
from tests.simulation.disk import Disk, File, SimulatedFiles
from tests.simulation.events import draft
from tests.simulation.seeds import seeds

CODEC = ProtobufEventCodec()
SETTINGS = JournalSettings(ballast_bytes=0, min_free_bytes=0, checkpoint_pages=6, verify_tail_events=8)


class Lost(AssertionError):
    pass


def power_cuts(seed: int, synchronous: str = "FULL", cuts: int = 4) -> int:
    """One universe: commit, cut the power, open again, compare. Returns the number of events acknowledged."""
    rng = random.Random(seed)
    disk = Disk()
    files = SimulatedFiles(disk)
    acknowledged: dict[int, bytes] = {}
    number = 0
    try:
        for _ in range(cuts):
            remaining = [rng.randrange(3, 120)]

            def fault(operation: str, name: str, remaining: list[int] = remaining) -> str:
                remaining[0] -= 1
                return "cut" if remaining[0] < 0 else ""

            disk.fault = fault
            store = None
            try:
                store = JournalStore.open(files, "p", CODEC, SETTINGS, synchronous=synchronous)
                for _ in range(rng.randrange(1, 40)):
                    batch, number = make_batch(rng, store, number)
                    store.commit(batch)
                    acknowledged.update(enumerate(batch.raws, batch.first_seq))
                    if store.checkpoint_due() and rng.random() < 0.9:
                        store.checkpoint()
            except (apsw.Error, OSError):
                assert disk.off, "an error without a fault"
            disk.off = True
            if store is not None:
                store.abandon()
            disk.power_cut(rng)
            compare(files, acknowledged)
        return len(acknowledged)
    finally:
        disk.close()


def make_batch(rng: random.Random, store: JournalStore, number: int) -> tuple[Batch, int]:
    head, raws = store.state.head, []
    first = head.seq + 1
    for _ in range(rng.choice((1, 1, 2, 5))):
        number += 1
        raw = CODEC.encode(draft(number, rng.choice((0, 100, 3000))), "p", store.epoch, head.seq + 1, head.hash)
        head = Head(head.seq + 1, chain_hash(head.hash, head.seq + 1, raw), store.epoch)
        raws.append(raw)
    return Batch(first, raws, head, sum(map(len, raws))), number


def compare(files: SimulatedFiles, acknowledged: dict[int, bytes]) -> None:
    """Every acknowledged event is stored with its bytes; the chain verifies from the first event."""
    try:
        store = JournalStore.open(files, "p", CODEC, SETTINGS, verify_all=True)
    except ChainBroken as error:
        raise Lost(error.message) from error
    db = store._db
    stored: dict[int, bytes] = {}
    for row in db.execute(ROWS, (0,)):
        stored.update(enumerate(unpack(row[4]), row[1]))
    head = verify_rows(db.execute(ROWS, (0,)), CODEC, "p", Head())
    store.close()
    for seq, raw in acknowledged.items():
        if stored.get(seq) != raw:
            raise Lost(f"event {seq} was acknowledged and is lost (head {head.seq})")
    acknowledged.update(stored)


def test_no_acknowledged_event_is_lost_to_power_cuts() -> None:
    """Whatever unsynced sectors the disk drops, reorders or tears."""
    universes = events = 0
    for seed in seeds(8.0):
        try:
            events += power_cuts(seed)
        except Exception as error:
            raise AssertionError(f"replay with AIRLOCK_SIM_SEED={seed}: {error}") from error
        universes += 1
    print(f"{universes} universes, {4 * universes} power cuts, {events} events acknowledged, none lost")
    assert universes == 1 or events > universes


def test_a_journal_that_does_not_fsync_each_commit_is_caught_losing_events() -> None:
    """The test of the test: with synchronous=NORMAL the simulation finds lost events."""
    lost = 0
    for seed in range(40):
        try:
            power_cuts(seed, synchronous="NORMAL")
        except Lost:
            lost += 1
    assert lost > 20


def test_a_seed_is_replayable() -> None:
    """The same seed acknowledges the same number of events."""
    assert power_cuts(4711) == power_cuts(4711)


@pytest.mark.parametrize("sector", [0, 1])
def test_the_simulated_disk_forgets_what_was_not_synced(sector: int) -> None:
    """A synced write stays; of an unsynced one a sector may be missing."""
    disk = Disk()
    disk.files["f"] = File()
    disk.write("f", sector * 512, b"a" * 512)
    disk.sync("f")
    disk.write("f", sector * 512, b"b" * 512)
    seen = set()
    for seed in range(50):
        copy = Disk()
        copy.files["f"] = File(bytearray(disk.files["f"].platter), bytearray(), list(disk.files["f"].unsynced))
        copy.power_cut(random.Random(seed))
        seen.add(bytes(copy.files["f"].cache[sector * 512 :][:512])[:1])
        copy.close()
    disk.close()
    assert seen == {b"a", b"b"}
