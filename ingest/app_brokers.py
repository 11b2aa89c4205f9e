"""Whether the brokers are there, asked while a worker has nothing to do: Faust waits for them without a word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ingest.app_output import Output
from ingest.kafka_clients import IDLE_S
from ingest.kafka_settings import KafkaSettings

log = logging.getLogger(__name__)

AGAIN_S = 2.0
"""How often they are asked while they are away."""


class Brokers:
    """`error` says what is wrong now; empty while they answer, or something is read: `read` tells how much that was."""

    def __init__(
        self, settings: KafkaSettings, output: Output, read: Callable[[], int], idle_s: float = IDLE_S
    ) -> None:
        self._servers = ", ".join(settings.bootstrap_servers)
        self._away_log_s = settings.away_log_s
        self._output = output
        self._read = read
        self._idle_s = idle_s
        self.error = ""

    async def watch(self) -> None:
        """Until cancelled. Says it when they are away, again each `away_log_s`, and when they are back."""
        clock = asyncio.get_running_loop().time
        read, away_since, said_at = -1, 0.0, 0.0
        while True:
            before, read = read, self._read()
            if before != read or await self._output.reached():
                if self.error:
                    log.warning("Kafka is back after %.0f s: the worker goes on", clock() - away_since)
                self.error, away_since = "", 0.0
            else:
                now = clock()
                away_since = away_since or now
                if not self.error or now - said_at >= self._away_log_s:
                    self.error, said_at = f"Kafka at {self._servers} does not answer", now
                    log.warning("%s: waiting for it (check the network and the brokers)", self.error)
            await asyncio.sleep(AGAIN_S if self.error else self._idle_s)
