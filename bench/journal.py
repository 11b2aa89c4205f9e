"""Events made durable per second by group size, against one fsync an event; ratios within one run.

    python bench/journal.py [--seconds S] [--folder F]     writes bench/results/journal.json

What is compared, round by round so that a busy disk troubles all alike:
- floor: the same bytes appended to a plain file with an fdatasync for each event;
- journal, groups of 1, 8, 64, 512 events appended in one tick: encoding, chain, SQLite commit, answer;
- two streams of groups of 64, so that one batch is encoded while the other is written: encoding on the event loop (as
  the journal does) and in the writer thread (the choice not taken);
- 32 independent clients that each wait for their own event.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from decision.journal.chain import Head, chain_hash
from decision.journal.runner import WriterThread
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.journal.state import Batch
from decision.model.decision import PolicyEffect, RuleResult
from decision.model.events import AuditEvent, EventDraft, StatementDecided
from decision.model.principal import Principal, PrincipalKind
from decision.wire.events import ProtobufEventCodec

CODEC = ProtobufEventCodec()
GROUPS = (1, 8, 64, 512)
ROUNDS = 5
RESULTS = Path(__file__).parent / "results" / "journal.json"
SETTINGS = JournalSettings(quota_bytes=64 << 30)


def decided(number: int) -> EventDraft:
    """A decision of usual size: 1.5 kB of policy input."""
    principal = Principal("https://issuer.example", "alice", PrincipalKind.HUMAN, "alice@example.com", ("analysts",))
    rule = RuleResult("access.read", PolicyEffect.ALLOW, "reading is allowed")
    payload = StatementDecided(
        f"decision-{number}", "session-1", principal, "shop", "prod", "query", PolicyEffect.ALLOW, "", (rule,),
        "sha256:0123456789abcdef", "regorus", b'{"statement":{}}' * 90, b"d" * 32, b"p" * 32,
        "SELECT id, email FROM customers WHERE id = $1", latency_ns=300_000,
    )  # fmt: skip
    return EventDraft(f"event-{number}", 1_700_000_000_000_000_000 + number, "bench", "session-1", payload)


DRAFTS = [decided(number) for number in range(512)]


def floor(folder: Path, seconds: float) -> float:
    """Events per second with an fdatasync each."""
    raw = CODEC.encode(DRAFTS[0], "p", 1, 1, bytes(32))
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        os.write(descriptor, raw)
        os.fdatasync(descriptor)
        count += 1
    os.close(descriptor)
    return count / elapsed


async def rate(
    append_group: Callable[[int], Awaitable[Any]], group: int, seconds: float, streams: int = 1
) -> dict[str, float]:
    """Groups one after the other in each stream: events per second, CPU per event, latency of a group."""
    latencies: list[float] = []
    start, cpu = time.perf_counter(), time.process_time()

    async def stream() -> None:
        while (before := time.perf_counter()) - start < seconds:
            await append_group(group)
            latencies.append(time.perf_counter() - before)

    await asyncio.gather(*[stream() for _ in range(streams)])
    elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
    latencies.sort()
    count = len(latencies) * group
    return {
        "events_per_s": count / elapsed,
        "cpu_us_per_event": cpu / count * 1e6,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }


async def journal_rate(folder: Path, group: int, seconds: float, streams: int = 1) -> dict[str, float]:
    journal = SqliteJournal.open(folder, producer_id="bench", codec=CODEC, settings=SETTINGS)

    async def append_group(size: int) -> None:
        waiting = [journal.append(draft) for draft in DRAFTS[:size]]
        await waiting[-1]

    result = await rate(append_group, group, seconds, streams)
    await journal.close()
    return result


async def writer_encodes_rate(folder: Path, group: int, seconds: float, streams: int) -> dict[str, float]:
    """The same store and thread, with encoding and chaining inside the job."""
    journal = SqliteJournal.open(folder, producer_id="bench", codec=CODEC, settings=SETTINGS)
    store, runner = journal._store, journal._runner
    assert isinstance(runner, WriterThread)

    async def append_group(size: int) -> None:
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[AuditEvent]] = [loop.create_future() for _ in range(size)]

        def job() -> list[AuditEvent]:
            head, events = store.state.head, []
            first = head.seq + 1
            for draft in DRAFTS[:size]:
                raw = CODEC.encode(draft, "bench", store.epoch, head.seq + 1, head.hash)
                after = chain_hash(head.hash, head.seq + 1, raw)
                events.append(AuditEvent(draft, "bench", store.epoch, head.seq + 1, head.hash, after, raw))
                head = Head(head.seq + 1, after, store.epoch)
            store.commit(Batch(first, [e.raw for e in events], head, sum(len(e.raw) for e in events)))
            return events

        def done(events: list[AuditEvent] | None, error: BaseException | None) -> None:
            assert error is None and events is not None, error
            for future, event in zip(futures, events, strict=True):
                future.set_result(event)
            if store.checkpoint_due():
                runner.submit(store.checkpoint, lambda _state, _error: None)

        runner.submit(job, done)
        await futures[-1]

    result = await rate(append_group, group, seconds, streams)
    await journal.close()
    return result


async def clients_rate(folder: Path, clients: int, seconds: float) -> dict[str, float]:
    """Independent clients, each waiting for its own event: how well ticks group by themselves."""
    journal = SqliteJournal.open(folder, producer_id="bench", codec=CODEC, settings=SETTINGS)
    batches = [0]
    journal.on_commit(lambda _: batches.__setitem__(0, batches[0] + 1))
    end, count, start = time.perf_counter() + seconds, [0], time.perf_counter()

    async def client(number: int) -> None:
        while time.perf_counter() < end:
            await journal.append(DRAFTS[number])
            count[0] += 1

    await asyncio.gather(*[client(number) for number in range(clients)])
    elapsed = time.perf_counter() - start
    await journal.close()
    return {"events_per_s": count[0] / elapsed, "events_per_batch": count[0] / max(1, batches[0])}


async def measure(folder: Path, seconds: float) -> dict[str, Any]:
    floors: list[float] = []
    rounds: dict[str, list[dict[str, float]]] = {}
    for index in range(ROUNDS):
        place = folder / f"round{index}"
        place.mkdir()
        floors.append(floor(place, seconds))
        for group in GROUPS:
            rounds.setdefault(f"group_{group}", []).append(await journal_rate(place / f"j{group}", group, seconds))
        on_loop = await journal_rate(place / "two", 64, seconds, streams=2)
        in_writer = await writer_encodes_rate(place / "writer", 64, seconds, streams=2)
        rounds.setdefault("two_streams_of_64_encoded_on_loop", []).append(on_loop)
        rounds.setdefault("two_streams_of_64_encoded_in_writer", []).append(in_writer)
        rounds.setdefault("clients_32", []).append(await clients_rate(place / "c32", 32, seconds))
    base = statistics.median(floors)
    report: dict[str, Any] = {
        "what": "events made durable per second; ratio is to one fdatasync per event in the same run",
        "event_bytes": len(CODEC.encode(DRAFTS[0], "p", 1, 1, bytes(32))),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "floor_events_per_s": round(base),
    }
    for name, results in rounds.items():
        middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
        report[name] = {key: round(value, 2) for key, value in middle.items()}
        report[name]["ratio_to_floor"] = round(middle["events_per_s"] / base, 2)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement of each of five rounds")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure (default: temporary files)")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        report = runner.run(measure(Path(folder), arguments.seconds))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
