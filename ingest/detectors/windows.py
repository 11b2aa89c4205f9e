"""Windows over the time of events: amounts and sets of items in buckets, whatever the order of arrival. Pure.

A bucket is a number: time divided by its width. What is older than the newest bucket by more than `keep` is too late
and refused; the caller counts it. Buckets that are too old to matter go as newer ones come, so memory is bounded by
`keep` and, for items, by their greatest number.
"""

from __future__ import annotations

from collections.abc import Iterator


class Sums:
    """Amounts by bucket, each with the newest time that counted in it. `total` is of all buckets still held."""

    __slots__ = ("buckets", "newest", "total")

    def __init__(self) -> None:
        self.buckets: dict[int, list[int]] = {}
        self.newest = -1
        self.total = 0

    def add(self, bucket: int, amount: int, time: int, keep: int) -> bool:
        """False: it came too late."""
        found = self.buckets.get(bucket)
        if found is not None:
            if bucket <= self.newest - keep:
                return False
            found[0] += amount
            if time > found[1]:
                found[1] = time
            self.total += amount
            return True
        if bucket > self.newest:
            self.newest = bucket
            self._forget(bucket - keep)
        elif bucket <= self.newest - keep:
            return False
        self.buckets[bucket] = [amount, time]
        self.total += amount
        return True

    def _forget(self, limit: int) -> None:
        """Drop from the oldest arrival on: one that arrived late may stay a little longer, and is never counted."""
        while self.buckets:
            first = next(iter(self.buckets))
            if first > limit:
                return
            self.total -= self.buckets.pop(first)[0]

    def over(self, count: int, threshold: int, since: int) -> Iterator[tuple[int, int]]:
        """(last bucket, sum) of each window of `count` buckets that reaches `threshold` and ends in a bucket that holds
        something and is not before `since`."""
        if self.total < threshold:
            return
        ordered = sorted(bucket for bucket in self.buckets if bucket > since - count)
        low = running = 0
        for bucket in ordered:
            running += self.buckets[bucket][0]
            while ordered[low] <= bucket - count:
                running -= self.buckets[ordered[low]][0]
                low += 1
            if running >= threshold and bucket >= since:
                yield bucket, running

    def at(self, bucket: int, count: int) -> tuple[int, int]:
        """(sum, newest bucket that counts) of the window that ends with `bucket`."""
        held = [one for one in self.buckets if bucket - count < one <= bucket]
        return sum(self.buckets[one][0] for one in held), max(held, default=0)


class Items:
    """Sets of items by bucket; `live` says in how many buckets an item is held."""

    __slots__ = ("buckets", "live", "newest", "size")

    def __init__(self) -> None:
        self.buckets: dict[int, dict[str, int]] = {}
        self.live: dict[str, int] = {}
        self.newest = -1
        self.size = 0

    def add(self, bucket: int, item: str, time: int, keep: int, most: int) -> bool:
        """False: it came too late, or there are `most` already."""
        found = self.buckets.get(bucket)
        if found is not None and item in found:
            if time > found[item]:
                found[item] = time
            return True
        if bucket > self.newest:
            self.newest = bucket
            self._forget(bucket - keep)
        elif bucket <= self.newest - keep:
            return False
        if self.size >= most:
            return False
        if found is None:
            found = self.buckets.setdefault(bucket, {})
        found[item] = time
        self.live[item] = self.live.get(item, 0) + 1
        self.size += 1
        return True

    def _forget(self, limit: int) -> None:
        while self.buckets:
            first = next(iter(self.buckets))
            if first > limit:
                return
            gone = self.buckets.pop(first)
            self.size -= len(gone)
            for item in gone:
                self.live[item] -= 1
                if not self.live[item]:
                    del self.live[item]

    def over(self, count: int, threshold: int, since: int) -> Iterator[tuple[int, int]]:
        """As `Sums.over`, with the number of different items."""
        if len(self.live) < threshold:
            return
        ordered = sorted(bucket for bucket in self.buckets if bucket > since - count)
        low = 0
        inside: dict[str, int] = {}
        for bucket in ordered:
            for item in self.buckets[bucket]:
                inside[item] = inside.get(item, 0) + 1
            while ordered[low] <= bucket - count:
                for item in self.buckets[ordered[low]]:
                    inside[item] -= 1
                    if not inside[item]:
                        del inside[item]
                low += 1
            if len(inside) >= threshold and bucket >= since:
                yield bucket, len(inside)

    def within(self, bucket: int, count: int) -> set[str]:
        """The items of the window that ends with `bucket`."""
        held: set[str] = set()
        for one, items in self.buckets.items():
            if bucket - count < one <= bucket:
                held.update(items)
        return held

    def at(self, bucket: int, count: int) -> tuple[int, int]:
        """(different items, newest bucket that counts) of the window that ends with `bucket`."""
        newest = max((one for one in self.buckets if bucket - count < one <= bucket), default=0)
        return len(self.within(bucket, count)), newest
