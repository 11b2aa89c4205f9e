"""A relay on a thread, and the comparison of what arrived with what was durable."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decision.clock import SystemClock
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import AirlockError
from decision.model.events import AuditEvent
from ingest.kafka_settings import KafkaSettings
from ingest.relay import Relay, RelayPace
from tests.support.journal_load import CODEC
from tests.support.kafka import Broker

QUICK = RelayPace(keep_s=0.05, status_s=0.1, stalled_s=1.0, given_up_s=20.0, pause_s=0.05, longest_pause_s=0.5)


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
