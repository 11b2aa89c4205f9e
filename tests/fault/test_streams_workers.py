"""Streams workers against a real broker: shared partitions, kill -9, restarts, replays and records that are no events.

What must hold in the end is always the same: the alerts that one fold over all events in memory raises, each with that
figure, whatever happened to the workers.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airlock.runtime import sole_instance
from analytics.query import CatalogMissing, CatalogReader
from decision.model.events import AlertRaised, AuditEvent, StatementExecuted
from ingest.counters import Counters, Key, counters_key, decode_counters
from ingest.detectors import Detections, Extraction
from ingest.kafka_clients import consumer, producer
from ingest.kafka_settings import KafkaSettings
from tests.support.analytics_story import CODEC
from tests.support.eventually import eventually
from tests.support.kafka import Broker, free_port, settings_for
from tests.support.streams_story import ISSUER, SECOND, Told, denied, looked, opened, person, read, refused, told

pytestmark = pytest.mark.kafka

Alerts = dict[str, tuple[str, str, int]]


class WorkerProcess:
    """`airlock ingest worker` in a folder of its own."""

    def __init__(self, folder: Path, settings: KafkaSettings) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "airlock.toml"
        self.config.write_text(
            f"[kafka]\nbootstrap_servers = {json.dumps(list(settings.bootstrap_servers))}\n"
            f'topic_prefix = "{settings.topic_prefix}"\npartitions = {settings.partitions}\nreplication = 1\n'
            '[metrics]\nlisten = "off"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        command = ["-m", "airlock.main", "ingest", "worker", "--config", str(self.config), "--data-dir"]
        with (self.folder / "log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command, str(self.folder), "--log-level", "info", "--nice", "0", *arguments],
                stdout=out,
                stderr=out,
            )

    def status(self) -> dict[str, Any]:
        found = list((self.folder / "workers").glob("*.json"))
        document: dict[str, Any] = json.loads(found[0].read_text()) if found else {}
        return document if self.process is not None and document.get("pid") == self.process.pid else {}

    def partitions(self) -> int:
        held = self.status().get("partitions", {})
        assert isinstance(held, dict)
        return sum(map(len, held.values()))

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> float:
        """SIGTERM; the seconds it took."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.terminate()
        assert self.process.wait(15) == 0, (self.folder / "log").read_text()[-2_000:]
        return time.monotonic() - begun


@contextmanager
def workers(root: Path, settings: KafkaSettings, count: int) -> Iterator[list[WorkerProcess]]:
    made = [WorkerProcess(root / f"worker-{number}", settings) for number in range(count)]
    try:
        yield made
    finally:
        for one in made:
            if one.process is not None and one.process.poll() is None:
                one.kill()


def send(settings: KafkaSettings, records: Sequence[AuditEvent | bytes]) -> None:
    sender = producer(settings)
    for one in records:
        if isinstance(one, bytes):
            sender.send(settings.topics.events, key=b"s0", value=one)
        else:
            sender.send(settings.topics.events, key=one.draft.correlation_id.encode(), value=one.raw)
    sender.flush()
    sender.close()


def expected(events: Sequence[AuditEvent]) -> Alerts:
    """What one fold in memory raises: (rule, subject, observed) by alert."""
    extraction, detections = Extraction(), Detections()
    for event in events:
        detections.add(extraction.signals(event))
    found = {}
    for draft in detections.flush():
        assert isinstance(draft.payload, AlertRaised)
        found[draft.correlation_id] = (draft.payload.rule, draft.payload.subject, draft.payload.observed)
    return found


class Reader:
    """What stands on the topics of alerts and counters by now, read as it comes."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._reader = consumer(settings, settings.topics.alerts, settings.topics.counters)
        self.alerts: Alerts = {}
        self.counters: dict[Key, Counters] = {}
        self.records = 0

    def read(self) -> None:
        for records in self._reader.poll(timeout_ms=200).values():
            for record in records:
                if record.topic == self._settings.topics.counters:
                    counters = decode_counters(record.value)
                    assert record.key == counters_key(counters.principal)
                    self.counters[counters.principal] = counters
                else:
                    self._alert(record.key, record.value)

    def _alert(self, key: bytes, value: bytes) -> None:
        """Of each alert the greatest counts."""
        self.records += 1
        payload = CODEC.decode(value)[0].payload
        assert isinstance(payload, AlertRaised)
        assert key == payload.alert_id.encode()
        known = self.alerts.get(payload.alert_id)
        if known is None or payload.observed > known[2]:
            self.alerts[payload.alert_id] = (payload.rule, payload.subject, payload.observed)

    def settle(self, wanted: Alerts, seconds: float = 40.0) -> None:
        """Until the alerts are those wanted; shows both where they never are."""
        end = time.monotonic() + seconds
        while self.alerts != wanted and time.monotonic() < end:
            self.read()
        assert self.alerts == wanted

    def close(self) -> None:
        self._reader.close()


def trouble(start: int, sessions: int, first: int = 0) -> list[Told]:
    """Eight people over many sessions each, so that everybody's events lie in every partition."""
    stories: list[Told] = []
    for number in range(first, first + sessions):
        who, session = person(f"user-{number % 8}"), f"s{number}"
        at = start + number * 50_000_000
        stories.append(opened(at, session, who))
        stories += read(at + 1, session, f"d{number}.1", who, 3_000)
        stories.append(denied(at + 2, session, f"d{number}.2", who))
        stories.append(looked(at + 3, session, f"d{number}.3", who, f"table_{number}"))
        if number % 20 == 0:
            stories.append(refused(at + 4, f"r{number}", "root"))
    return stories


