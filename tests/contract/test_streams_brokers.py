"""A worker that has nothing to read, while its broker goes and comes again."""

from __future__ import annotations

import asyncio

import pytest

from ingest.app_brokers import Brokers
from ingest.app_output import Outgoing, Output
from tests.support.eventually import eventually_async
from tests.support.kafka import Broker, settings_for

pytestmark = pytest.mark.kafka


async def test_an_idle_worker_says_that_its_broker_is_away(
    own_kafka: Broker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once, shown until the broker answers again, and then what was waiting is sent."""
    monkeypatch.setattr("ingest.app_brokers.AGAIN_S", 0.2)
    settings = settings_for(own_kafka, "idle")
    own_kafka.create_topics(settings.topics.alerts)
    output = Output(settings)
    await output.start()
    brokers = Brokers(settings, output, lambda: 0, idle_s=0.2)
    watching = asyncio.create_task(brokers.watch())

    async def away() -> bool:
        return bool(brokers.error)

    async def back() -> bool:
        return not brokers.error

    try:
        assert await output.reached()
        assert not brokers.error
        own_kafka.kill()
        await eventually_async(away, 30, what="the broker to be missed")
        assert f"Kafka at {own_kafka.bootstrap} does not answer: waiting for it" in caplog.text
        assert not await output.reached()
        assert caplog.text.count("does not answer") == 1
        await asyncio.to_thread(own_kafka.start)
        await eventually_async(back, 30, what="the broker to be found")
        assert "Kafka is back after" in caplog.text
        await output.send([Outgoing(settings.topics.alerts, b"key", b"value")])
        assert not watching.done()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await output.stop()
