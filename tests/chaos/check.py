"""After the storm: every acknowledged decision must be in the journal, in Kafka, in DuckDB exactly once, and in the
verified tree. Kafka is read here by a plain consumer, DuckDB through the published catalog, as an analyst would."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from decision.journal.reader import SqliteJournalReader
from decision.model.events import AuditEvent, CheckpointSigned, StatementDecided
from decision.wire.events import ProtobufEventCodec
from tests.support.composition import Composition

CODEC = ProtobufEventCodec()
Place = tuple[str, int, int]
"""producer, epoch, seq."""


@dataclass
class Found:
    """What one store holds: the places of its events, with the ids of decisions and how often each occurs."""

    places: Counter[Place] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    bytes_of: dict[Place, bytes] = field(default_factory=dict)
    disorder: list[str] = field(default_factory=list)
    checkpoints: set[bytes] = field(default_factory=set)


def in_journals(composition: Composition) -> Found:
    """Of all producers that have a journal: the decision services, and the sequencer for its checkpoints."""
    found = Found()
    for part in (*composition.services, composition.sequencer):
        if not (part.data_dir / "journal").exists():
            continue
        reader, after = SqliteJournalReader(part.data_dir / "journal", CODEC), 0
        while events := reader.read(after, 2_000):
            for event in events:
                _note(found, event)
                found.bytes_of[(event.producer_id, event.epoch, event.seq)] = event.raw
            after = events[-1].seq
    return found


def in_kafka(composition: Composition, topic: str) -> Found:
    """Everything in the events topic. `disorder`: sessions whose events do not stand in the order of their seq."""
    consumer = KafkaConsumer(bootstrap_servers=[composition.broker.bootstrap], enable_auto_commit=False)
    found = Found()
    newest: dict[tuple[bytes, str], int] = defaultdict(int)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(one) < ends[one] for one in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    event = event_of(record.value)
                    place = (event.producer_id, event.epoch, event.seq)
                    order = (bytes(record.key or b""), event.producer_id)
                    if place not in found.places:
                        if event.seq < newest[order]:
                            found.disorder.append(f"{order}: {event.seq} first seen after {newest[order]}")
                        newest[order] = max(newest[order], event.seq)
                        _note(found, event)
                    else:
                        found.places[place] += 1
                        if found.bytes_of[place] != record.value:
                            found.disorder.append(f"{place} stands there twice with different bytes")
                    found.bytes_of[place] = record.value
    finally:
        consumer.close()
    return found


def event_of(raw: bytes) -> AuditEvent:
    draft, producer_id, epoch, seq, prev_hash = CODEC.decode(raw)
    return AuditEvent(draft, producer_id, epoch, seq, prev_hash, b"", raw)


def _note(found: Found, event: AuditEvent) -> None:
    found.places[(event.producer_id, event.epoch, event.seq)] += 1
    if isinstance(event.payload, CheckpointSigned):
        found.checkpoints.add(event.raw)
    if isinstance(event.payload, StatementDecided):
        found.decisions[event.payload.decision_id] += 1


def in_duckdb(composition: Composition) -> Found:
    """What analysts see."""
    found = Found()
    folder = str(composition.sink.data_dir)
    for sql, into in (
        (
            "SELECT producer_id || ' ' || epoch || ' ' || seq AS what, count(*) AS n FROM fact.events GROUP BY ALL",
            "places",
        ),
        ("SELECT decision_id AS what, count(*) AS n FROM fact.decisions GROUP BY ALL", "decisions"),
    ):
        rows = json.loads(
            composition.airlock("query", "--data-dir", folder, "--format", "json", "--limit", "1000000", sql)
        )
        for row in rows:
            if into == "decisions":
                found.decisions[row["what"]] = int(row["n"])
            else:
                producer_id, epoch, seq = str(row["what"]).rsplit(" ", 2)
                found.places[(producer_id, int(epoch), int(seq))] = int(row["n"])
    return found


def events_of_tree(folder: Path) -> Counter[bytes]:
    """The entries of the log's bundles, read as the tlog-tiles specification has them: uint16 length, bytes."""
    entries: Counter[bytes] = Counter()
    bundles: dict[str, Path] = {}
    for path in sorted((folder / "tile" / "entries").rglob("*")):
        if path.is_file():
            name, _, width = path.relative_to(folder / "tile" / "entries").as_posix().partition(".p/")
            known = bundles.get(name)
            if known is None or not width or (known.parent.name.endswith(".p") and int(width) > int(known.name)):
                bundles[name] = path
    for path in bundles.values():
        data, place = path.read_bytes(), 0
        while place < len(data):
            size = int.from_bytes(data[place : place + 2], "big")
            entries[data[place + 2 : place + 2 + size]] += 1
            place += 2 + size
    return entries
