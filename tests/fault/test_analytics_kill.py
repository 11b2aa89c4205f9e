"""kill -9 at random moments: no row lost, none doubled, and analysts never see an error."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analytics.query import CatalogMissing, CatalogReader
from analytics.store import FOLDER
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import ListJournal, story
from tests.support.eventually import eventually

SESSIONS = 400
KILLS = 12
ROOT = Path(__file__).parents[2]

WRITER = """
import sys, threading
from pathlib import Path
from analytics.store import AnalyticsStore, StoreSettings, FOLDER
from decision.clock import SystemClock, Uuid7Source
from ingest.local import LocalRunner, LocalSettings
from tests.support.analytics_story import ListJournal, story

root, sessions, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store_settings = StoreSettings(seal_events=60, direct_events=90, fan_in=3, grace_s=5)
settings = LocalSettings(poll_s=0.01, publish_s=0.02, batch=batch, store=store_settings)
journal = ListJournal(story(sessions))
clock = SystemClock()
with AnalyticsStore(root / FOLDER, clock, Uuid7Source(), store_settings) as store:
    runner = LocalRunner(store, journal, clock, settings)
    print("started", flush=True)
    while store.position("journal") < len(journal.events):
        runner.step()
    store.compact(wait=True)
    store.publish()
"""


def writer(root: Path, batch: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(SESSIONS), str(batch)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def taken(root: Path) -> int:
    try:
        with CatalogReader(root) as reader:
            total, distinct = reader.ask("SELECT count(*), count(DISTINCT event_id) FROM events").rows[0]
    except CatalogMissing:
        return 0
    assert total == distinct
    assert isinstance(total, int)
    return total


@pytest.mark.slow
def test_no_row_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    """The writer is killed again and again; at the end the store is that of an undisturbed one."""
    seed = int(os.environ.get("AIRLOCK_SEED", "7"))
    print(f"seed {seed}: AIRLOCK_SEED={seed} repeats it")
    dice = random.Random(seed)
    killed = tmp_path / "killed"
    for _ in range(KILLS):
        child = writer(killed, dice.choice([7, 40, 100]))
        assert child.stdout is not None
        child.stdout.readline()
        deadline = time.monotonic() + dice.uniform(0.0, 0.5)
        eventually(lambda end=deadline, one=child: time.monotonic() > end or one.poll() is not None, every_s=0.003)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.communicate()
        assert taken(killed) <= SESSIONS * 7
    for root, batch in ((killed, 97), (tmp_path / "calm", 2800)):
        child = writer(root, batch)
        _, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors.decode()
    assert all_rows(killed) == all_rows(tmp_path / "calm")
    assert len(all_rows(killed)["events"]) == SESSIONS * 7 == len(ListJournal(story(SESSIONS)).events)
    names = {path.name for path in (killed / FOLDER).iterdir()}
    assert {"live.duckdb", "catalog.duckdb", "segments"} <= names
