"""The SQLite journal beyond the port: incarnations, locks, poison, stats, reading while it is written."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import apsw
import pytest
import uvloop
from pydantic import ValidationError

from decision.journal.chain import GENESIS
from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.journal.verify import verify_journal
from decision.model.errors import ChainBroken, JournalBusy, JournalPoisoned, JournalUnavailable, SettingsError
from decision.wire.events import ProtobufEventCodec
from tests.simulation.events import draft

CODEC = ProtobufEventCodec()
SETTINGS = JournalSettings(ballast_bytes=0, min_free_bytes=0)


def opened(folder: Path, settings: JournalSettings = SETTINGS, producer_id: str = "p") -> SqliteJournal:
    return SqliteJournal.open(folder, producer_id=producer_id, codec=CODEC, settings=settings)


async def test_seq_and_chain_go_on_across_openings_with_a_new_epoch(tmp_path: Path) -> None:
    """Each opening is a new incarnation, even one that wrote nothing."""
    journal = opened(tmp_path)
    first = await journal.append(draft(1))
    await journal.close()
    await opened(tmp_path).close()
    journal = opened(tmp_path)
    second = await journal.append(draft(2))
    await journal.close()
    assert (first.epoch, second.epoch) == (1, 3)
    assert (second.seq, second.prev_hash) == (2, first.hash)


async def test_a_restored_journal_takes_no_places_that_its_original_used_since(tmp_path: Path) -> None:
    """By the floor of its incarnation number, UNIX seconds: the same seq then stands under another epoch."""
    journal = SqliteJournal.open(tmp_path / "own", producer_id="p", codec=CODEC, settings=SETTINGS, epoch_floor=1_000)
    await journal.append(draft(1))
    await journal.close()
    shutil.copytree(tmp_path / "own", tmp_path / "copy")
    places = []
    for folder, floor in (("own", 1_060), ("copy", 1_120), ("copy", 7)):
        journal = SqliteJournal.open(
            tmp_path / folder, producer_id="p", codec=CODEC, settings=SETTINGS, epoch_floor=floor
        )
        event = await journal.append(draft(2))
        places.append((event.epoch, event.seq))
        await journal.close()
    assert places == [(1_060, 2), (1_120, 2), (1_121, 3)]


async def test_one_tick_is_one_batch(tmp_path: Path) -> None:
    """What a turn of the loop appends is one row, and what comes while it is written is the next."""
    journal = opened(tmp_path)
    commits: list[int] = []
    end = journal.on_commit(commits.append)
    first = [journal.append(draft(number)) for number in range(10)]
    await asyncio.sleep(0)
    second = [journal.append(draft(number)) for number in range(5)]
    await asyncio.gather(*first, *second)
    await asyncio.sleep(0)
    assert commits == [10, 15]
    end()
    await journal.append(draft(1))
    assert commits == [10, 15]
    await journal.close()


async def test_a_batch_is_bounded(tmp_path: Path) -> None:
    """By events and by bytes; all are acknowledged in order."""
    journal = opened(tmp_path, JournalSettings(ballast_bytes=0, min_free_bytes=0, batch_events=4, batch_bytes=131072))
    commits: list[int] = []
    journal.on_commit(commits.append)
    await asyncio.gather(*[journal.append(draft(number)) for number in range(10)])
    await asyncio.gather(*[journal.append(draft(number, 50_000)) for number in range(4)])
    await asyncio.sleep(0)
    assert commits == [4, 8, 10, 12, 14]
    await journal.close()


async def test_the_queue_is_bounded_in_bytes_too(tmp_path: Path) -> None:
    """Large events fill the queue before their number does."""
    journal = opened(tmp_path, JournalSettings(ballast_bytes=0, min_free_bytes=0, queue_bytes=131072))
    waiting = [journal.append(draft(number, 50_000)) for number in range(3)]
    with pytest.raises(JournalBusy):
        journal.append(draft(4))
    assert (await waiting[-1]).seq == 3
    await journal.close()


async def test_there_is_one_writer(tmp_path: Path) -> None:
    """A second opening is refused while the first lives, and the first goes on."""
    journal = opened(tmp_path)
    with pytest.raises(JournalUnavailable, match="another process"):
        opened(tmp_path)
    assert (await journal.append(draft(1))).seq == 1
    await journal.close()
    await opened(tmp_path).close()


async def test_another_producers_folder_is_refused(tmp_path: Path) -> None:
    """Two chains never mix, and the refusal gives the lock back."""
    await opened(tmp_path).close()
    with pytest.raises(SettingsError, match="belongs to producer 'p'"):
        opened(tmp_path, producer_id="q")
    await opened(tmp_path).close()


async def test_a_vanished_database_is_not_started_anew(tmp_path: Path) -> None:
    """A second chain under the same producer and epochs would look like the first."""
    journal = opened(tmp_path)
    await journal.append(draft(1))
    await journal.close()
    (tmp_path / "journal.db").unlink()
    with pytest.raises(ChainBroken, match="missing"):
        opened(tmp_path)


async def test_a_changed_tail_does_not_open(tmp_path: Path) -> None:
    """The newest events are verified at each opening."""
    journal = opened(tmp_path)
    await asyncio.gather(*[journal.append(draft(number)) for number in range(3)])
    await journal.close()
    db = apsw.Connection(str(tmp_path / "journal.db"))
    db.execute("UPDATE batch SET seal = zeroblob(32)")
    db.close()
    with pytest.raises(ChainBroken):
        opened(tmp_path)


async def test_an_old_change_is_found_when_everything_is_verified(tmp_path: Path) -> None:
    """Opening verifies the tail only, unless told otherwise or after a failed commit."""
    settings = JournalSettings(ballast_bytes=0, min_free_bytes=0, verify_tail_events=2)
    journal = opened(tmp_path, settings)
    for number in range(6):
        await journal.append(draft(number))
    await journal.close()
    db = apsw.Connection(str(tmp_path / "journal.db"))
    db.execute("UPDATE batch SET seal = zeroblob(32) WHERE last_seq = 1")
    db.close()
    await opened(tmp_path, settings).close()
    with pytest.raises(ChainBroken) as caught:
        SqliteJournal.open(tmp_path, producer_id="p", codec=CODEC, settings=settings, verify_all=True)
    assert caught.value.seq == 1
    (tmp_path / "journal.poisoned").touch()
    with pytest.raises(ChainBroken):
        opened(tmp_path, settings)


async def test_a_poisoned_journal_refuses_all_and_reopens(tmp_path: Path) -> None:
    """Every waiter, queued or in flight, is refused, the callback is told once; reopen goes on with the chain."""
    journal = opened(tmp_path)
    told: list[BaseException] = []
    journal.on_poisoned = told.append
    kept = await journal.append(draft(0))
    journal._store._db.close(True)
    flying = [journal.append(draft(number)) for number in range(3)]
    await asyncio.sleep(0)
    queued = [journal.append(draft(number)) for number in range(3)]
    results = await asyncio.gather(*flying, *queued, return_exceptions=True)
    assert [type(result) for result in results] == [JournalPoisoned] * 6
    await asyncio.sleep(0)
    assert len(told) == 1 and journal.stats().poisoned
    with pytest.raises(JournalPoisoned):
        journal.check()
    journal = await journal.reopen()
    event = await journal.append(draft(9))
    assert (event.seq, event.prev_hash, event.epoch) == (2, kept.hash, 2)
    await journal.close()


async def test_a_disk_that_hangs_is_noticed(tmp_path: Path) -> None:
    """New appends are refused while a commit takes too long; it may still end well."""
    journal = opened(tmp_path, JournalSettings(ballast_bytes=0, min_free_bytes=0, stall_s=0.02))
    gate, commit = threading.Event(), journal._store.commit
    journal._store.commit = lambda batch: (gate.wait(10), commit(batch))[1]  # type: ignore[method-assign]
    waiting = journal.append(draft(1))
    await asyncio.sleep(0.05)
    with pytest.raises(JournalBusy, match="not answered"):
        journal.append(draft(2))
    gate.set()
    assert (await waiting).seq == 1
    journal.check()
    await journal.close()


async def test_stats_tell_an_operator_how_it_stands(tmp_path: Path) -> None:
    """Counts, sizes, the quota, the last commit."""
    journal = opened(tmp_path)
    waiting = [journal.append(draft(number, 1_000)) for number in range(20)]
    assert journal.stats().queue_depth == 20
    await asyncio.gather(*waiting)
    stats = journal.stats()
    assert (stats.producer_id, stats.epoch, stats.head_seq, stats.events, stats.queue_depth) == ("p", 1, 20, 20, 0)
    assert stats.last_commit_s > 0 and stats.quota == SETTINGS.quota_bytes and not stats.full
    assert 0 < stats.quota_used == stats.database_bytes + stats.wal_bytes
    await journal.close()


async def test_pruning_keeps_the_chain_verifiable(tmp_path: Path) -> None:
    """Whole batches go; the rest verifies from the kept place; readers pass over what is gone; reopening works."""
    journal = opened(tmp_path)
    for _ in range(5):
        await asyncio.gather(*[journal.append(draft(number)) for number in range(4)])
    assert await journal.prune(10) == 8
    assert await journal.prune(3) == 0
    reader = SqliteJournalReader(tmp_path, CODEC)
    assert [event.seq for event in reader.read(0, 3)] == [9, 10, 11]
    assert verify_journal(tmp_path, CODEC).base_seq == 8
    assert await journal.prune(99) == 12
    head = reader.head()
    assert head[0] == 20 and verify_journal(tmp_path, CODEC).events == 0
    await journal.close()
    journal = opened(tmp_path)
    event = await journal.append(draft(1))
    assert (event.seq, event.prev_hash) == (21, head[1])
    assert verify_journal(tmp_path, CODEC).events == 1
    reader.close()
    await journal.close()


async def test_a_reader_may_come_before_the_journal(tmp_path: Path) -> None:
    """It is empty until the first commit, and sees each change once."""
    reader = SqliteJournalReader(tmp_path, CODEC)
    assert (reader.head(), list(reader.read(0, 5)), reader.changed()) == ((0, GENESIS), [], False)
    journal = opened(tmp_path)
    await journal.append(draft(1))
    assert reader.changed() and not reader.changed()
    await journal.append(draft(2))
    assert reader.changed() and reader.head()[0] == 2
    reader.close()
    await journal.close()


async def test_readers_in_threads_see_a_growing_prefix(tmp_path: Path) -> None:
    """While events are appended and the log is checkpointed, each read is a run without gaps."""
    settings = JournalSettings(ballast_bytes=0, min_free_bytes=0, checkpoint_pages=4)
    journal = opened(tmp_path, settings)
    reader = SqliteJournalReader(tmp_path, CODEC)
    stop = threading.Event()

    def follow() -> int:
        after = 0
        while not stop.is_set() or reader.head()[0] > after:
            for event in reader.read(after, 7):
                assert event.seq == after + 1
                after = event.seq
        return after

    followers = [asyncio.create_task(asyncio.to_thread(follow)) for _ in range(2)]
    for _ in range(60):
        await asyncio.gather(*[journal.append(draft(number, 500)) for number in range(5)])
    stop.set()
    assert await asyncio.gather(*followers) == [300, 300]
    reader.close()
    await journal.close()


async def test_an_open_read_transaction_lets_the_log_grow_and_ends_well(tmp_path: Path) -> None:
    """A slow reader costs space, not correctness: afterwards the log is cut back."""
    settings = JournalSettings(ballast_bytes=0, min_free_bytes=0, checkpoint_pages=8, wal_limit_bytes=65536)
    journal = opened(tmp_path, settings)
    await journal.append(draft(0))
    slow = apsw.Connection(str(tmp_path / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
    slow.execute("BEGIN")
    assert slow.execute("SELECT count(*) FROM batch").get == 1
    for _ in range(100):
        await journal.append(draft(1, 2_000))
    grown = (tmp_path / "journal.db-wal").stat().st_size
    slow.execute("COMMIT")
    slow.close()
    for _ in range(20):
        await journal.append(draft(1, 2_000))
    assert grown > 400_000 > (tmp_path / "journal.db-wal").stat().st_size
    await journal.close()
    assert verify_journal(tmp_path, CODEC).events == 121


def test_it_runs_on_uvloop(tmp_path: Path) -> None:
    """Library code works on either event loop."""

    async def work() -> int:
        journal = opened(tmp_path)
        events = await asyncio.gather(*[journal.append(draft(number)) for number in range(50)])
        await journal.close()
        return events[-1].seq

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work()) == 50


def test_settings_that_can_not_work_are_refused() -> None:
    """A ballast smaller than two checkpoints would not let a full disk's journal open."""
    with pytest.raises(ValidationError, match="ballast_bytes"):
        JournalSettings(ballast_bytes=4096)
