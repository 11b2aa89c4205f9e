"""Retention removes what is older than it is kept for, by whole days, and nothing that a legal hold covers."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analytics import ddl, retention_keeper
from analytics.project import DeadLetterRow
from analytics.query import CatalogReader
from analytics.retention import CLASSES, Plan, apply_now, floors_of, make_plan, respect
from analytics.retention_keeper import REQUEST, Keeper, outcome, request
from analytics.retention_ledger import Expiry, Ledger, LedgerDamaged, RetentionError
from analytics.settings import RetentionSettings
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import Uuid7Source
from decision.model.events import AuditEvent
from tests.support.analytics_rows import all_rows
from tests.support.analytics_story import ALICE, START, chain, session, story
from tests.support.eventually import eventually

DAY_NS = 24 * 3600 * 1_000_000_000
NOW = datetime.fromtimestamp(START // 1_000_000_000, UTC)
BEGIN = NOW.date()
TABLES = tuple(ddl.facts())


class HandClock:
    def __init__(self, days: int = 0) -> None:
        self.now = START + days * DAY_NS

    def time_unix_nano(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now


SMALL = StoreSettings(seal_events=20, direct_events=200, fan_in=3, grace_s=60)


def opened(root: Path, clock: HandClock | None = None) -> AnalyticsStore:
    return AnalyticsStore(root / FOLDER, clock or HandClock(), Uuid7Source(), SMALL)


def filled(root: Path, events: list[AuditEvent], clock: HandClock | None = None) -> AnalyticsStore:
    """One session a day: seven events some hours apart."""
    store = opened(root, clock)
    store.apply(events, {"journal": len(events)})
    store.publish()
    return store


def days(count: int) -> list[AuditEvent]:
    return story(count, step_ns=DAY_NS // 7)


def shown(root: Path, sql: str) -> list[tuple[object, ...]]:
    with CatalogReader(root) as reader:
        return reader.ask(sql, limit=100_000).rows


def floors(day: int, *names: str) -> dict[str, date]:
    return dict.fromkeys(names or tuple(CLASSES), BEGIN + timedelta(days=day))


def test_every_fact_has_a_class_of_its_own() -> None:
    """No table is forgotten, none is in two classes, and each class has a setting."""
    members = [table for tables in CLASSES.values() for table in tables]
    assert sorted(members) == sorted(TABLES)
    assert set(RetentionSettings.model_fields) == set(CLASSES)


def test_evidence_is_kept_for_over_a_year_unless_told_otherwise() -> None:
    """The defaults leave a yearly audit whole; 0 keeps for ever."""
    assert all(getattr(RetentionSettings(), name) >= 400 for name in CLASSES)
    found = floors_of(RetentionSettings(decisions=0, sessions=1), NOW)
    assert "decisions" not in found and found["sessions"] == BEGIN - timedelta(days=1)


def test_older_days_go_and_later_ones_stay(tmp_path: Path) -> None:
    """Each class from its own day on; everything after it is what it was."""
    with filled(tmp_path, days(10)) as store:
        before = shown(tmp_path, "SELECT * FROM executions ORDER BY time")
        plan = apply_now(store, {**floors(6, "decisions"), **floors(3, "executions")}, HandClock(), "ann")
        assert plan.rows > 0
        assert shown(tmp_path, "SELECT min(time::DATE) FROM decisions") == [(BEGIN + timedelta(days=6),)]
        assert shown(tmp_path, "SELECT min(time::DATE) FROM statements") == [(BEGIN + timedelta(days=6),)]
        later = [row[0] for row in before if row[0].date() >= BEGIN + timedelta(days=3)]  # type: ignore[attr-defined]
        assert shown(tmp_path, "SELECT time FROM fact.executions ORDER BY time") == [(time,) for time in later]
        assert shown(tmp_path, "SELECT count(*) FROM events") == [(70,)]


def test_what_expired_is_visible(tmp_path: Path) -> None:
    """The view `retention` says from when on each class is complete and how many rows went."""
    with filled(tmp_path, days(10)) as store:
        assert set(shown(tmp_path, "SELECT complete_since FROM retention")) == {(None,)}
        plan = apply_now(store, floors(4, "sessions"), HandClock(), "ann")
        rows = shown(tmp_path, "SELECT complete_since, expired_rows, oldest, held_days FROM retention "
                               "WHERE class = 'sessions'")  # fmt: skip
        assert rows == [(BEGIN + timedelta(days=4), plan.rows, BEGIN + timedelta(days=4), 0)]
        run = Ledger(tmp_path / FOLDER).read().runs[-1]
        assert (run.by, run.rows, set(run.floors)) == ("ann", plan.rows, {"sessions"})
        assert shown(tmp_path, "SELECT complete_since FROM retention WHERE class = 'events'") == [(None,)]


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    """It says what would go, and that is what then goes."""
    with filled(tmp_path, days(6)) as store:
        before = all_rows(tmp_path)
        root = tmp_path / FOLDER / "segments"
        plan = make_plan(floors(3), Ledger(tmp_path / FOLDER).read(), store.segments, root)
        assert all_rows(tmp_path) == before and Ledger(tmp_path / FOLDER).read().runs == ()
        done = apply_now(store, floors(3), HandClock(), "ann")
        assert {segment.path for segment in plan.gone} == {segment.path for segment in done.gone} != set()


def test_files_go_after_the_grace_and_readers_before_keep_their_answers(tmp_path: Path) -> None:
    """Whoever opened the catalog before an expiry finishes undisturbed."""
    clock = HandClock()
    with filled(tmp_path, days(6), clock) as store:
        with CatalogReader(tmp_path) as early:
            gone = apply_now(store, floors(5), clock, "ann").gone
            assert store.clean() == 0
            assert early.ask("SELECT count(*), count(raw) FROM events").rows == [(42, 42)]
        clock.now += 61_000_000_000
        assert store.clean() == len(gone)
        left = {path.name for path in (tmp_path / FOLDER / "segments").rglob("*.parquet")}
        assert not left & {Path(segment.path).name for segment in gone}
    with opened(tmp_path) as store:
        store.publish()
        since = BEGIN + timedelta(days=5)
        assert shown(tmp_path, f"SELECT min(time::DATE) >= DATE '{since}' FROM events") == [(True,)]


def test_a_merge_under_way_brings_nothing_back(tmp_path: Path) -> None:
    """A compaction that runs while retention is applied leaves no row of what went."""
    events = story(60, step_ns=1_000_000)
    with opened(tmp_path) as store:
        for start in range(0, len(events), 30):
            store.apply(events[start : start + 30], {"journal": start + 30})
            store.seal()
        store.compact()
        apply_now(store, floors(1), HandClock(), "ann")
        store.compact(wait=True)
        store.publish()
        assert all(not rows for name, rows in all_rows(tmp_path).items() if name != "coverage")


def test_rows_without_a_time_never_expire(tmp_path: Path) -> None:
    """What lies in 1970 because nobody knows when it happened is older than nothing."""
    with opened(tmp_path) as store:
        row = DeadLetterRow(None, "journal", 1, "p1", None, 1, "", "undecodable", "no event", b"x")
        store.apply([], {"journal": 1}, [row])
        apply_now(store, floors(1), HandClock(), "ann")
        assert shown(tmp_path, "SELECT count(*) FROM dead_letters") == [(1,)]


def add_hold(root: Path, **given: object) -> str:
    with Ledger(root / FOLDER).changing() as writer:
        return writer.add_hold(NOW, "ann", "case 4711", **given).id  # type: ignore[arg-type]


def of_alice(root: Path) -> list[AuditEvent]:
    """Ten days; on days 2 and 5 alice herself asks, on the others another agent for bob."""
    bob = dataclasses.replace(ALICE, subject="bob")
    other = dataclasses.replace(ALICE, subject="agent-9", on_behalf_of=(bob,))
    payloads = []
    for number in range(10):
        for correlation, payload in session(number):
            who = ALICE if number in (2, 5) else other
            if hasattr(payload, "principal"):
                payload = dataclasses.replace(payload, principal=who)  # type: ignore[type-var]
            if hasattr(payload, "database") and number == 7:
                payload = dataclasses.replace(payload, database="archive")  # type: ignore[type-var]
            payloads.append((correlation, payload))
    return list(chain(iter(payloads), step_ns=DAY_NS // 7 - 60_000_000_000))


def numbers(root: Path, sql: str) -> set[str]:
    return {str(row[0]) for row in shown(root, sql)}


def test_a_hold_on_a_principal_keeps_all_that_it_did(tmp_path: Path) -> None:
    """Sessions, decisions with all their rows, executions and the stored events of alice stay; others' days go."""
    with filled(tmp_path, of_alice(tmp_path)) as store:
        tables = ("session_starts", "session_ends", "decisions", "executions", "column_changes", "table_access")
        key = {"executions": "session_id", "session_starts": "session_id", "session_ends": "session_id"}
        mine = {t: shown(tmp_path, _alices(t, key.get(t, "decision_id"))) for t in tables}
        raw = shown(tmp_path, "SELECT raw FROM events WHERE correlation_id IN ('s2', 's5') ORDER BY raw")
        hold = add_hold(tmp_path, principal="alice")
        plan = apply_now(store, floors(20), HandClock(), "ann")
        assert {t: shown(tmp_path, _alices(t, key.get(t, "decision_id"))) for t in tables} == mine
        assert len(raw) == 14
        assert shown(tmp_path, "SELECT raw FROM events WHERE correlation_id IN ('s2', 's5') ORDER BY raw") == raw
        assert numbers(tmp_path, "SELECT session_id FROM fact.session_starts") == {"s2", "s5"}
        assert {share.holds for share in plan.shares if share.held} == {(hold,)}
        assert numbers(tmp_path, "SELECT hold_id FROM legal_holds WHERE active") == {hold}


