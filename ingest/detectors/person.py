"""The windows of one key: what it did lately, and what was told of it. Pure."""

from __future__ import annotations

from ingest.detectors.windows import Items, Sums

Held = tuple[str, int]
"""A measure and the width of its buckets in seconds."""


class Person:
    """`touched` holds the oldest bucket that changed since the last look; `raised` the (observed, last bucket) last
    told of a rule in a slot of time; `firsts` the first time of each item that a key may be new to."""

    __slots__ = ("firsts", "items", "raised", "shown", "sums", "told", "touched", "unfirst")

    def __init__(self) -> None:
        self.sums: dict[Held, Sums] = {}
        self.items: dict[Held, Items] = {}
        self.touched: dict[Held, int] = {}
        self.raised: dict[tuple[str, int], tuple[int, int]] = {}
        self.firsts: dict[tuple[str, str], int] = {}
        self.unfirst: dict[tuple[str, str], int] = {}
        self.told: tuple[tuple[str, int, int], ...] = ()
        self.shown = 0

    def grow(self, held: Held, bucket: int, amount: int, time: int, keep: int) -> bool:
        """False: too late."""
        sums = self.sums.get(held)
        if sums is None:
            sums = self.sums[held] = Sums()
        if not sums.add(bucket, amount, time, keep):
            return False
        before = self.touched.get(held)
        if before is None or bucket < before:
            self.touched[held] = bucket
        return True

    def see(self, held: Held, bucket: int, item: str, time: int, keep: int, most: int) -> bool:
        """False: too late, or too many."""
        items = self.items.get(held)
        if items is None:
            items = self.items[held] = Items()
        if not items.add(bucket, item, time, keep, most):
            return False
        before = self.touched.get(held)
        if before is None or bucket < before:
            self.touched[held] = bucket
        return True

    def meet(self, measure: str, item: str, time: int, most: int) -> bool:
        """Note an item the first time. False: there are `most` already."""
        place = (measure, item)
        before = self.firsts.get(place)
        if before is not None and before <= time:
            return True
        if before is None and len(self.firsts) >= most:
            return False
        self.firsts[place] = self.unfirst[place] = time
        return True
