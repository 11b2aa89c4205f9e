"""pgjdbc and pgx through the enforcement point see what they see directly; a denial is to them a real 42501."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from airlock.demo.postgres import BundledPostgres
from tests.clients.harness import RunningPoint, running
from tests.clients.port import Rule
from tests.support.require import require
from tests.support.toolchains import CACHE

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
DENIED = "select from_the_denied_table()"
# Directly the same text has to fail with 42501 as well: a function that its owner may not call.
ARRANGE = """
create function from_the_denied_table() returns int language sql as 'select 1';
create role limited login password 'limited';
revoke execute on function from_the_denied_table() from public;
grant all on schema public to limited;
"""


@pytest.fixture(scope="module")
def arranged(postgres: BundledPostgres) -> Iterator[str]:
    import psycopg

    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute(ARRANGE)
    parts = conninfo_to_dict(postgres.dsn("postgres"))
    yield f"postgresql://limited:limited@{parts['host']}:{parts['port']}/postgres"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("drop function from_the_denied_table(); drop owned by limited; drop role limited")


@pytest.fixture(scope="module")
def point(arranged: str) -> Iterator[RunningPoint]:
    with running({"shop": arranged}) as one:
        one.port.rules = [Rule("from_the_denied_table")]
        yield one


def output(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="session")
def pgx_program(go: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("pgx") / "pgx"
    environment = {
        **os.environ,
        "GOFLAGS": "-mod=readonly",
        "GOMODCACHE": str(CACHE / "go" / "mod"),
        "GOCACHE": str(CACHE / "go" / "build"),
    }
    done = subprocess.run(
        [str(go), "build", "-o", str(built), "."],
        cwd=CLIENTS / "pgx", env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    found = built if done.returncode == 0 else None
    return require("pgx (a Go module)", found, "give Go a network once, so that it can fetch github.com/jackc/pgx/v5")


@pytest.mark.golang
def test_pgx_is_as_on_a_direct_connection(pgx_program: Path, point: RunningPoint, arranged: str) -> None:
    """Queries in every mode, batches, COPY, transactions, denials and pipelines of pgx."""
    direct = output([str(pgx_program), arranged, DENIED])
    assert output([str(pgx_program), point.dsn(), DENIED]) == direct
    assert "denied 42501" in direct


@pytest.mark.java
def test_pgjdbc_is_as_on_a_direct_connection(java: Path, pgjdbc: Path, point: RunningPoint, arranged: str) -> None:
    """Prepared statements, fetchSize, batches, keys, COPY, transactions, denials and time-outs of pgjdbc."""
    command = [str(java), "-cp", str(pgjdbc), str(CLIENTS / "pgjdbc" / "Scenarios.java")]
    parts = conninfo_to_dict(arranged)
    direct = output(
        [*command, f"jdbc:postgresql://{parts['host']}:{parts['port']}/postgres", "limited", "limited", DENIED]
    )
    url = f"jdbc:postgresql://127.0.0.1:{point.tcp_port}/shop?sslmode=require"
    assert output([*command, url, "alice", "good-token", DENIED]) == direct
    assert "denied 42501" in direct
