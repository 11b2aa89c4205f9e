"""The embedded runner: journal to analytics on one machine, in a process of its own.

It polls the journal briefly (a read transaction that stays open would make its WAL grow), folds what is new, stores it
with its position, and publishes it. A lone event is visible about 0.2 s after it happened; under load what came since
the last publication is taken as one batch: publications are at least `publish_s` apart and take at most a quarter of
the time. Where more waits than one batch holds, batches follow each other without a pause.

    python -m ingest.local --data-dir D        until SIGTERM or SIGINT, or until --parent PID is gone
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from analytics.live import StoreOutdated
from analytics.rebuild import rebuild
from analytics.store import DEFAULTS as STORE_DEFAULTS
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import JournalUnavailable
from decision.model.ports import Clock, IdSource, JournalReader
from decision.wire.events import ProtobufEventCodec
from ingest.priority import NICE, step_back
from ingest.reading import WitnessCodec, read_batch
from ingest.status import IngestStatus, write_status

log = logging.getLogger(__name__)

SOURCE = "journal"
"""The name of the journal's position in the store."""


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
        reader: JournalReader,
        clock: Clock,
        settings: LocalSettings = DEFAULTS,
        witness: WitnessCodec | None = None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._settings = settings
        self._witness = witness
        self._behind = False
        self._published_at = clock.monotonic_ns() - 60_000_000_000
        self._publish_cost = 0
        self._oldest_unpublished = 0
        self._newest_unpublished = 0
        self._last_lag_ns = 0
        self._status_at = 0
        self._error = ""

    def step(self) -> bool:
        """Read, store, publish, compact: whatever is due. Returns whether there may be more to read at once."""
        if self._behind or self._publication_is_due() or not self._store.dirty:
            self._behind = self._take()
        if self._store.dirty and self._publication_is_due():
            self._publish()
        self._store.compact()
        self._store.clean()
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
        self.write_status()

    def _take(self) -> bool:
        """Store the next batch. Returns whether more is surely waiting."""
        after = self._store.position(SOURCE)
        try:
            events, position, letters = read_batch(self._reader, after, self._settings.batch, self._witness)
        except JournalUnavailable as error:
            if error.message != self._error:
                log.error("%s (%s)", error.message, error.hint)
            self._error = error.message
            return False
        self._error = ""
        if position == after:
            return False
        applied = self._store.apply(events, {SOURCE: position}, letters)
        for letter in letters:
            log.warning("event %d of the journal can't be read: %s", letter.position, letter.error)
        if applied.dead_letters > len(letters):
            log.warning("%d events could not be projected: see the view dead_letters", applied.dead_letters)
        if events:
            self._oldest_unpublished = self._oldest_unpublished or events[0].draft.time_unix_nano
            self._newest_unpublished = events[-1].draft.time_unix_nano
        return len(events) >= self._settings.batch or bool(letters)

    def _publication_is_due(self) -> bool:
        least = max(self._settings.publish_s * 1e9, 3 * self._publish_cost)
        return self._clock.monotonic_ns() - self._published_at >= least

    def _publish(self) -> None:
        started = self._clock.monotonic_ns()
        if self._store.publish():
            self._published_at = self._clock.monotonic_ns()
            self._publish_cost = self._published_at - started
            if self._newest_unpublished:
                self._last_lag_ns = self._clock.time_unix_nano() - self._newest_unpublished
            self._oldest_unpublished = self._newest_unpublished = 0
            self.write_status()

    def status(self) -> IngestStatus:
        counts = self._store.counters
        position = self._store.position(SOURCE)
        try:
            head = self._reader.head()[0]
        except JournalUnavailable as error:
            head, self._error = position, error.message
        now = self._clock.time_unix_nano()
        since = self._oldest_unpublished
        return IngestStatus(
            pid=os.getpid(),
            time_unix_nano=now,
            position=position,
            head=head,
            lag_events=max(0, head - position),
            lag_s=round((now - since) / 1e9, 3) if since else 0.0,
            last_lag_s=round(self._last_lag_ns / 1e9, 3),
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
) -> None:
    """Project the journal of `data_dir` until `stop` is set or `alive()` is false. A store made for other tables is
    rebuilt first. Raises StoreError when another process projects into the same folder."""
    clock, ids = clock or SystemClock(), ids or Uuid7Source()
    witness = WitnessCodec(ProtobufEventCodec())
    reader = SqliteJournalReader(data_dir / "journal", witness)
    folder = data_dir / FOLDER
    try:
        store = AnalyticsStore(folder, clock, ids, settings.store)
    except StoreOutdated:
        log.warning("the analytics of %s were made by another version: rebuilding them from the journal", data_dir)
        rebuild(folder, lambda after, limit: read_batch(reader, after, limit, witness), clock, ids, settings.store)
        store = AnalyticsStore(folder, clock, ids, settings.store)
    with store:
        LocalRunner(store, reader, clock, settings, witness).run(lambda wait: stop.wait(wait) or not alive())


class LocalProcess:
    """`run_local` in a child process, so that folding and publishing never delay the caller's event loop."""

    def __init__(self, data_dir: Path, nice: int = NICE) -> None:
        self._data_dir = data_dir
        self._nice = nice
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "ingest.local",
            "--data-dir",
            str(self._data_dir),
            "--parent",
            str(os.getpid()),
            "--nice",
            str(self._nice),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        """The child's process id; 0 when there is none."""
        return 0 if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout_s: float = 20.0) -> int:
        """Let it take and publish the rest, then end; killed after `timeout_s`. Returns its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def main(arguments: list[str]) -> int:
    """The child process. Exit code 0 after a signal, 1 when another process projects into the folder."""
    import argparse

    from decision.model.errors import AirlockError

    parser = argparse.ArgumentParser(prog="python -m ingest.local", description="Project the journal into analytics.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--parent", type=int, default=0, help="end when this is no longer the parent process")
    parser.add_argument("--nice", type=int, default=NICE, help="how far to step back behind other processes")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s ingest: %(message)s")
    step_back(chosen.nice)
    stop = threading.Event()

    def on_signal(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        run_local(chosen.data_dir, stop, alive=lambda: not chosen.parent or os.getppid() == chosen.parent)
    except AirlockError as error:
        log.error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