def _alices(table: str, key: str) -> str:
    wanted = "('s2', 's5')" if key == "session_id" else "(SELECT unnest(['d2.0','d2.1','d2.2','d5.0','d5.1','d5.2']))"
    return f"SELECT * FROM fact.{table} WHERE {key} IN {wanted} ORDER BY ALL"


@pytest.mark.parametrize(
    ("given", "sessions"),
    [
        ({"database": "archive"}, {"s7"}),
        ({"principal": "agent-9", "database": "archive"}, {"s7"}),
        ({"principal": "bob", "first": BEGIN + timedelta(days=8)}, {"s8", "s9"}),
        ({"principal": "nobody"}, set()),
        ({"first": BEGIN + timedelta(days=3), "last": BEGIN + timedelta(days=4)}, {"s3", "s4"}),
        ({}, {f"s{number}" for number in range(10)}),
    ],
)
def test_a_hold_keeps_what_it_covers(tmp_path: Path, given: dict[str, object], sessions: set[str]) -> None:
    """By database, by both, behind an agent, by days, or everything: those sessions' days stay, the others go."""
    with filled(tmp_path, of_alice(tmp_path)) as store:
        add_hold(tmp_path, **given)
        apply_now(store, floors(20), HandClock(), "ann")
        assert sessions <= numbers(tmp_path, "SELECT session_id FROM fact.session_starts")
        neighbours = {f"s{int(one[1:]) + 1}" for one in sessions} | {f"s{int(one[1:]) - 1}" for one in sessions}
        assert numbers(tmp_path, "SELECT session_id FROM fact.decisions") <= sessions | neighbours


