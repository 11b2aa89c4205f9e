"""A keeper of a log on a thread of its own, which begins again after a failure from what is durable."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from decision.clock import SystemClock
from decision.model.errors import AirlockError
from decision.model.metrics import Sample, counter, gauge
from decision.model.ports import Clock
from ingest.sequencer import Sequencer

log = logging.getLogger(__name__)

STANDING_STILL = "standing-still"
"""In the log's folder, while it stands still: why."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
AGAIN_S = 60.0
"""How often the log repeats why."""


class Keeper(Protocol):
    """Feeds a sequencer from one source. Raises AirlockError, OSError or ValueError, and is then closed."""

    @property
    def sequencer(self) -> Sequencer: ...

    @property
    def behind(self) -> int:
        """Events that the source has and the tree has not, as far as is known without asking."""
        ...

    @property
    def poll_s(self) -> float:
        """How long to wait where `step` found nothing."""
        ...

    def step(self) -> bool:
        """Take what is new, publish if it is due. Returns whether there is surely more to take."""
        ...

    def finish(self) -> None:
        """Take what is there, and publish it."""
        ...

    def close(self) -> None: ...


class KeeperThread:
    """`opened` makes the keeper, again after each failure. What goes wrong is logged, once for the same message and
    again each minute, and stands in the log's `folder` until it is over."""

    def __init__(self, folder: Path, opened: Callable[[], Keeper], clock: Clock | None = None) -> None:
        self._why = folder / STANDING_STILL
        self._opened = opened
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._keeper: Keeper | None = None
        self._failures = 0
        self._clock = clock or SystemClock()
        self._said_at = self._since = 0
        self.standing_still = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Publish what is new, then end; what takes longer is left to the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def running(self) -> bool:
        """Whether it holds the log now; `standing_still` says why not."""
        return self._keeper is not None

    def samples(self) -> Iterable[Sample]:
        yield counter("sequencer_failures", "Times that the log stood still.", self._failures)
        yield gauge("sequencer_standing_still", "1 while it stands still.", 1 if self.standing_still else 0)
        keeper = self._keeper
        if keeper is not None:
            yield gauge("sequencer_lag_events", "Durable events that are no leaves yet.", keeper.behind)
            yield from keeper.sequencer.samples()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._keep()
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the log must not end without a word
                self._failures += 1
                message = _said(error)
                now = self._clock.monotonic_ns()
                if message != self.standing_still:
                    pause_s = FIRST_PAUSE_S
                if message != self.standing_still or now - self._said_at >= AGAIN_S * 1e9:
                    log.error("the log stands still: %s (%s)", message, getattr(error, "hint", ""))
                    self._said_at = now
                self._since = self._since or now
                self._say(message)
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _say(self, message: str) -> None:
        """Best effort: the disk may be what is wrong."""
        self.standing_still = message
        with contextlib.suppress(OSError):
            if message:
                self._why.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._why.write_text(f"{message}\n")
            else:
                self._why.unlink(missing_ok=True)

    def _keep(self) -> None:
        keeper = self._opened()
        try:
            self._keeper = keeper
            if not self.standing_still:
                self._say("")  # what an earlier process said
            more = True
            while not self._stopping.wait(0.0 if more else keeper.poll_s):
                more = keeper.step()
                if self.standing_still:
                    still_s = (self._clock.monotonic_ns() - self._since) / 1e9
                    log.warning("the log goes on after %.0f s", still_s)
                    self._since = 0
                    self._say("")
            keeper.finish()
        finally:
            self._keeper = None
            keeper.close()


def _said(error: Exception) -> str:
    """Without what a foreign message may quote."""
    if isinstance(error, AirlockError):
        return error.message
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}: {error.filename or 'the disk'}"
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" in {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place is not None else ""
    return f"a defect, {type(error).__name__}{where}"
