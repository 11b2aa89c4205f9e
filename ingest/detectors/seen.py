"""Which events were counted already: bits by number, in pages, the latest pages of all producers. Pure.

Events of one producer come in any order and more than once. A page holds 8,192 numbers in 1 KiB. When there are more
pages than the limit, the one that was used longest ago goes; a number whose page is gone counts as seen, because it
can't be known, and is told apart (`forgotten`).
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

_BITS = 13
_BYTES = 1 << (_BITS - 3)
_MASK = (1 << _BITS) - 1

Journal = tuple[str, int, int]
"""(producer_id, epoch, part)"""


class Taken(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    FORGOTTEN = "forgotten"


class Seen:
    """Not thread-safe."""

    def __init__(self, most_pages: int) -> None:
        self._most = most_pages
        self._pages: OrderedDict[tuple[Journal, int], bytearray] = OrderedDict()
        self._floors: dict[Journal, int] = {}
        self._last: tuple[Journal, int] | None = None
        self._page = bytearray()

    def take(self, journal: Journal, seq: int) -> Taken:
        """Whether this number is new; from now on it is not."""
        place = (journal, seq >> _BITS)
        if place != self._last:
            page = self._find(place)
            if page is None:
                return Taken.FORGOTTEN
            self._last, self._page = place, page
        at, bit = (seq & _MASK) >> 3, 1 << (seq & 7)
        if self._page[at] & bit:
            return Taken.DUPLICATE
        self._page[at] |= bit
        return Taken.NEW

    def _find(self, place: tuple[Journal, int]) -> bytearray | None:
        page = self._pages.get(place)
        if page is not None:
            self._pages.move_to_end(place)
            return page
        if place[1] < self._floors.get(place[0], 0):
            return None
        page = self._pages[place] = bytearray(_BYTES)
        if len(self._pages) > self._most:
            (journal, number), _ = self._pages.popitem(last=False)
            self._floors[journal] = max(self._floors.get(journal, 0), number + 1)
        return page
