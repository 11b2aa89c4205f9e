"""kill -9 of the sink at random moments while records arrive: every event exactly once, the counts right."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from ingest.kafka_clients import producer
from ingest.kafka_settings import KafkaSettings
from ingest.status import read_status
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import story
from tests.support.eventually import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SESSIONS = 320
KILLS = 8

SINK = """
import sys, threading
from pathlib import Path
from analytics.store import StoreSettings
from ingest.kafka_clients import quiet
from ingest.kafka_settings import KafkaSettings
from ingest.sink import KafkaSink, SinkSettings

quiet()
settings = KafkaSettings.model_validate_json(sys.argv[2])
small = StoreSettings(seal_events=60, direct_events=90, fan_in=3, grace_s=5)
sink = KafkaSink(Path(sys.argv[1]), settings, SinkSettings(poll_s=0.02, publish_s=0.02, batch=int(sys.argv[3]),
                                                           status_s=0.02, store=small))
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
print("started", flush=True)
sink.run(stop)
"""


def sink(root: Path, settings: KafkaSettings, batch: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SINK, str(root), settings.model_dump_json(), str(batch)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_every_event_is_taken_once_whenever_the_sink_dies(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """Killed again and again under load, with what the relay sends twice: the rows are those of an undisturbed store,
    and as many duplicates were counted as were sent."""
    seed = int(os.environ.get("AIRLOCK_SEED", "11"))
    print(f"seed {seed}: AIRLOCK_SEED={seed} repeats it")
    dice = random.Random(seed)
    events = story(SESSIONS)
    client = producer(kafka_settings)
    sent, again = 0, 0

    def send(count: int) -> None:
        nonlocal sent, again
        back = dice.choice([0, 0, 25])
        part = events[max(0, sent - back) : sent + count]
        again += min(back, sent)
        for event in part:
            client.send(kafka_settings.topics.events, key=event.draft.correlation_id.encode(), value=event.raw)
        client.flush()
        sent = min(len(events), sent + count)

    killed = tmp_path / "killed"
    for _ in range(KILLS):
        child = sink(killed, kafka_settings, dice.choice([50, 300, 4_000]))
        assert child.stdout is not None and child.stdout.readline()
        send(len(events) // KILLS // 2)
        deadline = time.monotonic() + dice.uniform(0.0, 0.6)
        send(len(events) // KILLS // 2)
        eventually(lambda end=deadline, one=child: time.monotonic() > end or one.poll() is not None, every_s=0.003)
        assert child.poll() is None, child.communicate()
        child.send_signal(signal.SIGKILL)
        child.communicate()
    send(len(events))
    client.close()
    child = sink(killed, kafka_settings, 1_000)
    eventually(
        lambda: (status := read_status(killed / FOLDER)) is not None
        and status.pid == child.pid and status.events == len(events) and status.duplicates == again
        and not status.lag_events,
        deadline_s=60,
    )  # fmt: skip
    _, errors = child.communicate()
    assert child.returncode == 0, errors.decode()
    with AnalyticsStore(tmp_path / "calm" / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.apply(events, {"journal": len(events)})
        store.publish()
    assert all_rows(killed) == all_rows(tmp_path / "calm")
    status = read_status(killed / FOLDER)
    assert status is not None and (status.missing, status.dead_letters) == (0, 0)