def recently() -> int:
    return time.time_ns() - 300 * SECOND


def test_two_workers_end_with_what_one_fold_would_say_whatever_befalls_them(
    tmp_path: Path, kafka: Broker, kafka_settings: KafkaSettings
) -> None:
    """They share; one is killed and the other takes over; it comes back; everything is sent again with rubbish."""
    events = told(trouble(recently(), 600))
    reader = Reader(kafka_settings)
    with workers(tmp_path, kafka_settings, 2) as (one, other):
        one.start()
        other.start()
        eventually(lambda: one.partitions() and other.partitions(), 60, what="both have partitions")
        send(kafka_settings, events[:1_500])
        reader.settle(expected(events[:1_500]))
        one.kill()
        send(kafka_settings, events[1_500:])
        reader.settle(expected(events), 60)
        reads = sum(1 for event in events if isinstance(event.payload, StatementExecuted))
        eventually(lambda: reader.read() or _rows(reader) == reads * 3_000, 10, what="the counters are complete")
        assert dict(reader.counters[ISSUER, "user-0"].at(time.time_ns()))["denials_10m"] == 600 // 8

        one.start()
        eventually(lambda: one.partitions() and other.partitions(), 60, what="both have partitions again")
        before = other.status()
        send(kafka_settings, [b"\xff no event", *events, b"\xff", *events[::2]])
        again = 2 + len(events) + len(events[::2])

        def read_again() -> bool:
            taken = int(one.status().get("events", 0)) + int(other.status().get("events", 0))
            return taken - int(before["events"]) >= again

        eventually(read_again, 30, what="everything is read again")
        reader.read()
        assert reader.alerts == expected(events)
        assert one.stop() < 10
        assert other.stop() < 10
    reader.close()


def _rows(reader: Reader) -> int:
    now = time.time_ns()
    return sum(dict(counters.at(now)).get("rows_out_1h", 0) for counters in reader.counters.values())


def test_a_worker_waits_for_a_broker_that_is_away_and_survives_its_kill_and_its_own(
    tmp_path: Path, own_kafka: Broker
) -> None:
    """Started before the broker, then through a kill -9 of it and of itself: nothing is lost, nothing told twice, and
    it comes back as the same member of its group."""
    settings = settings_for(own_kafka, "away")
    events = told(trouble(recently(), 200))
    own_kafka.kill()
    with workers(tmp_path, settings, 1) as (only,):
        only.start()
        eventually(lambda: "waiting for Kafka" in (only.folder / "log").read_text(), 30)
        own_kafka.start()
        eventually(lambda: only.partitions() == 6, 40, what="it has all partitions")
        reader = Reader(settings)
        send(settings, events[:300])
        reader.settle(expected(events[:300]))
        own_kafka.kill()
        own_kafka.start()
        send(settings, events[300:600])
        reader.settle(expected(events[:600]), 60)
        instance = only.status()["instance"]
        only.kill()
        send(settings, [b"\xff no event", *events[600:]])
        only.start()
        reader.settle(expected(events))
        eventually(lambda: only.status().get("undecodable") == 1, what="the status is written")
        assert only.status()["instance"] == instance
        assert only.stop() < 10
        reader.close()


def test_a_worker_keeps_the_sink_shows_its_state_and_ends_both(
    tmp_path: Path, kafka: Broker, kafka_settings: KafkaSettings
) -> None:
    """In a folder that is not there yet: alerts reach the view, the page is on loopback, SIGTERM leaves nothing."""
    events = told(trouble(recently(), 60))
    port = free_port()
    with workers(tmp_path / "new", kafka_settings, 1) as (only,):
        only.start("--sink", "--status", f"127.0.0.1:{port}")
        send(kafka_settings, events)
        wanted = sorted(expected(events).values())

        def stored() -> bool:
            try:
                with CatalogReader(only.folder) as catalog:
                    return sorted(catalog.ask("SELECT rule, principal, observed FROM alerts").rows) == wanted
            except CatalogMissing:
                return False

        eventually(stored, 60, every_s=0.3, what="the alerts are in the view")
        shown = eventually(lambda: _page(port).get("sink") and _page(port), 10)
        assert (shown["sink"], shown["events"]) == ("running", len(events))
        assert only.stop() < 20
        with sole_instance(only.folder, "sink"):
            pass


def _page(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        document: dict[str, Any] = json.loads(answer.read())
    return document


def test_what_can_not_be_is_refused_at_once(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """No Kafka in the settings; a status page beyond loopback: exit status 1 and the remedy."""
    bare = tmp_path / "bare.toml"
    bare.write_text("")
    for arguments, said in (
        (["--config", str(bare)], "bootstrap_servers"),
        (["--config", str(WorkerProcess(tmp_path / "w", kafka_settings).config), "--status", "0.0.0.0:1"], "loopback"),
    ):
        command = [sys.executable, "-m", "airlock.main", "ingest", "worker", *arguments, "--data-dir", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
