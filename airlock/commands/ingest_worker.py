"""`airlock ingest worker`: counters and detections over the events on Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airlock.commands.common import config_option
from airlock.commands.node import folder_option, log_option, nice_option
from airlock.metrics import service_metrics_option, shown_metrics
from airlock.metrics_handed import HandedSamples
from airlock.settings import Settings, load_settings
from decision.clock import SystemClock
from decision.model.errors import KafkaUnavailable, SettingsError
from ingest.priority import step_back

if TYPE_CHECKING:
    from ingest.app import Streams
    from ingest.app_records import StreamTopics
    from ingest.app_status import Worker

log = logging.getLogger(__name__)

STATUS_S = 2.0
WATCH_S = 0.2
STOP_S = 5.0
ANEW_S = 1.0
MENDED_S = 10.0
AWAY_LOG_S = 30.0
_SLOTS = 64
_WAITS_S = (0.2, 0.5, 1.0, 2.0)


@click.command("worker")
@config_option
@folder_option
@click.option("--sink", is_flag=True, help="Also keep the writer of the audit store (`airlock ingest sink`) running.")
@click.option("--instance", metavar="NAME", help="This worker's name in its group (default: by machine and folder).")
@click.option("--status", metavar="HOST:PORT", help="Show the worker's state as JSON there, on loopback only.")
@nice_option
@service_metrics_option
@log_option
def worker(
    config: Path | None,
    data_dir: str | None,
    sink: bool,
    instance: str | None,
    status: str | None,
    nice: int,
    metrics: str | None,
) -> None:
    """Count what every principal does, detect what is unusual, and hand both on, until told to stop.

    Start as many as there are processors for, up to the number of partitions: they share the partitions, and what one
    leaves the others take over within about ten seconds. Alerts go to the topic `<prefix>.alerts.v1` and, by the
    writer of the audit store, to the view `alerts`; counters to `context.counters` of every decision service.
    """
    settings = load_settings(config, data_dir=data_dir)
    settings.kafka.demand()
    from ingest.app_status import Worker
    from ingest.kafka_clients import quiet

    quiet()
    for name in ("aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    step_back(nice)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))  # blocked while it began anew
    with own_name(settings.data_dir, instance) as name:
        topics = wait_for_topics(settings, stopping)
        if topics is None:
            return
        shown = Worker()
        click.echo(f"worker {name} reads {settings.kafka.topics.events}; Ctrl-C ends it")
        with shown_metrics(settings, metrics, "worker", [shown, HandedSamples(settings.data_dir, "sink")]):
            asyncio.run(_run(settings, topics, name, stopping, shown, status, Sink(settings, config) if sink else None))


@contextlib.contextmanager
def own_name(data_dir: Path, given: str | None) -> Iterator[str]:
    """A name in the group that no other worker of this folder has, and that the next one after us takes again: so the
    group gives it the same partitions at once. Raises SettingsError."""
    data_dir.mkdir(parents=True, exist_ok=True)
    if given is not None:
        yield given
        return
    place = f"{socket.gethostname()}-{zlib.crc32(str(data_dir.resolve()).encode()):08x}"
    for slot in range(_SLOTS):
        with (data_dir / f"worker-{slot}.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"{place}-{slot}"
            return
    raise SettingsError(f"{_SLOTS} workers run on {data_dir} already", hint="give each its own --instance")


def wait_for_topics(settings: Settings, stopping: threading.Event) -> StreamTopics | None:
    """Until Kafka is there and its topics are sound; None when told to stop before. Raises TopicRefused."""
    from ingest.app_records import ensure_stream_topics
    from ingest.kafka_topics import ensure_topics

    tries, said = 0, 0.0
    while not stopping.is_set():
        try:
            ensure_topics(settings.kafka)
            return ensure_stream_topics(settings.kafka)
        except KafkaUnavailable as error:
            if not said or time.monotonic() - said > AWAY_LOG_S:
                said = time.monotonic()
                log.warning("waiting for Kafka: %s (%s)", error.message, error.hint)
            stopping.wait(_WAITS_S[min(tries, len(_WAITS_S) - 1)])
            tries += 1
    return None


class Sink:
    """The writer of the audit store, kept running as a process of its own."""

    def __init__(self, settings: Settings, config: Path | None) -> None:
        self._command = [sys.executable, "-m", "airlock.main", "ingest", "sink", "--data-dir", str(settings.data_dir)]
        self._command += ["--parent", str(os.getpid())]
        if config is not None:
            self._command += ["--config", str(config)]
        self._process: subprocess.Popen[bytes] | None = None
        self._again = 0.0

    def watch(self) -> None:
        """Start it where it does not run, at most once a second."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None and not self._again:
            log.warning("the sink ended with status %s and is started again", self._process.returncode)
            mending = self._process.returncode == 1  # what is wrong stands in its log, and somebody must mend it
            self._again = time.monotonic() + (MENDED_S if mending else ANEW_S)
        if time.monotonic() >= self._again:
            self._again = 0.0
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)

    @property
    def said(self) -> str:
        return "running" if self._process is not None and self._process.poll() is None else "away"

    def stop(self, wait_s: float = 20.0) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def _run(
    settings: Settings,
    topics: StreamTopics,
    name: str,
    stopping: threading.Event,
    shown: Worker,
    status: str | None,
    sink: Sink | None,
) -> None:
    from ingest.app import Streams, begin_anew, said
    from ingest.app_status import serve_status

    def anew(reason: str) -> None:
        if sink is not None:
            sink.stop(2.0)
        if stopping.wait(ANEW_S):
            log.warning("leaving at once, as told: %s", reason)
            os._exit(0)
        begin_anew(reason)

    folder = settings.data_dir / "workers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    streams = Streams(settings.kafka, settings.detections, topics, name, folder / name, SystemClock(), anew)
    page = await serve_status(status, shown) if status else None
    try:
        await streams.start()
    except Exception as error:  # noqa: BLE001  # whatever it is, the process begins anew
        anew(f"the worker can't begin: {said(error)}")
    await _watch(settings, streams, stopping, shown, sink, anew)
    if sink is not None:
        await asyncio.to_thread(sink.stop)
    if page is not None:
        await page.cleanup()
    threading.excepthook = lambda _: None  # with its broker away, aiokafka's thread and tasks end in a traceback
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await streams.stop()
            return
    log.warning("Kafka does not let go: leaving without a word to it")
    os._exit(0)


async def _watch(
    settings: Settings,
    streams: Streams,
    stopping: threading.Event,
    shown: Worker,
    sink: Sink | None,
    anew: object,
) -> None:
    """Until told to stop: the state is shown, the sink is kept, and a crash of Faust's begins anew."""
    from ingest.app_brokers import Brokers
    from ingest.app_status import status_of, write_status

    assert callable(anew)
    brokers = Brokers(settings.kafka, streams.output, streams.read)
    asking = asyncio.create_task(brokers.watch())
    due = 0.0
    while not stopping.is_set():
        await asyncio.sleep(WATCH_S)
        if streams.crashed:
            anew(f"Faust crashed: {type(streams.app.crash_reason).__name__}")
        if sink is not None:
            sink.watch()
        if time.monotonic() >= due:
            due = time.monotonic() + STATUS_S
            shown.latest = status_of(streams, time.time_ns(), sink.said if sink is not None else "", brokers.error)
            try:
                write_status(settings.data_dir, shown.latest)
            except OSError as error:
                log.warning("the status can't be written: %s", error.strerror)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
