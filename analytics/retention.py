"""Retention: what is older than its class is kept for leaves the audit store, by whole days of whole tables.

Two sides. The one that asks (`make_plan`, for `airlock retention plan`) needs no writer: it reads the published list of
segments. The one that does it is the writer, in one transaction of its manifest (`AnalyticsStore.expire`): in a running
writer analytics.retention_keeper, else `apply_now`. Before anything goes, the ledger says what will; files go after the
time of grace, so readers of the state before finish undisturbed. Interrupted anywhere, the next run completes it, as
what goes follows from settings and ledger alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from analytics.retention_cover import covered
from analytics.retention_ledger import Book, Expiry, Ledger, LedgerWriter
from analytics.segments import UNDATED, Segment
from analytics.settings import RetentionSettings
from decision.model.ports import Clock

CLASSES: dict[str, tuple[str, ...]] = {
    "decisions": (
        "decisions", "decision_rules", "statements", "table_access", "column_access", "masked_columns", "column_changes"
    ),
    "executions": ("executions",),
    "sessions": ("session_starts", "session_ends"),
    "approvals": ("approval_events",),
    "alerts": ("alert_events",),
    "administration": (
        "policy_changes", "catalog_changes", "settings_changes", "checkpoints", "enforcement_gaps", "text_events"
    ),
    "events": ("events", "dead_letters"),
}  # fmt: skip
"""Class of data to its fact tables: the keys of `[retention]`."""

CLASS_OF = {table: name for name, tables in CLASSES.items() for table in tables}


class Expiring(Protocol):
    """What the store offers here (analytics.store.AnalyticsStore)."""

    folder: Path

    def expire(self, choose: Callable[[Sequence[Segment]], Iterable[Segment]]) -> list[Segment]: ...

    def publish(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Share:
    """What a run does to one class: `before` is the first day kept in full (None: kept for ever); so many days,
    segments, rows and bytes go, and `held` days stay by the holds named."""

    name: str
    days: int | None
    before: date | None
    gone_days: int
    segments: int
    rows: int
    size: int
    held: int
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`gone` are the segments that go, `shares` say it by class."""

    floors: Mapping[str, date]
    gone: tuple[Segment, ...]
    shares: tuple[Share, ...]

    @property
    def rows(self) -> int:
        return sum(segment.rows for segment in self.gone)


def floors_of(settings: RetentionSettings, now: datetime) -> dict[str, date]:
    """By class, the first day that `settings` keep at `now`; without the classes that are kept for ever."""
    today = now.astimezone(UTC).date()
    days = {name: getattr(settings, name) for name in CLASSES}
    return {name: today - timedelta(days=kept) for name, kept in days.items() if kept}


def make_plan(
    floors: Mapping[str, date],
    book: Book,
    segments: Sequence[Segment],
    root: Path,
    settings: RetentionSettings | None = None,
) -> Plan:
    """What goes when each class is kept from its floor on (a floor once reached stays) and active holds are respected.

    `root` is the segments' folder. Raises duckdb.Error or OSError where it can't be looked up what a hold covers."""
    merged = dict(book.floors())
    for name, day in floors.items():
        merged[name] = max(day, merged.get(name, day))
    old = [s for s in segments if s.day != UNDATED and s.day < merged.get(CLASS_OF.get(s.table, ""), UNDATED)]
    held = covered(book.active, segments, old, root)
    gone = tuple(segment for segment in old if (segment.table, segment.day) not in held)
    shares = []
    for name in CLASSES:
        mine = [segment for segment in gone if CLASS_OF[segment.table] == name]
        days = {day: ids for (table, day), ids in held.items() if CLASS_OF[table] == name}
        shares.append(
            Share(
                name,
                getattr(settings, name) if settings else None,
                merged.get(name),
                len({segment.day for segment in mine}),
                len(mine),
                sum(segment.rows for segment in mine),
                sum(segment.size for segment in mine),
                len(days),
                tuple(sorted({one for ids in days.values() for one in ids})),
            )
        )
    return Plan(merged, gone, tuple(shares))


def apply_now(store: Expiring, floors: Mapping[str, date], clock: Clock, by: str) -> Plan:
    """Expire in `store` what `make_plan` says, and publish. No hold can be set meanwhile: it either counts, or comes
    when all is done. Raises LedgerDamaged and what the store raises; nothing is gone then."""
    made: list[Plan] = []

    def choose(segments: Sequence[Segment]) -> Iterable[Segment]:
        plan = make_plan(floors, writer.book, segments, (store.folder / "segments").resolve())
        made.append(plan)
        _record(writer, plan, clock, by)
        return plan.gone

    with Ledger(store.folder).changing() as writer:
        store.expire(choose)
    store.publish()
    return made[0]


def apply_plan(store: Expiring, plan: Plan, head: str, clock: Clock, by: str) -> Plan | None:
    """Expire what `plan` says, made when the ledger's last line was `head`, as far as it is still there. None, and
    nothing done, where the ledger was written to since. Raises as `apply_now` does."""
    wanted = {segment.path for segment in plan.gone}

    def choose(segments: Sequence[Segment]) -> Iterable[Segment]:
        nonlocal plan
        there = tuple(segment for segment in segments if segment.path in wanted)
        plan = replace(plan, gone=there)
        _record(writer, plan, clock, by)
        return there

    with Ledger(store.folder).changing() as writer:
        if writer.book.head != head:
            return None
        store.expire(choose)
    store.publish()
    return plan


def _record(writer: LedgerWriter, plan: Plan, clock: Clock, by: str) -> None:
    if plan.gone:
        writer.record(_expiry(plan, clock, by))


def _expiry(plan: Plan, clock: Clock, by: str) -> Expiry:
    time = datetime.fromtimestamp(clock.time_unix_nano() // 1_000_000_000, UTC)
    rows_of: dict[str, int] = {}
    for segment in plan.gone:
        rows_of[CLASS_OF[segment.table]] = rows_of.get(CLASS_OF[segment.table], 0) + segment.rows
    size = sum(segment.size for segment in plan.gone)
    floors = {name: day for name, day in plan.floors.items() if name in rows_of}
    return Expiry(time, by, floors, len(plan.gone), plan.rows, size, rows_of)


def respect(store: Expiring, folder: Path) -> int:
    """Take out of `store`, made anew from all events, what was expired from the store in `folder` before and no hold
    keeps now. Returns how many rows. Raises LedgerDamaged."""
    ledger = Ledger(folder)
    if not ledger.read().floors():
        return 0
    with ledger.changing() as writer:
        gone = store.expire(
            lambda segments: make_plan({}, writer.book, segments, (store.folder / "segments").resolve()).gone
        )
    return sum(segment.rows for segment in gone)
