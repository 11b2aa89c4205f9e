"""PostgreSQL servers that live for a test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airlock.demo.postgres import BundledPostgres


@contextmanager
def started(make: Callable[[Path], BundledPostgres]) -> Iterator[BundledPostgres]:
    """The server that `make` describes for a data folder of its own, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-tests-"))
    folder.chmod(0o755)  # the server's account must get in when the tests run as root
    server = make(folder / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
