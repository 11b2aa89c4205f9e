"""The journal's folder as the store needs it: what lies there, how much room there is, the ballast, the lock.

journal.db, -wal, -shm   SQLite's (opened by nothing but apsw in this process: closing any other descriptor of
                         journal.db would drop SQLite's POSIX locks)
journal.lock             flocked by the one writer; holds the producer's id once the journal exists
journal.ballast          occupies space that reopening on a full disk needs
journal.poisoned         a commit failed; the next opening verifies everything
"""

from __future__ import annotations

import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import apsw

from decision.model.errors import JournalUnavailable

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes: of the database file, of the write-ahead log's file, free on the disk."""

    database: int
    wal: int
    free: int

    @property
    def used(self) -> int:
        return self.database + self.wal


class JournalFiles(Protocol):
    """Implemented by JournalFolder, and by a simulated disk in the tests."""

    def connect(self) -> apsw.Connection: ...

    def lock(self) -> None: ...

    def unlock(self) -> None: ...

    def exists(self) -> bool: ...

    def producer(self) -> str: ...

    def set_producer(self, producer_id: str) -> None: ...

    def space(self) -> Space: ...

    def free(self) -> int:
        """Of `space`, what changes without us: the bytes free on the disk. For every commit, so it has to be cheap."""
        ...

    def has_ballast(self, size: int) -> bool: ...

    def make_ballast(self, size: int) -> bool: ...

    def free_ballast(self) -> None: ...

    def harden_wal(self) -> None: ...

    def poisoned(self) -> bool: ...

    def mark_poisoned(self, value: bool) -> None: ...


class JournalFolder:
    """JournalFiles in a folder of a real file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "journal.db"
        self._wal = folder / "journal.db-wal"
        self._ballast = folder / "journal.ballast"
        self._poisoned = folder / "journal.poisoned"
        self._lock: int | None = None

    def connect(self) -> apsw.Connection:
        return apsw.Connection(str(self.database))

    def lock(self) -> None:
        """Become the one writer. Raises JournalUnavailable when another process (or journal object) is it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "journal.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise JournalUnavailable(
                f"another process writes the journal in {self.folder}",
                hint="stop it, or give this one a folder and a producer id of its own",
            ) from error
        self._lock = descriptor

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def exists(self) -> bool:
        return self.database.exists()

    def producer(self) -> str:
        """Whose journal this folder is to hold; empty when it never held one."""
        assert self._lock is not None
        return os.pread(self._lock, 4096, 0).decode("utf-8", "replace").strip()

    def set_producer(self, producer_id: str) -> None:
        assert self._lock is not None
        os.pwrite(self._lock, producer_id.encode(), 0)
        os.fsync(self._lock)
        self._sync_folder()

    def space(self) -> Space:
        return Space(_size(self.database), _size(self._wal), self.free())

    def free(self) -> int:
        disk = os.statvfs(self.folder if self._lock is None else self._lock)
        return disk.f_bavail * disk.f_frsize

    def has_ballast(self, size: int) -> bool:
        return size == 0 or _size(self._ballast) >= size

    def make_ballast(self, size: int) -> bool:
        """Occupy `size` bytes. False when the disk has no such room; then nothing is left behind."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.fsync(descriptor)
        except OSError:
            self.free_ballast()
            return False
        finally:
            os.close(descriptor)
        return True

    def free_ballast(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def harden_wal(self) -> None:
        """Write the log's own bytes over themselves and fsync.

        After a failed fsync the kernel may hold pages that it believes written and the disk never got; a later fsync
        would not write them. Written again they are dirty again, so what is read here is what the disk holds after.
        """
        try:
            descriptor = os.open(self._wal, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            position = 0
            while chunk := os.pread(descriptor, _CHUNK, position):
                position += os.pwrite(descriptor, chunk, position)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._sync_folder()

    def poisoned(self) -> bool:
        return self._poisoned.exists()

    def mark_poisoned(self, value: bool) -> None:
        """Best effort: the disk may have failed altogether."""
        try:
            if value:
                self._poisoned.touch()
            else:
                self._poisoned.unlink(missing_ok=True)
        except OSError:
            if not value:
                raise

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
