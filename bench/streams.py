"""How many events a second one worker of the streams app takes. Writes bench/results/streams.json.

    python -m bench.streams [--events 60000] [--principals 500]

A real broker, the events waiting in three partitions, one worker that owns them all. `noop` is a Faust agent with the
same settings that acknowledges and does nothing, in the same run: what Faust itself leaves. `pure` are the folds
without Kafka. Each worker is a process of its own; `cpu_us` is what an event costs it, all threads together, from its
first event to its last, and CPU is what other programs on the machine disturb least: `per_cpu_second` is what a worker
takes that has a processor to itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faust.transport.drivers.aiokafka import Consumer

from bench.measure import machine, write
from decision.clock import SystemClock
from ingest.alerts_settings import DetectionSettings
from ingest.app import Streams
from ingest.app_records import StreamTopics, ensure_stream_topics, pack, unpack
from ingest.detectors import Detections, Extraction
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ensure_topics
from ingest.priority import step_back
from tests.support.analytics_story import CODEC
from tests.support.kafka import Broker, running_broker, settings_for
from tests.support.streams_story import crowd, told

DEADLINE_S = 120.0


def pure(raws: list[bytes], rounds: int) -> dict[str, float]:
    """Microseconds an event, of the best round of each part."""
    best: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any], *given: Any) -> Any:
        started = time.perf_counter()
        made = work(*given)
        took = (time.perf_counter() - started) / len(raws) * 1e6
        best[name] = min(best.get(name, took), took)
        return made

    for _ in range(rounds):
        extraction, detections = Extraction(), Detections()
        events = timed("decode_us", lambda: [_event(raw) for raw in raws])
        signals = timed("extract_us", lambda one, given: [s for e in given for s in one.signals(e)], extraction, events)
        packed = timed("pack_us", _packed, signals)
        again = timed("unpack_us", lambda given: [s for one in given for s in unpack(one.value)[0]], packed)
        timed("fold_us", lambda one, given: (one.add(given), one.flush()), detections, again)
    return {name: round(value, 1) for name, value in best.items()}


def _packed(signals: list[Any]) -> list[Any]:
    topics = StreamTopics("signals", "firsts", 3)
    return [one for at in range(0, len(signals), 1_000) for one in pack(topics, signals[at : at + 1_000], [])]


def _event(raw: bytes) -> Any:
    from decision.model.events import AuditEvent

    draft, producer, epoch, seq, before = CODEC.decode(raw)
    return AuditEvent(draft, producer, epoch, seq, before, b"")


def fill(broker: Broker, settings: KafkaSettings, raws: list[tuple[bytes, bytes]]) -> None:
    from ingest.kafka_clients import producer

    ensure_topics(settings)
    ensure_stream_topics(settings)
    sender = producer(settings)
    for key, raw in raws:
        sender.send(settings.topics.events, key=key, value=raw)
    sender.flush()
    sender.close()


async def worker(settings: KafkaSettings, events: int, name: str) -> dict[str, float]:
    """In the child: take them all. Counted from the first thousand on."""
    noop = name != "streams"
    topics = ensure_stream_topics(settings)
    with tempfile.TemporaryDirectory() as folder:
        streams = Streams(settings, DetectionSettings(), topics, f"bench-{name}", Path(folder), SystemClock(), _gone)
        taken = [0]
        if noop:
            _silence(streams, taken)
        if name == "noop":
            streams.app.transport.Consumer = Consumer
        await streams.start()
        began = 0.0, 0.0, 0
        ends = time.monotonic() + DEADLINE_S
        while True:
            at = taken[0] if noop else streams.source.counts["events"]
            if not began[2] and at >= 1_000:
                began = time.perf_counter(), time.process_time(), at
            done = at >= events and (noop or _folded(streams) >= streams.signalled)
            if done or time.monotonic() > ends:
                break
            await asyncio.sleep(0.01)
        spent = time.perf_counter() - began[0], time.process_time() - began[1], at - began[2]
        await streams.stop()
    cpu_us = spent[1] / spent[2] * 1e6
    return {
        "events_per_s": round(spent[2] / spent[0]), "cpu_us": round(cpu_us, 1), "per_cpu_second": round(1e6 / cpu_us)
    }  # fmt: skip


def _folded(streams: Streams) -> int:
    return streams.folds.totals()["signals"]


def _silence(streams: Streams, taken: list[int]) -> None:
    async def nothing(partitions: dict[int, list[Any]]) -> None:
        taken[0] += sum(map(len, partitions.values()))

    streams._extract = nothing  # type: ignore[method-assign]


def _gone(reason: str) -> None:
    sys.exit(f"the worker left: {reason}")


def child(name: str, bootstrap: str, prefix: str, events: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.streams", "--child", name, "--bootstrap", bootstrap, "--prefix", prefix]
    done = subprocess.run([*command, "--events", str(events)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise SystemExit(done.stderr[-2_000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Events a second of one streams worker.")
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--principals", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", default="")
    parser.add_argument("--bootstrap", default="")
    parser.add_argument("--prefix", default="")
    chosen = parser.parse_args()
    step_back(0)  # as the command does: its thresholds of garbage collection
    if chosen.child:
        settings = KafkaSettings(
            bootstrap_servers=(chosen.bootstrap,), topic_prefix=chosen.prefix, partitions=3, replication=1
        )
        print(json.dumps(asyncio.run(worker(settings, chosen.events, chosen.child))))
        return
    rounds = max(1, round(chosen.events / chosen.principals / 1.9))
    events = told(crowd(chosen.principals, rounds, SystemClock().time_unix_nano() - 600_000_000_000))
    raws = [(event.draft.correlation_id.encode(), event.raw) for event in events]
    found: dict[str, Any] = {"machine": machine(), "events": len(raws), "principals": chosen.principals}
    found["pure"] = pure([raw for _, raw in raws], chosen.rounds)
    best: dict[str, dict[str, float]] = {}
    with running_broker() as broker:
        for turn in range(chosen.rounds):
            for name in ("noop", "noop_lean", "streams"):
                settings = settings_for(broker, f"{name}{turn}")
                fill(broker, settings, raws)
                one = child(name, broker.bootstrap, settings.topic_prefix, len(raws))
                best[name] = max(best.get(name, one), one, key=lambda figures: figures["events_per_s"])
    found |= best
    found["streams_to_noop"] = round(best["streams"]["events_per_s"] / best["noop"]["events_per_s"], 2)
    write("streams", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
