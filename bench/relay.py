"""How fast the relay takes the journal to Kafka, against a bare kafka-python producer loop over the same bytes in the
same run. Writes bench/results/relay.json.

    python -m bench.relay [--events 150000] [--rounds 5]

`bare` sends the values with their keys and waits: what kafka-python can do. `relay` is the whole of it: reading the
journal, keys, headers, both topics, acknowledgements, cursor. Both with the settings of `[kafka]` as they are
(acks=all, idempotent, lz4), to a real broker on this machine, in turn, in one process. The ratio of each pair is taken,
and the median of them; CPU is this process' own, without the broker.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import apsw

from bench.events import workload
from bench.measure import write
from decision.clock import SystemClock
from decision.journal import frames
from decision.journal.chain import GENESIS, chain_hash
from decision.journal.reader import SqliteJournalReader
from decision.journal.rows import FORMAT, INSERT, SCHEMA
from decision.wire.events import ProtobufEventCodec
from ingest.kafka_clients import producer
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import make_topics
from ingest.priority import step_back
from ingest.relay import LINGER_MS, Relay
from ingest.relay_cursor import CursorFile
from ingest.relay_records import RecordMaker
from tests.support.kafka import Broker, running_broker, settings_for

CODEC = ProtobufEventCodec()
GROUP = 32
"""Events a stored batch: what a group commit holds under load."""


@dataclass(frozen=True)
class Took:
    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object]) -> Took:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def journal_of(folder: Path, raws: list[bytes]) -> None:
    """A journal that holds exactly these bytes, of one producer and from seq 1 on."""
    producer_id, epoch, first, _ = CODEC.place_of(raws[0])
    assert first == 1
    folder.mkdir()
    database = apsw.Connection(str(folder / "journal.db"))
    database.pragma("journal_mode", "wal")
    with database:
        database.execute(SCHEMA)
        database.execute("INSERT INTO meta VALUES (1, ?, ?, ?, 0, ?, 0)", (FORMAT, producer_id, epoch, GENESIS))
        seal = GENESIS
        for start in range(0, len(raws), GROUP):
            part = raws[start : start + GROUP]
            for seq, raw in enumerate(part, start + 1):
                seal = chain_hash(seal, seq, raw)
            database.execute(INSERT, (start + len(part), start + 1, epoch, seal, frames.pack(part)))
    database.close()


def fresh(broker: Broker, partitions: int) -> KafkaSettings:
    settings = settings_for(broker, f"bench-{uuid.uuid4().hex[:8]}", partitions=partitions)
    make_topics(settings)
    return settings


def bare(settings: KafkaSettings, raws: list[bytes], keys: list[bytes], linger: int = LINGER_MS) -> Took:
    """kafka-python alone."""
    client, topic = producer(settings, linger_ms=linger), settings.topics.events

    def work() -> None:
        futures = [client.send(topic, value=raw, key=key) for raw, key in zip(raws, keys, strict=True)]
        for future in futures:
            future.get(60)

    took = timed(work)
    client.close()
    return took


def relayed(settings: KafkaSettings, folder: Path, count: int) -> Took:
    """The whole relay, from an empty cursor to all acknowledged."""
    CursorFile(folder).forget()
    relay = Relay(folder, SqliteJournalReader(folder, CODEC), settings, SystemClock(), lambda: 0.5)
    before = gc.get_threshold()
    step_back(0)  # as the command does: the garbage collector looks rarely
    took = timed(lambda: relay.run(lambda _: relay.status().relayed >= count))
    gc.set_threshold(*before)
    return took


def measured(events: int, rounds: int, partitions: int) -> dict[str, object]:
    raws = workload(events)
    make = RecordMaker("").make
    keys = [make(raw).key for raw in raws]
    alone: list[Took] = []
    whole: list[Took] = []
    with running_broker() as broker, tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        journal_of(Path(folder) / "journal", raws)
        bare(fresh(broker, partitions), raws[:20_000], keys[:20_000])  # the broker's own warming up
        for _ in range(rounds):
            alone.append(bare(fresh(broker, partitions), raws, keys))
            whole.append(relayed(fresh(broker, partitions), Path(folder) / "journal", len(raws)))
            for name, took in (("bare", alone[-1]), ("relay", whole[-1])):
                cpu_us = took.cpu_s / len(raws) * 1e6
                print(f"{name:6} {len(raws) / took.wall_s:7.0f}/s, {cpu_us:5.1f} µs of CPU an event", flush=True)

    def rate(found: list[Took]) -> int:
        return round(max(len(raws) / one.wall_s for one in found))

    def cpu(found: list[Took]) -> float:
        return round(statistics.median(one.cpu_s / len(raws) * 1e6 for one in found), 1)

    pairs = list(zip(alone, whole, strict=True))
    return {
        "events": len(raws),
        "bytes_an_event": round(sum(map(len, raws)) / len(raws)),
        "rounds": rounds,
        "bare_events_per_s": rate(alone),
        "relay_events_per_s": rate(whole),
        "relay_to_bare": round(statistics.median(one.wall_s / other.wall_s for one, other in pairs), 2),
        "relay_to_bare_each": [round(one.wall_s / other.wall_s, 2) for one, other in pairs],
        "bare_cpu_us": cpu(alone),
        "relay_cpu_us": cpu(whole),
        "relay_to_bare_by_cpu": round(statistics.median(one.cpu_s / other.cpu_s for one, other in pairs), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--partitions", type=int, default=12)
    chosen = parser.parse_args()
    write("relay", measured(chosen.events, chosen.rounds, chosen.partitions))


if __name__ == "__main__":
    main()
