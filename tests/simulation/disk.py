"""A disk in memory under SQLite: what was not fsynced may be lost, reordered or torn when the power is cut.

Reads see the cache. A write reaches the platter at the file's fsync; at a power cut each unsynced sector is kept,
dropped or torn on its own, whatever the order of the writes. A failed fsync leaves its pages in the cache, marked
clean, though the platter never got them (as Linux does).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import apsw

from decision.journal.files import Space

SECTOR = 512
_VFS_NAME = "airlock-simulated"
_DISKS: dict[str, Disk] = {}
_NUMBERS = itertools.count()


class PowerCut(apsw.IOError):
    """The machine is off."""


@dataclass(frozen=True)
class Write:
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    size: int


@dataclass
class File:
    platter: bytearray = field(default_factory=bytearray)
    cache: bytearray = field(default_factory=bytearray)
    unsynced: list[Write | Truncate] = field(default_factory=list)


Fault = Callable[[str, str], str]
"""(operation, file) -> "" to go on, "failed", "persisted" (done, yet an error), "full" or "cut"."""


class Disk:
    def __init__(self, capacity: int = 1 << 30) -> None:
        self.capacity = capacity
        self.files: dict[str, File] = {}
        self.ballast = 0
        self.other = 0
        self.off = False
        self.fault: Fault | None = None
        self.operations = 0
        self.trace: list[tuple[str, str]] = []
        self.id = f"disk{next(_NUMBERS)}"
        _DISKS[self.id] = self

    def free(self) -> int:
        return max(0, self.capacity - self.ballast - self.other - sum(len(f.cache) for f in self.files.values()))

    def _begin(self, operation: str, name: str) -> str:
        """What is to happen to this operation. Raises where it does not happen at all."""
        self.operations += 1
        if self.off:
            raise PowerCut("the power is off")
        self.trace.append((operation, name))
        answer = self.fault(operation, name) if self.fault is not None else ""
        if answer == "cut":
            self.off = True
            raise PowerCut("the power went off")
        if answer == "full":
            raise apsw.FullError("no space left on the disk")
        return answer

    def write(self, name: str, offset: int, data: bytes) -> None:
        file = self.files[name]
        answer = self._begin("write", name)
        if offset + len(data) - len(file.cache) > self.free():
            raise apsw.FullError("no space left on the disk")
        if answer != "failed":
            _apply(file.cache, Write(offset, data))
            file.unsynced.append(Write(offset, data))
        if answer:
            raise apsw.IOError(f"injected: write of {name} {answer}")

    def truncate(self, name: str, size: int) -> None:
        file = self.files[name]
        answer = self._begin("truncate", name)
        if answer != "failed":
            _apply(file.cache, Truncate(size))
            file.unsynced.append(Truncate(size))
        if answer:
            raise apsw.IOError(f"injected: truncate of {name} {answer}")

    def sync(self, name: str) -> None:
        file = self.files[name]
        answer = self._begin("sync", name)
        if answer != "failed":
            for change in file.unsynced:
                _apply(file.platter, change)
        file.unsynced.clear()
        if answer:
            raise apsw.IOError(f"injected: sync of {name} {answer}")

    def power_cut(self, rng: random.Random) -> None:
        """Turn off and on: each file is what the platter holds, with some of the unsynced sectors on it."""
        kept = rng.choice((0.0, 0.3, 0.7, 0.95, 1.0))
        for file in self.files.values():
            for change in file.unsynced:
                for part in _sectors(change):
                    if rng.random() >= kept:
                        continue
                    if isinstance(part, Write) and rng.random() < 0.1:
                        part = Write(part.offset, part.data[: rng.randrange(len(part.data) + 1)])
                    _apply(file.platter, part)
            file.cache = bytearray(file.platter)
            file.unsynced.clear()
        self.off, self.fault = False, None

    def close(self) -> None:
        _DISKS.pop(self.id, None)


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        return
    gap = change.offset - len(content)
    if gap > 0:
        content.extend(bytes(gap))
    content[change.offset : change.offset + len(change.data)] = change.data


def _sectors(change: Write | Truncate) -> list[Write | Truncate]:
    if isinstance(change, Truncate):
        return [change]
    parts: list[Write | Truncate] = []
    position, end = change.offset, change.offset + len(change.data)
    while position < end:
        stop = min(end, (position // SECTOR + 1) * SECTOR)
        parts.append(Write(position, change.data[position - change.offset : stop - change.offset]))
        position = stop
    return parts


class _VfsFile:
    """One open file; SQLite calls these."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk, self._name = disk, name

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if self._disk.off:
            raise PowerCut("the power is off")
        return bytes(self._disk.files[self._name].cache[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.write(self._name, offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.truncate(self._name, size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.sync(self._name)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._disk.files[self._name].cache)

    def xLock(self, level: int) -> None: ...  # noqa: N802

    def xUnlock(self, level: int) -> None: ...  # noqa: N802

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return SECTOR

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0

    def xClose(self) -> None: ...  # noqa: N802


class _Vfs(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_VFS_NAME, base="")

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        disk, name = _place(pathname)
        return name in disk.files

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        disk, name = _place(filename)
        disk.files.pop(name, None)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _VfsFile:  # type: ignore[override] # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        disk, file = _place(path)
        disk.files.setdefault(file, File())
        flags[1] = flags[0]
        return _VfsFile(disk, file)


def _place(path: str) -> tuple[Disk, str]:
    disk, name = path.strip("/").split("/", 1)
    return _DISKS[disk], name


_VFS = _Vfs()


class SimulatedFiles:
    """decision.journal.files.JournalFiles on a Disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._producer = ""
        self._poisoned = False
        self.locked = False

    def connect(self) -> apsw.Connection:
        db = apsw.Connection(f"/{self.disk.id}/journal.db", vfs=_VFS_NAME)
        db.pragma("locking_mode", "exclusive")  # no shared memory: the simulated disk has none
        return db

    def lock(self) -> None:
        assert not self.locked
        self.locked = True

    def unlock(self) -> None:
        self.locked = False

    def exists(self) -> bool:
        return bool(self.disk.files.get("journal.db", File()).cache)

    def producer(self) -> str:
        return self._producer

    def set_producer(self, producer_id: str) -> None:
        self._producer = producer_id

    def space(self) -> Space:
        sizes = {name: len(file.cache) for name, file in self.disk.files.items()}
        return Space(sizes.get("journal.db", 0), sizes.get("journal.db-wal", 0), self.disk.free())

    def free(self) -> int:
        return self.disk.free()

    def has_ballast(self, size: int) -> bool:
        return self.disk.ballast >= size

    def make_ballast(self, size: int) -> bool:
        if self.disk.free() < size - self.disk.ballast:
            return False
        self.disk.ballast = size
        return True

    def free_ballast(self) -> None:
        self.disk.ballast = 0

    def harden_wal(self) -> None:
        wal = self.disk.files.get("journal.db-wal")
        if wal is not None:
            self.disk.write("journal.db-wal", 0, bytes(wal.cache))
            self.disk.sync("journal.db-wal")

    def poisoned(self) -> bool:
        return self._poisoned

    def mark_poisoned(self, value: bool) -> None:
        self._poisoned = value
