"""The log as files, to write: one writer a folder.

A full tile is written when its last hash is there: to a file of another name, fsynced, then renamed; a partial one
at each `flush`, which also makes the renames durable. What lies beyond the size that the caller has kept was never
published: at opening it is removed, and comes again.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from decision.journal.merkle import EMPTY_ROOT, leaf_hash, tree_root
from decision.journal.tiles import WIDTH, TileFolder, pack_entries, parse_tile_path, tile_path, tiles_of
from decision.model.errors import LogDamaged

_STAGING = ".staging"


class DurableFolder:
    """Files that are whole or not there, in a folder; durable once `sync` has returned."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._staging = root / _STAGING
        self._unsynced: set[Path] = set()
        self._made(self._staging)
        for leftover in self._staging.iterdir():
            leftover.unlink()

    def write(self, path: str, data: bytes) -> None:
        """Put `data` at `path`, replacing what is there. Its bytes are durable, its name after `sync`."""
        target = self.root / path
        self._made(target.parent)
        staged = self._staging / path.replace("/", "_")
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        staged.rename(target)
        self._unsynced.add(target.parent)

    def replace(self, path: str, data: bytes) -> None:
        """`write`, and durable at once."""
        self.write(path, data)
        self.sync()

    def remove(self, path: Path) -> None:
        path.unlink()
        self._unsynced.add(path.parent)

    def remove_folder(self, folder: Path) -> None:
        """With the files in it."""
        if folder.is_dir():
            for file in list(folder.iterdir()):
                file.unlink()
            folder.rmdir()
            self._unsynced.discard(folder)
            self._unsynced.add(folder.parent)

    def sync(self) -> None:
        for folder in self._unsynced:
            sync_folder(folder)
        self._unsynced.clear()

    def _made(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._made(folder.parent)
        folder.mkdir(exist_ok=True)
        self._unsynced.add(folder.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class TileWriter:
    """Appends leaves to the tree of `size` in `files`. Raises LogDamaged where that tree's right edge is not there.

    After an OSError it must not be used any more: open a new one at the size that is kept.
    """

    def __init__(self, files: DurableFolder, size: int = 0) -> None:
        self._files = files
        self._size = size
        self._flushed = size
        reader = TileFolder(files.root)
        self._levels = [reader.hashes(level, full, width) if width else [] for level, full, width in tiles_of(size)]
        width = size % WIDTH
        self._entries = reader.entries(size // WIDTH, width) if width else []
        for place, entry in enumerate(self._entries):
            if leaf_hash(entry) != self._levels[0][place]:
                raise LogDamaged("the log's newest entries are not those of its tiles", index=size - width + place)
        self._remove_beyond()

    @property
    def size(self) -> int:
        return self._size

    def root(self) -> bytes:
        """Of all leaves, flushed or not."""
        carried: list[bytes] = []
        for hashes in self._levels:
            if hashes or carried:
                carried = [tree_root(hashes + carried)]
        return carried[0] if carried else EMPTY_ROOT

    def unknown(self, wanted: Collection[bytes], at_most: int) -> set[bytes]:
        """Those leaf hashes that are in no tile, looking from the newest leaf back through `at_most` of them; what lies
        before is taken for known. Ends as soon as all are found."""
        missing = set(wanted)
        if self._levels:
            missing.difference_update(self._levels[0])
        reader = TileFolder(self._files.root)
        newest = self._size // WIDTH
        oldest = max(0, newest - at_most // WIDTH)
        for tile in range(newest - 1, oldest - 1, -1):
            if not missing:
                return missing
            missing.difference_update(reader.hashes(0, tile))
        return missing if not oldest else set()

    def append(self, raws: Iterable[bytes]) -> None:
        """Add leaves. Raises ValueError for one over 65,535 bytes, OSError where a tile can't be written."""
        if not self._levels:
            self._levels.append([])
        hashes, entries = self._levels[0], self._entries
        for raw in raws:
            entries.append(raw)
            hashes.append(leaf_hash(raw))
            self._size += 1
            if len(entries) == WIDTH:
                self._files.write(tile_path(None, self._size // WIDTH - 1), pack_entries(entries))
                entries.clear()
                self._close_tiles()

    def flush(self) -> None:
        """Make everything durable: partial tiles of this size, and the names of all."""
        for level, full, width in tiles_of(self._size):
            if width and (full, width) != divmod(self._flushed >> 8 * level, WIDTH):
                self._files.write(tile_path(level, full, width), b"".join(self._levels[level]))
                if level == 0:
                    self._files.write(tile_path(None, full, width), pack_entries(self._entries))
        self._files.sync()
        self._flushed = self._size

    def drop_partial(self, before: int, size: int) -> None:
        """Remove the partial tiles of trees between the sizes `before` and `size` whose full tiles are there now."""
        for level, full, width in tiles_of(before):
            if width and size >> 8 * level >= (full + 1) * WIDTH:
                for kind in (level, None) if level == 0 else (level,):
                    self._files.remove_folder(self._files.root / f"{tile_path(kind, full)}.p")

    def _close_tiles(self) -> None:
        level = 0
        while len(self._levels[level]) == WIDTH:
            index = (self._size >> 8 * (level + 1)) - 1
            self._files.write(tile_path(level, index), b"".join(self._levels[level]))
            root = tree_root(self._levels[level])
            self._levels[level].clear()
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(root)

    def _remove_beyond(self) -> None:
        """What was never published must not be taken for what was: neither a full tile beyond the size, nor a partial
        one that is wider than it. Partial tiles whose full one is there go, too."""
        for path in _tile_files(self._files.root):
            place = parse_tile_path(str(path.relative_to(self._files.root)))
            if place is not None:
                level, index, width = place
                here = self._size >> 8 * (level or 0)
                if index * WIDTH + width > here or (width < WIDTH and (index + 1) * WIDTH <= here):
                    self._files.remove(path)
        self._files.sync()


def _tile_files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root / "tile"):
        for name in names:
            yield Path(folder, name)
