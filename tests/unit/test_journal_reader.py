"""Reading a journal's bytes without decoding them, and where its chain stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from decision.journal.chain import GENESIS, Head
from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.model.errors import ChainBroken
from decision.wire.events import ProtobufEventCodec
from tests.simulation.events import draft

CODEC = ProtobufEventCodec()
Pair = tuple[SqliteJournal, SqliteJournalReader]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    settings = JournalSettings(ballast_bytes=0, min_free_bytes=0)
    journal = SqliteJournal.open(tmp_path, producer_id="p", codec=CODEC, settings=settings)
    reader = SqliteJournalReader(tmp_path, CODEC)
    yield journal, reader
    reader.close()
    await journal.close()


async def append(journal: SqliteJournal, *sizes: int) -> None:
    """As many batches as sizes, of so many events each."""
    number = 0
    for size in sizes:
        await asyncio.gather(*[journal.append(draft(number + offset)) for offset in range(size)])
        number += size


async def test_raw_events_are_the_stored_bytes_with_their_seq(pair: Pair) -> None:
    """What is read raw is byte for byte what the decoding read keeps as raw, from any place and to any limit."""
    await append(pair[0], 3, 1, 4)
    events = pair[1].read(0, 100)
    for after, limit in [(0, 100), (0, 1), (1, 3), (2, 2), (3, 100), (7, 1), (8, 5)]:
        wanted = [(event.seq, event.raw) for event in events[after : after + limit]]
        assert pair[1].read_raw(after, limit) == wanted


async def test_batches_are_whole_and_sealed(pair: Pair) -> None:
    """Each batch says where it lies and the hash after it; the first one begins after the place asked for."""
    await append(pair[0], 3, 1, 4)
    batches = pair[1].read_batches(1, 2)
    assert [(one.first_seq, one.last_seq, len(one.raws)) for one in batches] == [(2, 3, 2)]
    batches = pair[1].read_batches(0, 100)
    assert [(one.first_seq, one.last_seq) for one in batches] == [(1, 3), (4, 4), (5, 8)]
    hashes = {event.seq: event.hash for event in pair[1].read(0, 100)}
    assert [one.seal for one in batches] == [hashes[one.last_seq] for one in batches]
    assert [one.last_seq for one in pair[1].read_batches(0, 100, max_bytes=1)] == [3]


async def test_the_hash_is_known_at_every_place_that_the_journal_holds(pair: Pair) -> None:
    """Within batches and at their ends, after pruning from its new beginning on, and nowhere else."""
    assert pair[1].hash_at(0) == GENESIS
    await append(pair[0], 3, 1, 4)
    hashes = {event.seq: event.hash for event in pair[1].read(0, 100)}
    assert {seq: pair[1].hash_at(seq) for seq in hashes} == hashes
    assert pair[1].hash_at(9) is None
    assert await pair[0].prune(4) == 4
    assert pair[1].base() == Head(4, hashes[4], 1)
    assert [pair[1].hash_at(seq) for seq in (0, 3, 4, 5)] == [None, None, hashes[4], hashes[5]]


async def test_a_batch_that_lost_an_event_is_no_batch(pair: Pair, tmp_path: Path) -> None:
    """Whoever passes on whole batches must not pass on less than the journal says it holds."""
    await append(pair[0], 2)
    database = apsw.Connection(str(tmp_path / "journal.db"))
    first = database.execute("SELECT frames FROM batch").get
    database.execute("UPDATE batch SET frames = ?", (first[: 4 + int.from_bytes(first[:4], "big")],))
    database.close()
    with pytest.raises(ChainBroken, match="1 events where 2 must stand"):
        pair[1].read_batches(0, 10)


async def test_an_empty_folder_has_nothing_to_read(tmp_path: Path) -> None:
    """Before the journal is made there are no batches, and the chain begins at its beginning."""
    reader = SqliteJournalReader(tmp_path / "nowhere", CODEC)
    assert reader.read_batches(0, 10) == []
    assert reader.read_raw(0, 10) == []
    assert reader.base() == Head()
