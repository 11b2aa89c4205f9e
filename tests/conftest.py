"""What every test may ask for: a real PostgreSQL, the demo database, toolchains. One server a test process.

    postgres        a running BundledPostgres (PostgreSQL 18), for the whole run
    shop            DSN of the demo database `shop`, loaded small; shared: tests leave its rows as they were
    new_database    makes a database of its own for a test: new_database() or new_database(template="shop")
    installed_postgres  PostgreSQL as this machine's packages have it: with TLS, and often of another version
    kafka           a running Kafka broker, for the whole run: nobody stops it
    kafka_topics    the topics under a prefix of this test's own, made in `kafka`, 3 partitions each
    kafka_settings  the settings [kafka] for them
    own_kafka       a running broker of this test's own, which it may kill, stop and start
    opa_binary      the OPA program
    go, java, maven the toolchains; pgjdbc the JDBC driver

What is missing skips the tests that ask for it, and the run's last lines say so (tests/support/require.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from airlock.demo.postgres import BundledPostgres
from ingest.kafka_settings import KafkaSettings
from ingest.topics import Topics
from tests.support import system_postgres, toolchains
from tests.support.kafka import Broker, running_broker, settings_for
from tests.support.require import require, unmet
from tests.support.servers import started

NewDatabase = Callable[..., str]


@pytest.fixture(scope="session")
def postgres() -> Iterator[BundledPostgres]:
    """A PostgreSQL 18 server on a free loopback port; SCRAM, no TLS; durability off, because it lives for the run."""
    settings = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
    with started(lambda folder: BundledPostgres(folder, settings=settings)) as server:
        yield server


@pytest.fixture(scope="session")
def shop(postgres: BundledPostgres) -> str:
    """DSN of the demo database at a hundredth of its size."""
    from airlock.demo.shop import SMALL, load_shop

    return load_shop(postgres.dsn("postgres"), "shop", SMALL)


@pytest.fixture
def new_database(postgres: BundledPostgres) -> Iterator[NewDatabase]:
    """Makes databases that belong to one test. `template="shop"` copies the demo database (ask for `shop` too)."""
    names: list[str] = []

    def make(template: str = "template1") -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        names.append(name)
        return postgres.dsn(name)

    yield make
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def installed_postgres() -> Path:
    """The installation folder of a PostgreSQL server with TLS."""
    return require("a PostgreSQL server with TLS", system_postgres.installation(), "install the package postgresql")


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The folder with what a broker runs from."""
    require("Java (17 or later)", toolchains.program("java"), "install openjdk-17-jre-headless or the like")
    return require("Kafka's jars", toolchains.kafka(), f"install Maven and {toolchains.FETCH}")


@pytest.fixture(scope="session")
def kafka(kafka_jars: Path) -> Iterator[Broker]:
    """A broker that all tests of this process share."""
    with running_broker() as broker:
        yield broker


@pytest.fixture
def kafka_topics(kafka: Broker) -> Topics:
    """Fresh topics; alerts and counters compacted, as they may be."""
    topics = Topics(f"test-{uuid.uuid4().hex[:12]}")
    kafka.create_topics(topics.events, topics.approvals)
    kafka.create_topics(topics.alerts, topics.counters, configs={"cleanup.policy": "compact"})
    return topics


@pytest.fixture
def kafka_settings(kafka: Broker, kafka_topics: Topics) -> KafkaSettings:
    """Settings for `kafka_topics`."""
    return settings_for(kafka, kafka_topics.prefix)


@pytest.fixture
def own_kafka(kafka_jars: Path) -> Iterator[Broker]:
    """A broker without topics that no other test knows."""
    with running_broker() as broker:
        yield broker


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    return require("the OPA program", toolchains.opa(), f"install Go and {toolchains.FETCH}, or set AIRLOCK_OPA")


@pytest.fixture(scope="session")
def go() -> Path:
    return require("Go (1.24 or later)", toolchains.program("go"), "install it from https://go.dev/dl")


@pytest.fixture(scope="session")
def java() -> Path:
    need = toolchains.program("java") if toolchains.program("javac") else None
    return require("a JDK (17 or later)", need, "install openjdk-17-jdk-headless or the like")


@pytest.fixture(scope="session")
def maven() -> Path:
    return require("Maven", toolchains.program("mvn"), "install maven")


@pytest.fixture(scope="session")
def pgjdbc(java: Path) -> Path:
    """The JDBC driver's jar."""
    return require("pgjdbc", toolchains.pgjdbc(), f"install Maven and {toolchains.FETCH}")


@pytest.fixture(scope="session")
def compose_schema() -> Path:
    """The compose specification's JSON schema."""
    how = f"install Go and {toolchains.FETCH}"
    return require("the compose specification's schema", toolchains.compose_schema(), how)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first, so that no worker ends the run with one of them alone."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """At the end of a run: what was not tested, and how to get it tested."""
    reasons = [
        str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    ]
    missing = unmet(reasons)
    if not missing:
        return
    terminalreporter.section("not tested on this machine", yellow=True, bold=True)
    for need, how, number in missing:
        terminalreporter.write_line(f"{number:4d} tests need {need}. To get it: {how}")
    terminalreporter.write_line("With AIRLOCK_REQUIRE_ALL=1 these are failures.")
