"""The tree of a log made again from its entries, and held against its tiles and its signed root. Pure but for reading.

Every entry is hashed, every tile of every level is made from what lies below it. Then
- the root that comes out is the signed one: the entries are those that were signed. A tile that says otherwise is
  itself edited.
- it is not: some entry is another one. Where the stored tiles still lead to the signed root they tell which leaf it
  is: the first whose hash is not its entry's. Where they don't, somebody wrote them anew, too: then older checkpoints,
  which stand among the events themselves, narrow it down (`analytics.verify_log`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from decision.journal.merkle import EMPTY_ROOT, tree_root
from decision.journal.tiles import WIDTH, TileFolder, tile_path, tiles_of, unpack_entries
from decision.journal.verify_core import Finding, Place, Tampering
from decision.model.errors import LogDamaged


@dataclass(frozen=True, slots=True)
class Bundle:
    """Some entries: `first` is the leaf that the first of them should be. `damage`: why these are not all of them."""

    first: int
    entries: Sequence[bytes]
    damage: LogDamaged | None = None


class TreeCheck:
    """Feed it all bundles of the tree of `size`, in order; then ask for `verdict`."""

    def __init__(self, folder: TileFolder, size: int) -> None:
        self._folder = folder
        self._size = size
        self._levels: list[list[bytes]] = [[] for _ in tiles_of(size)]
        self._done = [0] * len(self._levels)
        self._entry: Finding | None = None
        self._entry_lacks = False
        self._tile: Finding | None = None
        self._reached = 0

    def bundles(self) -> Iterator[Bundle]:
        """What the folder has. A bundle that is damaged holds what can be read of it."""
        for first in range(0, self._size, WIDTH):
            width = min(WIDTH, self._size - first)
            try:
                yield Bundle(first, self._folder.entries(first // WIDTH, width))
            except LogDamaged as damage:
                yield Bundle(first, self._salvaged(first // WIDTH, width), damage)

    def _salvaged(self, index: int, width: int) -> list[bytes]:
        for path in (tile_path(None, index, width), tile_path(None, index)):
            try:
                return unpack_entries((self._folder.root / path).read_bytes())
            except (OSError, ValueError):
                continue
        return []

    def take(self, bundle: Bundle) -> None:
        width = min(WIDTH, self._size - bundle.first)
        sha256 = hashlib.sha256
        leaves = [sha256(b"\x00" + entry).digest() for entry in bundle.entries]  # merkle.leaf_hash, without the call
        stored = self._stored(0, bundle.first // WIDTH, width)
        if leaves:
            self._reached = bundle.first + len(leaves)
        if self._entry is None and (bundle.damage is not None or (stored is not None and leaves != stored)):
            self._entry = compared(bundle, leaves, stored)
            self._entry_lacks = len(leaves) != width
        # What is missing is taken from the tile, so that all that follows can be verified.
        kept = leaves if len(leaves) == width else (stored or leaves)
        self._push(0, kept)

    def _stored(self, level: int, index: int, width: int) -> list[bytes] | None:
        try:
            return self._folder.hashes(level, index, width)
        except LogDamaged as damage:
            if self._tile is None:
                what = Tampering.DROPPED if "missing" in damage.message else Tampering.EDITED
                self._tile = Finding(what, damage.message, place=Place(level, max(damage.index, 0)))
            return None

    def _push(self, level: int, hashes: Sequence[bytes]) -> None:
        """Add hashes to a level; its full tiles are held against the stored ones and become one hash above."""
        held = self._levels[level]
        held.extend(hashes)
        while len(held) >= WIDTH:
            self._close(level, held[:WIDTH])
            del held[:WIDTH]

    def _close(self, level: int, hashes: Sequence[bytes]) -> None:
        index = self._done[level]
        self._done[level] += 1
        if level:
            self._hold(level, index, hashes)
        if level + 1 < len(self._levels):
            self._push(level + 1, [tree_root(hashes)])

    def _hold(self, level: int, index: int, hashes: Sequence[bytes]) -> None:
        stored = self._stored(level, index, len(hashes))
        if stored is not None and stored != list(hashes) and self._tile is None:
            place = next(i for i, (one, other) in enumerate(zip(stored, hashes, strict=True)) if one != other)
            first = (index * WIDTH + place) * WIDTH**level
            message = f"the tile {tile_path(level, index)} is not what lies below it"
            self._tile = Finding(Tampering.EDITED, message, place=Place(level, first))

    def root(self) -> bytes:
        """Of the entries, once all were taken."""
        carried: list[bytes] = []
        for level, hashes in enumerate(self._levels):
            if hashes and level:
                self._hold(level, self._done[level], hashes)
            if hashes or carried:
                carried = [tree_root([*hashes, *carried])]
        return carried[0] if carried else EMPTY_ROOT

    def verdict(self, signed_root: bytes) -> Finding | None:
        """What is wrong: `place` is (level of the tile, leaf). The root that was signed decides which side is right."""
        entry = self._entry
        if entry is not None and entry.what is Tampering.DROPPED and entry.place and entry.place.spot >= self._reached:
            entry = replace(entry, what=Tampering.TRUNCATED, message="the log's entries end before it")
        if self.root() == signed_root:
            if entry is not None and not self._entry_lacks:
                message = "the log's tile has another hash than the leaf, which is the one that was signed"
                return Finding(Tampering.EDITED, message, place=entry.place)
            return entry or self._tile
        message = "the log's entries and tiles are a tree, but not the one whose root was signed"
        return entry or self._tile or Finding(Tampering.FORKED, message)


def compared(bundle: Bundle, leaves: Sequence[bytes], stored: Sequence[bytes] | None) -> Finding:
    """The first entry that is not the tile's leaf, and what became of that."""
    first = bundle.first
    if stored is None:
        message = bundle.damage.message if bundle.damage is not None else "its tile is missing"
        return Finding(Tampering.DROPPED, message, place=Place(0, first))
    index = next((i for i, (one, other) in enumerate(zip(leaves, stored, strict=False)) if one != other), len(leaves))
    place = Place(0, first + index)
    if index >= len(leaves):
        return Finding(Tampering.DROPPED, "the leaf that was signed is missing", place=place)
    if index >= len(stored):
        return Finding(Tampering.INSERTED, "the bundle holds more entries than the tree", place=place)
    here, wanted = leaves[index], stored[index]
    if wanted in leaves[index + 1 :]:
        if here not in stored[index + 1 :]:
            return Finding(Tampering.INSERTED, "the tree has no such leaf", place=place)
        now = first + leaves.index(wanted, index + 1)
        return Finding(Tampering.REORDERED, f"it was signed as leaf {place.spot}", place=Place(0, now))
    if here in stored[index + 1 : index + 2]:
        return Finding(Tampering.DROPPED, "the leaf is missing, and the next one stands in its place", place=place)
    return Finding(Tampering.EDITED, "the leaf is not the one that was signed", place=place)
