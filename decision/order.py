"""Whose order the approvals follow.

A decision service of its own (LocalOrder) is the only one that knows of its approvals: its journal is their order, and
an event has its place once it is durable. Several services (RemoteOrder) have the partitions of the approvals topic for
that order: an event has its place once it is read back from there, and whether it still counts is known only then. In
between another service's event may have come first.

While the topic can't be read to its end, or what this service writes does not come back, approvals are `away`: what is
known of them may be out of date, so none is used, asked for or voted on.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from decision.approvals.book import APPROVAL_EVENTS, ApprovalBook
from decision.approvals.partitioned import PartitionedBook
from decision.model.events import ApprovalRequested, AuditEvent
from decision.model.metrics import Sample, SampleKind
from decision.model.ports import Clock, FeedBatch, StateFeed

_RECENT = 4_096


class Standing(Enum):
    """What became of an event: it changed an approval, came too late for that, or has not been read back in time."""

    COUNTED = "counted"
    OVERTAKEN = "overtaken"
    UNCONFIRMED = "unconfirmed"


class ApprovalOrder(Protocol):
    """`on_change` is called after the book has changed; `on_other` with each event that comes by the same way and is
    none about approvals, perhaps more than once."""

    on_change: Callable[[], None]
    on_other: Callable[[AuditEvent], None]

    @property
    def book(self) -> ApprovalBook: ...

    @property
    def awaited(self) -> bool:
        """Whether an event has its place only some time after it is durable."""
        ...

    @property
    def known(self) -> bool:
        """Whether the book was complete at some time since the start."""
        ...

    @property
    def away(self) -> bool:
        """Whether what the book says can't be relied on now."""
        ...

    def appended(self, event: AuditEvent) -> None:
        """An event of this service has become durable."""
        ...

    def unread(self) -> Iterable[ApprovalRequested]:
        """Durable requests of this service that have no place yet."""
        ...

    async def standing(self, event: AuditEvent) -> Standing:
        """What became of an event about approvals that was `appended`, once that is known or it takes too long."""
        ...

    def samples(self) -> Iterable[Sample]: ...


def _nobody(*_: object) -> None:
    pass


class LocalOrder:
    """The journal's: what is durable counts at once."""

    awaited = False
    known = True
    away = False

    def __init__(self) -> None:
        self.book = ApprovalBook()
        self.on_change: Callable[[], None] = _nobody
        self.on_other: Callable[[AuditEvent], None] = _nobody
        self._counted: OrderedDict[str, bool] = OrderedDict()

    def appended(self, event: AuditEvent) -> None:
        if not isinstance(event.payload, APPROVAL_EVENTS):
            self.on_other(event)
            return
        _remember(self._counted, event, self.book.apply(event.payload, event.draft.time_unix_nano))
        self.on_change()

    def unread(self) -> Iterable[ApprovalRequested]:
        return ()

    async def standing(self, event: AuditEvent) -> Standing:
        return _standing(self._counted[event.draft.id])

    def samples(self) -> Iterable[Sample]:
        return ()


@dataclass(frozen=True, slots=True)
class _Unread:
    event: AuditEvent
    since_ns: int


