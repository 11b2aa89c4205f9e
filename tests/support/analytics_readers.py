"""A writer and readers as processes of their own, and what a reader must find in any state that it may open.

    python -m tests.support.analytics_readers write ROOT SESSIONS
    python -m tests.support.analytics_readers read ROOT SESSIONS reader|plain

The writer takes the story in small batches, publishes after each, merges, and lets older days expire all the while. A
reader asks the standard questions until the writer is done, and holds each answer against the story itself, cut at the
last event and the first day that its own state names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from analytics.catalog import CATALOG
from analytics.query import CatalogMissing, CatalogReader
from analytics.questions import questions
from analytics.retention import apply_now
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from decision.model.events import AuditEvent, StatementDecided, StatementExecuted
from tests.support.analytics_story import START, story

A_DAY = 24 * 3600 * 1_000_000_000
STEP = A_DAY // 20
BATCH = 11
KEPT = {"decisions": 6, "executions": 4, "events": 9}
ENDED = "ended"
LATE = datetime(9999, 12, 31, tzinfo=UTC)
NOW = datetime.fromtimestamp(START // 1_000_000_000, UTC)
SETTINGS = StoreSettings(seal_events=40, direct_events=300, fan_in=3, grace_s=30)

Ask = Callable[[str, dict[str, object]], list[tuple[Any, ...]]]


def day_of(event: AuditEvent) -> date:
    return datetime.fromtimestamp(event.draft.time_unix_nano // 1_000_000_000, UTC).date()


def write(root: Path, sessions: int) -> None:
    events, clock = story(sessions, step_ns=STEP), SystemClock()
    with AnalyticsStore(root / FOLDER, clock, Uuid7Source(), SETTINGS) as store:
        for start in range(0, len(events), BATCH):
            part = events[start : start + BATCH]
            store.apply(part, {"journal": part[-1].seq})
            store.publish()
            store.compact()
            if start // BATCH % 6 == 5:
                today = day_of(part[-1])
                apply_now(store, {name: today - timedelta(days=days) for name, days in KEPT.items()}, clock, "test")
            store.clean()
        store.compact(wait=True)
        store.publish()
    (root / ENDED).touch()


class Story:
    """What each question must find when the last event taken is `last` and each class begins at its floor."""

    def __init__(self, sessions: int) -> None:
        self.events = story(sessions, step_ns=STEP)

    def expected(self, last: int, floors: dict[str, date]) -> dict[str, object]:
        taken = [(event, day_of(event)) for event in self.events if event.seq <= last]
        decided = {
            event.payload.decision_id: event.payload
            for event, day in taken
            if isinstance(event.payload, StatementDecided) and day >= floors["decisions"]
        }
        ran = [
            event.payload.decision_id
            for event, day in taken
            if isinstance(event.payload, StatementExecuted)
            and day >= floors["executions"]
            and event.payload.decision_id in decided
        ]
        kind = [decision_id.rpartition(".")[2] for decision_id in decided]
        return {
            "events": sum(day >= floors["events"] for _, day in taken),
            "who-read": sum(one.endswith(".0") for one in ran),
            "did": len(decided),
            "denials-by-rule": kind.count("1"),
            "percentiles": (len(decided), len(ran)),
            "first-access": kind.count("0") + kind.count("2"),
            "enumeration": len(decided),
            "event": int(day_of(self.events[last - 1]) >= floors["events"]),
            "who-changed": kind.count("2"),
        }


def found(ask: Ask, last: int) -> dict[str, object]:
    """The same figures, asked."""

    def rows(name: str, **given: str) -> list[tuple[Any, ...]]:
        return ask(questions()[name].sql, questions()[name].bind(given, NOW))

    percentiles = rows("percentiles")
    return {
        "events": ask("SELECT count(*) FROM events", {})[0][0],
        "who-read": sum(row[2] for row in rows("who-read", table="customers")),
        "did": len(rows("did", principal="alice")),
        "denials-by-rule": sum(row[2] for row in rows("denials-by-rule")),
        "percentiles": (sum(row[1] for row in percentiles), sum(row[5] or 0 for row in percentiles)),
        "first-access": sum(row[4] for row in rows("first-access", table="customers")),
        "enumeration": sum(row[5] for row in rows("enumeration", least="1") if row[3] == "tables"),
        "event": len(rows("event", id=f"ep1.{last}")),
        "who-changed": len(rows("who-changed", table="customers", column="email")),
    }


def state_of(ask: Ask) -> tuple[int, dict[str, date]]:
    last = ask("SELECT coalesce(max(last_seq), 0) FROM meta.coverage", {})[0][0]
    since = dict(ask("SELECT class, any_value(complete_since) FROM meta.retention GROUP BY class", {}))
    return last, {name: since[name] or date(1970, 1, 1) for name in KEPT}


def inode(root: Path) -> int:
    return (root / FOLDER / CATALOG).stat().st_ino


def check(ask: Ask, told: Story, root: Path) -> tuple[int, int]:
    """Ask everything, then everything again once the catalog was replaced: the open state must not have changed.
    Returns (questions asked, questions asked of a state that was replaced meanwhile)."""
    before = inode(root)
    last, floors = state_of(ask)
    if last == 0:
        return 0, 0
    wanted = told.expected(last, floors)
    got = found(ask, last)
    assert got == wanted, (last, floors, got, wanted)
    again = 0
    if inode(root) != before:
        got = found(ask, last)
        assert got == wanted, ("after the swap", last, floors, got, wanted)
        again = 9
    return 9 + again, again


def read(root: Path, sessions: int, kind: str) -> None:
    told, asked, replaced, opened = Story(sessions), 0, 0, 0
    while True:
        done = (root / ENDED).exists()
        if kind == "reader":
            try:
                with CatalogReader(root) as reader:
                    counts = check(lambda sql, given, r=reader: r.ask(sql, given, limit=100_000).rows, told, root)  # type: ignore[misc]
            except CatalogMissing:
                continue
        elif not (root / FOLDER / CATALOG).exists():
            continue
        else:
            with duckdb.connect(str(root / FOLDER / CATALOG), read_only=True) as plain:
                counts = check(lambda sql, given, c=plain: c.execute(sql, given).fetchall(), told, root)  # type: ignore[misc]
        asked, replaced, opened = asked + counts[0], replaced + counts[1], opened + 1
        if done:
            break
    print(f"{opened} {asked} {replaced}")


if __name__ == "__main__":
    os.nice(5)
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        read(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
