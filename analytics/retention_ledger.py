"""The ledger of retention, `<data-dir>/analytics/retention.jsonl`: legal holds set and released, and what was expired.

One JSON object a line, appended under a lock and fsynced before anyone acts on it; each line holds the SHA-256 of the
one before (`prev`), so that a line edited or taken out in the middle is seen. A last line without its end was never
acknowledged and counts as not written. A rebuild leaves the file alone: it is what a rebuild has to respect.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from analytics.segments import sync_folder
from decision.model.errors import AirlockError

LEDGER = "retention.jsonl"
_FIRST = "0" * 64


class RetentionError(AirlockError):
    """Something about retention can't be done; the message says why."""

    code = "retention_error"


class LedgerDamaged(RetentionError):
    """The ledger was edited or is unreadable: nothing is expired until that is settled."""

    code = "retention_ledger_damaged"


@dataclass(frozen=True, slots=True)
class Hold:
    """What must be kept: rows of `principal`, in `database`, from `first` to `last` (UTC days, both included), as far
    as each is given; with none of them everything. `set_by` and `reason` are for people."""

    id: str
    set_at: datetime
    set_by: str
    reason: str
    principal: str = ""
    database: str = ""
    first: date | None = None
    last: date | None = None
    released_at: datetime | None = None
    released_by: str = ""
    released_reason: str = ""

    @property
    def active(self) -> bool:
        return self.released_at is None

    @property
    def by_day_alone(self) -> bool:
        return not self.principal and not self.database

    def spans(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)

    def scope(self) -> str:
        """What it keeps, for people."""
        parts = [f"principal {self.principal}"] if self.principal else []
        parts += [f"database {self.database}"] if self.database else []
        parts += [f"from {self.first}"] if self.first else []
        parts += [f"to {self.last}"] if self.last else []
        return ", ".join(parts) or "everything"


