"""Which events have been taken: closed intervals of seq for each (producer_id, epoch). Pure.

An event is taken once: one that is covered already is a duplicate. What lies between the intervals has not arrived:
gaps. In order, as a journal gives them, there is one interval a journal incarnation, whatever the number of events.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_FIRST = 0
"""Of a span: where it begins."""


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
        self._changed: dict[tuple[str, int], int] = {}

    def take(self, producer_id: str, epoch: int, seq: int) -> bool:
        """Whether this event is new; from now on it is not."""
        return not self.take_many(producer_id, epoch, (seq,))

    def take_many(self, producer_id: str, epoch: int, seqs: Sequence[int]) -> list[int]:
        """Take events of one incarnation, in any order. Returns the places in `seqs` of those that are not new: taken
        before, or a second time in `seqs`."""
        key = (producer_id, epoch)
        spans = self._spans.setdefault(key, [])
        first, last = seqs[0], seqs[-1]
        if last - first + 1 == len(seqs) and (not spans or first > spans[-1][1]) and _ascend(seqs):
            self._append(key, spans, first, last)  # the common case: the next ones, in order
            return []
        known = [place for place, seq in enumerate(seqs) if _holds(spans, seq)] if spans else []
        skipped = set(known)
        fresh: dict[int, None] = {}
        for place, seq in enumerate(seqs):
            if place in skipped:
                continue
            if seq in fresh:
                known.append(place)
            fresh[seq] = None
        for run_first, run_last in _runs(sorted(fresh)):
            self._insert(key, spans, run_first, run_last)
        return sorted(known)

    def _append(self, key: tuple[str, int], spans: list[list[int]], first: int, last: int) -> None:
        if spans and spans[-1][1] + 1 == first:
            spans[-1][1] = last
        else:
            spans.append([first, last])
        self._touch(key, spans[-1][_FIRST])

    def _insert(self, key: tuple[str, int], spans: list[list[int]], first: int, last: int) -> None:
        """Add a run none of which is known, joining what it touches."""
        at = bisect_right(spans, first, key=lambda span: span[_FIRST])
        before = spans[at - 1] if at else None
        after = spans[at] if at < len(spans) else None
        if before is not None and before[1] + 1 == first:
            before[1] = last
            if after is not None and after[_FIRST] == last + 1:
                before[1] = after[1]
                del spans[at]
            self._touch(key, before[_FIRST])
        elif after is not None and after[_FIRST] == last + 1:
            after[_FIRST] = first
            self._touch(key, first)
        else:
            spans.insert(at, [first, last])
            self._touch(key, first)

    def _touch(self, key: tuple[str, int], seq: int) -> None:
        low = self._changed.get(key)
        if low is None or seq < low:
            self._changed[key] = seq

    def changes(self) -> tuple[dict[tuple[str, int], int], list[Interval]]:
        """What to store: the (producer_id, epoch) that changed since the last call, each with the seq from which on
        its intervals are other ones, and those intervals now."""
        changed = dict(sorted(self._changed.items()))
        self._changed.clear()
        found = []
        for key, low in changed.items():
            spans = self._spans[key]
            start = bisect_left(spans, low, key=lambda span: span[_FIRST])
            found += [Interval(key[0], key[1], first, last) for first, last in spans[start:]]
        return changed, found

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


def _ascend(seqs: Sequence[int]) -> bool:
    """Whether each is one more than the one before."""
    return isinstance(seqs, range) or list(seqs) == list(range(seqs[0], seqs[0] + len(seqs)))


def _holds(spans: list[list[int]], seq: int) -> bool:
    if seq > spans[-1][1]:
        return False
    at = bisect_right(spans, seq, key=lambda span: span[_FIRST])
    return at > 0 and seq <= spans[at - 1][1]


def _runs(seqs: Sequence[int]) -> Iterable[tuple[int, int]]:
    """The stretches of numbers that follow each other in `seqs`, which ascend."""
    start = 0
    for place in range(1, len(seqs) + 1):
        if place == len(seqs) or seqs[place] != seqs[place - 1] + 1:
            yield seqs[start], seqs[place - 1]
            start = place
