"""Iceberg as a sink: what the published catalog shows, appended to Iceberg tables, each event once.

It reads the catalog as an analyst does, so it needs neither the writer's lock nor the source, and can run anywhere the
data folder is. What is new is the difference of two sets of events: those the catalog has, and those the table has by
its own word (analytics.iceberg_table). Their bytes are folded again, by the same folds as ever.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import ddl
from analytics.catalog import CATALOG
from analytics.iceberg_position import Position
from analytics.intake import Intake, Run
from analytics.query import LONGEST_S, CatalogMissing, CatalogReader
from analytics.settings import IcebergSettings
from analytics.store import FOLDER as STORE
from decision.model.errors import AirlockError
from decision.model.metrics import Sample, SampleKind

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from analytics.iceberg_table import IcebergFact

FOLDER, LOCK = "iceberg", "iceberg.lock"
NO_EVENTS = ("alert_events", "dead_letters")
"""Facts that follow from no event of a journal: they can't be told apart by producer and number."""
log = logging.getLogger(__name__)


class IcebergError(AirlockError):
    """The Iceberg tables can't be written or read; the message says why."""

    code = "iceberg_error"


class IcebergBusy(IcebergError):
    """Another process publishes."""

    code = "iceberg_busy"


@dataclass(slots=True)
class Published:
    """What one run appended: events looked at, rows by table, commits made."""

    events: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    commits: int = 0


def open_catalog(data_dir: Path, settings: IcebergSettings) -> Catalog:
    """The Iceberg catalog of `settings`. Raises IcebergError where the extra is missing or it can't be reached."""
    try:
        from pyiceberg.catalog import load_catalog
    except ImportError as error:
        raise IcebergError(f"Iceberg needs more than is installed: {error}", hint="install airlock[iceberg]") from error
    folder = (data_dir / FOLDER).resolve()
    uri = settings.catalog_uri or f"sqlite:///{folder / 'catalog.db'}"
    properties = {"type": "rest" if uri.startswith("http") else "sql", "uri": uri}
    if settings.warehouse:
        properties["warehouse"] = settings.warehouse
    elif properties["type"] == "sql":
        properties["warehouse"] = f"file://{folder / 'warehouse'}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _said():
        catalog = load_catalog("airlock", **properties)
        catalog.create_namespace_if_not_exists(settings.namespace)
        return catalog


@contextmanager
def _said() -> Iterator[None]:
    """What pyiceberg, SQLAlchemy and the file systems raise, in our words."""
    try:
        yield
    except AirlockError:
        raise
    except Exception as error:  # the libraries below have no common error: any of them means it did not work
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise IcebergError(
            f"the Iceberg tables can't be reached: {type(error).__name__}: {first}",
            hint="check [iceberg] catalog_uri, warehouse and the credentials; nothing was lost, the next run goes on",
        ) from error


