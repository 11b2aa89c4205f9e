"""The embedded runner: soon, past bad events, and through restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from analytics.query import CatalogReader
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.model.errors import ChainBroken
from decision.model.events import AuditEvent
from ingest.local import LocalRunner, LocalSettings
from ingest.reading import read_run
from ingest.status import read_status
from tests.support.analytics_story import ListJournal, story
from tests.support.eventually import eventually


class BrokenAt(ListJournal):
    """A journal whose batch with one event can't be taken apart."""

    def __init__(self, events: Sequence[AuditEvent], bad: int) -> None:
        super().__init__(events)
        self.bad = bad

    def read_raw(self, after_seq: int, limit: int) -> Sequence[tuple[int, bytes]]:
        found = super().read_raw(after_seq, limit)
        if any(seq == self.bad for seq, _ in found):
            raise ChainBroken("no event", producer_id="p1", epoch=1, seq=self.bad)
        return found


def test_one_event_is_there_within_a_second(tmp_path: Path) -> None:
    """From durable to visible in the catalog, with a store that already has segments; the best of three, because the
    machine may be busy with other tests."""
    events = story(4)
    journal = ListJournal(events[:20])
    clock = SystemClock()
    stop = threading.Event()
    with AnalyticsStore(tmp_path / FOLDER, clock, Uuid7Source()) as store:
        thread = threading.Thread(target=LocalRunner(store, journal, clock).run, args=(stop.wait,))
        thread.start()
        try:
            eventually(lambda: count(tmp_path) == 20)
            took = []
            for number in range(21, 24):
                started = time.monotonic()
                journal.events = events[:number]
                eventually(lambda wanted=number: count(tmp_path) == wanted, every_s=0.01)
                took.append(time.monotonic() - started)
            assert min(took) < 1.0
        finally:
            stop.set()
            thread.join()


def test_what_waits_is_caught_up_with_at_once(tmp_path: Path) -> None:
    """While more waits than a batch holds, batches follow each other without waiting for a publication to be due."""
    journal = ListJournal(story(1))
    clock = SystemClock()
    settings = LocalSettings(batch=10, publish_s=30)
    with AnalyticsStore(tmp_path / FOLDER, clock, Uuid7Source()) as store:
        runner = LocalRunner(store, journal, clock, settings)
        runner.step()
        assert not store.dirty
        journal.events = story(14)
        steps = 1
        while runner.step():
            steps += 1
        assert store.position("journal") == 98
        assert steps == 10
        assert runner.status().lag_events == 0
        assert count(tmp_path) == 7


def count(root: Path) -> int:
    if not (root / FOLDER / "catalog.duckdb").exists():
        return 0
    with CatalogReader(root) as reader:
        found = reader.ask("SELECT count(*) FROM events").rows[0][0]
    assert isinstance(found, int)
    return found


def test_a_stopped_runner_has_published_everything_durable(tmp_path: Path) -> None:
    """Stopping takes and publishes the rest, whatever the batch size."""
    with AnalyticsStore(tmp_path / FOLDER, SystemClock(), Uuid7Source()) as store:
        runner = LocalRunner(store, ListJournal(story(5)), SystemClock(), LocalSettings(batch=4))
        runner.run(lambda _: True)
        status = runner.status()
    assert count(tmp_path) == 35
    assert (status.position, status.head, status.lag_events, status.missing) == (35, 35, 0, 0)
    assert read_status(tmp_path / FOLDER) is not None


def test_a_bad_event_is_kept_and_the_rest_goes_on(tmp_path: Path) -> None:
    """What can't be read is a dead letter with its bytes; every other event is there, and the hole is a gap."""
    journal = BrokenAt(story(3), 9)
    with AnalyticsStore(tmp_path / FOLDER, SystemClock(), Uuid7Source()) as store:
        LocalRunner(store, journal, SystemClock()).run(lambda _: True)
    with CatalogReader(tmp_path) as reader:
        assert reader.ask("SELECT count(*) FROM events").rows == [(20,)]
        letters = reader.ask("SELECT reason, position, producer_id FROM dead_letters").rows
        assert letters == [("undecodable", 9, "p1")]
        assert reader.ask("SELECT first_missing, last_missing FROM gaps").rows == [(9, 9)]


def test_reading_finds_the_events_around_a_bad_one() -> None:
    """Batches shrink until the bad event stands alone."""
    journal = BrokenAt(story(3), 9)
    after, seen, letters = 0, [], []
    while after < 21:
        run, after, found = read_run(journal, after, 16)
        seen += run.positions
        letters += [letter.position for letter in found]
    assert seen == [*range(1, 9), *range(10, 22)] and letters == [9]


def test_a_restarted_runner_goes_on_where_it_was(tmp_path: Path) -> None:
    """Nothing is read twice, nothing is left out."""
    events = story(6)
    for end in (10, 11, 42):
        with AnalyticsStore(tmp_path / FOLDER, SystemClock(), Uuid7Source()) as store:
            LocalRunner(store, ListJournal(events[:end]), SystemClock()).run(lambda _: True)
            assert store.counters["duplicates"] == 0
        assert count(tmp_path) == end
