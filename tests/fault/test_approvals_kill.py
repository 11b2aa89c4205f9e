"""Decision services as processes, over gRPC: one is killed between the use of a grant and its answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from airlock.issuer import DevelopmentIssuer
from airlock.runtime import read_runtime
from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.clock import SystemClock
from decision.journal.reader import SqliteJournalReader
from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import AirlockError, ServiceUnavailable, SettingsError
from decision.model.events import ApprovalUsed, AuditEvent, StatementDecided
from decision.model.session import ApprovalState, DecideRequest, SessionRequest
from decision.wire.events import ProtobufEventCodec
from ingest.kafka_settings import KafkaSettings
from ingest.relay_status import read_relay_status
from tests.support.eventually import eventually, eventually_async
from tests.support.service import SNAPSHOT

ROOT = Path(__file__).parents[2]
CHANGE = "ALTER TABLE public.t ADD COLUMN more int"
SETTINGS = """\
[[database]]
name = "shop"
environment = "prod"
tags = {{ "public.t" = ["critical"] }}

[[identity.issuers]]
issuer = {issuer}
audience = {audience}
algorithms = {algorithms}
jwks_file = {jwks_file}

[decision]
digest_key_file = {digest_key}
approval_confirm_s = 20

[kafka]
bootstrap_servers = [{broker}]
topic_prefix = {prefix}
partitions = 3
replication = 1
"""


class Service:
    """`airlock serve` over `folder`."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    def start(self) -> None:
        command = [sys.executable, "-m", "airlock.main", "serve", "--grpc", "127.0.0.1:0"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRLOCK_")}
        with (self.folder / "serve.log").open("ab") as out:
            self._process = subprocess.Popen(
                [*command, "--config", str(self._config), "--data-dir", str(self.folder)],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def up(self) -> None:
        eventually(self._up, 30, what=f"{self.folder.name} is up")

    def _up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "serve.log").read_text()
        try:
            return read_runtime(self.folder).pid == self._process.pid
        except SettingsError:
            return False

    def kill(self) -> None:
        """kill -9 of the service alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def relay(self) -> int:
        """The process id of its relay, once that runs."""
        status = eventually(lambda: read_relay_status(self.folder / "journal"), 20)
        assert status is not None
        return status.pid

    def client(self) -> GrpcDecisionPort:
        runtime = read_runtime(self.folder)
        token_file = Path(runtime.grpc_token_file)
        return GrpcDecisionPort(ClientSettings(target=str(runtime.grpc), token_file=token_file, timeout_s=30))

    def events(self) -> Iterator[AuditEvent]:
        reader, after = SqliteJournalReader(self.folder / "journal", ProtobufEventCodec()), 0
        while events := reader.read(after, 1_000):
            yield from events
            after = events[-1].seq

    def uses(self) -> list[ApprovalUsed]:
        return [event.payload for event in self.events() if isinstance(event.payload, ApprovalUsed)]

    def runs(self) -> list[str]:
        """The approvals of what was let through by one."""
        decided = [event.payload for event in self.events() if isinstance(event.payload, StatementDecided)]
        return [one.approval_id for one in decided if one.effect is PolicyEffect.ALLOW and one.approval_id]


class Caller:
    """An enforcement point and a person at one service."""

    def __init__(self, service: Service, issuer: DevelopmentIssuer) -> None:
        self.port = service.client()
        self.session_id = ""
        self._alice = issuer.issue("alice")
        self._dba = issuer.issue("carol", groups=["dba"])

    async def ask(self) -> Decision:
        session = await self.port.open_session(SessionRequest(self._alice, "shop"))
        self.session_id = session.session_id
        return await self.port.decide(DecideRequest(session.session_id, CHANGE.encode()))

    async def asks(self, effect: PolicyEffect) -> Decision:
        """Once approvals are known there, so that it is no denial for want of them."""
        answers: list[Decision] = []

        async def known() -> bool:
            answers.append(await self.ask())
            return answers[-1].effect is effect or "approvals_away" not in answers[-1].message

        await eventually_async(known, 30, every_s=0.1)
        assert answers[-1].effect is effect, answers[-1].message
        return answers[-1]

    async def state(self, approval_id: str) -> ApprovalState | None:
        try:
            found = await self.port.list_approvals(self._dba, include_closed=True)
        except AirlockError:
            return None
        return next((one.state for one in found if one.approval_id == approval_id), None)

    async def sees(self, approval_id: str, state: ApprovalState) -> None:
        async def there() -> bool:
            return await self.state(approval_id) is state

        await eventually_async(there, 30, what=f"{approval_id} is {state}")

    async def grant(self, approval_id: str) -> None:
        async def voted() -> bool:
            try:
                voted = await self.port.resolve_approval(self._dba, approval_id, grant=True, reason="")
            except AirlockError as error:
                assert "away" in error.message, error
                return False
            return voted.state is ApprovalState.GRANTED

        await eventually_async(voted, 30)


@pytest.fixture
def issuer(tmp_path: Path) -> DevelopmentIssuer:
    return DevelopmentIssuer(tmp_path / "issuer", SystemClock())


@pytest.fixture
def services(tmp_path: Path, kafka_settings: KafkaSettings, issuer: DevelopmentIssuer) -> Iterator[list[Service]]:
    believed, key, config = issuer.settings(), tmp_path / "digest.key", tmp_path / "airlock.toml"
    key.write_bytes(os.urandom(32))
    values = {
        "issuer": believed.issuer,
        "audience": list(believed.audience),
        "algorithms": list(believed.algorithms),
        "jwks_file": str(believed.jwks_file),
        "digest_key": str(key),
        "broker": kafka_settings.bootstrap_servers[0],
        "prefix": kafka_settings.topic_prefix,
    }
    config.write_text(SETTINGS.format(**{name: json.dumps(value) for name, value in values.items()}))
    with ExitStack() as stack:
        made = [Service(tmp_path / name, config) for name in ("one", "two")]
        for service in made:
            stack.callback(service.end)
            service.start()
        for service in made:
            service.up()
        yield made


@pytest.mark.kafka
@pytest.mark.slow
async def test_killed_between_use_and_run(services: list[Service], issuer: DevelopmentIssuer) -> None:
    """Who waits at one service is released by a grant at the other. Then the Used event is durable at the first but on
    Kafka after the other's: that one's statement runs, the killed one's never does, and after its restart both know the
    approval as used."""
    first, second = services
    one, two = Caller(first, issuer), Caller(second, issuer)
    for caller in (one, two):
        await caller.port.sync_catalog(SNAPSHOT)
    held = await one.asks(PolicyEffect.HOLD)
    waiting = asyncio.ensure_future(one.port.wait_approval(one.session_id, held.approval_id, 20))
    await two.sees(held.approval_id, ApprovalState.REQUESTED)
    await two.grant(held.approval_id)
    assert await waiting is ApprovalState.GRANTED

    relay = first.relay
    os.kill(relay, signal.SIGSTOP)
    try:
        asking = asyncio.ensure_future(one.ask())

        async def used() -> bool:
            assert not asking.done(), asking
            return bool(first.uses())

        await eventually_async(used)
        first.kill()
        with pytest.raises(ServiceUnavailable):
            await asking
        await two.asks(PolicyEffect.ALLOW)
    finally:
        os.kill(relay, signal.SIGKILL)
    await one.port.close()

    first.start()
    first.up()
    one = Caller(first, issuer)
    await one.port.sync_catalog(SNAPSHOT)
    again = await one.asks(PolicyEffect.HOLD)
    assert again.approval_id != held.approval_id
    assert await one.state(held.approval_id) is ApprovalState.USED
    assert await two.state(held.approval_id) is ApprovalState.USED
    assert (len(first.uses()), len(second.uses())) == (1, 1)
    assert (first.runs(), second.runs()) == ([], [held.approval_id])
    await one.port.close()
    await two.port.close()
