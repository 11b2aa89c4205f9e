"""The embedded runner: journal to analytics on one machine, in a process of its own.

It polls the journal briefly (a read transaction that stays open would make its WAL grow), folds what is new, stores it
with its position, and publishes it. A lone event is visible about 0.2 s after it happened; under load what came since
the last publication is taken as one batch (ingest.publication). Where more waits than one batch holds, batches follow
each other without a pause. Detections look at each batch before it is stored, and their alerts are stored with it; the
tamper-evident log is kept beside it, in a thread of its own.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analytics.live import StoreOutdated
from analytics.rebuild import rebuild
from analytics.retention_keeper import Keeper
from analytics.store import DEFAULTS as STORE_DEFAULTS
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from decision.journal.log_settings import LogSettings
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import JournalUnavailable
from decision.model.events import AuditEvent
from decision.model.metrics import Measured
from decision.model.ports import Clock, IdSource
from decision.wire.events import ProtobufEventCodec
from ingest.alerts import Detecting, EmbeddedDetections
from ingest.alerts_settings import DetectionSettings
from ingest.publication import Publication
from ingest.reading import JOURNAL, RawReader, decoded, read_run
from ingest.rebuilding import JournalFeed
from ingest.sequencer_journal import LogThread
from ingest.status import IngestStatus, write_status

log = logging.getLogger(__name__)

SOURCE = JOURNAL
_CODEC = ProtobufEventCodec()


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """`poll_s`: how often the journal is asked while nothing happens. `publish_s`: the least time between publications.
    `batch`: the most events taken at once. `status_s`: how often the status is written at least."""

    poll_s: float = 0.1
    publish_s: float = 0.6
    batch: int = 8_192
    status_s: float = 2.0
    store: StoreSettings = STORE_DEFAULTS


DEFAULTS = LocalSettings()


class LocalRunner:
    """One store fed by one journal. `step()` does what is due; `run()` repeats it. Not thread-safe."""

    def __init__(
        self,
        store: AnalyticsStore,
        reader: RawReader,
        clock: Clock,
        settings: LocalSettings = DEFAULTS,
        detections: EmbeddedDetections | None = None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._settings = settings
        self._detections = detections
        self._publication = Publication(store, clock, settings.publish_s)
        self._keeper = Keeper(store, clock)
        self._behind = False
        self._resumed = detections is None
        self._status_at = 0
        self._error = ""

    def step(self) -> bool:
        """Read, store, publish, compact: whatever is due. Returns whether there may be more to read at once."""
        if self._behind or self._publication.is_due() or not self._store.dirty:
            self._behind = self._take()
        if self._store.dirty and self._publication.is_due(behind=self._behind):
            self._publish()
        self._store.compact()
        self._store.clean()
        self._keeper.step()
        if self._detections is not None:
            self._detections.tick()
        now = self._clock.monotonic_ns()
        if now - self._status_at >= self._settings.status_s * 1e9:
            self.write_status()
        return self._behind

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Until `stopped(seconds)`, which waits that long or until it is time to stop; then all that is durable is
        taken and published."""
        more = True
        while not stopped(0.0 if more else self._settings.poll_s):
            more = self.step()
        behind = self._store.position(SOURCE)
        while self._take() or self._store.position(SOURCE) > behind:
            behind = self._store.position(SOURCE)
        self._publish()
        if self._detections is not None:
            self._detections.close()
        self.write_status()

    def _take(self) -> bool:
        """Store the next batch. Returns whether more is surely waiting."""
        after = self._store.position(SOURCE)
        try:
            self._resume(after)
            run, position, letters = read_run(self._reader, after, self._settings.batch)
        except JournalUnavailable as error:
            if error.message != self._error:
                log.error("%s (%s)", error.message, error.hint)
            self._error = error.message
            return False
        self._error = ""
        if position == after:
            return False
        alerts: list[AuditEvent] = []
        if self._detections is not None:
            alerts = self._detections.take_raw(run.raws, position)
        applied = self._store.take((run,), {SOURCE: position}, letters, alerts)
        for letter in letters:
            log.warning("event %d of the journal can't be read: %s", letter.position, letter.error)
        if applied.dead_letters > len(letters):
            log.warning("%d events could not be projected: see the view dead_letters", applied.dead_letters)
        if applied.newest_ns:
            self._publication.took(applied.oldest_ns, applied.newest_ns)
        return len(run.raws) >= self._settings.batch or bool(letters)

    def _resume(self, position: int) -> None:
        """Have the detections know what was taken before."""
        if self._resumed or self._detections is None:
            return
        alerts = self._detections.resume(
            position, lambda after, limit: decoded(_CODEC, read_run(self._reader, after, limit)[0].raws)
        )
        if alerts:
            self._store.take((), {}, (), alerts)
        self._resumed = True

    def _publish(self) -> None:
        if self._publication.publish():
            self.write_status()

    def status(self) -> IngestStatus:
        counts = self._store.counters
        position = self._store.position(SOURCE)
        try:
            head = self._reader.head()[0]
        except JournalUnavailable as error:
            head, self._error = position, error.message
        return IngestStatus(
            pid=os.getpid(),
            time_unix_nano=self._clock.time_unix_nano(),
            position=position,
            head=head,
            lag_events=max(0, head - position),
            lag_s=self._publication.lag_s,
            last_lag_s=self._publication.last_lag_s,
            events=counts["events"],
            duplicates=counts["duplicates"],
            dead_letters=counts["dead_letters"],
            missing=counts["missing"],
            segments=len(self._store.segments),
            error=self._error,
        )

    def write_status(self) -> None:
        self._status_at = self._clock.monotonic_ns()
        write_status(self._store.folder, self.status())


def run_local(
    data_dir: Path,
    stop: threading.Event,
    *,
    settings: LocalSettings = DEFAULTS,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    alive: Callable[[], bool] = lambda: True,
    log_settings: LogSettings | None = None,
    detection_settings: DetectionSettings | None = None,
    measured: list[Measured] | None = None,
) -> None:
    """Project the journal of `data_dir` until `stop` is set or `alive()` is false, and keep its log. A store made for
    other tables is rebuilt first. What has numbers to show is added to `measured`. Raises StoreError when another
    process projects into the same folder."""
    clock, ids = clock or SystemClock(), ids or Uuid7Source()
    log_settings, detecting = log_settings or LogSettings(), detection_settings or DetectionSettings()
    measured = [] if measured is None else measured
    reader = SqliteJournalReader(data_dir / "journal", _CODEC)
    folder = data_dir / FOLDER
    try:
        store = AnalyticsStore(folder, clock, ids, settings.store)
    except StoreOutdated:
        log.warning("the analytics of %s were made by another version: rebuilding them from the journal", data_dir)
        rebuild(folder, JournalFeed(data_dir, reader, Detecting(detecting, clock)), clock, ids, settings.store)
        store = AnalyticsStore(folder, clock, ids, settings.store)
    with store:
        detections = EmbeddedDetections(folder, detecting, clock)
        measured.append(detections)
        thread = LogThread(data_dir, log_settings) if log_settings.enabled else None
        if thread is not None:
            measured.append(thread)
            thread.start()
        try:
            runner = LocalRunner(store, reader, clock, settings, detections)
            runner.run(lambda wait: stop.wait(wait) or not alive())
        finally:
            if thread is not None:
                thread.stop()
