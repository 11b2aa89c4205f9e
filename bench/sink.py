"""Events a second of the audit sink, from Kafka to durable rows with positions, beside a bare insert of the rows.

    python -m bench.sink [--events 200000] [--partitions 3]

The events are those of bench.events: what the decision service writes of a workload like pgbench's. In one run:

- `catch_up`: a sink with an empty store, until all that the topic holds is durable; then until it is published;
- `embedded`: the same store fed with the same events without Kafka, in batches of the embedded runner;
- `insert`: a bare Arrow insert of the same rows into DuckDB tables, in the same batches;
- `plain`: decoding each event and folding it row by row, as it was done before and still is for what is new.

CPU time (of all threads) is what to compare on a busy machine. Writes bench/results/sink.json.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from analytics import ddl
from analytics.intake import Intake, Run
from analytics.query import CatalogReader
from analytics.store import FOLDER, AnalyticsStore
from bench.events import workload
from bench.measure import machine
from decision.clock import SystemClock, Uuid7Source
from decision.wire.gen import events_pb2 as pb
from ingest.kafka_clients import producer, quiet
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics
from ingest.priority import step_back
from ingest.sink import KafkaSink
from ingest.status import read_status
from tests.support.kafka import running_broker, settings_for

RESULTS = Path(__file__).parent / "results" / "sink.json"
BATCH = 16_384


@contextlib.contextmanager
def measured(found: dict[str, Any], name: str, events: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    found[name] = {
        "events_per_s": round(events / wall),
        "cpu_us_an_event": round(cpu / events * 1e6, 2),
        "events_per_cpu_s": round(events / cpu),
    }


def fill(settings: KafkaSettings, raws: Sequence[bytes]) -> None:
    """As the relay does: keys, headers, lz4."""
    client = producer(settings, linger_ms=20)
    for raw in raws:
        event = pb.AuditEvent.FromString(raw)
        headers = [("ce_specversion", b"1.0"), ("ce_id", event.id.encode()), ("ce_type", event.type.encode()),
                   ("ce_source", event.source.encode())]  # fmt: skip
        key = (event.correlation_id or event.producer_id).encode()
        client.send(settings.topics.events, key=key, value=raw, headers=headers)
    client.flush()
    client.close()


def until(condition: Callable[[], bool], deadline_s: float = 600.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def catch_up(settings: KafkaSettings, root: Path, events: int, found: dict[str, Any]) -> None:
    sink, stop = KafkaSink(root, settings), threading.Event()
    thread = threading.Thread(target=sink.run, args=(stop,))

    def taken() -> bool:
        status = read_status(root / FOLDER)
        return status is not None and status.events >= events

    with measured(found, "catch_up", events):
        thread.start()
        until(taken)
    stop.set()
    thread.join()
    with CatalogReader(root) as reader:
        rows = reader.ask("SELECT count(*), count(DISTINCT event_id) FROM events").rows
    assert rows == [(events, events)], rows


def embedded(root: Path, raws: Sequence[bytes], found: dict[str, Any]) -> None:
    with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source()) as store, measured(found, "embedded", len(raws)):
        for start in range(0, len(raws), BATCH):
            part = raws[start : start + BATCH]
            store.take([Run("journal", range(start + 1, start + 1 + len(part)), part)], {"journal": start + len(part)})
            store.compact()
        store.publish()


def insert(tables: Sequence[dict[str, pa.Table]], root: Path, events: int, found: dict[str, Any]) -> None:
    connection = duckdb.connect(
        str(root / "bare.duckdb"), config={"threads": 1, "preserve_insertion_order": False, "memory_limit": "256MB"}
    )
    connection.execute(ddl.create_facts("hot"))
    with measured(found, "insert", events):
        for content in tables:
            connection.execute("BEGIN")
            for table, rows in content.items():
                connection.register("incoming", rows)
                connection.execute(f"INSERT INTO hot.{table} FROM incoming")
                connection.unregister("incoming")
            connection.execute("COMMIT")
    connection.close()


def folds(raws: Sequence[bytes], found: dict[str, Any]) -> list[dict[str, pa.Table]]:
    """Both ways from bytes to Arrow; the tables of the fast one."""
    runs = [
        Run("journal", range(start + 1, start + 1 + len(part)), part)
        for start in range(0, len(raws), BATCH)
        if (part := raws[start : start + BATCH])
    ]
    few = runs[: max(1, len(runs) // 4)]
    plain, fast = Intake(forms=False), Intake()
    with measured(found, "plain", sum(len(run.raws) for run in few)):
        for run in few:
            plain.read([run]).tables()
    with measured(found, "fold", len(raws)):
        return [fast.read([run]).tables() for run in runs]


def measure(events: int, partitions: int, *, alone: bool = False) -> dict[str, Any]:
    raws = workload(events)
    found: dict[str, Any] = {"events": len(raws), "bytes_an_event": sum(map(len, raws)) // len(raws)}
    step_back(0)
    with running_broker() as broker, tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        settings = settings_for(broker, "bench", partitions=partitions)
        ensure_topics(settings)
        fill(settings, raws)
        root = Path(folder)
        catch_up(settings, root / "kafka", len(raws), found)
        if alone:
            return found
        gc.collect()
        embedded(root / "embedded", raws, found)
        insert(folds(raws, found), root, len(raws), found)
    for name in ("catch_up", "embedded"):
        found[name]["to_insert"] = round(found["insert"]["cpu_us_an_event"] / found[name]["cpu_us_an_event"], 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="40,000 events, for a look")
    parser.add_argument("--catch-up", action="store_true", help="that alone, and nothing is written: a million by hand")
    chosen = parser.parse_args()
    quiet()
    events = 40_000 if chosen.quick else chosen.events
    found = {"machine": machine(), **measure(events, chosen.partitions, alone=chosen.catch_up)}
    RESULTS.parent.mkdir(exist_ok=True)
    if not (chosen.quick or chosen.catch_up):
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
