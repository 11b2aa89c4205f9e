"""Those who wait for an event to be durable, and how they are told."""

from __future__ import annotations

import asyncio
import logging

from decision.model.errors import JournalUnavailable
from decision.model.events import AuditEvent
from decision.model.ports import Appended

log = logging.getLogger(__name__)

Waiting = tuple[int, bytes, bytes, Appended]
"""An event in the queue: its seq, its bytes, the chain's hash after it, and whom to tell."""


class Promise:
    """The future of one `append`."""

    __slots__ = ("event", "future")

    event: AuditEvent

    def __init__(self, future: asyncio.Future[AuditEvent]) -> None:
        self.future = future

    def settle(self, error: JournalUnavailable | None) -> None:
        future = self.future
        if future.done():
            return  # whoever asked has given up
        if error is None:
            future.set_result(self.event)
        else:
            future.set_exception(error)
            future.exception()  # seen: it was logged by the group commit, and a waiter may be gone


def tell(done: Appended, error: JournalUnavailable | None) -> None:
    """One that can't be told must not keep the others from being told."""
    try:
        done(error)
    except Exception:
        log.exception("whoever waited for an event could not be told of it")
