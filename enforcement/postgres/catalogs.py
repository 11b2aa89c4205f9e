"""Keeps the decision service's picture of each database's catalog current.

It is read when a database is first used, after every statement that changed it, and in between whenever a cheap look
at the catalog shows a change made elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import psycopg

from decision.model.catalog import CatalogSnapshot
from decision.model.ports import DecisionPort
from enforcement.catalog import catalog_fingerprint
from enforcement.config import UpstreamDatabase

log = logging.getLogger(__name__)
TRIES = 5
ReadCatalog = Callable[[str, str], Awaitable[CatalogSnapshot]]


class Watcher(Protocol):
    """A session that must not go on while the catalog of its database is another than the one that is known."""

    def catalog_changing(self) -> None:
        """Another session has changed it."""
        ...

    def catalog_known(self, known: bool) -> None:
        """That change was read; False: it could not be."""
        ...


class Catalogs:
    def __init__(self, port: DecisionPort, read: ReadCatalog, poll_s: float) -> None:
        self._port = port
        self._read = read
        self._poll_s = poll_s
        self._locks: dict[str, asyncio.Lock] = {}
        self._versions: dict[str, str] = {}
        self._pollers: dict[str, asyncio.Task[None]] = {}
        self._wanted: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._watchers: dict[str, set[Watcher]] = {}
        self._changing: dict[str, int] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def ensure(self, database: UpstreamDatabase) -> None:
        """The service has a snapshot of `database`. Raises what reading or syncing raises."""
        if database.name not in self._versions:
            await self.refresh(database)
        if database.name not in self._pollers:
            self._pollers[database.name] = asyncio.get_running_loop().create_task(self._poll(database))

    async def refresh(self, database: UpstreamDatabase) -> None:
        """Read the catalog as it is now; calls that come while one is being read share the next reading."""
        name = database.name
        ticket = self._wanted[name] = self._wanted.get(name, 0) + 1
        async with self._locks.setdefault(name, asyncio.Lock()):
            if self._done.get(name, 0) >= ticket:
                return
            covers = self._wanted[name]
            snapshot = await self._read(database.reading_dsn(), name)
            if snapshot.version != self._versions.get(name):
                await self._port.sync_catalog(snapshot)
                self._versions[name] = snapshot.version
            self._done[name] = covers

    async def renewed(self, database: UpstreamDatabase) -> bool:
        """Whether, after a change, the catalog could be read at last."""
        for attempt in range(TRIES):
            try:
                await self.refresh(database)
            except Exception as error:  # noqa: BLE001 - tried again, then given up
                log.warning("catalog not read after a change: %s", type(error).__name__)
                await asyncio.sleep(0.2 * (attempt + 1))
            else:
                return True
        return False

    def watch(self, name: str, watcher: Watcher) -> None:
        """Tell `watcher` of changes from now on, and of those that are not read yet."""
        self._watchers.setdefault(name, set()).add(watcher)
        for _ in range(self._changing.get(name, 0)):
            watcher.catalog_changing()

    def unwatch(self, name: str, watcher: Watcher) -> None:
        self._watchers.get(name, set()).discard(watcher)

    def changed(self, database: UpstreamDatabase, by: Watcher) -> None:
        """`by` has changed the catalog: everybody else waits, from this call on, until it was read."""
        name = database.name
        self._changing[name] = self._changing.get(name, 0) + 1
        for one in self._watchers.get(name, ()):
            if one is not by:
                one.catalog_changing()
        task = asyncio.get_running_loop().create_task(self._tell(database, by))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def settled(self) -> None:
        """Every change so far was read, and everybody told."""
        if self._telling:
            await asyncio.wait(self._telling)

    async def _tell(self, database: UpstreamDatabase, by: Watcher) -> None:
        name, known = database.name, False
        try:
            known = await self.renewed(database)
        finally:
            self._changing[name] -= 1
            if not known:
                self._versions.pop(name, None)  # the next session reads it first
            for one in tuple(self._watchers.get(name, ())):
                if one is not by:
                    one.catalog_known(known)

    def forget(self) -> None:
        """The decision service may have started anew: the next session of each database sends its snapshot again."""
        self._versions.clear()

    async def _poll(self, database: UpstreamDatabase) -> None:
        connection: psycopg.AsyncConnection[Any] | None = None
        seen = ""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                if connection is None:
                    connection = await psycopg.AsyncConnection.connect(database.reading_dsn(), autocommit=True)
                found = await catalog_fingerprint(connection)
                if found != seen:
                    await self.refresh(database)
                    seen = found
            except asyncio.CancelledError:
                if connection is not None:
                    await connection.close()
                raise
            except Exception as error:  # noqa: BLE001 - polling goes on; decisions keep the last snapshot
                log.warning("catalog of %s not read: %s", database.name, type(error).__name__)
                if connection is not None:
                    await connection.close()
                connection = None

    async def close(self) -> None:
        tasks = [*self._pollers.values(), *self._telling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pollers.clear()
