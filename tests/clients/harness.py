"""An enforcement point that runs in its own thread, so that blocking clients and psql can be tested against it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import uvloop

from airlock.demo.postgres import bin_folder
from enforcement.config import EnforcementSettings, UpstreamDatabase
from enforcement.postgres.catalogs import ReadCatalog
from enforcement.postgres.server import PostgresEnforcementPoint
from tests.clients.port import TOKEN, FakePort, PromptPort, RealClock, snapshot

T = TypeVar("T")


class RunningPoint:
    """`port` is the decision service in memory; change its rules between statements. `prompt`: it decides without a
    task where it can. `read_catalog`: an empty catalog is read without it."""

    def __init__(
        self,
        databases: dict[str, str],
        *,
        plain_asyncio: bool = False,
        prompt: bool = False,
        read_catalog: ReadCatalog = snapshot,
        **settings: Any,
    ) -> None:
        self.port = PromptPort() if prompt else FakePort()
        self.folder = Path(tempfile.mkdtemp(prefix="airlock-proxy-"))
        entries = tuple(UpstreamDatabase(name=name, upstream=dsn) for name, dsn in databases.items())
        self.settings = EnforcementSettings(listen_port=0, data_dir=self.folder, databases=entries, **settings)
        self.first = next(iter(databases))
        self._plain = plain_asyncio
        self._read_catalog = read_catalog
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="enforcement-point", daemon=True)

    def _main(self) -> None:
        self.loop = asyncio.new_event_loop() if self._plain else uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        try:
            self.point = PostgresEnforcementPoint(
                self.settings, self.port, RealClock(), os.urandom, read_catalog=self._read_catalog
            )
            self.loop.run_until_complete(self.point.start())
            self.host, self.tcp_port = self.point.address
        except BaseException as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        self.loop.run_forever()

    def start(self) -> RunningPoint:
        self._thread.start()
        assert self._ready.wait(20)
        if self._failure is not None:
            raise self._failure
        return self

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, work: Callable[[], T]) -> T:
        async def inside() -> T:
            return work()

        return self.run(inside())

    def stop(self, grace: float = 1.0) -> None:
        self.run(self.point.stop(grace))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)

    @property
    def certificate(self) -> Path:
        return self.folder / "development-certificate.pem"

    def dsn(self, database: str = "", **options: str) -> str:
        parts = {"host": "127.0.0.1", "port": str(self.tcp_port), "dbname": database or self.first, "user": "alice",
                 "password": TOKEN, "sslmode": "require", **options}  # fmt: skip
        return psycopg.conninfo.make_conninfo("", **parts)

    def connect(self, database: str = "", **options: Any) -> psycopg.Connection[Any]:
        own = {"autocommit": True}
        own.update({name: options.pop(name) for name in ("autocommit", "prepare_threshold") if name in options})
        return psycopg.connect(self.dsn(database, **options), **own)


@contextmanager
def running(databases: dict[str, str], **settings: Any) -> Iterator[RunningPoint]:
    point = RunningPoint(databases, **settings).start()
    try:
        yield point
    finally:
        point.stop()


def psql(dsn: str, *arguments: str, text: str = "", timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """The bundled psql (which has no TLS) without the user's settings; `text` on its standard input."""
    dsn = psycopg.conninfo.make_conninfo(dsn, sslmode="disable", connect_timeout="10")
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "HOME": tempfile.gettempdir(),
        "PGCONNECT_TIMEOUT": "10",
    }
    return subprocess.run(
        [str(bin_folder(18) / "psql"), "-X", "-d", dsn, *arguments],
        input=text, capture_output=True, text=True, timeout=timeout, env=environment, check=False,
    )  # fmt: skip
