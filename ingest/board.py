"""The newest counters of each principal, as decisions ask for them (decision.model.ports.CounterSource).

Where they come from is no matter here: the counters topic (ingest.feed), or the file of the embedded form.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from decision.model.metrics import Sample, counter, gauge
from decision.model.policy import Figures
from decision.model.ports import Clock
from ingest.counters import COUNTERS, Counters, CountersUnreadable, Key, read_counters

log = logging.getLogger(__name__)

STALE: Figures = (("stale", 1),)
POLL_S = 0.5
_NONE: Figures = ()
_FOR_EVER = 2**63
_SWEEP = 1_024


@dataclass(slots=True)
class _Held:
    """`figures` are those of `counters` until the time `until` (UNIX nanoseconds)."""

    counters: Counters
    figures: Figures
    until: int


class CounterBoard:
    """`stale_s`: after that many seconds without `complete` nothing is told but `stale`."""

    def __init__(self, clock: Clock, stale_s: float = 60.0) -> None:
        self._clock = clock
        self._stale_ns = int(stale_s * 1e9)
        self._complete_ns = 0
        self._held: dict[Key, _Held] = {}
        self._sweep_at = _SWEEP
        self._taken = 0

    @property
    def stale(self) -> bool:
        return not self._complete_ns or self._clock.monotonic_ns() - self._complete_ns > self._stale_ns

    def of(self, principal: Key, time_unix_nano: int) -> Figures:
        """See CounterSource."""
        if self.stale:
            return STALE
        held = self._held.get(principal)
        if held is None:
            return _NONE
        if time_unix_nano >= held.until:
            self._held[principal] = held = _held(held.counters, time_unix_nano)
        return held.figures

    def take(self, counters: Iterable[Counters]) -> None:
        """The newest of a principal stays, whatever the order in which they come."""
        for one in counters:
            self._taken += 1
            held = self._held.get(one.principal)
            if held is None or held.counters.time_unix_nano <= one.time_unix_nano:
                self._held[one.principal] = _Held(one, _NONE, 0)  # written out when somebody asks
        if len(self._held) > self._sweep_at:
            self._sweep()

    def complete(self, monotonic_ns: int) -> None:
        """At that moment there were no newer ones than those taken."""
        self._complete_ns = monotonic_ns

    def _sweep(self) -> None:
        """Forget principals whose windows are all over."""
        now = self._clock.time_unix_nano()
        self._held = {key: held for key, held in self._held.items() if held.counters.at(now)}
        self._sweep_at = max(_SWEEP, 2 * len(self._held))

    def samples(self) -> Iterable[Sample]:
        yield gauge("counters_stale", "Whether counters are too old to be told to policies", float(self.stale))
        yield gauge("counters_principals", "Principals whose counters are known", len(self._held))
        yield counter("counters_records", "Counters taken from the streams", self._taken)


def _held(counters: Counters, time_unix_nano: int) -> _Held:
    ends = [until for _, _, until in counters.values if until > time_unix_nano]
    return _Held(counters, counters.at(time_unix_nano), min(ends, default=_FOR_EVER))


async def poll_counters(board: CounterBoard, folder: Path, clock: Clock) -> None:
    """Keep `board` at what the file in `folder` (a node's analytics) says, until cancelled."""
    path, seen, complaint = folder / COUNTERS, (0, 0), ""
    while True:
        now = clock.monotonic_ns()
        try:
            at = path.stat()
            if (at.st_mtime_ns, at.st_ino) != seen:
                board.take(read_counters(folder).values())
                seen = at.st_mtime_ns, at.st_ino
            board.complete(now)
            complaint = ""
        except FileNotFoundError:
            board.complete(now)  # nothing was counted yet
        except (CountersUnreadable, OSError) as error:
            if str(error) != complaint:
                log.error("the counters can't be read: %s", error)
            complaint = str(error)
        await asyncio.sleep(POLL_S)
