"""The store takes each event once, keeps few files and never disturbs its readers."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from analytics import ddl
from analytics.columns import _array
from analytics.live import StoreBusy, StoreDamaged, StoreError, StoreOutdated
from analytics.query import CatalogReader
from analytics.rebuild import Feed, rebuild
from analytics.segments import Segment, plan_merges
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import Uuid7Source
from decision.journal.chain import chain_hash
from decision.model.events import AuditEvent
from ingest.reading import read_run
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import CODEC, START, ListJournal, story

DAY_NS = 24 * 3600 * 1_000_000_000


class HandClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = START

    def time_unix_nano(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now


SMALL = StoreSettings(seal_events=20, direct_events=200, fan_in=3, grace_s=60)


def opened(root: Path, clock: HandClock | None = None, settings: StoreSettings = SMALL) -> AnalyticsStore:
    return AnalyticsStore(root / FOLDER, clock or HandClock(), Uuid7Source(), settings)


def feed(store: AnalyticsStore, events: list[AuditEvent], size: int) -> None:
    for start in range(0, len(events), size):
        part = events[start : start + size]
        store.apply(part, {"journal": part[-1].seq})
        if start // size % 2:
            store.seal()
    store.publish()


def test_a_batch_taken_twice_changes_nothing(tmp_path: Path) -> None:
    """Events that were taken are duplicates, counted and dropped."""
    events = story(3)
    with opened(tmp_path) as store:
        store.apply(events, {"journal": 21})
        store.publish()
        once = all_rows(tmp_path)
        applied = store.apply(events, {"journal": 21})
        store.publish()
        assert (applied.events, applied.duplicates) == (0, 21)
        assert store.counters["duplicates"] == 21
    assert all_rows(tmp_path) == once


def test_position_and_rows_survive_together(tmp_path: Path) -> None:
    """A store that is opened again goes on where its rows end."""
    events = story(4)
    with opened(tmp_path) as store:
        store.apply(events[:15], {"journal": 15})
    with opened(tmp_path) as store:
        assert store.position("journal") == 15
        store.apply(events[15:], {"journal": 28})
        store.publish()
    assert len(all_rows(tmp_path)["events"]) == 28


def test_a_failed_batch_is_not_taken_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails in the transaction leaves rows, position and coverage as they were; the batch may come again."""
    events = story(2)
    with opened(tmp_path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(store._live, "save_counters", lambda _: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                store.apply(events, {"journal": 14})
        assert store.position("journal") == 0 and store.counters["events"] == 0
        assert store.apply(events, {"journal": 14}).events == 14
        store.publish()
    assert len(all_rows(tmp_path)["events"]) == 14


def test_what_never_arrived_is_a_gap(tmp_path: Path) -> None:
    """Missing numbers are named until they arrive."""
    events = story(2)
    with opened(tmp_path) as store:
        store.apply(events[:3] + events[5:], {"journal": 14})
        store.publish()
        assert store.counters["missing"] == 2
        with CatalogReader(tmp_path) as reader:
            assert reader.ask("SELECT producer_id, first_missing, last_missing, missing FROM gaps").rows == [
                ("p1", 4, 5, 2)
            ]
        store.apply(events[3:5], {"journal": 14})
        store.publish()
        with CatalogReader(tmp_path) as reader:
            assert reader.ask("SELECT * FROM gaps").rows == []


def everything(journal: ListJournal) -> Feed:
    """Everything that the journal holds, for a rebuild."""

    def take(store: AnalyticsStore) -> bool:
        after = store.position("journal")
        run, position, letters = read_run(journal, after, 10)
        store.take((run,), {"journal": position}, letters)
        return position > after

    return take


def edited(event: AuditEvent) -> AuditEvent:
    """The event with another source, under the same number."""
    draft = dataclasses.replace(event.draft, source="somebody else")
    raw = CODEC.encode(draft, event.producer_id, event.epoch, event.seq, event.prev_hash)
    return dataclasses.replace(event, draft=draft, raw=raw, hash=chain_hash(event.prev_hash, event.seq, raw))


@pytest.mark.parametrize("sealed", [True, False])
def test_another_event_under_a_taken_number_is_a_dead_letter(tmp_path: Path, sealed: bool) -> None:
    """A fork or an edited copy is kept with its bytes, once, whether the first is in a segment or not."""
    events = story(2)
    forged = edited(events[4])
    with opened(tmp_path) as store:
        store.apply(events, {"journal": 14})
        if sealed:
            store.seal()
        for _ in range(2):
            store.apply([forged, events[5]], {"journal": 14})
            store.seal()
        store.publish()
    with CatalogReader(tmp_path) as reader:
        assert reader.ask("SELECT reason, seq, raw FROM dead_letters").rows == [("conflict", 5, forged.raw)]


def test_an_edited_neighbour_breaks_the_chain_visibly(tmp_path: Path) -> None:
    """Events whose hashes don't fit together are shown."""
    events = story(2)
    events[6] = edited(events[6])
    with opened(tmp_path) as store:
        store.apply(events, {"journal": 14})
        store.publish()
    with CatalogReader(tmp_path) as reader:
        assert reader.ask("SELECT seq FROM chain_breaks").rows == [(8,)]


def test_one_process_writes(tmp_path: Path) -> None:
    """A second writer is refused and told why."""
    with opened(tmp_path):
        script = (
            "import sys; from pathlib import Path\n"
            "from analytics.store import AnalyticsStore; from decision.clock import SystemClock, Uuid7Source\n"
            "from analytics.live import StoreError\n"
            "try: AnalyticsStore(Path(sys.argv[1]), SystemClock(), Uuid7Source())\n"
            "except StoreError as error: print(error.hint)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / FOLDER)], capture_output=True, text=True, check=True
        )
    assert "airlock ingest" in done.stdout


def test_segments_are_kept_by_the_day_of_the_event(tmp_path: Path) -> None:
    """An event belongs to its own day, whenever it arrives."""
    events = story(4, step_ns=DAY_NS // 7)
    with opened(tmp_path) as store:
        store.apply(events, {"journal": 28})
        store.seal()
        days = {segment.day for segment in store.segments if segment.table == "events"}
        assert len(days) == 5 and sum(s.rows for s in store.segments if s.table == "events") == 28
        store.publish()
    assert len(all_rows(tmp_path)["events"]) == 28


def test_merging_keeps_files_few_and_rows_the_same(tmp_path: Path) -> None:
    """However many segments are made, fewer than fan_in of a size stay, and nothing is lost or doubled."""
    events = story(60)
    clock = HandClock()
    with opened(tmp_path, clock) as store:
        feed(store, events, 10)
        before = all_rows(tmp_path)
        many = [s for s in store.segments if s.table == "events"]
        assert store.compact(wait=True)
        store.publish()
        few = [s for s in store.segments if s.table == "events"]
        assert len(many) >= 20 and len(few) <= 2
        assert all_rows(tmp_path) == before
        assert store.clean() == 0
        clock.now += 61_000_000_000
        assert store.clean() > 0
        assert all_rows(tmp_path) == before
        assert {*store._files.files()} == {s.path for s in store.segments}


def test_a_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    """Publishing, merging and sealing go on; a reader's answers stay those of the state that it opened."""
    events = story(60)
    with opened(tmp_path) as store:
        feed(store, events[:210], 15)
        with CatalogReader(tmp_path) as early:
            assert early.ask("SELECT count(*) FROM events").rows == [(210,)]
            feed(store, events[210:], 15)
            store.compact(wait=True)
            store.publish()
            store.clean()
            with CatalogReader(tmp_path) as late:
                assert late.ask("SELECT count(*) FROM events").rows == [(420,)]
            assert early.ask("SELECT count(*), count(DISTINCT event_id) FROM events").rows == [(210, 210)]


def test_large_batches_become_segments_at_once_with_the_same_rows(tmp_path: Path) -> None:
    """The short way past the live file gives what the long way gives."""
    events = story(60)
    with opened(tmp_path / "a") as store:
        store.apply(events, {"journal": 420})
        assert store.segments
        store.publish()
    with opened(tmp_path / "b") as store:
        feed(store, events, 60)
    assert all_rows(tmp_path / "a") == all_rows(tmp_path / "b")


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """A file that no manifest names was never shown to anyone."""
    with opened(tmp_path) as store:
        feed(store, story(4), 28)
    orphan = tmp_path / FOLDER / "segments" / "events" / "day=2026-01-01" / "x.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"half")
    with opened(tmp_path) as store:
        assert not orphan.exists()
        store.publish()
    assert len(all_rows(tmp_path)["events"]) == 28


def test_a_rebuild_gives_the_same_rows(tmp_path: Path) -> None:
    """Everything again from the journal: equal row by row, and a reader of the old store goes on."""
    events = story(30)
    journal = ListJournal(events)
    with opened(tmp_path) as store:
        feed(store, events, 17)
    before = all_rows(tmp_path)
    with CatalogReader(tmp_path) as reader:
        count = rebuild(tmp_path / FOLDER, everything(journal), HandClock(), Uuid7Source(), SMALL)
        assert count == 210
        assert reader.ask("SELECT count(*) FROM events").rows == [(210,)]
    assert all_rows(tmp_path) == before
    assert not (tmp_path / FOLDER / "rebuild").exists()
    with opened(tmp_path) as store:
        assert store.position("journal") == 210


def test_a_failed_rebuild_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """The journal can't be read to its end: the old store stays."""
    events = story(5)
    with opened(tmp_path) as store:
        feed(store, events, 17)
    before = all_rows(tmp_path)

    def broken(store: AnalyticsStore) -> bool:
        if store.position("journal"):
            raise OSError("gone")
        store.apply(events[:10], {"journal": 10})
        return True

    with pytest.raises(OSError, match="gone"):
        rebuild(tmp_path / FOLDER, broken, HandClock(), Uuid7Source(), SMALL)
    assert all_rows(tmp_path) == before


def test_a_store_of_another_version_asks_for_a_rebuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tables than these: refused with the way on, and a rebuild takes it over."""
    with opened(tmp_path) as store:
        feed(store, story(2), 14)
    with monkeypatch.context() as patched:
        patched.setattr(ddl, "version", lambda: "another")
        with pytest.raises(StoreOutdated) as caught:
            opened(tmp_path)
        assert "airlock rebuild" in caught.value.hint
        assert isinstance(caught.value, StoreError)
        journal = ListJournal(story(2))
        rebuild(tmp_path / FOLDER, everything(journal), HandClock(), Uuid7Source(), SMALL)
        opened(tmp_path).close()


def test_a_store_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    """A rebuild says who has it and what to stop, in our words; nothing has changed."""
    with opened(tmp_path) as store:
        feed(store, story(2), 14)
    live = str(tmp_path / FOLDER / "live.duckdb")
    holding = f"import duckdb, sys; c = duckdb.connect({live!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusy) as caught:
            rebuild(tmp_path / FOLDER, lambda _: False, HandClock(), Uuid7Source(), SMALL)
        other.communicate()
    assert str(other.pid) in caught.value.message
    assert "airlock up" in caught.value.hint
    assert "duckdb.org" not in caught.value.message
    assert len(all_rows(tmp_path)["events"]) == 14


def test_a_damaged_store_is_made_again(tmp_path: Path) -> None:
    """Opening it says that a rebuild is the way out, and it is."""
    events = story(10)
    with opened(tmp_path) as store:
        feed(store, events, 17)
    before = all_rows(tmp_path)
    (tmp_path / FOLDER / "live.duckdb").write_bytes(bytes(range(256)) * 400)
    with pytest.raises(StoreDamaged) as caught:
        opened(tmp_path)
    assert "airlock rebuild" in caught.value.hint
    journal = ListJournal(events)
    rebuild(tmp_path / FOLDER, everything(journal), HandClock(), Uuid7Source(), SMALL)
    assert all_rows(tmp_path) == before


def test_documentation_outlives_new_segments(tmp_path: Path) -> None:
    """However often the lists of segments were replaced, every view and column keeps its text."""
    with opened(tmp_path) as store:
        feed(store, story(1), 7)
        with CatalogReader(tmp_path) as reader:
            before = reader.list_views()
        feed(store, story(60), 60)
        assert len(store.segments) > len(ddl.facts())
    with CatalogReader(tmp_path) as reader:
        assert reader.list_views() == before
    assert all(view.comment and all(column.comment for column in view.columns) for view in before)


def test_columns_are_what_arrow_makes_of_them_singly() -> None:
    """Looking up what repeats gives the very values, with empty and missing ones among them."""
    lists = [("a", "b"), (), ("a",), ("a", "b"), ()] * 3
    texts: dict[pa.DataType, list[list[object]]] = {
        pa.list_(pa.string()): [list(lists), [("x",)] * 15, [()] * 15],
        pa.string(): [["a"] * 15, ["a", "b", "a"] * 5, ["a", None, "a"] * 5, [None] * 15],
        pa.int64(): [[1] * 15, [*range(14), 0]],
        pa.bool_(): [[True] * 15, [True, False, True] * 5],
    }
    for kind, columns in texts.items():
        for column in columns:
            assert _array(tuple(column), kind).to_pylist() == pa.array(column, kind).to_pylist()


def segment(name: str, rows: int, day: int = 1, size: int = 1000) -> Segment:
    return Segment("events", name, date(2026, 1, day), rows, size, 0, 0)


def test_merges_join_what_is_of_one_day_and_size() -> None:
    """Files of other days, of other sizes and too large ones are left alone."""
    same = [segment(f"a{number}", 10) for number in range(8)]
    assert [merge.parts for merge in plan_merges(same, 8, 10_000)] == [tuple(same)]
    assert plan_merges(same[:7], 8, 10_000) == []
    assert plan_merges([*same[:7], segment("b", 10, day=2)], 8, 10_000) == []
    assert plan_merges([*same[:7], segment("b", 10_000_000)], 8, 10_000) == []
    assert plan_merges([*same[:7], segment("b", 10, size=20_000)], 8, 10_000) == []


def made(seconds: int, rows: int, day: int = 1, size: int = 1000) -> Segment:
    """A segment with a name of that time, as the store gives it."""
    name = f"{seconds * 1000:012x}"
    return segment(f"events/day=2026-01-0{day}/{name[:8]}-{name[8:]}-7abc-8def-{rows:012x}.parquet", rows, day, size)


JANUARY_2 = 1_767_312_000


@pytest.mark.parametrize(
    ("rows", "merged"),
    [
        ([10, 10], [10, 10]),
        ([4000, 1, 1], [4000, 1, 1]),
        ([100_000, 1000, 1000], [1000, 1000]),
        ([100_000, 10_000, 10_000, 5_000], [100_000, 10_000, 10_000, 5_000]),
        ([100_000, 1000], []),
        ([1000], []),
    ],
)
def test_a_day_that_is_over_becomes_one_file(rows: list[int], merged: list[int]) -> None:
    """With what came late beside it as long as that is little."""
    members = [made(JANUARY_2 - 9000 + place, count) for place, count in enumerate(rows)]
    plans = plan_merges(members, 16, 1_000_000, JANUARY_2)
    assert sorted(part.rows for plan in plans for part in plan.parts) == sorted(merged)


def test_a_day_that_goes_on_or_still_gets_events_is_left_to_the_tiers() -> None:
    """Today's files, files made a moment ago, and those that together would be too large."""
    old = [made(JANUARY_2 - 9000 + place, 100) for place in range(3)]
    assert plan_merges(old, 16, 1_000_000, JANUARY_2) != []
    assert plan_merges(old, 16, 1_000_000, JANUARY_2 - 100) == []
    assert plan_merges([*old, made(JANUARY_2 - 60, 100)], 16, 1_000_000, JANUARY_2) == []
    assert plan_merges(old, 16, 1_500, JANUARY_2) == []
    assert len(plan_merges(old, 16, 2_500, JANUARY_2)[0].parts) == 2


def test_closed_days_of_a_store_end_as_one_file_each(tmp_path: Path) -> None:
    """Whatever small files a day was written in, later it is one; the rows are the same."""
    clock, events = HandClock(), story(8, step_ns=DAY_NS // 14)
    with opened(tmp_path, clock) as store:
        feed(store, events, 3)
        before = all_rows(tmp_path)
        store.seal()
        clock.now = time.time_ns() + 20 * DAY_NS
        store.compact(wait=True)
        store.publish()
        assert all_rows(tmp_path) == before
        files = Counter((s.table, s.day) for s in store.segments)
        assert files and set(files.values()) == {1}
