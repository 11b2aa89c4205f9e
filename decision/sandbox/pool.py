"""A small pool of worker processes, each analysing one message at a time.

A worker that misses the deadline, dies or answers nonsense is killed and replaced; the message it had is refused. What
a worker says is a pickle of our own values, written by our own code: the processes guard against a parser's hunger for
time, stack and memory, not against a hostile program.
"""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from decision.analysis.limits import Limits, check_text
from decision.analysis.result import Analysis
from decision.analysis.session import SessionState
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError, LimitExceeded


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """`deadline_s` holds for one message, `start_s` for a worker's start. `memory_bytes` bounds its address space."""

    workers: int = 1
    deadline_s: float = 2.0
    start_s: float = 30.0
    memory_bytes: int = 1024 * 1024 * 1024


class _Worker:
    """One process and the connection to it. `sent` is the catalog version that it holds."""

    def __init__(self, dialect: str, limits: Limits, settings: SandboxSettings) -> None:
        ours, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "decision.sandbox.worker", str(theirs.fileno()), str(settings.memory_bytes)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            theirs.close()
        self.connection: Connection[object, object] = Connection(ours.detach())
        self.connection.send((dialect, limits))
        self.sent = ""
        if not self.connection.poll(settings.start_s) or self.connection.recv() != "ready":
            self.kill()
            raise OSError("the analysis worker did not start")

    def ask(self, text: bytes, catalog: CatalogSnapshot | None, state: SessionState, deadline_s: float) -> object:
        """The worker's answer; None where none came in time. Raises OSError or EOFError where it died."""
        version = "" if catalog is None else catalog.version
        self.connection.send((text, version, None if version == self.sent else catalog, state))
        self.sent = version
        return self.connection.recv() if self.connection.poll(deadline_s) else None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


class Sandbox:
    """Analyses messages of one dialect in other processes, which start with the first one. For several threads."""

    def __init__(self, dialect: str, limits: Limits | None = None, settings: SandboxSettings | None = None) -> None:
        self.dialect = dialect
        self.limits = limits or Limits()
        self.settings = settings or SandboxSettings()
        self.restarts = 0
        self._closed = False
        self._lock = threading.Lock()
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.settings.workers):
            self._idle.put(None)

    def analyze(self, text: bytes, catalog: CatalogSnapshot | None, state: SessionState) -> Analysis:
        """As Analyzer.analyze; also raises LimitExceeded where the deadline passes, or the worker dies of the text."""
        check_text(text, self.limits)  # what is too large or no text costs no worker
        try:
            worker = self._idle.get(timeout=self.settings.start_s + self.settings.deadline_s)
        except queue.Empty:
            raise LimitExceeded("analysis has no free worker", hint="try again") from None
        kept: _Worker | None = None
        try:
            worker, answer = self._ask(worker, lambda one: one.ask(text, catalog, state, self.settings.deadline_s))
            if isinstance(answer, Analysis | AnalysisError):
                kept = worker
        finally:
            if kept is None and worker is not None:
                worker.kill()
                with self._lock:
                    self.restarts += 1
            if self._closed and kept is not None:
                kept.kill()
                kept = None
            self._idle.put(kept)
        if isinstance(answer, Analysis):
            return answer
        if isinstance(answer, AnalysisError):
            raise answer
        raise LimitExceeded(
            f"analysis took more than {self.settings.deadline_s:g} s or {self.settings.memory_bytes >> 20} MiB",
            hint="send a shorter or simpler statement",
        )

    def _ask(self, worker: _Worker | None, ask: Callable[[_Worker], object]) -> tuple[_Worker | None, object]:
        """The worker that was asked, started where there was none, and its answer: None where it failed."""
        try:
            if worker is None:
                worker = _Worker(self.dialect, self.limits, self.settings)
        except OSError:
            raise LimitExceeded("the analysis worker can't be started", hint="see the service's machine") from None
        try:
            return worker, ask(worker)
        except (OSError, EOFError):
            return worker, None

    def close(self) -> None:
        """Ends idle workers; busy ones end with their message."""
        self._closed = True
        for _ in range(self._idle.qsize()):
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                break
            if worker is not None:
                worker.kill()
            self._idle.put(None)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
