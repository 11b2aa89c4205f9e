"""The same events in every store: a journal, a log with signed checkpoints, Parquet segments, a Kafka export."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import apsw

from analytics.store import AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from decision.journal import frames
from decision.journal.chain import GENESIS, chain_hash
from decision.journal.checkpoints import Checkpoint
from decision.journal.custody import KEYS, VERIFIER, Custody
from decision.journal.merkle import Frontier
from decision.journal.notes import SignerKey, new_key, sign_note
from decision.journal.rows import FORMAT, INSERT, SCHEMA
from decision.journal.tile_writer import DurableFolder, TileWriter
from decision.journal.tiles import CHECKPOINT
from decision.model.events import AuditEvent, CheckpointSigned, EventDraft, Payload, SessionClosed
from decision.wire.events import ProtobufEventCodec
from ingest.kafka_export import Record, Span, write_export

CODEC = ProtobufEventCodec()
START = 1_790_000_000_000_000_000
STEP = 20_000_000_000
"""Nanoseconds between two events: a hole is soon too old to be an event on its way."""
TOPIC = "airlock.events.v1"
PARTITIONS = 3
ORIGIN = "log.example/airlock"
KEY = new_key(ORIGIN, bytes(range(32)))
STRANGER = new_key(ORIGIN, bytes(range(1, 33)))
PRODUCER = "p1"
COUNT = 700
EVERY = 150
"""So many events stand before each checkpoint."""


def payload(number: int) -> Payload:
    return SessionClosed(f"session-{number % 11}", "client", number, 2, 3, 4)


def encoded(number: int, made: Payload, producer: str, epoch: int, seq: int, prev_hash: bytes) -> bytes:
    draft = EventDraft(f"event-{number}", START + number * STEP, "test", f"session-{number % 11}", made)
    return CODEC.encode(draft, producer, epoch, seq, prev_hash)


def signed(frontier: Frontier, key: SignerKey = KEY) -> bytes:
    return sign_note(Checkpoint(ORIGIN, frontier.size, frontier.root()).text(), (key,)).encode()


def history(count: int = COUNT, key: SignerKey = KEY) -> list[bytes]:
    """One producer's events; every so often one that holds a checkpoint of those before it."""
    frontier, raws, head = Frontier(), list[bytes](), GENESIS
    for seq in range(1, count + 1):
        made = payload(seq)
        if seq % EVERY == 0:
            made = CheckpointSigned(ORIGIN, frontier.size, frontier.root(), signed(frontier, key).decode())
        raws.append(encoded(seq, made, PRODUCER, 1 + seq // 300, seq, head))
        head = chain_hash(head, seq, raws[-1])
        frontier.extend_data(raws[-1:])
    return raws


def chained(raw: bytes) -> bytes:
    """The chain's value after it."""
    _, _, seq, prev_hash = CODEC.place_of(raw)
    return chain_hash(prev_hash, seq, raw)


def changed(raw: bytes) -> bytes:
    """The event with another payload, its own place kept."""
    draft, producer, epoch, seq, prev = CODEC.decode(raw)
    return CODEC.encode(replace(draft, payload=payload(999_999)), producer, epoch, seq, prev)


def rechained(raws: Sequence[bytes], seq: int) -> list[bytes]:
    """All events, the chain made anew from a changed event `seq` on."""
    made = list(raws[: seq - 1])
    head = CODEC.place_of(raws[seq - 1])[3]
    for place, raw in enumerate([changed(raws[seq - 1]), *raws[seq:]], seq):
        draft, producer, epoch, _, _ = CODEC.decode(raw)
        made.append(CODEC.encode(draft, producer, epoch, place, head))
        head = chain_hash(head, place, made[-1])
    return made


def skipping(raws: Sequence[bytes], seq: int) -> list[bytes]:
    """What a producer would have written that leaves the number `seq` out."""
    made = list(raws[: seq - 1])
    head = CODEC.place_of(raws[seq - 1])[3]
    for raw in raws[seq:]:
        draft, producer, epoch, number, _ = CODEC.decode(raw)
        made.append(CODEC.encode(draft, producer, epoch, number, head))
        head = chain_hash(head, number, made[-1])
    return made


# ── the stores ──────────────────────────────────────────────────────────────────────────────────────────────────────


def write_journal(folder: Path, raws: Sequence[bytes], batch: int = 7) -> None:
    """As the journal's writer would have left it, without its locks and without making anything of `raws` anew."""
    folder.mkdir(parents=True)
    db = apsw.Connection(str(folder / "journal.db"))
    db.execute(SCHEMA)
    db.execute("INSERT INTO meta VALUES (1, ?, ?, 0, 0, ?, 0)", (FORMAT, PRODUCER, GENESIS))
    db.pragma("user_version", FORMAT)
    with db:
        for start in range(0, len(raws), batch):
            part = raws[start : start + batch]
            places = [CODEC.place_of(raw) for raw in part]
            seal = chain_hash(places[-1][3], places[-1][2], part[-1])
            row = (places[-1][2], places[0][2], places[-1][1], seal, frames.pack(part))
            db.execute(INSERT, row)
    db.close()


def write_log(folder: Path, raws: Sequence[bytes], key: SignerKey = KEY) -> None:
    files = DurableFolder(folder)
    writer = TileWriter(files)
    writer.append(raws)
    writer.flush()
    frontier = Frontier()
    frontier.extend_data(raws)
    files.replace(KEYS, Custody.of(key.verifier).encode())
    files.replace(VERIFIER, f"{key.verifier.encode()}\n".encode())
    files.replace(CHECKPOINT, signed(frontier, key))


def event_of(raw: bytes) -> AuditEvent:
    draft, producer, epoch, seq, prev = CODEC.decode(raw)
    return AuditEvent(draft, producer, epoch, seq, prev, chain_hash(prev, seq, raw), raw)


def write_parquet(folder: Path, raws: Sequence[bytes], hot: int = 40, direct: int = 250) -> None:
    """Some segments, and the newest `hot` events in the catalog alone."""
    events = [event_of(raw) for raw in raws]
    settings = StoreSettings(seal_events=250, direct_events=200, seal_after_s=3600)
    with AnalyticsStore(folder, SystemClock(), Uuid7Source(), settings) as store:
        cold = events[: len(events) - hot]
        for start in range(0, len(cold), direct):
            part = cold[start : start + direct]
            store.apply(part, {"journal": part[-1].seq})
        store.seal()
        store.apply(events[len(cold) :], {"journal": events[-1].seq})
        store.publish()


def partition_of(raw: bytes) -> int:
    """By the session, as the relay's key."""
    return hashlib.sha256(CODEC.decode(raw)[0].correlation_id.encode()).digest()[0] % PARTITIONS


def records(raws: Sequence[bytes]) -> list[Record]:
    found, ends = [], [0] * PARTITIONS
    for raw in raws:
        partition = partition_of(raw)
        key = CODEC.decode(raw)[0].correlation_id.encode()
        found.append(Record(TOPIC, partition, ends[partition], 1_790_000_000_000, key, raw))
        ends[partition] += 1
    return sorted(found, key=lambda record: (record.partition, record.offset))


def write_kafka(path: Path, found: Sequence[Record]) -> None:
    spans = {number: Span(0, 0) for number in range(PARTITIONS)}
    for record in found:
        spans[record.partition] = Span(0, max(spans[record.partition].end, record.offset + 1))
    with path.open("wb") as file:
        write_export(file, {TOPIC: spans}, found)


@dataclass(frozen=True)
class Stores:
    """One data folder with everything in it."""

    root: Path
    raws: tuple[bytes, ...] = field(repr=False)

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def parquet(self) -> Path:
        return self.root / "analytics"

    @property
    def export(self) -> Path:
        return self.root / "events.export"


def make_stores(root: Path, raws: Sequence[bytes] | None = None, hot: int = 40, direct: int = 250) -> Stores:
    raws = history() if raws is None else raws
    write_journal(root / "journal", raws)
    write_log(root / "log", raws)
    write_parquet(root / "analytics", raws, hot, direct)
    write_kafka(root / "events.export", records(raws))
    return Stores(root, tuple(raws))
