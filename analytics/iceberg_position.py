"""Which events an Iceberg table holds: spans of numbers by producer and epoch, as text beside the rows. Pure.

A set, not a mark: what arrives late fills its hole later, and is neither missed nor appended twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Span = tuple[str, int, int, int]
"""Producer, epoch, first and last number, both included."""


@dataclass(frozen=True, slots=True)
class Position:
    """`spans` are ordered, apart from each other and never adjacent."""

    spans: tuple[Span, ...] = ()

    @staticmethod
    def of(spans: Iterable[Span]) -> Position:
        joined: list[Span] = []
        for producer, epoch, first, last in sorted(spans):
            if joined and joined[-1][:2] == (producer, epoch) and first <= joined[-1][3] + 1:
                joined[-1] = (producer, epoch, joined[-1][2], max(last, joined[-1][3]))
            else:
                joined.append((producer, epoch, first, last))
        return Position(tuple(joined))

    def with_(self, other: Position) -> Position:
        return Position.of((*self.spans, *other.spans))

    def without(self, other: Position) -> Position:
        """What is here and not there."""
        left: list[Span] = []
        for producer, epoch, first, last in self.spans:
            start = first
            for _, _, low, high in (span for span in other.spans if span[:2] == (producer, epoch)):
                if high < start or low > last:
                    continue
                if low > start:
                    left.append((producer, epoch, start, low - 1))
                start = high + 1
            if start <= last:
                left.append((producer, epoch, start, last))
        return Position.of(left)

    def events(self) -> int:
        return sum(last - first + 1 for _, _, first, last in self.spans)

    def pieces(self, most: int) -> Iterator[Position]:
        """The same in pieces of at most `most` events, in order."""
        waiting: list[Span] = []
        room = most
        for producer, epoch, first, last in self.spans:
            start = first
            while start <= last:
                end = min(last, start + room - 1)
                waiting.append((producer, epoch, start, end))
                room -= end - start + 1
                start = end + 1
                if room == 0:
                    yield Position.of(waiting)
                    waiting, room = [], most
        if waiting:
            yield Position.of(waiting)

    def to_text(self) -> str:
        return json.dumps(self.spans, separators=(",", ":"))

    @staticmethod
    def from_text(text: str) -> Position:
        """Raises ValueError for anything that `to_text` did not write."""
        try:
            return Position.of((str(p), int(e), int(a), int(b)) for p, e, a, b in json.loads(text))
        except TypeError as error:
            raise ValueError(f"no position: {error}") from error
