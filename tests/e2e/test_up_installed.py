"""Airlock before a server as distributions package it: over verified TLS, as a role of its own, by a settings file.

All that a person and an agent do with the bundled server, they do here again: most servers are older than that one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from airlock.demo.shop import SHOP_TAGS, SMALL, load_shop
from tests.e2e.support import Running, running, world_reachable_folder
from tests.e2e.test_up_agent import *  # noqa: F403 - its tests
from tests.e2e.test_up_human import *  # noqa: F403 - its tests
from tests.support.certificates import Authority
from tests.support.system_postgres import TlsPostgres, tls_postgres

ROLE = """
CREATE ROLE app LOGIN PASSWORD 'app-password';
GRANT pg_read_all_data, pg_write_all_data TO app;
GRANT CREATE, TEMPORARY ON DATABASE shop TO app;
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.products AS SELECT id, email AS name FROM customers;
"""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server(installed_postgres: Path, authority: Authority) -> Iterator[TlsPostgres]:
    with tls_postgres(installed_postgres, authority) as started:
        load_shop(started.dsn("postgres"), "shop", SMALL)
        with psycopg.connect(started.dsn("shop"), autocommit=True) as connection:
            connection.execute(ROLE)
        yield started


@pytest.fixture(scope="session")
def up(server: TlsPostgres, authority: Authority) -> Iterator[Running]:
    """`airlock up` as a company would start it: a settings file, the DSN in a file of its own, everything verified."""
    folder = world_reachable_folder()
    dsn = make_conninfo("", host="localhost", port=server.port, dbname="shop", user="app", password="app-password",
                        sslmode="verify-full", sslrootcert=str(authority.certificate))  # fmt: skip
    (folder / "shop.dsn").write_text(dsn)
    (folder / "shop.dsn").chmod(0o600)
    tagged = {**SHOP_TAGS, "elsewhere.products.name": ["pii.email"]}
    tags = "".join(f"{json.dumps(name)} = {json.dumps(values)}\n" for name, values in tagged.items())
    config = folder / "airlock.toml"
    config.write_text(f"[[database]]\nname = 'shop'\nupstream_file = '{folder}/shop.dsn'\n[database.tags]\n{tags}")
    try:
        with running("--config", str(config), "--listen", "127.0.0.1:0", data_dir=folder / "data") as instance:
            instance.behind = server.dsn("shop")
            yield instance
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def human(up: Running) -> str:
    return up.token("alice", groups="support")


@pytest.fixture(scope="session")
def agent(up: Running) -> str:
    return up.token("report-bot", "agent", on_behalf_of="alice")


def test_its_own_psql_signs_in_over_verified_tls(up: Running, human: str, installed_postgres: Path) -> None:
    """The distribution's psql, with the development certificate as its root."""
    root = up.data_dir / "development-certificate.pem"
    conninfo = f"host=localhost port={up.port} dbname=shop user=alice sslmode=verify-full sslrootcert={root}"
    done = subprocess.run(
        [installed_postgres / "bin" / "psql", "-X", "-At", conninfo, "-c", "select count(*) from customers"],
        env={"PGPASSWORD": human, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("200", "")


@pytest.mark.parametrize("way", ["at the start", "by SET"])
def test_names_are_read_by_the_search_path_of_the_session(up: Running, agent: str, way: str) -> None:
    """What is read is masked as what it is, or refused in doubt; never taken for its namesake."""
    options = "-c search_path=elsewhere,public" if way == "at the start" else ""
    with psycopg.connect(up.conninfo(agent), options=options, autocommit=True) as connection:
        if not options:
            connection.execute("SET search_path = elsewhere, public")
        try:
            seen = str(connection.execute("SELECT name FROM products ORDER BY id LIMIT 3").fetchall())
        except psycopg.errors.InsufficientPrivilege as denial:
            assert way == "by SET" and "several relations" in str(denial)  # both are possible to the analysis
        else:
            assert clear_emails(seen) == [] and "***@" in seen  # noqa: F405