@dataclass(frozen=True, slots=True)
class Expiry:
    """One run: `floors` say for each class the first day that is kept in full; `rows` and `segments` went."""

    time: datetime
    by: str
    floors: Mapping[str, date]
    segments: int
    rows: int
    size: int
    rows_of: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Book:
    """Everything that the ledger says."""

    holds: tuple[Hold, ...] = ()
    runs: tuple[Expiry, ...] = ()
    head: str = _FIRST

    @property
    def active(self) -> tuple[Hold, ...]:
        return tuple(hold for hold in self.holds if hold.active)

    def floors(self) -> dict[str, date]:
        """By class, the first day of which everything was ever kept: what lies before was expired."""
        found: dict[str, date] = {}
        for run in self.runs:
            for name, day in run.floors.items():
                found[name] = max(day, found.get(name, day))
        return found

    def expired_rows(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for run in self.runs:
            for name, rows in run.rows_of.items():
                found[name] = found.get(name, 0) + rows
        return found


class Ledger:
    """The file in `folder`. Reading needs no lock; `changing()` gives the one who may append."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER

    def signature(self) -> tuple[int, int]:
        """Another one than before: something was appended."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_size, found.st_mtime_ns)

    def read(self) -> Book:
        """Raises LedgerDamaged."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return Book()
        except OSError as error:
            raise LedgerDamaged(f"{self.path} can't be read: {error.strerror}", hint="check its rights") from None
        return self._parse(raw[: raw.rfind(b"\n") + 1])

    def _parse(self, raw: bytes) -> Book:
        head, holds, runs = _FIRST, dict[str, Hold](), list[Expiry]()
        for number, line in enumerate(raw.splitlines(), 1):
            try:
                record = json.loads(line)
                if record["prev"] != head:
                    raise ValueError("the line before it is not the one it was written after")
                _take(record, holds, runs)
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerDamaged(
                    f"line {number} of {self.path} was changed or damaged: {error}",
                    hint="restore the file from a backup; until then nothing is expired",
                ) from None
            head = hashlib.sha256(line).hexdigest()
        return Book(tuple(holds.values()), tuple(runs), head)

    @contextmanager
    def changing(self) -> Iterator[LedgerWriter]:
        """Alone with the ledger: what is appended inside is durable when `append` returns. Raises LedgerDamaged."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if new:
                sync_folder(self.path.parent)
            raw = self.path.read_bytes()
            whole = raw.rfind(b"\n") + 1
            if whole < len(raw):
                os.ftruncate(descriptor, whole)
            yield LedgerWriter(descriptor, self._parse(raw[:whole]))
        finally:
            os.close(descriptor)


class LedgerWriter:
    """Appends while it has the lock; `book` is what the ledger says so far."""

    def __init__(self, descriptor: int, book: Book) -> None:
        self._descriptor = descriptor
        self.book = book

    def add_hold(
        self,
        time: datetime,
        by: str,
        reason: str,
        *,
        principal: str = "",
        database: str = "",
        first: date | None = None,
        last: date | None = None,
    ) -> Hold:
        """Raises RetentionError without a reason or with an empty range."""
        if not reason.strip():
            raise RetentionError("a legal hold needs a reason", hint="say it by --reason")
        if first and last and last < first:
            raise RetentionError(f"the range from {first} to {last} is empty", hint="give the earlier day first")
        hold = Hold(f"hold-{len(self.book.holds) + 1}", time, by, reason, principal, database, first, last)
        given = {name: value for name, value in asdict(hold).items() if not name.startswith("released")}
        self._append({"kind": "hold_added", **given})
        self.book = Book((*self.book.holds, hold), self.book.runs, self.book.head)
        return hold

    def release_hold(self, time: datetime, by: str, reason: str, hold_id: str) -> Hold:
        """Raises RetentionError when there is no such hold, or it was released already."""
        found = next((hold for hold in self.book.holds if hold.id == hold_id), None)
        if found is None or not found.active:
            known = ", ".join(hold.id for hold in self.book.active) or "none"
            said = "there is no hold" if found is None else "released already:"
            raise RetentionError(f"{said} {hold_id}", hint=f"in force: {known}")
        if not reason.strip():
            raise RetentionError("releasing a legal hold needs a reason", hint="say it by --reason")
        self._append({"kind": "hold_released", "id": hold_id, "time": time, "by": by, "reason": reason})
        holds: dict[str, Hold] = {hold.id: hold for hold in self.book.holds}
        _release(holds, hold_id, time, by, reason)
        self.book = Book(tuple(holds.values()), self.book.runs, self.book.head)
        return holds[hold_id]

    def record(self, run: Expiry) -> None:
        """Before anything goes."""
        self._append({"kind": "expired", **asdict(run)})
        self.book = Book(self.book.holds, (*self.book.runs, run), self.book.head)

    def _append(self, record: Mapping[str, object]) -> None:
        line = json.dumps({**record, "prev": self.book.head}, default=_text, ensure_ascii=False).encode()
        os.write(self._descriptor, line + b"\n")
        os.fsync(self._descriptor)
        self.book = Book(self.book.holds, self.book.runs, hashlib.sha256(line).hexdigest())


def _text(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _take(record: Mapping[str, Any], holds: dict[str, Hold], runs: list[Expiry]) -> None:
    match record["kind"]:
        case "hold_added":
            holds[record["id"]] = Hold(
                record["id"], _time(record["set_at"]), record["set_by"], record["reason"], record["principal"],
                record["database"], _day(record["first"]), _day(record["last"]),
            )  # fmt: skip
        case "hold_released":
            _release(holds, record["id"], _time(record["time"]), record["by"], record["reason"])
        case "expired":
            floors = {name: date.fromisoformat(day) for name, day in record["floors"].items()}
            runs.append(
                Expiry(
                    _time(record["time"]), record["by"], floors, record["segments"], record["rows"], record["size"],
                    dict(record["rows_of"]),
                )
            )  # fmt: skip
        case kind:
            raise ValueError(f"{kind!r} is nothing that this version knows")


def _release(holds: dict[str, Hold], hold_id: str, time: datetime, by: str, reason: str) -> None:
    hold = holds[hold_id]
    holds[hold_id] = Hold(
        hold.id, hold.set_at, hold.set_by, hold.reason, hold.principal, hold.database, hold.first, hold.last,
        time, by, reason,
    )  # fmt: skip


def named(holds: Sequence[Hold]) -> str:
    return ", ".join(hold.id for hold in holds)
