"""The export itself: read, bring together, write, remember how far. At least once, in order, a batch at a time.

The position is stored only after what it covers was written and flushed, or taken by the collector: a kill repeats
records, it loses none; their ids tell those that came twice. Reading waits for writing, so a slow receiver holds
nothing but one batch in memory.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import UnsupportedOperation
from pathlib import Path
from typing import BinaryIO, Protocol

from analytics.exports.context import Contexts
from analytics.exports.lines import Render, line
from analytics.exports.reading import Source
from decision.model.errors import AirlockError, SettingsError
from decision.model.events import AuditEvent

log = logging.getLogger(__name__)

BATCH = 1_000
POLL_S = 0.5
LONGEST_PAUSE_S = 30.0
Waited = Callable[[float], bool]
"""Wait so many seconds; true when it is time to stop."""


class ExportFailed(AirlockError):
    """The receiver did not take what was sent; nothing is lost, it is to be sent again."""

    code = "export_failed"


class Sink(Protocol):
    def write(self, events: Sequence[AuditEvent]) -> None:
        """Done once they are safe where they belong. Raises AirlockError where they are not; then they come again."""
        ...


class LineSink:
    """A line of JSON for each event, into an open file; what was written is on the disk if it has one."""

    def __init__(self, file: BinaryIO, render: Render) -> None:
        self._file = file
        self._render = render

    def write(self, events: Sequence[AuditEvent]) -> None:
        try:
            self._file.write(b"".join([line(self._render(event)) for event in events]))
            self._file.flush()
            os.fsync(self._file.fileno())
        except BrokenPipeError:
            raise
        except UnsupportedOperation:
            pass  # no file at all
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a pipe or a terminal has nothing to sync
                raise ExportFailed(
                    f"records could not be written ({error.strerror})", hint="look at the disk"
                ) from None


class Cursor:
    """A file that keeps the position between runs; replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises SettingsError when another export has it: both would write everything."""
        with self._path.with_name(f".{self._path.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingsError(
                    f"another export uses the cursor {self._path}", hint="stop it first, or give another --cursor"
                ) from None
            yield

    def read(self) -> str:
        """The position; empty when there is none yet. Raises SettingsError for a file that is no cursor."""
        try:
            found = json.loads(self._path.read_text())["position"]
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, str):
            raise SettingsError(
                f"{self._path} is no cursor of an export", hint="give another file, or --after POSITION"
            )
        return found

    def write(self, position: str) -> None:
        staging = self._path.with_name(f".{self._path.name}.new")
        with staging.open("w") as file:
            file.write(json.dumps({"position": position}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        staging.replace(self._path)


def opened(path: Path) -> BinaryIO:
    """The file to add lines to, readable by its owner only; a line that a kill cut off is taken back."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(descriptor, "r+b")
    size = file.seek(0, os.SEEK_END)
    end = size
    while end > 0:
        begin = max(0, end - 65_536)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    file.truncate(end)
    file.seek(end)
    return file


@dataclass
class Export:
    """`since`, `until`: events of these times only (UNIX nanoseconds, the end not included). `patient`: try again for
    ever what the receiver does not take, instead of ending with its error."""

    source: Source
    sink: Sink
    contexts: Contexts
    cursor: Cursor | None = None
    since: int = 0
    until: int = 1 << 63
    follow: bool = False
    patient: bool = False
    written: int = 0
    unread: int = 0

    def run(self, waited: Waited) -> None:
        """Until all was written, or with `follow` until it is time to stop. Raises AirlockError, BrokenPipeError."""
        for event in self.source.before():
            self.contexts.take(event)
        while not waited(0):
            events, unread = self.source.read(BATCH)
            for one in unread:
                log.warning("event %d of %s can't be read and was left out", one.seq, one.producer_id or "the journal")
            self.unread += len(unread)
            for begin in range(0, len(events), BATCH):
                if not self._write(events[begin : begin + BATCH], waited):
                    return
            if events or unread:
                if self.cursor is not None:
                    self.cursor.write(self.source.position)
            elif not self.follow or waited(POLL_S):
                return

    def _write(self, events: Sequence[AuditEvent], waited: Waited) -> bool:
        """Whether they were written; otherwise it is time to stop."""
        for event in events:
            self.contexts.take(event)
        chosen = [event for event in events if self.since <= event.draft.time_unix_nano < self.until]
        pause_s = POLL_S
        while chosen:
            try:
                self.sink.write(chosen)
            except AirlockError as error:
                if not self.patient:
                    raise
                log.warning("%s; trying again in %g s", error.message, pause_s)
                if waited(pause_s):
                    return False
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                break
        self.written += len(chosen)
        return True
