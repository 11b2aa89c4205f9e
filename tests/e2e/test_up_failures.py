"""Journal full, policy gone, decision service killed: everything is denied, nothing recorded is lost, work goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from airlock.demo.postgres import free_port
from decision.journal.reader import SqliteJournalReader
from decision.model.events import EnforcementGapReported, StatementDecided
from decision.wire.events import ProtobufEventCodec
from tests.e2e.support import Running, eventually, running, world_reachable_folder
from tests.support.require import require

SETTINGS = """
[[database]]
name = "shop"
environment = "prod"
upstream = "{upstream}"

[database.tags]
"public.payments" = ["critical"]
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = world_reachable_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def config(folder: Path, shop: str) -> Path:
    path = folder / "airlock.toml"
    path.write_text(SETTINGS.format(upstream=shop))
    return path


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, so that it can really be full."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    require("a small file system", done.returncode == 0 or None, "run the tests as root, who may mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(path: Path) -> None:
    """Take all the space that is left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while os.write(descriptor, b"\0" * size):
                    pass
    finally:
        os.close(descriptor)


def decisions(data_dir: Path) -> list[StatementDecided]:
    reader = SqliteJournalReader(data_dir / "journal", ProtobufEventCodec())
    found: list[StatementDecided] = []
    after = 0
    while events := reader.read(after, 1000):
        found += [event.payload for event in events if isinstance(event.payload, StatementDecided)]
        after = events[-1].seq
    return found


def works(info: str) -> bool:
    try:
        with psycopg.connect(info, autocommit=True, connect_timeout=5) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def test_with_the_journals_disk_full_all_is_denied_and_goes_on_after_repair(folder: Path, config: Path) -> None:
    """A full disk denies with `audit log unavailable`, crashes nothing, and freeing it is the whole repair."""
    data_dir = folder / "data"
    with (
        small_disk(data_dir / "journal", 64) as disk,
        running("--config", str(config), "--listen", "127.0.0.1:0", data_dir=data_dir) as up,
        psycopg.connect(up.conninfo(up.token("alice")), autocommit=True) as connection,
    ):
        connection.execute("SELECT 1")
        before = len(decisions(data_dir))
        fill(disk / "filler")

        def denied() -> bool:
            try:
                connection.execute("SELECT 2")
            except psycopg.errors.InsufficientPrivilege as denial:
                return "audit log unavailable" in str(denial)
            return False

        eventually(denied, what="a denial because the disk is full")
        with pytest.raises(psycopg.Error):
            psycopg.connect(up.conninfo(up.token("bob")), connect_timeout=5)
        (disk / "filler").unlink()
        eventually(lambda: works(up.conninfo(up.token("alice"))), what="work going on after repair")
        assert up.process.poll() is None
        assert len(decisions(data_dir)) > before
        up.airlock("verify", "--data-dir", str(data_dir))


def test_a_broken_policy_bundle_is_refused_and_the_old_one_decides(folder: Path, config: Path) -> None:
    """An edit that breaks the bundle changes nothing but the record; a sound edit takes effect without a restart."""
    bundle = folder / "rego"
    shutil.copytree(Path(__file__).parents[2] / "rego", bundle)
    extra = {"AIRLOCK_POLICY__BUNDLE": str(bundle), "AIRLOCK_POLICY__POLL_S": "0.1"}
    with running("--config", str(config), "--listen", "127.0.0.1:0", data_dir=folder / "data", extra=extra) as up:
        info = up.conninfo(up.token("bot", "agent", on_behalf_of="alice"))
        (bundle / "policies" / "broken.rego").write_text("package airlock.policies.broken\n\nthis is no rego")
        eventually(lambda: "refused" in up.log.read_text(), what="the refusal in the log")
        with psycopg.connect(info, autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"guardrails\.drop_critical"):
                connection.execute("DROP TABLE payments")
        (bundle / "policies" / "broken.rego").unlink()
        rows = eventually(lambda: up.query("select * from policy_changes where not activated"), what="its event")
        assert rows


def test_with_the_opa_server_gone_statements_are_denied(folder: Path, config: Path, opa_binary: Path) -> None:
    """With the engine killed, nothing is allowed; with it back, the same session works again."""
    with ExitStack() as stack:
        address = "127.0.0.1:" + str(free_port())

        def opa() -> subprocess.Popen[bytes]:
            process = subprocess.Popen([str(opa_binary), "run", "--server", "--addr", address, "--log-level", "error"])
            stack.callback(process.kill)
            return process

        server = opa()
        extra = {"AIRLOCK_POLICY__ENGINE": "opa", "AIRLOCK_POLICY__OPA_URL": f"http://{address}"}
        eventually(lambda: answers(address), what="OPA")
        up = stack.enter_context(
            running("--config", str(config), "--listen", "127.0.0.1:0", data_dir=folder / "data", extra=extra)
        )
        connection = stack.enter_context(psycopg.connect(up.conninfo(up.token("alice")), autocommit=True))
        assert connection.execute("SELECT 1").fetchone() == (1,)
        server.kill()
        server.wait()
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="policy"):
            connection.execute("SELECT id FROM products")  # not a repetition, which needs no engine
        server = opa()

        def again() -> bool:
            try:
                return connection.execute("SELECT 'again'").fetchone() == ("again",)
            except psycopg.errors.InsufficientPrivilege:
                return False

        eventually(again, what="work going on with OPA back")


def answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_with_the_decision_service_killed_statements_are_denied_and_nothing_recorded_is_lost(
    folder: Path, config: Path
) -> None:
    """Two processes over gRPC: kill -9 of the service denies; back again, work goes on, and the gap is recorded."""
    service_dir, proxy_dir = folder / "service", folder / "proxy"
    grpc = f"127.0.0.1:{free_port()}"
    acknowledged = 0
    with ExitStack() as stack:
        serve = ("--config", str(config), "--grpc", grpc)
        service = stack.enter_context(running(*serve, data_dir=service_dir, command="serve"))
        extra = {
            "AIRLOCK_PROXY__DECISION_SERVICE": grpc,
            "AIRLOCK_PROXY__TOKEN_FILE": str(service_dir / "keys" / "grpc.token"),
        }
        proxy = stack.enter_context(
            running(
                "--config", str(config), "--listen", "127.0.0.1:0", data_dir=proxy_dir, command="proxy", extra=extra
            )
        )
        token = service.token("alice")
        info = proxy.conninfo(token)
        connection = stack.enter_context(psycopg.connect(info, autocommit=True))
        for number in range(50):
            connection.execute(f"SELECT {number}")
            acknowledged += 1
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
        with pytest.raises(psycopg.Error, match="decision service"):
            connection.execute("SELECT 'passes?'")
        assert not works(info)
        stack.enter_context(running(*serve, data_dir=service_dir, command="serve"))
        eventually(lambda: works(info), what="work going on after the restart")
        recorded = [one for one in decisions(service_dir) if one.effect.value == "allow"]
        assert len(recorded) >= acknowledged
        eventually(lambda: gaps(service_dir), what="the gap reported on repair")
        Running(proxy.process, service_dir, proxy.runtime, proxy.log).airlock("verify", "--data-dir", str(service_dir))


def gaps(data_dir: Path) -> list[EnforcementGapReported]:
    reader = SqliteJournalReader(data_dir / "journal", ProtobufEventCodec())
    return [e.payload for e in reader.read(0, 10_000) if isinstance(e.payload, EnforcementGapReported)]
