"""Which events have been taken: closed intervals of seq for each (producer_id, epoch). Pure.

An event is taken once: one that is covered already is a duplicate. What lies between the intervals has not arrived:
gaps. In order, as a journal gives them, there is one interval a journal incarnation, whatever the number of events;
where several partitions are read side by side there are thousands for a while.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

Key = tuple[str, int]


class Interval(NamedTuple):
    """The events `first_seq` to `last_seq` of one incarnation, both included."""

    producer_id: str
    epoch: int
    first_seq: int
    last_seq: int


class _Spans:
    """The intervals of one incarnation: where each begins and ends, in order; never touching each other. `count` is how
    many events they hold, `changed_from` the seq from which on they are others than were last stored (0: none)."""

    __slots__ = ("changed_from", "count", "firsts", "lasts")

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.lasts: list[int] = []
        self.count = 0
        self.changed_from: int | None = None

    def holds(self, seq: int) -> bool:
        at = bisect_right(self.firsts, seq)
        return at > 0 and seq <= self.lasts[at - 1]

    def add(self, first: int, last: int) -> None:
        """Add a run none of which is held, joining what it touches."""
        at = bisect_right(self.firsts, first)
        self.count += last - first + 1
        joins_before = at > 0 and self.lasts[at - 1] + 1 == first
        joins_after = at < len(self.firsts) and self.firsts[at] == last + 1
        if joins_before:
            at -= 1
            first = self.firsts[at]
            if joins_after:
                self.lasts[at] = self.lasts[at + 1]
                del self.firsts[at + 1], self.lasts[at + 1]
            else:
                self.lasts[at] = last
        elif joins_after:
            self.firsts[at] = first
        else:
            self.firsts.insert(at, first)
            self.lasts.insert(at, last)
        if self.changed_from is None or first < self.changed_from:
            self.changed_from = first


class Coverage:
    """A mutable set of (producer_id, epoch, seq), kept as intervals."""

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._spans: dict[Key, _Spans] = {}
        for producer_id, epoch, first_seq, last_seq in sorted(intervals):
            spans = self._spans.setdefault((producer_id, epoch), _Spans())
            spans.add(first_seq, last_seq)
            spans.changed_from = None

    def take(self, producer_id: str, epoch: int, seq: int) -> bool:
        """Whether this event is new; from now on it is not."""
        return not self.take_many(producer_id, epoch, (seq,))

    def take_many(self, producer_id: str, epoch: int, seqs: Sequence[int]) -> list[int]:
        """Take events of one incarnation, in any order. Returns the places in `seqs` of those that are not new: taken
        before, or a second time in `seqs`."""
        spans = self._spans.setdefault((producer_id, epoch), _Spans())
        ordered = sorted(seqs)
        known: list[int] = []
        overlaps = spans.firsts and ordered[0] <= spans.lasts[-1]
        if overlaps or len(set(seqs)) != len(seqs):
            known = self._known(spans, seqs)
            if known:
                skipped = set(known)
                ordered = sorted(seq for place, seq in enumerate(seqs) if place not in skipped)
        for first, last in _runs(ordered):
            spans.add(first, last)
        return known

    @staticmethod
    def _known(spans: _Spans, seqs: Sequence[int]) -> list[int]:
        known: list[int] = []
        fresh: set[int] = set()
        end = spans.lasts[-1] if spans.lasts else -1
        for place, seq in enumerate(seqs):
            if seq in fresh or (seq <= end and spans.holds(seq)):
                known.append(place)
            else:
                fresh.add(seq)
        return known

    def changes(self) -> tuple[dict[Key, int], list[Interval]]:
        """What to store: the (producer_id, epoch) that changed since the last call, each with the seq from which on
        its intervals are other ones, and those intervals now."""
        changed: dict[Key, int] = {}
        found: list[Interval] = []
        for key, spans in sorted(self._spans.items()):
            if spans.changed_from is None:
                continue
            changed[key] = spans.changed_from
            start = bisect_left(spans.firsts, spans.changed_from)
            found += (
                Interval(*key, first, last)
                for first, last in zip(spans.firsts[start:], spans.lasts[start:], strict=True)
            )
            spans.changed_from = None
        return changed, found

    def intervals(self) -> list[Interval]:
        return [
            Interval(*key, first, last)
            for key, spans in sorted(self._spans.items())
            for first, last in zip(spans.firsts, spans.lasts, strict=True)
        ]

    def missing(self) -> int:
        """How many events lie in gaps: before the first of a producer and between its intervals, across epochs."""
        producers: dict[str, list[_Spans]] = {}
        for (producer_id, _), spans in sorted(self._spans.items()):
            if spans.firsts:
                producers.setdefault(producer_id, []).append(spans)
        return sum(map(_missing, producers.values()))


def _missing(epochs: Sequence[_Spans]) -> int:
    """Of one producer, whose incarnations are given in order. Usually the numbers go on from one to the next."""
    if all(one.lasts[-1] < other.firsts[0] for one, other in pairwise(epochs)):
        return epochs[-1].lasts[-1] - sum(spans.count for spans in epochs)
    count = reached = 0
    for spans in epochs:
        for first, last in zip(spans.firsts, spans.lasts, strict=True):
            count += max(0, first - reached - 1)
            reached = max(reached, last)
    return count


def _runs(seqs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The stretches of numbers that follow each other in `seqs`, which ascend."""
    if seqs and seqs[-1] - seqs[0] + 1 == len(seqs):
        yield seqs[0], seqs[-1]
        return
    start = 0
    for place in range(1, len(seqs) + 1):
        if place == len(seqs) or seqs[place] != seqs[place - 1] + 1:
            yield seqs[start], seqs[place - 1]
            start = place
