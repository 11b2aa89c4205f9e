"""The approvals and counters topics as they come back from a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from decision.clock import SystemClock, Uuid7Source
from decision.journal.chain import GENESIS, chain_hash
from decision.model.errors import AirlockError
from decision.model.events import ApprovalExpired, AuditEvent, EventDraft
from decision.model.ports import FeedBatch
from decision.wire.events import ProtobufEventCodec
from ingest.board import CounterBoard
from ingest.counters import Counters, counters_key, encode_counters
from ingest.feed import ApprovalsFeed, follow_counters
from ingest.kafka_clients import producer
from ingest.kafka_settings import KafkaSettings
from tests.support.eventually import eventually_async
from tests.support.kafka import Broker, settings_for

pytestmark = pytest.mark.kafka
CODEC = ProtobufEventCodec()
CLOCK = SystemClock()


def made(number: int, approval_id: str) -> AuditEvent:
    draft = EventDraft(Uuid7Source().new_id(), number, "test", approval_id, ApprovalExpired(approval_id))
    raw = CODEC.encode(draft, "node-1", 1, number, GENESIS)
    return AuditEvent(draft, "node-1", 1, number, GENESIS, chain_hash(GENESIS, number, raw), raw)


def send(settings: KafkaSettings, events: Iterable[AuditEvent], topic: str = "") -> None:
    """As the relay does: the stored bytes under the approval's id."""
    client = producer(settings)
    for event in events:
        key = event.payload.approval_id.encode()  # type: ignore[union-attr]
        client.send(topic or settings.topics.approvals, key=key, value=event.raw)
    client.flush()
    client.close()


class Following:
    """What a feed has told so far."""

    def __init__(self, feed: ApprovalsFeed) -> None:
        self.batches: list[FeedBatch] = []
        self.task = asyncio.create_task(self._follow(feed))

    async def _follow(self, feed: ApprovalsFeed) -> None:
        async for batch in feed.follow():
            self.batches.append(batch)

    @property
    def records(self) -> list[tuple[AuditEvent, int, int]]:
        return [record for batch in self.batches for record in batch.records]

    @property
    def complete_ns(self) -> int:
        return max([batch.complete_ns for batch in self.batches], default=0)

    async def has(self, count: int) -> None:
        """Until that many different events have come and nothing is missing."""
        sent = CLOCK.monotonic_ns()

        async def there() -> bool:
            different = {event.draft.id for event, _, _ in self.records}
            return len(different) == count and self.complete_ns > sent

        await eventually_async(there, 20, what=f"{count} events")


@asynccontextmanager
async def following(settings: KafkaSettings, refused: list[AirlockError] | None = None) -> AsyncIterator[Following]:
    told = Following(ApprovalsFeed(settings, CODEC, CLOCK, (refused if refused is not None else []).append))
    try:
        yield told
    finally:
        told.task.cancel()
        await asyncio.gather(told.task, return_exceptions=True)


async def test_all_there_was_and_all_that_comes_is_told(kafka_settings: KafkaSettings) -> None:
    """From the beginning, each partition in its order, bytes and places as they were written; then it follows."""
    first = [made(number, f"ap{number % 7}") for number in range(1, 201)]
    send(kafka_settings, first)
    async with following(kafka_settings) as told:
        await told.has(200)
        later = [made(number, f"ap{number % 7}") for number in range(201, 231)]
        await asyncio.to_thread(send, kafka_settings, later)
        await told.has(230)
    by_id = {event.draft.id: event for event in (*first, *later)}
    assert all(event == by_id[event.draft.id] for event, _, _ in told.records)
    for approval in range(7):
        mine = [
            (partition, offset, event.seq) for event, partition, offset in told.records if event.seq % 7 == approval
        ]
        assert len({partition for partition, _, _ in mine}) == 1
        assert mine == sorted(mine)


async def test_an_empty_topic_is_known_to_be_empty(kafka_settings: KafkaSettings) -> None:
    """That nothing is there is knowledge, too."""
    async with following(kafka_settings) as told:
        await told.has(0)


