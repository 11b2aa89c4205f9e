"""A journal to relay, a relay on a thread, and the comparison of what arrived with what was durable."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decision.clock import SystemClock
from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.model.errors import AirlockError
from decision.model.events import (
    ApprovalGranted,
    ApprovalUsed,
    AuditEvent,
    EventDraft,
    Payload,
    PolicyActivated,
    SessionClosed,
    StatementExecuted,
)
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import Outcome
from decision.wire.events import ProtobufEventCodec
from ingest.kafka_settings import KafkaSettings
from ingest.relay import Relay, RelayPace
from tests.support.kafka import Broker

CODEC = ProtobufEventCodec()
SMALL = JournalSettings(ballast_bytes=0, min_free_bytes=0)
QUICK = RelayPace(keep_s=0.05, status_s=0.1, stalled_s=1.0, given_up_s=20.0, pause_s=0.05, longest_pause_s=0.5)
BOB = Principal("https://id.example", "bob", PrincipalKind.HUMAN)


def draft(number: int, sessions: int = 7) -> EventDraft:
    """Event `number` of a workload: executions of some sessions, now and then an approval, seldom something without a
    session."""
    session, time = f"session-{number % sessions}", 1_790_000_000_000_000_000 + number * 1_000_000
    payload: Payload
    if number % 50 == 49:
        payload = ApprovalGranted(f"approval-{number // 100}", BOB, "fine")
    elif number % 50 == 48:
        payload = ApprovalUsed(f"approval-{number // 100}", f"decision-{number}", session)
    elif number % 211 == 210:
        payload, session = PolicyActivated(f"rev-{number}", "", "regorus", ("base",)), ""
    elif number % 97 == 96:
        payload = SessionClosed(session, "bye", number, 2, 3, 4)
    else:
        payload = StatementExecuted(f"d-{number}", session, 0, Outcome.COMPLETED, "SELECT", number, 40, 9, "", 0)
    return EventDraft(f"event-{number}", time, "decision-service", session, payload)


async def append(journal: SqliteJournal, drafts: Iterable[EventDraft]) -> None:
    await asyncio.gather(*[journal.append(one) for one in drafts])


def fill(folder: Path, numbers: Iterable[int], settings: JournalSettings = SMALL) -> list[AuditEvent]:
    """Append these events to the journal in `folder`; all that it holds then."""

    async def run() -> None:
        journal = SqliteJournal.open(folder, producer_id="node-1", codec=CODEC, settings=settings)
        every = list(numbers)
        for start in range(0, len(every), 500):
            await append(journal, [draft(number) for number in every[start : start + 500]])
        await journal.close()

    asyncio.run(run())
    return held(folder)


def held(folder: Path) -> list[AuditEvent]:
    """All that the journal holds."""
    reader = SqliteJournalReader(folder, CODEC)
    events = reader.read(reader.base().seq, 1_000_000)
    while events and (more := reader.read(events[-1].seq, 1_000_000)):
        events += more
    reader.close()
    return list(events)


@dataclass
class Running:
    """A relay on a thread of its own; `refused` is what it ended with, if it did."""

    relay: Relay
    reader: SqliteJournalReader
    refused: AirlockError | None = None
    ending: threading.Event = field(default_factory=threading.Event)

    def relayed(self) -> int:
        return self.relay.status().relayed

    def caught_up(self) -> bool:
        return self.refused is not None or self.relayed() == self.reader.head()[0]


@contextmanager
def relaying(folder: Path, settings: KafkaSettings, pace: RelayPace = QUICK) -> Iterator[Running]:
    """A running relay of the journal in `folder`, ended in good order."""
    reader = SqliteJournalReader(folder, CODEC)
    relay = Relay(folder, SqliteJournalReader(folder, CODEC), settings, SystemClock(), random.random, pace)
    running = Running(relay, reader)

    def run() -> None:
        try:
            relay.run(lambda wait_s: running.ending.wait(wait_s) if wait_s else running.ending.is_set())
        except AirlockError as error:
            running.refused = error

    thread = threading.Thread(target=run, name="relay")
    thread.start()
    try:
        yield running
    finally:
        running.ending.set()
        thread.join(30)
        reader.close()
        assert not thread.is_alive(), "the relay does not end"


def arrived(broker: Broker, topic: str) -> dict[int, list[Any]]:
    """The topic's records by seq, each list in the order of arrival."""
    found: dict[int, list[Any]] = {}
    for record in broker.records(topic):
        seq = CODEC.place_of(record.value)[2]
        found.setdefault(seq, []).append(record)
    return found


def demand_all(broker: Broker, settings: KafkaSettings, events: list[AuditEvent]) -> int:
    """That Kafka has exactly these events: none missing, none foreign, the first copies in order for each key, other
    copies byte for byte the same; approvals on their own topic too. Returns the number of other copies."""
    extra = _demand(broker, settings.topics.events, {event.seq: event for event in events})
    approvals = {event.seq: event for event in events if type(event.draft.payload).__name__.startswith("Approval")}
    _demand(broker, settings.topics.approvals, approvals)
    return extra


def _demand(broker: Broker, topic: str, wanted: dict[int, AuditEvent]) -> int:
    records = broker.records(topic)
    seen: set[int] = set()
    newest: dict[tuple[int, bytes], int] = {}
    where: dict[bytes, int] = {}
    for record in records:
        seq = CODEC.place_of(record.value)[2]
        assert seq in wanted, f"event {seq} of {topic} is foreign"
        assert record.value == wanted[seq].raw, f"event {seq} of {topic} has other bytes"
        assert where.setdefault(record.key, record.partition) == record.partition, "a key in two partitions"
        if seq in seen:
            continue
        seen.add(seq)
        place = (record.partition, record.key)
        assert newest.get(place, 0) < seq, f"event {seq} of {topic} comes after {newest[place]}"
        newest[place] = seq
    missing = sorted(wanted.keys() - seen)
    assert not missing, f"{len(missing)} events are missing from {topic}: {missing[:5]} …"
    return len(records) - len(wanted)