class IcebergSink:
    """Appends to the tables of one catalog. `publish` may be called from any one thread at a time."""

    def __init__(self, data_dir: Path, settings: IcebergSettings) -> None:
        self._data_dir = data_dir
        self._settings = settings
        unknown = sorted(set(settings.tables) - set(ddl.facts()) | set(settings.tables) & set(NO_EVENTS))
        if unknown:
            raise IcebergError(
                f"[iceberg] tables: {unknown[0]!r} is no fact that can be published",
                hint=f"there are: {', '.join(name for name in ddl.facts() if name not in NO_EVENTS)}",
            )
        self.names = settings.tables or tuple(name for name in ddl.facts() if name not in NO_EVENTS)
        self._intake = Intake()
        self.events = 0
        self.rows = 0
        self.failures = 0

    def publish(self) -> Published:
        """Append what is new. Raises IcebergBusy while another process does, IcebergError, CatalogMissing; whatever
        was committed before stays and is not appended again."""
        with self._alone(), CatalogReader(self._data_dir) as reader, _said():
            facts = self._facts()
            there = Position.of(reader.ask("FROM meta.coverage", limit=10_000_000).rows)
            done = Published()
            for position, group in _by_position(facts):
                for piece in there.without(position).pieces(self._settings.batch):
                    self._append(reader, group, piece, done)
            for fact in facts:
                fact.note()
        self.events += done.events
        self.rows += sum(done.rows.values())
        return done

    def state(self) -> int:
        """Another number than before: the catalog was replaced. 0 without one."""
        with suppress(OSError):
            return (self._data_dir / STORE / CATALOG).stat().st_mtime_ns
        return 0

    def _facts(self) -> list[IcebergFact]:
        from analytics.iceberg_table import IcebergFact

        catalog = open_catalog(self._data_dir, self._settings)
        return [IcebergFact(catalog, self._settings.namespace, name) for name in self.names]

    def _append(self, reader: CatalogReader, group: Sequence[IcebergFact], piece: Position, done: Published) -> None:
        raws: list[bytes] = []
        for producer, epoch, first, last in piece.spans:
            found = reader.ask(
                "SELECT raw FROM fact.events WHERE producer_id = ? AND epoch = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                [producer, epoch, first, last],
                limit=last - first + 1,
                timeout_s=LONGEST_S,
            )
            raws += [bytes(raw) for (raw,) in found.rows]
        tables = self._intake.read([Run("iceberg", range(len(raws)), raws)]).tables() if raws else {}
        for fact in group:
            rows = tables.get(fact.name)
            if rows is None or rows.num_rows == 0:
                fact.passed(piece)
                continue
            fact.append(rows, piece)
            done.commits += 1
            done.rows[fact.name] = done.rows.get(fact.name, 0) + rows.num_rows
        done.events += len(raws)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One publisher at a time on a data folder."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._data_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise IcebergBusy(
                    "another process publishes to Iceberg right now", hint="wait for it, it does the same"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def status(self) -> list[Mapping[str, Any]]:
        """Of each table: rows, events that the catalog has and it has not yet, and its metadata file."""
        with CatalogReader(self._data_dir) as reader, _said():
            there = Position.of(reader.ask("FROM meta.coverage", limit=10_000_000).rows)
            return [
                {
                    "table": f"{self._settings.namespace}.{fact.name}",
                    "rows": fact.rows,
                    "events_behind": there.without(fact.position).events(),
                    "metadata": fact.location,
                }
                for fact in self._facts()
            ]

    def files(self, name: str) -> list[str]:
        """The data files of one table now. Raises IcebergError for a table that is not published."""
        if name not in self.names:
            raise IcebergError(f"{name!r} is not published", hint=f"published are: {', '.join(self.names)}")
        with _said():
            return next(fact.files() for fact in self._facts() if fact.name == name)

    def samples(self) -> Iterator[Sample]:
        yield Sample("iceberg_events", SampleKind.COUNTER, "Events appended to Iceberg tables", self.events)
        yield Sample("iceberg_rows", SampleKind.COUNTER, "Rows appended to Iceberg tables", self.rows)
        yield Sample("iceberg_failures", SampleKind.COUNTER, "Runs that failed; the next one goes on", self.failures)


def _by_position(facts: Sequence[IcebergFact]) -> list[tuple[Position, list[IcebergFact]]]:
    """Tables that are equally far are read for together: all of them, but after a kill between two commits."""
    groups: dict[Position, list[IcebergFact]] = {}
    for fact in facts:
        groups.setdefault(fact.position, []).append(fact)
    return list(groups.items())


class IcebergThread:
    """`publish` every so often beside whatever else the process does. A failure is logged and tried again."""

    def __init__(self, sink: IcebergSink, every_s: float) -> None:
        self.sink = sink
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="iceberg", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ends after the run under way. What is not published yet will be next time."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        said, seen = "", 0
        while not self._stop.is_set():
            try:
                state = self.sink.state()
                if state != seen:  # else nothing was published since
                    with suppress(CatalogMissing, IcebergBusy):
                        self.sink.publish()
                        seen = state
                said = ""
            except AirlockError as error:
                self.sink.failures += 1
                if error.message != said:
                    log.error("%s (%s)", error.message, error.hint)
                said = error.message
            self._stop.wait(self._every_s)


@contextmanager
def publishing(data_dir: Path, settings: IcebergSettings) -> Iterator[list[IcebergSink]]:
    """Inside, what is new is appended every `every_s` seconds beside what is done there; not at all where that is 0.
    Yields the parts that have numbers. Raises IcebergError for settings that can't be met."""
    if not settings.every_s:
        yield []
        return
    thread = IcebergThread(IcebergSink(data_dir, settings), settings.every_s)
    thread.start()
    try:
        yield [thread.sink]
    finally:
        thread.stop()