async def test_what_is_no_event_is_passed_over(kafka_settings: KafkaSettings) -> None:
    """A stranger's record holds up nothing."""
    client = producer(kafka_settings)
    client.send(kafka_settings.topics.approvals, key=b"ap1", value=b"\xff\xff")
    client.flush()
    client.close()
    send(kafka_settings, [made(1, "ap1")])
    async with following(kafka_settings) as told:
        await told.has(1)


@pytest.mark.slow
async def test_more_partitions_are_read_too(kafka: Broker, kafka_settings: KafkaSettings) -> None:
    """What somebody adds is not overlooked; until it is read, nothing is called complete for long."""
    send(kafka_settings, [made(1, "ap1")])
    settings = kafka_settings
    async with following(settings) as told:
        await told.has(1)
        with kafka.admin() as admin:
            admin.create_partitions({settings.topics.approvals: 9})
        events = [made(number, f"more{number}") for number in range(2, 60)]
        await asyncio.to_thread(send, settings, events)

        async def all_there() -> bool:
            return len({event.draft.id for event, _, _ in told.records}) == 59

        await eventually_async(all_there, 50, what="the records of the new partitions")
    assert {partition for _, partition, _ in told.records} > {0, 1, 2}


async def test_a_topic_that_could_lose_events_is_refused(kafka: Broker) -> None:
    """Compaction would take votes away: told once, and nothing is read."""
    settings = settings_for(kafka, f"test-{uuid.uuid4().hex[:12]}")
    topics = settings.topics
    kafka.create_topics(topics.approvals, configs={"cleanup.policy": "compact"})
    refused: list[AirlockError] = []
    async with following(settings, refused) as told:

        async def said() -> bool:
            return bool(refused)

        await eventually_async(said, 10)
        assert topics.approvals in refused[0].message
        assert told.batches == []


@pytest.mark.slow
async def test_a_broker_that_goes_and_comes_back(own_kafka: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """While it is away nothing is called complete; afterwards all that was missed is told. A topic that was replaced
    meanwhile is not believed."""
    settings = settings_for(own_kafka, "back")
    own_kafka.create_topics(*settings.topics.all)
    send(settings, [made(number, f"ap{number}") for number in range(1, 11)])
    async with following(settings) as told:
        await told.has(10)
        own_kafka.kill()
        gone = CLOCK.monotonic_ns()
        await asyncio.to_thread(own_kafka.start)
        back = CLOCK.monotonic_ns()
        assert not [one for one in told.batches if gone < one.complete_ns < back - 1.2e9]
        await asyncio.to_thread(send, settings, [made(number, f"ap{number}") for number in range(11, 21)])
        await told.has(20)
        with own_kafka.admin() as admin:
            admin.delete_topics([settings.topics.approvals])
        own_kafka.create_topics(settings.topics.approvals)
        replaced = CLOCK.monotonic_ns()
        await asyncio.to_thread(send, settings, [made(number, f"ap{number}") for number in range(21, 121)])

        async def noticed() -> bool:
            return "is not the one that was read" in caplog.text

        await eventually_async(noticed, 20)
        assert told.complete_ns < replaced
        assert len({event.draft.id for event, _, _ in told.records}) == 20


async def test_the_newest_counters_of_a_principal_count(kafka_settings: KafkaSettings) -> None:
    """Whatever the order in which they come; what has left its window is not told."""
    now, who = CLOCK.time_unix_nano(), ("https://idp", "alice")
    board = CounterBoard(CLOCK)
    assert board.of(who, now) == (("stale", 1),)
    client = producer(kafka_settings)
    for age, rows, until in (
        (5, 10, now + 10**12),
        (1, 30, now + 10**12),
        (3, 20, now + 10**12),
        (1, 30, now + 10**12),
    ):
        values = (("denials_10m", 4, now - 1), ("rows_out_today", rows, until))
        value = encode_counters(Counters(who, now - age, values))
        client.send(kafka_settings.topics.counters, key=counters_key(who), value=value)
    client.flush()
    client.close()
    task = asyncio.create_task(follow_counters(kafka_settings, board, CLOCK, [].append))

    async def known() -> bool:
        return board.of(who, now) == (("rows_out_today", 30),)

    await eventually_async(known)
    assert board.of(who, now) is board.of(who, now + 1)
    assert board.of(("https://idp", "bob"), now) == ()
    assert board.of(who, now + 10**12) == ()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
