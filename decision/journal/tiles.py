"""The log as files, to read (C2SP tlog-tiles): anyone may copy the folder or serve it by HTTP as it is.

    checkpoint                    the newest signed tree head, replaced as a whole
    tile/<L>/<N>[.p/<W>]          256 (or W) hashes: of leaves at level 0, above it of full tiles of the level below
    tile/entries/<N>[.p/<W>]      the leaves themselves, each with its length in two bytes before it
    keys.json, verifier.txt       who signs (decision.journal.custody)

N is written in groups of three digits, all but the last with an x before: 1234067 is x001/x234/067. A full tile is
written once and never again; a partial one exists for each size that was published, until its full one does.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from decision.journal.merkle import HASH_BYTES, leaf_hash, tree_root
from decision.model.errors import LogDamaged

FOLDER = "log"
"""Of a data folder, where the log lies."""
WIDTH = 256
HEIGHT = 8
CHECKPOINT = "checkpoint"
MAX_ENTRY = 65_535
_TILE = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_HINT = "copy the log's folder again, or restore it from a copy that verifies"


def tile_path(level: int | None, index: int, width: int = WIDTH) -> str:
    """The path of a tile; of a bundle of entries where `level` is None."""
    digits = f"{index % 1000:03d}"
    rest = index // 1000
    while rest:
        digits = f"x{rest % 1000:03d}/{digits}"
        rest //= 1000
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{digits}{partial}"


def parse_tile_path(path: str) -> tuple[int | None, int, int] | None:
    """(level, None for entries; index; width) of a path as `tile_path` writes it, or None for another."""
    found = _TILE.fullmatch(path)
    if found is None:
        return None
    level = None if found[1] == "entries" else int(found[1])
    place = (level, int(found[2].replace("x", "").replace("/", "")), int(found[3] or WIDTH))
    return place if place[2] <= WIDTH and tile_path(*place) == path else None


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, full tiles, width of the partial one or 0) of a tree, from the leaves up, to the last level there is."""
    level = 0
    while size:
        yield level, size // WIDTH, size % WIDTH
        size //= WIDTH
        level += 1


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """A bundle. Raises ValueError for an entry that is too long to be a leaf."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError(f"a leaf of {len(entry)} bytes")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def unpack_entries(bundle: bytes) -> list[bytes]:
    """Raises ValueError where the lengths do not add up."""
    found, position, end = [], 0, len(bundle)
    while position < end:
        start = position + 2
        position = start + int.from_bytes(bundle[position:start], "big")
        if start > end or position > end:
            raise ValueError("the lengths of its entries do not add up")
        found.append(bundle[start:position])
    return found


def split_hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


class TileFolder:
    """A log's folder, to read, whole or while it grows. All methods raise LogDamaged for what is not there or not whole
    and say which leaf is concerned."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def checkpoint(self) -> bytes:
        """The newest checkpoint as published; empty before the first."""
        try:
            return (self.root / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return b""

    def hashes(self, level: int, index: int, width: int = WIDTH) -> list[bytes]:
        """The first `width` hashes of a tile, from the partial one or the full one."""
        raw = self._read(level, index, width, index * WIDTH ** (level + 1))
        first = index << HEIGHT * (level + 1)
        if len(raw) not in (width * HASH_BYTES, WIDTH * HASH_BYTES):
            raise self._damaged(level, index, f"holds {len(raw)} bytes", first)
        return split_hashes(raw[: width * HASH_BYTES])

    def entries(self, index: int, width: int = WIDTH) -> list[bytes]:
        """The first `width` entries of a bundle."""
        first = index * WIDTH
        try:
            found = unpack_entries(self._read(None, index, width, first))
        except ValueError as error:
            raise self._damaged(None, index, f"is not whole: {error}", first) from None
        if len(found) not in (width, WIDTH):
            raise self._damaged(None, index, f"holds {len(found)} entries of {width}", first + min(len(found), width))
        return found[:width]

    def entry(self, index: int, size: int) -> bytes:
        """Leaf `index` of the tree of `size`."""
        bundle, place = divmod(index, WIDTH)
        return self.entries(bundle, min(WIDTH, size - bundle * WIDTH))[place]

    def read_entries(self, size: int, start: int = 0) -> Iterator[list[bytes]]:
        """The leaves `start` to `size`, bundle by bundle."""
        while start < size:
            bundle, skipped = divmod(start, WIDTH)
            found = self.entries(bundle, min(WIDTH, size - bundle * WIDTH))
            yield found[skipped:]
            start = bundle * WIDTH + len(found)

    def _read(self, level: int | None, index: int, width: int, first: int) -> bytes:
        for path in dict.fromkeys((tile_path(level, index, width), tile_path(level, index))):
            try:
                return (self.root / path).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._damaged(level, index, f"can't be read ({error.strerror})", first) from error
        raise self._damaged(level, index, "is missing", first)

    def _damaged(self, level: int | None, index: int, what: str, first: int) -> LogDamaged:
        kind = "the bundle" if level is None else "the tile"
        return LogDamaged(f"{kind} {tile_path(level, index)} of the log {what}", hint=_HINT, index=first)


class TileNodes:
    """merkle.NodeReader over the tiles of the tree of `size`, which keeps the newest `kept` tiles in memory."""

    def __init__(self, folder: TileFolder, size: int, kept: int = 64) -> None:
        self._folder = folder
        self._kept = kept
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()
        self.size = size

    def node(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        tile, place = divmod(index << height, WIDTH)
        hashes = self._tile(tile_level, tile)
        count = 1 << height
        if place + count > len(hashes):
            raise LogDamaged(f"the tree of {self.size} has no complete node {index} at level {level}")
        return tree_root(hashes[place : place + count])

    def _tile(self, level: int, index: int) -> list[bytes]:
        found = self._tiles.get((level, index))
        if found is None:
            width = min(WIDTH, (self.size >> HEIGHT * level) - index * WIDTH)
            found = self._folder.hashes(level, index, width) if width > 0 else []
            self._tiles[level, index] = found
            if len(self._tiles) > self._kept:
                self._tiles.popitem(last=False)
        else:
            self._tiles.move_to_end((level, index))
        return found


def check_bundle(hashes: Sequence[bytes], entries: Sequence[bytes], first: int) -> None:
    """Raise LogDamaged naming the first entry that does not hash to what its tile says."""
    for place, (expected, entry) in enumerate(zip(hashes, entries, strict=True)):
        if leaf_hash(entry) != expected:
            raise LogDamaged(
                f"leaf {first + place} is not the one that the log's tile has", hint=_HINT, index=first + place
            )
