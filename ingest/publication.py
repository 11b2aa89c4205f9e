"""When what was taken is shown to analysts: soon where little comes, in larger portions where much does.

Publications are at least `publish_s` apart and take at most a quarter of the time. While it is far behind nobody waits
for the newest: then they take a twentieth.
"""

from __future__ import annotations

from analytics.store import AnalyticsStore
from decision.model.ports import Clock

_LONG_AGO_NS = 60_000_000_000


class Publication:
    """Of one store. Not thread-safe."""

    def __init__(self, store: AnalyticsStore, clock: Clock, publish_s: float) -> None:
        self._store = store
        self._clock = clock
        self._least_ns = publish_s * 1e9
        self._published_at = clock.monotonic_ns() - _LONG_AGO_NS
        self._cost = 0
        self._oldest = 0
        self._newest = 0
        self.last_lag_ns = 0

    def took(self, oldest_ns: int, newest_ns: int) -> None:
        """Events of these times were taken and are not visible yet."""
        self._oldest = min(self._oldest or oldest_ns, oldest_ns)
        self._newest = max(self._newest, newest_ns)

    def is_due(self, *, behind: bool = False) -> bool:
        """`behind`: more waits than one batch takes."""
        pause = max(self._least_ns, 3 * self._cost) if not behind else max(4 * self._least_ns, 19 * self._cost)
        return self._clock.monotonic_ns() - self._published_at >= pause

    def publish(self) -> bool:
        """Whether there was anything new."""
        started = self._clock.monotonic_ns()
        if not self._store.publish():
            return False
        self._published_at = self._clock.monotonic_ns()
        self._cost = self._published_at - started
        if self._newest:
            self.last_lag_ns = self._clock.time_unix_nano() - self._newest
        self._oldest = self._newest = 0
        return True

    @property
    def lag_s(self) -> float:
        """The age of the oldest event that analysts don't see yet; 0: they see all that was taken."""
        return round((self._clock.time_unix_nano() - self._oldest) / 1e9, 3) if self._oldest else 0.0

    @property
    def last_lag_s(self) -> float:
        """How long the newest published event took from its own time to them."""
        return round(self.last_lag_ns / 1e9, 3)
