"""The one writer thread: jobs in, results back on the event loop, one wake-up for each."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
Done = Callable[[T | None, BaseException | None], None]


class JobRunner(Protocol):
    """Runs jobs one at a time, in the order of submission. Implemented by WriterThread and by the simulation."""

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        """Run `job` off the loop, then call `done(result, error)` on the running loop."""
        ...

    def stop(self) -> None:
        """Finish the submitted jobs and end. Blocks."""
        ...


class WriterThread:
    """JobRunner on a thread of its own. `submit` is called on the event loop."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        loop = asyncio.get_running_loop()

        def run() -> None:
            result: T | None = None
            failure: BaseException | None = None
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the waiters must learn of it
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(done, result, failure)

        self._jobs.put(run)

    def stop(self) -> None:
        self._jobs.put(None)
        self._thread.join()
