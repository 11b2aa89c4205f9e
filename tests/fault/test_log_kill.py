"""The sequencer's process is killed with -9 at random moments while the journal grows: in the end every event is one
leaf, in its order, and each checkpoint that was ever published is a beginning of the next."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decision.clock import SystemClock
from decision.journal.custody import KEYS, Custody
from decision.journal.log_settings import LogSettings
from decision.journal.merkle import consistency_proof, verify_consistency
from decision.journal.reader import SqliteJournalReader
from decision.journal.sqlite import SqliteJournal
from decision.journal.tiles import TileFolder, TileNodes
from decision.model.events import EventDraft
from decision.wire.events import ProtobufEventCodec
from ingest.sequencer_journal import open_keeper
from tests.support.analytics_story import session

KILLS = 36
PUBLISHED = 6
"""So many checkpoints have to be seen before the end says anything."""
SETTINGS = LogSettings(origin="log.example/killed", interval_s=0.02)
CODEC = ProtobufEventCodec()
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.fault.test_log_kill"])


def keep(data_dir: Path) -> None:
    """The process that is killed."""
    keeper = open_keeper(data_dir, SETTINGS, SystemClock(), os.urandom)
    while True:
        if not keeper.step():
            threading.Event().wait(0.001)


@contextmanager
def watching(data_dir: Path) -> Iterator[list[bytes]]:
    """Every checkpoint that a reader saw."""
    seen: list[bytes] = []
    over = threading.Event()

    def watch() -> None:
        folder = TileFolder(data_dir / "log")
        while not over.wait(0.001):
            newest = folder.checkpoint()
            if newest and (not seen or seen[-1] != newest):
                seen.append(newest)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


async def grow(journal: SqliteJournal, number: int) -> None:
    """A session's events."""
    for place, (correlation, payload) in enumerate(session(number)):
        draft = EventDraft(f"e{number}.{place}", 1_790_000_000_000_000_000, "test", correlation, payload)
        await journal.append(draft)


async def test_no_kill_loses_or_doubles_a_leaf(tmp_path: Path) -> None:
    """Some three dozen kills within a few seconds, from the first moment of the process to any other."""
    seed = int(os.environ.get("LOG_KILL_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    print(f"LOG_KILL_SEED={seed}")
    chance = random.Random(seed)
    journal = SqliteJournal.open(tmp_path / "journal", producer_id="node-1", codec=CODEC)
    loop, number = asyncio.get_running_loop(), itertools.count()
    with watching(tmp_path) as seen:
        kills = 0
        while kills < KILLS or (len(seen) < PUBLISHED and kills < 5 * KILLS):  # a busy machine publishes rarely
            kills += 1
            process = FORKS.Process(target=keep, args=(tmp_path,), daemon=True)
            process.start()
            until = loop.time() + chance.choice((0.02, 0.1, 0.3, 0.5)) * chance.random() * (1 if kills < KILLS else 4)
            while loop.time() < until:
                await asyncio.gather(*(grow(journal, next(number)) for _ in range(chance.randrange(1, 12))))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
    await journal.close()
    keeper = open_keeper(tmp_path, SETTINGS, SystemClock(), os.urandom)
    keeper.finish()
    keeper.close()
    check(tmp_path, seen)


def check(data_dir: Path, seen: list[bytes]) -> None:
    folder = TileFolder(data_dir / "log")
    custody = Custody.parse((data_dir / "log" / KEYS).read_bytes())
    heads = [custody.open(data).checkpoint for data in (*seen, folder.checkpoint())]
    size = heads[-1].size
    raws: list[bytes] = []
    reader = SqliteJournalReader(data_dir / "journal", CODEC)
    while found := reader.read_raw(len(raws), 100_000):
        raws += [raw for _, raw in found]
    assert len(raws) == size > 500
    assert [raw for bundle in folder.read_entries(size) for raw in bundle] == raws
    assert len(seen) >= PUBLISHED, "the log published too rarely for this to say anything"
    nodes = TileNodes(folder, size)
    for old, new in itertools.pairwise(heads):
        verify_consistency(old.size, old.root, new.size, new.root, consistency_proof(nodes, old.size, new.size))
    print(f"{size} events, {len(seen)} checkpoints seen, {KILLS} kills")