def test_what_can_not_be_attributed_stays_under_a_hold(tmp_path: Path) -> None:
    """Executions whose decision is gone already might be those of alice."""
    with filled(tmp_path, days(4)) as store:
        apply_now(store, floors(20, "decisions", "sessions"), HandClock(), "ann")
        add_hold(tmp_path, principal="somebody")
        apply_now(store, floors(20, "executions"), HandClock(), "ann")
        assert shown(tmp_path, "SELECT count(*) FROM fact.executions") == [(8,)]


def test_a_released_hold_keeps_nothing(tmp_path: Path) -> None:
    """The next run removes what it kept, without any new day having come; who released it stays known."""
    with filled(tmp_path, days(4)) as store:
        hold = add_hold(tmp_path)
        assert apply_now(store, floors(20), HandClock(), "ann").rows == 0
        with Ledger(tmp_path / FOLDER).changing() as writer:
            writer.release_hold(NOW, "bea", "settled", hold)
        assert apply_now(store, floors(20), HandClock(), "ann").rows > 0
        assert shown(tmp_path, "SELECT active, released_by, released_reason FROM legal_holds") == [
            (False, "bea", "settled")
        ]


def test_the_ledger_is_known_to_the_next_process(tmp_path: Path) -> None:
    """Holds and runs are read back as they were written; a torn last line counts as not written."""
    ledger = Ledger(tmp_path / FOLDER)
    (tmp_path / FOLDER).mkdir()
    hold = add_hold(tmp_path, principal="alice", first=BEGIN)
    with ledger.changing() as writer:
        writer.record(Expiry(NOW, "ann", {"events": BEGIN}, 1, 2, 3, {"events": 2}))
    before = Ledger(tmp_path / FOLDER).read()
    with ledger.path.open("ab") as file:
        file.write(b'{"kind": "hold_rel')
    assert ledger.read() == before
    with ledger.changing() as writer:
        writer.release_hold(NOW, "bea", "settled", hold)
    found = ledger.read()
    assert found.floors() == {"events": BEGIN} and not found.active
    assert (found.holds[0].principal, found.holds[0].first, found.holds[0].released_by) == ("alice", BEGIN, "bea")


