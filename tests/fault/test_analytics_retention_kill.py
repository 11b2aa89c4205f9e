"""kill -9 in the midst of an expiry: what the ledger said goes in the end, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from analytics.query import CatalogReader
from analytics.retention import CLASSES, apply_now
from analytics.retention_ledger import Ledger
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from tests.support.analytics_story import START, story

ROOT = Path(__file__).parents[2]
STEP = 24 * 3600 * 1_000_000_000 // 7
BEGIN = datetime.fromtimestamp(START // 1_000_000_000, UTC).date()
FLOORS = dict.fromkeys(CLASSES, BEGIN + timedelta(days=2))

KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from analytics import live, retention_ledger, catalog
from analytics.retention import CLASSES, apply_now
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
def dying(owner, name, after):
    original = getattr(owner, name)
    def call(*args, **kwargs):
        if after: original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, call)
with AnalyticsStore(Path(sys.argv[1]) / FOLDER, SystemClock(), Uuid7Source()) as store:
    store.seal()
    place, after = sys.argv[2], sys.argv[3] == "after"
    owners = {"record": retention_ledger.LedgerWriter, "retire": live.LiveFile, "publish": catalog.CatalogPublisher}
    dying(owners[place], place, after)
    apply_now(store, dict.fromkeys(CLASSES, date.fromisoformat(sys.argv[4])), SystemClock(), "test")
"""


@pytest.mark.parametrize(
    ("place", "when", "told"),
    [("record", "before", 0), ("record", "after", 1), ("retire", "after", 1), ("publish", "before", 1)],
)
def test_an_expiry_that_was_killed_is_completed(tmp_path: Path, place: str, when: str, told: int) -> None:
    """Before or after the ledger's line, inside the manifest's transaction, or before the catalog shows it: the store
    opens, shows all of it or none, and the next run leaves exactly what is kept."""
    with AnalyticsStore(tmp_path / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.apply(story(5, step_ns=STEP), {"journal": 35})
        store.publish()
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), place, when, str(FLOORS["events"])],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert len(Ledger(tmp_path / FOLDER).read().runs) == told
    kept = sum(day_of(seq) >= FLOORS["events"] for seq in range(1, 36))
    with AnalyticsStore(tmp_path / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.publish()
        assert events(tmp_path) in (35, kept)
        apply_now(store, FLOORS, SystemClock(), "test")
    assert events(tmp_path) == kept
    assert {name: day for name, day in Ledger(tmp_path / FOLDER).read().floors().items() if name == "events"} == {
        "events": FLOORS["events"]
    }


def day_of(seq: int) -> date:
    return datetime.fromtimestamp((START + seq * STEP) // 1_000_000_000, UTC).date()


def events(root: Path) -> object:
    with CatalogReader(root) as reader:
        return reader.ask("SELECT count(*) FROM events").rows[0][0]