class RemoteOrder:
    """The approvals topic's, as `feed` tells it; `run` follows it. An event that is not read back within `confirm_s`
    seconds is unconfirmed, and a book that was last complete longer ago than that is not relied on. `ready` tells
    whether what becomes durable now is on its way at once."""

    awaited = True

    def __init__(
        self, feed: StateFeed, clock: Clock, confirm_s: float, ready: Callable[[], bool] = lambda: True
    ) -> None:
        self.on_change: Callable[[], None] = _nobody
        self.on_other: Callable[[AuditEvent], None] = _nobody
        self._feed = feed
        self._ready = ready
        self._clock = clock
        self._confirm_s = confirm_s
        self._confirm_ns = int(confirm_s * 1e9)
        self._folded = PartitionedBook(ApprovalBook())
        self._complete_ns = 0
        self._unread: dict[str, _Unread] = {}  # by event id, oldest first
        self._read: OrderedDict[str, bool] = OrderedDict()  # the newest, and whether they counted
        self._waiting: dict[str, asyncio.Future[Standing]] = {}
        self._records = 0
        self._unconfirmed = 0

    @property
    def book(self) -> ApprovalBook:
        return self._folded.book

    @property
    def known(self) -> bool:
        return self._complete_ns != 0

    @property
    def away(self) -> bool:
        now = self._clock.monotonic_ns()
        if not self._complete_ns or now - self._complete_ns > self._confirm_ns:
            return True
        oldest = next(iter(self._unread.values()), None)
        return (oldest is not None and now - oldest.since_ns > self._confirm_ns) or not self._ready()

    def appended(self, event: AuditEvent) -> None:
        if isinstance(event.payload, APPROVAL_EVENTS) and event.draft.id not in self._read:
            self._unread[event.draft.id] = _Unread(event, self._clock.monotonic_ns())

    def unread(self) -> Iterator[ApprovalRequested]:
        for one in self._unread.values():
            if isinstance(one.event.payload, ApprovalRequested):
                yield one.event.payload

    async def standing(self, event: AuditEvent) -> Standing:
        counted = self._read.get(event.draft.id)
        if counted is not None:
            return _standing(counted)
        told: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        self._waiting[event.draft.id] = told
        try:
            async with asyncio.timeout(self._confirm_s):
                return await told
        except TimeoutError:
            self._unconfirmed += 1
            return Standing.UNCONFIRMED
        finally:
            del self._waiting[event.draft.id]

    async def run(self) -> None:
        """Follow the feed until cancelled."""
        async for batch in self._feed.follow():
            self.take(batch)

    def take(self, batch: FeedBatch) -> None:
        """Fold what was read, and tell those who wait for it."""
        for event, partition, offset in batch.records:
            if not isinstance(event.payload, APPROVAL_EVENTS):
                self.on_other(event)
                continue
            counted = self._folded.take(event, partition, offset)
            if event.draft.id not in self._read:
                self._told(event, counted)
        self._records += len(batch.records)
        self._complete_ns = batch.complete_ns or self._complete_ns
        if batch.records:
            self.on_change()

    def _told(self, event: AuditEvent, counted: bool) -> None:
        _remember(self._read, event, counted)
        self._unread.pop(event.draft.id, None)
        told = self._waiting.get(event.draft.id)
        if told is not None and not told.done():
            told.set_result(_standing(counted))

    def samples(self) -> Iterable[Sample]:
        now, since = self._clock.monotonic_ns(), self._complete_ns
        age = (now - since) / 1e9 if since else -1.0
        yield Sample("approvals_away", SampleKind.GAUGE, "Whether approvals can't be relied on now", float(self.away))
        yield Sample(
            "approvals_feed_age_seconds", SampleKind.GAUGE,
            "How long ago all approvals were known, -1 where they never were", age,
        )  # fmt: skip
        yield Sample(
            "approvals_feed_records", SampleKind.COUNTER, "Records read from the approvals topic", self._records
        )
        yield Sample(
            "approvals_unread", SampleKind.GAUGE, "Own events about approvals that did not come back yet",
            len(self._unread),
        )  # fmt: skip
        yield Sample(
            "approvals_unconfirmed", SampleKind.COUNTER, "Events about approvals that did not come back in time",
            self._unconfirmed,
        )  # fmt: skip


def _remember(counted: OrderedDict[str, bool], event: AuditEvent, value: bool) -> None:
    counted[event.draft.id] = value
    if len(counted) > _RECENT:
        counted.popitem(last=False)


def _standing(counted: bool) -> Standing:
    return Standing.COUNTED if counted else Standing.OVERTAKEN