@pytest.mark.parametrize("line", [0, 1])
def test_an_edited_ledger_stops_all_expiry(tmp_path: Path, line: int) -> None:
    """A hold that was changed or taken out of the file is noticed, and then nothing goes."""
    with filled(tmp_path, days(4)) as store:
        add_hold(tmp_path, principal="alice")
        add_hold(tmp_path, principal="bob")
        add_hold(tmp_path, principal="eve")
        path = Ledger(tmp_path / FOLDER).path
        lines = path.read_bytes().splitlines(keepends=True)
        if line:
            del lines[1]
        else:
            lines[0] = lines[0].replace(b"alice", b"nobody")
        path.write_bytes(b"".join(lines))
        before = all_rows(tmp_path)
        with pytest.raises(LedgerDamaged):
            apply_now(store, floors(20), HandClock(), "ann")
        store.publish()
        assert all_rows(tmp_path) == before


def test_a_segment_that_can_not_be_read_stops_an_expiry_under_a_hold(tmp_path: Path) -> None:
    """What can't be looked into might be covered: nothing goes."""
    with filled(tmp_path, days(4)) as store:
        add_hold(tmp_path, principal="alice")
        victim = tmp_path / FOLDER / "segments" / next(s.path for s in store.segments if s.table == "decisions")
        victim.chmod(0o644)
        victim.write_bytes(b"damaged")
        count = len(store.segments)
        with pytest.raises(duckdb.Error):
            apply_now(store, floors(20), HandClock(), "ann")
        assert len(store.segments) == count and Ledger(tmp_path / FOLDER).read().runs == ()


def test_holds_need_a_reason_and_a_range(tmp_path: Path) -> None:
    """And only a hold in force can be released."""
    (tmp_path / FOLDER).mkdir()
    with Ledger(tmp_path / FOLDER).changing() as writer:
        with pytest.raises(RetentionError):
            writer.add_hold(NOW, "ann", " ")
        with pytest.raises(RetentionError):
            writer.add_hold(NOW, "ann", "x", first=BEGIN, last=BEGIN - timedelta(days=1))
        with pytest.raises(RetentionError):
            writer.release_hold(NOW, "ann", "x", "hold-1")
        hold = writer.add_hold(NOW, "ann", "x")
        writer.release_hold(NOW, "ann", "x", hold.id)
        with pytest.raises(RetentionError):
            writer.release_hold(NOW, "ann", "x", hold.id)


