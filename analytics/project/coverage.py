"""Which events have been taken: closed intervals of seq for each (producer_id, epoch). Pure.

An event is taken once: one that is covered already is a duplicate. What lies between the intervals has not arrived:
gaps. In order, as a journal gives them, there is one interval a journal incarnation, whatever the number of events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Interval(NamedTuple):
    """The events `first_seq` to `last_seq` of one incarnation, both included."""

    producer_id: str
    epoch: int
    first_seq: int
    last_seq: int


class Coverage:
    """A mutable set of (producer_id, epoch, seq), kept as intervals."""

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._spans: dict[tuple[str, int], list[list[int]]] = {}
        for interval in sorted(intervals):
            self._spans.setdefault(interval[:2], []).append([interval.first_seq, interval.last_seq])
        self._changed: set[tuple[str, int]] = set()

    def take(self, producer_id: str, epoch: int, seq: int) -> bool:
        """Whether this event is new; from now on it is not."""
        key = (producer_id, epoch)
        spans = self._spans.setdefault(key, [])
        if spans and seq == spans[-1][1] + 1:  # the common case: the next one
            spans[-1][1] = seq
            self._changed.add(key)
            return True
        at = bisect_right(spans, seq, key=lambda span: span[0])
        before = spans[at - 1] if at else None
        if before is not None and seq <= before[1]:
            return False
        after = spans[at] if at < len(spans) else None
        if before is not None and before[1] + 1 == seq:
            before[1] = seq
            if after is not None and after[0] == seq + 1:
                before[1] = after[1]
                del spans[at]
        elif after is not None and after[0] == seq + 1:
            after[0] = seq
        else:
            spans.insert(at, [seq, seq])
        self._changed.add(key)
        return True

    def changes(self) -> tuple[list[tuple[str, int]], list[Interval]]:
        """The (producer_id, epoch) that changed since the last call, and all their intervals now."""
        keys = sorted(self._changed)
        self._changed.clear()
        return keys, [interval for key in keys for interval in self._of(key)]

    def intervals(self) -> list[Interval]:
        return [interval for key in sorted(self._spans) for interval in self._of(key)]

    def _of(self, key: tuple[str, int]) -> list[Interval]:
        return [Interval(key[0], key[1], first, last) for first, last in self._spans.get(key, ())]

    def missing(self) -> int:
        """How many events lie in gaps: before the first of a producer and between its intervals, across epochs."""
        count = 0
        reached: dict[str, int] = {}
        for interval in self.intervals():
            last = reached.get(interval.producer_id, 0)
            count += max(0, interval.first_seq - last - 1)
            reached[interval.producer_id] = max(last, interval.last_seq)
        return count
