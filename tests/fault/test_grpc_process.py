"""A decision service in a process of its own that dies or stops answering: everything is denied, in time."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.model.decision import Decision
from decision.model.errors import ServiceUnavailable
from decision.model.session import DecideRequest, SessionRequest
from tests.support.eventually import eventually_async

ROOT = Path(__file__).parents[2]
REQUEST = DecideRequest("session", b"SELECT 1")


@pytest.fixture
def service() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address; it answers every decision at once."""
    command = [sys.executable, "-m", "bench.grpc", "--serve"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def test_a_killed_service_denies_at_once(service: tuple[subprocess.Popen[str], str]) -> None:
    """kill -9 in the middle of decisions: each ends as a decision or ServiceUnavailable, well in time."""
    process, target = service
    client = GrpcDecisionPort(ClientSettings(target=target, timeout_s=30))
    await client.open_session(SessionRequest("alice", "shop"))
    outcomes: list[Decision | Exception] = []

    async def ask() -> None:
        while not any(isinstance(outcome, Exception) for outcome in outcomes):
            outcomes.extend(await client.decide_many([REQUEST] * 16))

    asking = [asyncio.ensure_future(ask()) for _ in range(8)]

    async def some() -> bool:
        return len(outcomes) > 500

    await eventually_async(some)
    process.send_signal(signal.SIGKILL)
    begun = time.monotonic()
    await asyncio.wait_for(asyncio.gather(*asking), 10)
    with pytest.raises(ServiceUnavailable):
        await client.decide(REQUEST)
    with pytest.raises(ServiceUnavailable):
        await client.open_session(SessionRequest("alice", "shop"))
    assert time.monotonic() - begun < 10
    assert all(isinstance(outcome, Decision | ServiceUnavailable) for outcome in outcomes)
    await client.close()


async def test_a_service_that_stops_answering_denies_at_the_deadline_and_is_found_again(
    service: tuple[subprocess.Popen[str], str],
) -> None:
    """SIGSTOP: the connection stands, nothing comes; after SIGCONT decisions come again."""
    process, target = service
    client = GrpcDecisionPort(ClientSettings(target=target, timeout_s=0.5))
    assert (await client.decide(REQUEST)).allowed
    process.send_signal(signal.SIGSTOP)
    answers = await client.decide_many([REQUEST] * 10)
    assert all(isinstance(answer, ServiceUnavailable) for answer in answers)
    with pytest.raises(ServiceUnavailable, match="deadline_exceeded"):
        await client.policy_status()
    process.send_signal(signal.SIGCONT)

    async def allowed() -> bool:
        try:
            return (await client.decide(REQUEST)).allowed
        except ServiceUnavailable:
            return False

    await eventually_async(allowed)
    await client.close()
