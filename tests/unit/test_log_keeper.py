"""The log of one journal: event number n is leaf n - 1, beside the projection, whatever becomes of the journal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from decision.clock import SystemClock
from decision.journal.log_settings import LogSettings
from decision.journal.sqlite import SqliteJournal
from decision.journal.tiles import TileFolder
from decision.model.errors import LogDamaged
from decision.model.events import AuditEvent
from ingest.sequencer_journal import LogKeeper, LogThread, open_keeper
from ingest.sequencer_thread import STANDING_STILL, KeeperThread
from tests.support.analytics_story import CODEC, story
from tests.support.eventually import eventually
from tests.support.tlog import AT_ONCE, counted, sequencer

EVENTS = story(100)


class Held:
    """A journal in memory, of which the first `pruned` events are gone."""

    def __init__(self, events: Sequence[AuditEvent], pruned: int = 0) -> None:
        self.events = list(events)
        self.pruned = pruned

    def read_raw(self, after_seq: int, limit: int) -> list[tuple[int, bytes]]:
        after = max(after_seq, self.pruned)
        return [(place, event.raw) for place, event in enumerate(self.events[after : after + limit], after + 1)]

    def head(self) -> tuple[int, bytes]:
        return len(self.events), b""


def keeper(data_dir: Path, journal: Held) -> LogKeeper:
    log = sequencer(data_dir)
    try:
        return LogKeeper(log, journal, CODEC, batch=100)
    except BaseException:
        log.close()
        raise


def kept(data_dir: Path, journal: Held) -> int:
    """The log after taking all of `journal`: its size."""
    found = keeper(data_dir, journal)
    try:
        found.finish()
        return found.sequencer.published
    finally:
        found.close()


def test_the_log_follows_a_growing_and_pruned_journal(tmp_path: Path) -> None:
    """What the log has may be pruned, also all of it, also between two starts."""
    journal = Held(EVENTS[:350])
    assert kept(tmp_path, journal) == 350
    for pruned in (100, 349, 350):
        journal.pruned = pruned
        assert kept(tmp_path, journal) == 350
    journal.events = list(EVENTS)
    assert kept(tmp_path, journal) == 700
    assert TileFolder(tmp_path / "log").entry(699, 700) == EVENTS[699].raw


def test_a_step_takes_a_batch_and_publishes_when_it_is_due(tmp_path: Path) -> None:
    """It says whether more may be waiting."""
    found = keeper(tmp_path, Held(EVENTS[:150]))
    seen = [(found.step(), found.behind) for _ in range(3)]
    assert seen == [(True, 50), (True, 0), (False, 0)]
    assert found.sequencer.size == 150
    found.close()


@pytest.mark.parametrize(
    ("journal", "match", "index"),
    [
        (Held(EVENTS[:200]), "the journal ends at event 200, the log has 300", 200),
        (Held(EVENTS, pruned=400), "events 301 to 400 were pruned", 300),
        (Held(story(100, "p2")), "event 300 of the journal is not the leaf", 299),
        (Held(story(100, "p2"), pruned=300), "is 301 of p2; the log is of p1", 300),
        (Held([*EVENTS[:300], *EVENTS[301:]]), "event 301 of the journal says that it is 302", 300),
        (Held([*EVENTS[:299], EVENTS[5], *EVENTS[300:]]), "event 300 of the journal is not the leaf", 299),
    ],
)
def test_a_journal_that_does_not_continue_the_log_stops_it(
    tmp_path: Path, journal: Held, match: str, index: int
) -> None:
    """Cut, pruned too far, another one, with an event left out or rewritten: named by its leaf, nothing signed."""
    kept(tmp_path, Held(EVENTS[:300]))
    before = TileFolder(tmp_path / "log").checkpoint()
    with pytest.raises(LogDamaged, match=match) as stopped:
        kept(tmp_path, journal)
    assert stopped.value.index == index
    assert TileFolder(tmp_path / "log").checkpoint() == before


async def test_a_thread_keeps_the_log_of_a_real_journal_and_publishes_the_rest_at_its_end(tmp_path: Path) -> None:
    """Beside the journal's writer; the checkpoint covers everything after the stop."""
    journal = SqliteJournal.open(tmp_path / "journal", producer_id="node-1", codec=CODEC)
    thread = LogThread(tmp_path, LogSettings(interval_s=0.05))
    thread.start()
    for event in EVENTS[:100]:
        await journal.append(event.draft)
    eventually(lambda: TileFolder(tmp_path / "log").checkpoint(), what="the first checkpoint")
    assert thread.running
    for event in EVENTS[100:200]:
        await journal.append(event.draft)
    thread.stop()
    await journal.close()
    assert not thread.running
    found = open_keeper(tmp_path, AT_ONCE.model_copy(update={"origin": ""}), SystemClock(), counted)
    assert found.sequencer.published == 200
    found.close()


def test_a_thread_goes_on_when_what_stopped_it_is_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another process has the log: said once, tried again until it is free."""
    (tmp_path / "keys").mkdir()
    other = sequencer(tmp_path)
    thread, standing = LogThread(tmp_path, AT_ONCE), tmp_path / "log" / STANDING_STILL
    with caplog.at_level(logging.WARNING):
        thread.start()
        eventually(lambda: thread.standing_still, what="the thread to stand still")
        assert "another process writes the log" in thread.standing_still
        said = eventually(lambda: standing.exists() and standing.read_text(), what="the reason to be written")
        assert said == f"{thread.standing_still}\n"
        other.close()
        eventually(lambda: thread.running and not thread.standing_still, what="the thread to go on")
        eventually(lambda: not standing.exists(), what="the reason to go")
    assert {sample.name: sample.value for sample in thread.samples()}["sequencer_failures"] >= 1
    thread.stop()
    assert caplog.text.count("the log stands still") == 1


def test_a_defect_stops_no_thread_for_good_and_is_named_by_its_place(tmp_path: Path) -> None:
    """Its own words, which may quote anything, are not repeated."""
    tries: list[int] = []

    def opened() -> LogKeeper:
        tries.append(1)
        raise KeyError("a secret")

    thread = KeeperThread(tmp_path / "log", opened)
    thread.start()
    eventually(lambda: len(tries) > 1, what="a second try")
    thread.stop()
    assert thread.standing_still.startswith("a defect, KeyError in test_log_keeper.py:")
