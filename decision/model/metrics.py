"""What a long-running part says of itself in numbers; airlock.metrics shows it to Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MICROSECOND, MILLISECOND, SECOND = 1_000, 1_000_000, 1_000_000_000
DURATION_BOUNDS_NS = (
    50 * MICROSECOND, 100 * MICROSECOND, 200 * MICROSECOND, 500 * MICROSECOND,
    1 * MILLISECOND, 2 * MILLISECOND, 5 * MILLISECOND, 10 * MILLISECOND, 20 * MILLISECOND, 50 * MILLISECOND,
    100 * MILLISECOND, 200 * MILLISECOND, 500 * MILLISECOND, 1 * SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND,
)  # fmt: skip
"""From a decision that comes from a cache to one that takes as long as an enforcement point waits."""


class SampleKind(StrEnum):
    """COUNTER only ever grows while the process lives; GAUGE goes up and down; HISTOGRAM counts by bounds."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number. `name` is snake case with its unit and without the prefix `airlock_` or a suffix `_total`:
    `relay_lag_events`, `relay_sent_bytes`. `help` is one sentence. `labels` hold neither literals nor principals.

    Of a HISTOGRAM `value` is the sum of what was observed and `buckets` has (bound, observations up to it); the last
    bound is infinite.
    """

    name: str
    kind: SampleKind
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()
    buckets: tuple[tuple[float, int], ...] = ()


class Measured(Protocol):
    """A part that can be asked for its numbers, from any thread, without I/O."""

    def samples(self) -> Iterable[Sample]: ...


class Histogram:
    """Durations counted by fixed bounds, in nanoseconds. `observe` is for the hottest places: one bisection of a tuple
    and two additions. Written by one thread; read by any (a reader may see an observation in `counts` and not yet in
    `total_ns`)."""

    __slots__ = ("bounds", "counts", "total_ns")

    def __init__(self, bounds_ns: tuple[int, ...] = DURATION_BOUNDS_NS) -> None:
        if not bounds_ns or list(bounds_ns) != sorted(set(bounds_ns)):
            raise ValueError("the bounds of a histogram rise")
        self.bounds = bounds_ns
        self.counts = [0] * (len(bounds_ns) + 1)
        self.total_ns = 0

    def observe(self, duration_ns: int) -> None:
        self.counts[bisect_left(self.bounds, duration_ns)] += 1
        self.total_ns += duration_ns

    @property
    def count(self) -> int:
        return sum(self.counts)

    def sample(self, name: str, help: str, labels: tuple[tuple[str, str], ...] = ()) -> Sample:
        """`name` ends in `_seconds`: there bounds and sum are seconds."""
        upper = [*(bound / SECOND for bound in self.bounds), float("inf")]
        buckets, seen = [], 0
        for bound, count in zip(upper, list(self.counts), strict=True):
            seen += count
            buckets.append((bound, seen))
        return Sample(name, SampleKind.HISTOGRAM, help, self.total_ns / SECOND, labels, tuple(buckets))


def counter(name: str, help: str, value: float, **labels: str) -> Sample:
    return Sample(name, SampleKind.COUNTER, help, value, tuple(labels.items()))


def gauge(name: str, help: str, value: float, **labels: str) -> Sample:
    return Sample(name, SampleKind.GAUGE, help, value, tuple(labels.items()))
