"""What a decision service hears of others: whose order its approvals follow, and what principals did lately.

Alone (`airlock up`, or `serve` without Kafka) its own journal is the order, and the counters come from the projection
on the same machine. With `[kafka]`, both come back from there, and a relay beside the service brings its events there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlock.host import Host
from airlock.settings import Settings
from decision.clock import SystemClock
from decision.model.errors import SettingsError
from decision.model.ports import Clock
from decision.order import ApprovalOrder, LocalOrder, RemoteOrder
from decision.wire.events import ProtobufEventCodec
from ingest.board import CounterBoard, poll_counters
from ingest.relay_status import RelayState, read_relay_status

log = logging.getLogger(__name__)

FIRST_S = 1.5
"""How long the start waits for the approvals to be known. After that the service starts without: approvals are denied
until they are."""
_LOOK_S = 0.02
_LOOK_NS = 250_000_000
_STATUS_NS = 4_000_000_000  # the relay writes its status each second


class RelayWatch:
    """Whether the relay of the journal in `folder` sends what comes: a grant's use that would not get to Kafka soon
    would be spent for nothing."""

    def __init__(self, folder: Path, clock: Clock, lag_s: float) -> None:
        self._folder = folder
        self._clock = clock
        self._lag_s = lag_s
        self._looked_ns = -_LOOK_NS
        self._ready = False

    def ready(self) -> bool:
        now = self._clock.monotonic_ns()
        if now - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now
            status = read_relay_status(self._folder)
            age_ns = 0 if status is None else self._clock.time_unix_nano() - status.time_unix_nano
            fresh = status is not None and status.state is RelayState.RUNNING and status.lag_s <= self._lag_s
            self._ready = fresh and age_ns <= _STATUS_NS
        return self._ready


@dataclass
class Backbone:
    """`following` are what keeps order and counters up to date, each until cancelled."""

    order: ApprovalOrder
    counters: CounterBoard
    following: tuple[Callable[[], Coroutine[Any, Any, None]], ...]


def alone(settings: Settings) -> Backbone:
    clock = SystemClock()
    board = CounterBoard(clock, settings.decision.counters_stale_s)
    return Backbone(LocalOrder(), board, (lambda: poll_counters(board, settings.data_dir / "analytics", clock),))


def connected(settings: Settings, host: Host) -> Backbone:
    """With Kafka. Topics that can't be relied on end the host. Raises SettingsError."""
    try:
        from ingest.feed import ApprovalsFeed, follow_counters  # what the embedded form goes without
    except ModuleNotFoundError as error:
        raise SettingsError(f"Kafka needs {error.name}", hint="install airlock with the extra kafka") from None
    clock, kafka = SystemClock(), settings.kafka
    kafka.demand()
    board = CounterBoard(clock, settings.decision.counters_stale_s)
    feed = ApprovalsFeed(kafka, ProtobufEventCodec(), clock, host.fail)
    confirm_s = settings.decision.approval_confirm_s
    relay = RelayWatch(settings.data_dir / "journal", clock, confirm_s)
    order = RemoteOrder(feed, clock, confirm_s, relay.ready)
    return Backbone(order, board, (order.run, lambda: follow_counters(kafka, board, clock, host.fail)))


async def begin_backbone(host: Host, backbone: Backbone) -> None:
    """Follow, and give what is followed a moment to be known. Raises what the host failed with meanwhile."""
    tasks = [asyncio.create_task(_kept(follow)) for follow in backbone.following]

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    host.stack.push_async_callback(end)
    host.measured += (backbone.order, backbone.counters)
    deadline = asyncio.get_running_loop().time() + FIRST_S
    while not backbone.order.known and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_LOOK_S)
        if host.failure is not None:
            raise host.failure
    if not backbone.order.known:
        log.warning("the approvals are not known yet: what needs one is denied until the event stream is there")


async def _kept(follow: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Nothing of this may end for a defect of ours: what it feeds grows stale then, which denies."""
    while True:
        try:
            await follow()
        except Exception as error:  # noqa: BLE001 - begun again; what it feeds is stale meanwhile, which denies
            place = traceback.extract_tb(error.__traceback__)[-1]  # its text may quote an event
            kind = type(error).__name__
            log.error("following the event stream failed: %s at %s:%s", kind, place.filename, place.lineno)
        await asyncio.sleep(1.0)


def begin_relay(host: Host, settings: Settings, config: Path | None) -> None:
    """The relay of this node's journal, as a child."""
    data_dir = settings.data_dir
    chosen = ("--config", str(config)) if config else ()
    host.keep_child(
        "ingest", "relay", "--data-dir", str(data_dir), *chosen, "--parent", str(os.getpid()), "--metrics", "node",
        log_file=data_dir / "relay.log",
    )  # fmt: skip
