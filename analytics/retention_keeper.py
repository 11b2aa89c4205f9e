"""`airlock retention apply` beside a running writer: asked by a file, answered by a file.

Only the writer may change its manifest, and it must not stand still while years are looked through for what a hold
covers. So the plan is made in a thread, and what it says is done in the writer's own step, unless the ledger was
written to meanwhile: then the plan is made anew.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb

from analytics.retention import CLASSES, Expiring, Plan, apply_plan, make_plan
from analytics.retention_ledger import Ledger
from analytics.segments import Segment, sync_folder
from decision.model.errors import AirlockError
from decision.model.ports import Clock, IdSource

REQUEST, RESULT = "retention-request.json", "retention-result.json"
log = logging.getLogger(__name__)


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


class _Planning(threading.Thread):
    """A plan made beside the writer's work: to look through years for what a hold covers takes its time."""

    def __init__(
        self, asked: str, floors: Mapping[str, date], by: str, folder: Path, segments: Sequence[Segment]
    ) -> None:
        super().__init__(name="retention", daemon=True)
        self.asked, self.by, self.floors = asked, by, floors
        self.plan: Plan | None = None
        self.head = ""
        self.error = ""
        self._folder = folder
        self._segments = segments

    def run(self) -> None:
        try:
            book = Ledger(self._folder).read()
            self.plan = make_plan(self.floors, book, self._segments, (self._folder / "segments").resolve())
            self.head = book.head
        except (AirlockError, duckdb.Error, OSError) as error:
            self.error = _why(error)


class Keeper:
    """Does in a running writer what it is asked for. `step()` costs one look for a file a second."""

    def __init__(self, store: Expiring, clock: Clock, every_s: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._every_ns = int(every_s * 1e9)
        self._looked = clock.monotonic_ns() - self._every_ns
        self._planning: _Planning | None = None

    def step(self) -> bool:
        """Serve a request, if there is one. Returns whether one was answered. A failure is answered, logged, never
        raised; a request that the process did not live to answer is served by the next one."""
        if self._planning is not None:
            return not self._planning.is_alive() and self._finish(self._planning)
        now = self._clock.monotonic_ns()
        if now - self._looked < self._every_ns:
            return False
        self._looked = now
        try:
            asked = json.loads((self._store.folder / REQUEST).read_text())
            floors = {name: date.fromisoformat(day) for name, day in asked["floors"].items() if name in CLASSES}
            request_id, by = str(asked["id"]), str(asked["by"])
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return self._answer(Outcome("", error=f"the request could not be read: {error}"))
        return self._begin(request_id, floors, by)

    def _begin(self, asked: str, floors: Mapping[str, date], by: str) -> bool:
        seen: list[Segment] = []

        def look(segments: Sequence[Segment]) -> Iterable[Segment]:
            seen.extend(segments)
            return ()

        try:
            self._store.expire(look)  # seals what is in no segment yet
        except (AirlockError, duckdb.Error, OSError) as error:
            return self._answer(Outcome(asked, error=_why(error)))
        self._planning = _Planning(asked, floors, by, self._store.folder, seen)
        self._planning.start()
        return False

    def _finish(self, planned: _Planning) -> bool:
        self._planning = None
        if planned.plan is None:
            return self._answer(Outcome(planned.asked, error=planned.error))
        try:
            done = apply_plan(self._store, planned.plan, planned.head, self._clock, planned.by)
        except (AirlockError, duckdb.Error, OSError) as error:
            return self._answer(Outcome(planned.asked, error=_why(error)))
        if done is None:  # a hold was set or released meanwhile: look again
            return self._begin(planned.asked, planned.floors, planned.by)
        log.info("retention: %d rows in %d segments expired", done.rows, len(done.gone))
        size = sum(segment.size for segment in done.gone)
        return self._answer(Outcome(planned.asked, len(done.gone), done.rows, size))

    def _answer(self, answer: Outcome) -> bool:
        if answer.error:
            log.error("retention: %s", answer.error)
        _replace(self._store.folder / RESULT, asdict(answer))
        (self._store.folder / REQUEST).unlink(missing_ok=True)
        return True


def _why(error: Exception) -> str:
    return error.message if isinstance(error, AirlockError) else str(error).splitlines()[0]


def _replace(path: Path, content: object) -> None:
    staging = path.with_name(f".{path.name}")
    staging.write_text(json.dumps(content))
    staging.chmod(0o600)
    staging.replace(path)
    sync_folder(path.parent)