def test_interrupted_before_the_manifest_the_next_run_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger said what goes, then the disk failed: nothing went, and the next run removes the same."""
    with filled(tmp_path, days(4)) as store:
        before = all_rows(tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(store._live, "retire", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                apply_now(store, floors(2), HandClock(), "ann")
        assert all_rows(tmp_path) == before
    with opened(tmp_path) as store:
        assert apply_now(store, {}, HandClock(), "ann").rows > 0
        assert shown(tmp_path, "SELECT min(time::DATE) FROM events") == [(BEGIN + timedelta(days=2),)]


def test_a_running_writer_serves_a_request(tmp_path: Path) -> None:
    """Another process asks by a file, the writer does it and answers."""
    clock = HandClock()
    with filled(tmp_path, days(6), clock) as store:
        keeper = Keeper(store, clock)
        assert not keeper.step()
        asked = request(tmp_path / FOLDER, floors(3), Uuid7Source(), "ann")
        assert outcome(tmp_path / FOLDER, asked) is None
        assert not keeper.step()  # it looked a moment ago
        clock.now += 1_100_000_000
        eventually(keeper.step)
        answer = outcome(tmp_path / FOLDER, asked)
        assert answer is not None and answer.rows > 0 and not answer.error
        assert not (tmp_path / FOLDER / REQUEST).exists()
        assert shown(tmp_path, "SELECT min(time::DATE) FROM events") == [(BEGIN + timedelta(days=3),)]


def test_a_hold_set_while_a_plan_is_made_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is made anew; nothing of what the hold covers has gone."""
    clock = HandClock()
    with filled(tmp_path, days(4), clock) as store:
        keeper = Keeper(store, clock)
        planned = retention_keeper.make_plan
        calls = []

        def slow(*given: object, **named: object) -> Plan:
            made = planned(*given, **named)  # type: ignore[arg-type]
            if not calls:
                add_hold(tmp_path)
            calls.append(len(made.gone))
            return made

        monkeypatch.setattr(retention_keeper, "make_plan", slow)
        asked = request(tmp_path / FOLDER, floors(20), Uuid7Source(), "ann")
        eventually(keeper.step)
        answer = outcome(tmp_path / FOLDER, asked)
        assert answer is not None and (answer.rows, answer.error) == (0, "")
        assert calls[0] > 0 and calls[1:] == [0]
        assert shown(tmp_path, "SELECT count(*) FROM events") == [(28,)]


def test_what_can_not_be_looked_through_is_answered(tmp_path: Path) -> None:
    """A damaged ledger: the writer goes on, whoever asked is told."""
    clock = HandClock()
    with filled(tmp_path, days(2), clock) as store:
        add_hold(tmp_path)
        path = Ledger(tmp_path / FOLDER).path
        path.write_bytes(path.read_bytes().replace(b"4711", b"4712") * 2)
        keeper = Keeper(store, clock)
        asked = request(tmp_path / FOLDER, floors(20), Uuid7Source(), "ann")
        eventually(keeper.step)
        answer = outcome(tmp_path / FOLDER, asked)
        assert answer is not None and "line 2" in answer.error
        assert shown(tmp_path, "SELECT count(*) FROM events") == [(14,)]


@pytest.mark.parametrize("text", ["", "[]", '{"id": 1}', '{"id": "a", "by": "b", "floors": {"events": "soon"}}'])
def test_a_request_that_is_none_is_answered_and_removed(tmp_path: Path, text: str) -> None:
    """It harms neither the writer nor the data."""
    with filled(tmp_path, days(2)) as store:
        (tmp_path / FOLDER / REQUEST).write_text(text)
        assert Keeper(store, HandClock()).step()
        assert not (tmp_path / FOLDER / REQUEST).exists() and shown(tmp_path, "SELECT count(*) FROM events") == [(14,)]


def test_a_store_made_anew_respects_what_has_expired(tmp_path: Path) -> None:
    """From all events again: the same rows as before, not those that went; a hold set since brings its own back."""
    events = of_alice(tmp_path)
    with filled(tmp_path, events) as store:
        apply_now(store, floors(20, "decisions", "events"), HandClock(), "ann")
        before = all_rows(tmp_path)
    for held in (False, True):
        if held:
            add_hold(tmp_path, principal="alice")
        fresh = tmp_path / f"fresh-{held}"
        with filled(fresh, events) as store:
            assert respect(store, tmp_path / FOLDER) > 0
            store.publish()
            found = numbers(fresh, "SELECT session_id FROM fact.decisions")
            assert {"s2", "s5"} <= found if held else all_rows(fresh) == before


def test_two_holds_at_once_are_both_kept(tmp_path: Path) -> None:
    """The ledger is appended to by one process at a time."""
    (tmp_path / FOLDER).mkdir()
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from analytics.retention_ledger import Ledger\n"
        "for _ in range(20):\n"
        "    with Ledger(Path(sys.argv[1])).changing() as w: w.add_hold(datetime.now(UTC), 'ann', 'x')\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / FOLDER)]) for _ in range(2)]
    assert [child.wait(30) for child in children] == [0, 0]
    assert len({hold.id for hold in Ledger(tmp_path / FOLDER).read().holds}) == 40
