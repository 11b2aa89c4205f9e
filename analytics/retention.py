"""Retention: what is older than its class is kept for leaves the audit store, by whole days of whole tables.

Two sides. The one that asks (`plan`, for `airlock retention plan` and `apply`) needs no writer: it reads the published
list of segments. The one that does it is the writer, in one transaction of its manifest (`AnalyticsStore.expire`):
`Keeper.step` in a running writer, `apply_now` where none runs. Before anything goes, the ledger says what will; files
go after the time of grace, so readers of the state before finish undisturbed. Interrupted anywhere, the next run
completes it, as what goes follows from the ledger alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import duckdb

from analytics.retention_cover import covered
from analytics.retention_ledger import Expiry, Ledger, LedgerWriter, RetentionError
from analytics.segments import UNDATED, Segment, sync_folder
from analytics.settings import RetentionSettings
from decision.model.errors import AirlockError
from decision.model.ports import Clock, IdSource

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
REQUEST, RESULT = "retention-request.json", "retention-result.json"
log = logging.getLogger(__name__)


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
    ledger: Ledger | LedgerWriter,
    segments: Sequence[Segment],
    root: Path,
    settings: RetentionSettings | None = None,
) -> Plan:
    """What goes when each class is kept from its floor on (a floor once reached stays) and active holds are respected.

    `root` is the segments' folder. Raises LedgerDamaged; duckdb.Error or OSError where a hold can't be looked up."""
    book = ledger.book if isinstance(ledger, LedgerWriter) else ledger.read()
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
    ledger = Ledger(store.folder)
    made: list[Plan] = []

    def choose(segments: Sequence[Segment]) -> Iterable[Segment]:
        plan = make_plan(floors, writer, segments, (store.folder / "segments").resolve())
        made.append(plan)
        if plan.gone:
            writer.record(_expiry(plan, clock, by))
        return plan.gone

    with ledger.changing() as writer:
        store.expire(choose)
    store.publish()
    return made[0]


def _expiry(plan: Plan, clock: Clock, by: str) -> Expiry:
    time = datetime.fromtimestamp(clock.time_unix_nano() // 1_000_000_000, UTC)
    rows_of = {share.name: share.rows for share in plan.shares if share.rows}
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
            lambda segments: make_plan({}, writer, segments, (store.folder / "segments").resolve()).gone
        )
    return sum(segment.rows for segment in gone)


# ── a running writer is asked by a file ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the writer answers to the request `id`; `error` is empty where it was done."""

    id: str
    segments: int = 0
    rows: int = 0
    size: int = 0
    error: str = ""


def request(folder: Path, floors: Mapping[str, date], ids: IdSource, by: str) -> str:
    """Ask the writer of `folder` to expire. Returns the request's id, for `outcome`."""
    asked = ids.new_id()
    _replace(
        folder / REQUEST, {"id": asked, "by": by, "floors": {name: day.isoformat() for name, day in floors.items()}}
    )
    return asked


def outcome(folder: Path, asked: str) -> Outcome | None:
    """The writer's answer, if it is there."""
    with suppress(OSError, ValueError, TypeError):
        found = Outcome(**json.loads((folder / RESULT).read_text()))
        return found if found.id == asked else None
    return None


def withdraw(folder: Path) -> None:
    """Take the request back, as nobody answered."""
    (folder / REQUEST).unlink(missing_ok=True)


class Keeper:
    """Does in a running writer what `airlock retention apply` asks for. `step()` costs one stat a second."""

    def __init__(self, store: Expiring, clock: Clock, every_s: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._every_ns = int(every_s * 1e9)
        self._looked = clock.monotonic_ns() - self._every_ns

    def step(self) -> bool:
        """Serve a request, if there is one. Returns whether there was. A failure is answered, logged, never raised."""
        now = self._clock.monotonic_ns()
        if now - self._looked < self._every_ns:
            return False
        self._looked = now
        path = self._store.folder / REQUEST
        try:
            asked = json.loads(path.read_text())
            floors = {name: date.fromisoformat(day) for name, day in asked["floors"].items() if name in CLASSES}
            answer = self._serve(str(asked["id"]), floors, str(asked["by"]))
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            answer = Outcome("", error=f"the request could not be read: {error}")
        _replace(self._store.folder / RESULT, asdict(answer))
        path.unlink(missing_ok=True)
        return True

    def _serve(self, asked: str, floors: Mapping[str, date], by: str) -> Outcome:
        try:
            plan = apply_now(self._store, floors, self._clock, by)
        except AirlockError as error:
            log.error("retention: %s (%s)", error.message, error.hint)
            return Outcome(asked, error=error.message)
        except (duckdb.Error, OSError) as error:
            log.error("retention: %s", error)
            return Outcome(asked, error=str(error).splitlines()[0])
        log.info("retention: %d rows in %d segments expired", plan.rows, len(plan.gone))
        return Outcome(asked, len(plan.gone), plan.rows, sum(segment.size for segment in plan.gone))


def _replace(path: Path, content: object) -> None:
    staging = path.with_name(f".{path.name}")
    staging.write_text(json.dumps(content))
    staging.chmod(0o600)
    staging.replace(path)
    sync_folder(path.parent)


__all__ = [
    "CLASSES", "CLASS_OF", "Keeper", "Outcome", "Plan", "RetentionError", "Share", "apply_now", "floors_of",
    "make_plan", "outcome", "request", "respect", "withdraw",
]  # fmt: skip
