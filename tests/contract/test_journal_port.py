"""What every Journal and JournalReader does, run on the SQLite journal and on the fake that other tests use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decision.journal.chain import GENESIS, chain_hash
from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.model.errors import JournalBusy, JournalUnavailable
from decision.model.ports import Journal, JournalReader
from decision.wire.events import ProtobufEventCodec
from tests.fakes.journal import MemoryJournal
from tests.simulation.events import draft

LIMIT = 50


@pytest.fixture(params=["sqlite", "memory"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Journal, JournalReader]]:
    if request.param == "memory":
        fake = MemoryJournal("p", queue_limit=LIMIT)
        yield fake, fake
        return
    codec = ProtobufEventCodec()
    settings = JournalSettings(queue_limit=LIMIT, ballast_bytes=0, min_free_bytes=0)
    journal = SqliteJournal.open(tmp_path, producer_id="p", codec=codec, settings=settings)
    reader = SqliteJournalReader(tmp_path, codec)
    yield journal, reader
    reader.close()
    await journal.close()


Pair = tuple[Journal, JournalReader]


async def test_an_empty_journal_has_the_genesis_head(pair: Pair) -> None:
    """Nothing is there and the head says so."""
    assert pair[1].head() == (0, GENESIS)
    assert list(pair[1].read(0, 10)) == []


async def test_an_acknowledged_event_can_be_read(pair: Pair) -> None:
    """What append returns is what a reader sees."""
    event = await pair[0].append(draft(1))
    assert list(pair[1].read(0, 10)) == [event]
    assert pair[1].head() == (1, event.hash)


async def test_the_order_of_calls_is_the_order_of_the_chain(pair: Pair) -> None:
    """Seq counts up from 1 without a gap; each event continues the one before."""
    events = await asyncio.gather(*[pair[0].append(draft(number)) for number in range(20)])
    events += await asyncio.gather(*[pair[0].append(draft(number)) for number in range(20, 40)])
    assert [event.draft.id for event in events] == [f"event-{number}" for number in range(40)]
    assert [event.seq for event in events] == list(range(1, 41))
    previous = GENESIS
    for event in events:
        assert event.prev_hash == previous
        previous = chain_hash(previous, event.seq, event.raw)
        assert event.hash == previous


async def test_an_event_holds_the_bytes_that_decode_to_it(pair: Pair) -> None:
    """The raw bytes tell the draft and the place in the chain."""
    event = await pair[0].append(draft(7))
    expected = (event.draft, event.producer_id, event.epoch, event.seq, event.prev_hash)
    assert ProtobufEventCodec().decode(event.raw) == expected


@pytest.mark.parametrize(("after", "limit", "wanted"), [(0, 3, [1, 2, 3]), (4, 2, [5, 6]), (9, 5, [10]), (10, 5, [])])
async def test_reading_seeks_inside_batches(pair: Pair, after: int, limit: int, wanted: list[int]) -> None:
    """A read begins after any seq, whatever batch holds it, and ends at the limit."""
    await asyncio.gather(*[pair[0].append(draft(number)) for number in range(7)])
    await asyncio.gather(*[pair[0].append(draft(number)) for number in range(3)])
    assert [event.seq for event in pair[1].read(after, limit)] == wanted


async def test_a_full_queue_refuses_and_empties(pair: Pair) -> None:
    """Beyond the bound JournalBusy is raised at the call; those queued are acknowledged; then there is room."""
    waiting = [pair[0].append(draft(number)) for number in range(LIMIT)]
    with pytest.raises(JournalBusy):
        pair[0].append(draft(99))
    with pytest.raises(JournalBusy):
        pair[0].check()
    assert [(await one).seq for one in waiting] == list(range(1, LIMIT + 1))
    assert (await pair[0].append(draft(100))).seq == LIMIT + 1


async def test_a_waiter_that_gives_up_does_not_take_the_others_along(pair: Pair) -> None:
    """A cancelled append may be durable; its neighbours are acknowledged."""
    first, second = asyncio.ensure_future(pair[0].append(draft(1))), asyncio.ensure_future(pair[0].append(draft(2)))
    first.cancel()
    assert (await second).seq == 2
    assert [event.seq for event in pair[1].read(0, 10)] == [1, 2]


async def test_a_draft_that_is_no_event_is_refused_alone(pair: Pair) -> None:
    """The codec's error is the caller's; the chain goes on as if it had not been called."""
    from decision.model.events import EventDraft, UnknownPayload

    with pytest.raises(TypeError):
        pair[0].append(EventDraft("e", 1, "s", "c", UnknownPayload("from the future")))
    assert (await pair[0].append(draft(1))).seq == 1


async def test_closing_makes_durable_what_is_queued(pair: Pair) -> None:
    """Close answers the waiters; afterwards every append is refused."""
    waiting = [pair[0].append(draft(number)) for number in range(3)]
    await pair[0].close()
    assert [(await one).seq for one in waiting] == [1, 2, 3]
    with pytest.raises(JournalUnavailable):
        pair[0].check()
    with pytest.raises(JournalUnavailable):
        pair[0].append(draft(4))
    assert pair[1].head()[0] == 3
