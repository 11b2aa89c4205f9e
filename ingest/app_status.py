"""What a streams worker says of itself: a file, numbers for Prometheus, and on wish a page on loopback.

Nothing here names a principal, a session or a statement.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from faust.types import TP

from decision.endpoint import is_loopback
from decision.model.errors import SettingsError
from decision.model.metrics import Sample, SampleKind
from ingest.app import Streams

FOLDER = "workers"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """`partitions` and `lag_events` by topic: what is ours, and what waits there. Counts are totals of this process.
    `error`: why nothing is read now."""

    pid: int
    instance: str
    time_unix_nano: int
    partitions: dict[str, list[int]]
    lag_events: dict[str, int]
    events: int
    undecodable: int
    unattributed: int
    signals: int
    duplicates: int
    late: int
    keys: int
    alerts: int
    counters: int
    rebuilds: int
    retries: int
    sink: str = ""
    error: str = ""


def status_of(streams: Streams, time_unix_nano: int, sink: str = "", error: str = "") -> WorkerStatus:
    """To be called in the loop of the app."""
    topics = (streams.events_topic, streams.topics.signals)
    partitions = {topic: sorted(streams.assigned(topic)) for topic in topics}
    totals, source, folds = streams.folds.totals(), streams.source, streams.folds
    return WorkerStatus(
        os.getpid(), streams.instance, time_unix_nano, partitions,
        {topic: sum(_lag(streams, topic, one) for one in ours) for topic, ours in partitions.items()},
        source.counts["events"], source.counts["undecodable"], source.unattributed, totals["signals"],
        totals["duplicates"], totals["late"], folds.keys, folds.counts["alerts"], streams.counted,
        folds.counts["rebuilds"], streams.output.retries, sink, error,
    )  # fmt: skip


def _lag(streams: Streams, topic: str, partition: int) -> int:
    """What waits in a partition, as far as this worker knows its end."""
    place = TP(topic, partition)
    end = streams.app.consumer.highwater(place)
    taken = streams.taken(topic, partition)
    return max(0, end - taken) if end and taken is not None else 0


def status_path(data_dir: Path, instance: str) -> Path:
    return data_dir / FOLDER / f"{instance}.json"


def write_status(data_dir: Path, status: WorkerStatus) -> None:
    """Replace the worker's file. Raises OSError."""
    path = status_path(data_dir, status.instance)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}")
    staging.write_text(json.dumps(asdict(status), indent=2) + "\n")
    staging.replace(path)


def read_status(data_dir: Path) -> list[WorkerStatus]:
    """The workers that wrote into this folder; those that this version understands."""
    found = []
    for path in sorted((data_dir / FOLDER).glob("*.json")):
        try:
            found.append(WorkerStatus(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return found


class Worker:
    """A worker's numbers (Measured). `latest` is what `status_of` said last."""

    def __init__(self, latest: WorkerStatus | None = None) -> None:
        self.latest = latest

    def samples(self) -> Iterable[Sample]:
        one = self.latest
        if one is None:
            return
        for name, text in _COUNTERS:
            yield Sample(name, SampleKind.COUNTER, text, getattr(one, name.partition("_")[2].removesuffix("_events")))
        connected = 0 if one.error else 1
        yield Sample(
            "worker_connected", SampleKind.GAUGE, "1 while the brokers answer, 0 while they are away", connected
        )
        yield Sample("worker_keys", SampleKind.GAUGE, "Principals and other keys that are counted", one.keys)
        for topic, ours in one.partitions.items():
            yield Sample(
                "worker_partitions", SampleKind.GAUGE, "Partitions that are its own", len(ours), (("topic", topic),)
            )
        for topic, lag in one.lag_events.items():
            yield Sample("worker_lag_events", SampleKind.GAUGE, "Records that wait in them", lag, (("topic", topic),))


_COUNTERS = (
    ("worker_events", "Events read"),
    ("worker_undecodable_events", "Records that hold no event"),
    ("worker_unattributed_events", "Executions whose session could not be found"),
    ("detections_signals", "Signals that were counted or told apart as repetitions"),
    ("detections_duplicates", "Signals that had been counted before"),
    ("detections_late", "Signals too late for some of their windows"),
    ("detections_alerts", "Alerts raised, or raised again as they grew"),
    ("worker_counters", "Counters told to the decision services"),
    ("worker_rebuilds", "Times that a partition's state was read back"),
    ("worker_retries", "Times that Kafka had to be asked again to take something"),
)


async def serve_status(address: str, worker: Worker) -> web.AppRunner:
    """The status as JSON, at `/`, on loopback only. Raises SettingsError."""
    host, _, port = address.rpartition(":")
    if not is_loopback(host) or not port.isdigit():
        raise SettingsError(
            f"--status {address}: the status is shown on loopback only", hint="write 127.0.0.1:PORT, or use --metrics"
        )

    async def page(_: web.Request) -> web.Response:
        return web.json_response({} if worker.latest is None else asdict(worker.latest))

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site: Any = web.TCPSite(runner, host.strip("[]"), int(port))
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(
            f"--status {address} can't be listened on: {error.strerror}", hint="choose another"
        ) from None
    return runner
