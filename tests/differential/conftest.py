"""The oracle of statement analysis, for the tests of this folder.

oracle    the packaged PostgreSQL with the module that reports what statements touch (tests/differential/oracle)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.oracle import build
from tests.differential.oracle.server import OracleServer, oracle_server
from tests.support.require import require


@pytest.fixture(scope="session")
def oracle(installed_postgres: Path) -> Iterator[OracleServer]:
    """One server a test process."""
    require("the headers of the installed PostgreSQL, and gcc", not build.missing(installed_postgres), build.HOW)
    with oracle_server(installed_postgres) as server:
        yield server
