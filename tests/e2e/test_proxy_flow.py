"""Memory stays flat whoever is slow, and one session's rows do not hold up another's."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.model.decision import MaskMethod, PolicyEffect
from enforcement.postgres.protocol import messages
from tests.clients.harness import RunningPoint, running
from tests.clients.port import Rule, masks
from tests.clients.raw import RawClient
from tests.support.eventually import eventually

pytestmark = pytest.mark.postgres

MIB = 1024 * 1024


def resident() -> int:
    """Bytes of memory of this process, which is the enforcement point's as well."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def point(postgres: BundledPostgres, request: pytest.FixtureRequest) -> Iterator[RunningPoint]:
    plain = request.param == "asyncio"  # on uvloop decisions come without a task as well
    with running({"shop": postgres.dsn("postgres")}, plain_asyncio=plain, prompt=not plain) as one:
        yield one


def settled() -> None:
    """Until memory has not grown for a while: everything that can be buffered is."""
    last, quiet_since = resident(), time.monotonic()

    def quiet() -> bool:
        nonlocal last, quiet_since
        now = resident()
        if now - last > MIB // 4:
            last, quiet_since = now, time.monotonic()
        return time.monotonic() - quiet_since > 0.5

    eventually(quiet, deadline_s=30)


@pytest.mark.parametrize("masked", [False, True])
def test_a_client_that_does_not_read_makes_no_memory_grow(point: RunningPoint, masked: bool) -> None:
    """A result of 200 MB waits in the database, not here."""
    point.port.rules = [Rule("slowly", PolicyEffect.ALLOW, statements=(masks((1, MaskMethod.FULL), count=2),))]
    mark = "/* slowly */" if masked else ""
    with RawClient(point.host, point.tcp_port, "shop") as client:
        before = resident()
        text = f"select 'v' || g {mark}, repeat('x', 1000) from generate_series(1, 200000) g"
        client.send(messages.query(text.encode()))
        settled()
        assert resident() - before < 32 * MIB
        assert client.until_ready_fast() > 190 * MIB
        assert resident() - before < 48 * MIB


def test_a_flood_of_statements_waits_at_the_client(point: RunningPoint) -> None:
    """While decisions are slow, no more than the queue's bound is taken from the socket."""
    point.port.rules = []
    point.port.delay_s = 2.0
    try:
        with RawClient(point.host, point.tcp_port, "shop") as client:
            before = resident()
            text = messages.query(b"select 1 -- " + b"y" * 20_000)
            sent = 0
            client.socket.settimeout(0.5)
            try:
                while sent < 100 * MIB:
                    sent += client.socket.send(text * 10)
            except TimeoutError:
                pass
            assert sent < 64 * MIB
            assert resident() - before < 48 * MIB
    finally:
        point.port.delay_s = 0.0


def test_a_server_that_does_not_read_makes_no_memory_grow(point: RunningPoint, postgres: BundledPostgres) -> None:
    """COPY data for a locked table waits at the client."""
    point.port.rules = []
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as direct:
        direct.execute("drop table if exists locked; create table locked (t text)")
        with RawClient(point.host, point.tcp_port, "shop") as client:
            client.send(messages.query(b"copy locked from stdin"))
            assert client.message()[:1] == b"G"
            backend = direct.execute(
                "select pid from pg_stat_activity where query like 'copy locked%' and pid <> pg_backend_pid()"
            ).fetchone()
            assert backend is not None
            os.kill(backend[0], signal.SIGSTOP)
            try:
                before = resident()
                block = messages.message(messages.Front.COPY_DATA, b"z" * 30_000 + b"\n") * 10
                client.socket.settimeout(0.5)
                sent = 0
                try:
                    while sent < 200 * MIB:
                        sent += client.socket.send(block)
                except TimeoutError:
                    pass
                assert sent < 64 * MIB
                assert resident() - before < 32 * MIB
            finally:
                os.kill(backend[0], signal.SIGCONT)
        direct.execute("drop table locked")


def test_masking_a_large_result_leaves_others_responsive(point: RunningPoint) -> None:
    """While one session's million rows are masked, another one's statements are answered quickly."""
    point.port.rules = [Rule("busy", PolicyEffect.ALLOW, statements=(masks((1, MaskMethod.FULL), count=2),))]
    stop = threading.Event()

    def busy() -> None:
        with RawClient(point.host, point.tcp_port, "shop") as client:
            while not stop.is_set():
                client.send(messages.query(b"select g::text /* busy */, g from generate_series(1, 200000) g"))
                client.until_ready_fast()

    worker = threading.Thread(target=busy)
    worker.start()
    try:
        with point.connect() as connection:
            times = []
            for _ in range(40):
                began = time.monotonic()
                connection.execute("select 1")
                times.append(time.monotonic() - began)
    finally:
        stop.set()
        worker.join(30)
    assert sorted(times)[len(times) // 2] < 0.25
