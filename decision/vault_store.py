"""Where wrapped data keys are kept: one SQLite file whose freed pages are overwritten, so that an erased key is gone.

Several processes may have it open (a node and `airlock keys`); each sees the others' changes by `changed`. This holds
keys, never events.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from decision.model.errors import VaultUnavailable

_SCHEMA = """
CREATE TABLE data_key (
  key_id BLOB PRIMARY KEY,      -- 16 random bytes, named in every text that it seals
  chain TEXT NOT NULL,          -- JSON: [issuer, subject] of the principal, then of each whom it acted for
  month TEXT NOT NULL,          -- 2026-11, in UTC
  wrapping_id TEXT NOT NULL,    -- the wrapping key that opens `wrapped`
  wrapped BLOB NOT NULL,
  UNIQUE (chain, month)
) STRICT;
CREATE TABLE erasure (          -- begun: its event may not be durable yet
  erasure_id INTEGER PRIMARY KEY,
  payload BLOB NOT NULL         -- airlock.v1.KeysErased
) STRICT;
"""
_VERSION = 1
_BUSY_MS = 5_000


Chain = tuple[tuple[str, str], ...]
"""(issuer, subject) of a principal, then of each whom it acts for."""


def concerns(chain: Chain, subject: str, issuer: str = "") -> bool:
    """Whether the subject is in the chain. An empty issuer means every one."""
    return any(member[1] == subject and issuer in ("", member[0]) for member in chain)


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is kept: for one chain of principals and one month (UTC, `2026-11`)."""

    key_id: bytes
    chain: Chain
    month: str
    wrapping_id: str
    wrapped: bytes


_COLUMNS = "key_id, chain, month, wrapping_id, wrapped"


def _written(chain: Chain) -> str:
    return json.dumps(chain, ensure_ascii=False)


def _key(row: tuple[Any, ...]) -> WrappedKey:
    chain = tuple((str(issuer), str(subject)) for issuer, subject in json.loads(row[1]))
    return WrappedKey(row[0], chain, row[2], row[3], row[4])


class VaultStore:
    """Raises VaultUnavailable where the file can't be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._asked():
            path.touch(mode=0o600)
            self._db = apsw.Connection(str(path))
            self._db.set_busy_timeout(_BUSY_MS)
            # What is deleted is overwritten at once, in the file and in the rollback journal, which is cut to nothing.
            self._db.pragma("secure_delete", "ON")
            self._db.pragma("journal_mode", "truncate")
            self._db.pragma("synchronous", "EXTRA")
            with self._db:
                if not self._db.pragma("user_version"):
                    self._db.execute(_SCHEMA)
                    self._db.pragma("user_version", _VERSION)
        self._seen = self._version()

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, OSError) as error:
            raise VaultUnavailable(
                f"the keys of the statement texts can't be used: {error}", hint=f"look at {self._path} and its disk"
            ) from error

    def _version(self) -> int:
        with self._asked():
            return int(self._db.pragma("data_version"))

    def changed(self) -> bool:
        """Whether another process changed something since the last call."""
        before, self._seen = self._seen, self._version()
        return before != self._seen

    def find(self, chain: Chain, month: str) -> WrappedKey | None:
        found = self._read("WHERE chain = ? AND month = ?", (_written(chain), month))
        return found[0] if found else None

    def get(self, key_id: bytes) -> WrappedKey | None:
        found = self._read("WHERE key_id = ?", (key_id,))
        return found[0] if found else None

    def all(self) -> list[WrappedKey]:
        return self._read("ORDER BY month, chain", ())

    def _read(self, clause: str, values: tuple[str | bytes, ...]) -> list[WrappedKey]:
        with self._asked():
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM data_key {clause}", values).fetchall()
        return [_key(row) for row in rows]

    def add(self, key: WrappedKey) -> WrappedKey:
        """Keep `key` durably; the one that is kept, which is another process's where that came first."""
        row = (key.key_id, _written(key.chain), key.month, key.wrapping_id, key.wrapped)
        with self._asked(), self._db:
            self._db.execute(f"INSERT OR IGNORE INTO data_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", row)
        return self.find(key.chain, key.month) or key

    def rewrap(self, keys: list[WrappedKey]) -> None:
        """Replace how these are wrapped, all or none."""
        with self._asked(), self._db:
            self._db.executemany(
                "UPDATE data_key SET wrapping_id = ?, wrapped = ? WHERE key_id = ?",
                [(key.wrapping_id, key.wrapped, key.key_id) for key in keys],
            )

    def begin_erasure(self, payload: bytes) -> int:
        """Remember, durably, that an erasure was asked for; its number."""
        with self._asked(), self._db:
            self._db.execute("INSERT INTO erasure (payload) VALUES (?)", (payload,))
        return self._db.last_insert_rowid()

    def begun_erasures(self) -> list[tuple[int, bytes]]:
        """(number, payload) of the erasures that were begun and not ended."""
        with self._asked():
            rows: list[tuple[Any, ...]] = self._db.execute(
                "SELECT erasure_id, payload FROM erasure ORDER BY 1"
            ).fetchall()
        return [(number, payload) for number, payload in rows]

    def erase(self, subject: str, issuer: str, before_month: str, number: int = 0) -> list[WrappedKey]:
        """Delete the keys of months before `before_month` whose chain the subject is in, and with them what is
        remembered of erasure `number`; what the keys were."""
        with self._asked(), self._db:
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM data_key WHERE month < ?", (before_month,)).fetchall()
            gone = [key for key in map(_key, rows) if concerns(key.chain, subject, issuer)]
            self._db.executemany("DELETE FROM data_key WHERE key_id = ?", [(key.key_id,) for key in gone])
            self._db.execute("DELETE FROM erasure WHERE erasure_id = ?", (number,))
        return gone

    def close(self) -> None:
        self._db.close()
