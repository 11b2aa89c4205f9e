"""Faust's consumer with a leaner way from what was fetched to the streams.

Faust makes two tasks and waits for the first of them, for each message, so that a rebalance can break off a delivery:
a third of what an event costs. Here a delivery is simply awaited while the flow is open. One that a rebalance catches
ends after it and may deliver a record that is no longer ours or comes again; that is told apart by offsets
(ingest.app_source, ingest.app_fold), and the consumer's own position, which Faust has set anew, is left alone then.

It stands in for faust-streaming 0.15.3, which is pinned; `_drain_messages` is not part of what Faust promises.
"""

from __future__ import annotations

import asyncio
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from mode.types import ServiceT

_YIELD_EVERY = 200


class LeanConsumer(Consumer):
    """For apps without `broker_commit_every`, whose agents know their offsets."""

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        deliver = self.callback
        since = 0
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                async for place, message in self.getmany(timeout=1.0):
                    since += 1
                    if since > _YIELD_EVERY:
                        since = 0
                        await asyncio.sleep(0)
                    before = self._read_offset[place]
                    if before is not None and message.offset < before:
                        continue
                    if before and message.offset - before > 1 and self.app.topics.acks_enabled_for(message.topic):
                        await self._add_gap(place, before + 1, message.offset)
                    await self._delivered(deliver, message)
                    if self._read_offset[place] == before:
                        self._read_offset[place] = message.offset
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.transport.app.should_stop:
                raise

    async def _delivered(self, deliver: Any, message: Any) -> None:
        if self.flow_active:
            await deliver(message)
        else:
            await self.wait_first(deliver(message), self.suspend_flow.wait())
