"""One running Airlock with the demo database for the tests that only read it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Running, running, world_reachable_folder


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    made = world_reachable_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def up(folder: Path) -> Iterator[Running]:
    """`airlock up` as a new user starts it: bundled PostgreSQL, databases shop (prod) and shop_dev (dev)."""
    with running("--listen", "127.0.0.1:0", data_dir=folder / "data") as instance:
        yield instance


@pytest.fixture(scope="session")
def human(up: Running) -> str:
    return up.token("alice", groups="support")


@pytest.fixture(scope="session")
def agent(up: Running) -> str:
    return up.token("report-bot", "agent", on_behalf_of="alice")
