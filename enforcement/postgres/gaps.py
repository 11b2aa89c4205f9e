"""Denials that this enforcement point gave alone, while nobody could record them: counted, and reported on repair."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from decision.model.errors import AirlockError, JournalUnavailable
from decision.model.ports import Clock, DecisionPort
from decision.model.session import EnforcementGap
from enforcement.meter import PointMeter

log = logging.getLogger(__name__)
RETRY_S = 1.0


@dataclass(slots=True)
class OpenGap:
    denials: int
    since_unix_nano: int


class Gaps:
    def __init__(self, port: DecisionPort, name: str, clock: Clock, meter: PointMeter | None = None) -> None:
        self._port = port
        self._meter = meter or PointMeter()
        self._name = name
        self._clock = clock
        self._open: dict[str, OpenGap] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def denials(self) -> int:
        """Denials not yet reported."""
        return sum(gap.denials for gap in list(self._open.values()))

    def count(self, error: Exception) -> None:
        """One denial without an event, because of `error`."""
        reason = error.code if isinstance(error, AirlockError) else "service_unavailable"
        if isinstance(error, JournalUnavailable):
            reason = "journal_unavailable"
        self._meter.denied_alone(reason)
        gap = self._open.setdefault(reason, OpenGap(0, self._clock.time_unix_nano()))
        gap.denials += 1
        if self._task is None or self._task.done():
            log.warning("denying without a record: %s", reason)
            self._task = asyncio.get_running_loop().create_task(self._repair())

    async def _repair(self) -> None:
        while self._open:
            await asyncio.sleep(RETRY_S)
            await self.flush()

    async def flush(self) -> None:
        """Try to report what is open; what can't be reported stays open."""
        for reason in list(self._open):
            gap = self._open.pop(reason)
            until = self._clock.time_unix_nano()
            try:
                await self._port.report_gap(EnforcementGap(self._name, reason, gap.denials, gap.since_unix_nano, until))
            except Exception as error:  # noqa: BLE001 - whatever it is, the count must survive
                log.debug("gap not reported yet: %s", type(error).__name__)
                later = self._open.setdefault(reason, OpenGap(0, gap.since_unix_nano))
                later.denials += gap.denials
                later.since_unix_nano = min(later.since_unix_nano, gap.since_unix_nano)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await self.flush()
        if self._open:
            log.error("%d denials could not be recorded", self.denials)
