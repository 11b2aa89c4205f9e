"""What the streams app sends: batches that are acknowledged as a whole, retried until they are.

Nothing read is acknowledged before what follows from it is, so a record may be sent twice and never not at all; every
reader tells repetitions apart. After `GIVE_UP_S` without success the process begins anew (ingest.app).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from decision.model.errors import KafkaUnavailable
from ingest.kafka_clients import aiokafka_options
from ingest.kafka_settings import MIB, KafkaSettings

log = logging.getLogger(__name__)

GIVE_UP_S = 120.0
REACH_S = 5.0
_WAITS_S = (0.1, 0.5, 1.0, 2.0)


class Outgoing(NamedTuple):
    """`partition` None: by the key, as every client of Kafka chooses it."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None = None


class Output:
    """One producer for the app's coroutines, all in one event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        options = aiokafka_options(settings)
        self._producer = AIOKafkaProducer(
            **options, acks="all", enable_idempotence=True, linger_ms=2, max_batch_size=256 * 1024,
            max_request_size=4 * MIB,
        )  # fmt: skip
        self.sent = 0
        self.retries = 0

    async def start(self) -> None:
        """Raises KafkaUnavailable."""
        try:
            await self._producer.start()
        except (KafkaError, OSError) as error:
            raise KafkaUnavailable(f"Kafka can't be reached: {type(error).__name__}") from error

    async def stop(self) -> None:
        await self._producer.stop()

    async def reached(self) -> bool:
        """Whether a broker answers now."""
        try:
            async with asyncio.timeout(REACH_S):
                return bool(await self._producer.client.force_metadata_update())
        except (KafkaError, OSError):
            return False

    async def send(self, batch: Sequence[Outgoing]) -> None:
        """Until every one is acknowledged. Raises KafkaUnavailable after GIVE_UP_S."""
        waiting = list(batch)
        tries = 0
        ends = asyncio.get_running_loop().time() + GIVE_UP_S
        while waiting:
            waiting = await self._once(waiting)
            if not waiting:
                break
            if asyncio.get_running_loop().time() > ends:
                raise KafkaUnavailable(f"{len(waiting)} records were not taken within {GIVE_UP_S:.0f} s")
            self.retries += 1
            await asyncio.sleep(_WAITS_S[min(tries, len(_WAITS_S) - 1)])
            tries += 1
        self.sent += len(batch)

    async def _once(self, batch: list[Outgoing]) -> list[Outgoing]:
        """Those that were not acknowledged."""
        futures: list[tuple[Outgoing, asyncio.Future[object]]] = []
        failed: list[Outgoing] = []
        for one in batch:
            try:
                futures.append((one, await self._producer.send(one.topic, one.value, one.key, one.partition)))
            except (KafkaError, OSError) as error:
                self._said(error)
                failed.append(one)
        for one, future in futures:
            try:
                await future
            except (KafkaError, OSError) as error:
                self._said(error)
                failed.append(one)
        return failed

    @staticmethod
    def _said(error: Exception) -> None:
        log.warning("a record was not taken and is sent again: %s", type(error).__name__)
