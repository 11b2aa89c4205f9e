"""The streams app (Faust): events to signals by principal, signals to alerts and counters.

    events topic, approvals topic ──agents `events`, `approvals`──▶ signals topic
    signals topic ──agent `signals`──▶ alerts topic, counters topic

It scales by partitions: every worker runs both agents over the partitions that the group gives it. What keeps it exact
is not Faust: positions are acknowledged after what follows from them is in Kafka, the state of a partition is its own
records (ingest.app_fold), and repetitions are told apart by their numbers. An agent that can't go on leaves: the
process is replaced by a new one (`begin_anew`), never an exception into Faust, which would lose what it had fetched.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import faust

from decision.model.errors import AirlockError
from decision.model.ports import Clock
from decision.wire.events import ProtobufEventCodec
from ingest.alerts_settings import DetectionSettings
from ingest.app_consumer import LeanConsumer
from ingest.app_fold import Folds
from ingest.app_history import History, Record
from ingest.app_output import Outgoing, Output
from ingest.app_records import StreamTopics, pack, pack_first
from ingest.app_source import APPROVALS_BACK_S, Source
from ingest.counters import Counters, counters_key, encode_counters
from ingest.detectors.figures import Counted
from ingest.kafka_clients import faust_options
from ingest.kafka_settings import KafkaSettings

log = logging.getLogger(__name__)

SESSION_S = 10.0
COUNTERS_S = 0.5
TURN = 100
_TAKE = 2_000
_WITHIN_S = 0.1
_SIGNALS_WITHIN_S = 0.3
_CODEC = ProtobufEventCodec()


ENDS = (signal.SIGTERM, signal.SIGINT)


def begin_anew(reason: str) -> None:
    """Replace this process by a new one with the same arguments. Nothing is closed or flushed, as after kill -9. Who
    tells it to end meanwhile is heard by the new one, which must unblock `ENDS`."""
    log.error("beginning anew: %s", reason)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "airlock.main", *sys.argv[1:]])


class Streams:
    """One worker's app. `start` joins the group, `stop` leaves promptly; `leave` is what ends the process where an
    agent can't go on."""

    def __init__(
        self,
        settings: KafkaSettings,
        detections: DetectionSettings,
        topics: StreamTopics,
        instance: str,
        folder: Path,
        clock: Clock,
        leave: Callable[[str], None] = begin_anew,
    ) -> None:
        self._settings = settings
        self._leave = leave
        meaning = detections.meaning(clock.time_unix_nano())
        self.source = Source(settings.topics.events, History(settings), meaning)
        self.approvals = Source(settings.topics.approvals, History(settings), meaning, APPROVALS_BACK_S)
        self.folds = Folds(topics, History(settings), detections.tuned(), detections.limits(), clock)
        self.output = Output(settings)
        self.topics = topics
        self.events_topic = settings.topics.events
        self.instance = instance
        self._stopping = False
        self._publisher: asyncio.Task[None] | None = None
        self.counted = 0
        self.signalled = 0
        self.app = self._make(folder)

    def _make(self, folder: Path) -> faust.App:
        settings = self._settings
        app = faust.App(
            f"{settings.topic_prefix}.detections", **faust_options(settings),
            autodiscover=False, origin="ingest", datadir=str(folder), store="memory://",
            key_serializer="raw", value_serializer="raw",
            consumer_group_instance_id=self.instance, consumer_auto_offset_reset="earliest",
            broker_client_id=settings.client_id, broker_session_timeout=SESSION_S,
            broker_heartbeat_interval=SESSION_S / 4, broker_request_timeout=max(settings.request_timeout_s, 15.0),
            broker_max_poll_records=_TAKE, broker_commit_interval=1.0, broker_check_crcs=True,
            stream_wait_empty=False, stream_buffer_maxsize=2 * _TAKE, stream_publish_on_commit=False,
            topic_allow_declare=False, topic_disable_leader=True, reply_create_topic=False,
            web_enabled=False,
        )  # fmt: skip
        app.transport.Consumer = LeanConsumer  # type: ignore[misc]
        events = app.topic(settings.topics.events, value_type=bytes, key_type=bytes, value_serializer="raw")
        approvals = app.topic(settings.topics.approvals, value_type=bytes, key_type=bytes, value_serializer="raw")
        signals = app.topic(self.topics.signals, value_type=bytes, key_type=bytes, value_serializer="raw")
        app.agent(events, name="events")(self._events)
        app.agent(approvals, name="approvals")(self._consents)
        app.agent(signals, name="signals")(self._signals)
        return app

    # ── the agents ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _events(self, stream: Any) -> AsyncIterator[None]:
        async for batch in stream.noack_take(_TAKE, within=_WITHIN_S):
            await self._guarded(self._extract, batch)
            yield None

    async def _consents(self, stream: Any) -> AsyncIterator[None]:
        async for batch in stream.noack_take(_TAKE, within=_SIGNALS_WITHIN_S):
            await self._guarded(self._extract_approvals, batch)
            yield None

    async def _signals(self, stream: Any) -> AsyncIterator[None]:
        async for batch in stream.noack_take(_TAKE, within=_SIGNALS_WITHIN_S):
            await self._guarded(self._detect, batch)
            yield None

    async def _guarded(self, work: Callable[[Any], Any], batch: Sequence[Any]) -> None:
        """Do it, acknowledge it; or leave. An exception must not reach Faust."""
        try:
            await work(_by_partition(batch))
            for event in batch:
                event.ack()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the process begins anew
            if not self._stopping:
                self._leave(f"an agent can't go on: {said(error)}")

    async def _extract(self, partitions: dict[int, list[Record]]) -> None:
        await self._extracted(self.source, partitions, arrive=True)

    async def _extract_approvals(self, partitions: dict[int, list[Record]]) -> None:
        """The same events are in the events' topic, where they arrive; what they say is told apart by their numbers."""
        await self._extracted(self.approvals, partitions, arrive=False)

    async def _extracted(self, source: Source, partitions: dict[int, list[Record]], *, arrive: bool) -> None:
        sending: list[Outgoing] = []
        for partition, records in partitions.items():
            if source.must_read_back(partition, records[0].offset):
                signals, places = await asyncio.to_thread(source.take, partition, records)
            else:
                signals, places = source.take(partition, records)
            self.signalled += len(signals)
            packed = pack(self.topics, signals, places if arrive else ())
            sending += [Outgoing(self.topics.signals, None, one.value, one.partition) for one in packed]
        await self.output.send(sending)

    async def _detect(self, partitions: dict[int, list[Record]]) -> None:
        for partition, records in partitions.items():
            if self.folds.must_read_back(partition, records[0].offset):
                await asyncio.to_thread(self.folds.take, partition, records)
            else:
                self.folds.take(partition, records)
            alerts, met = self.folds.flush(partition)
            await self.output.send(
                [
                    Outgoing(
                        self._settings.topics.alerts,
                        draft.correlation_id.encode(),
                        _CODEC.encode(draft, draft.source, 0, 0, b""),
                    )
                    for draft in alerts
                ]
            )
            await self.output.send([Outgoing(self.topics.firsts, *pack_first(one), partition) for one in met])

    # ── counters ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _publish(self) -> None:
        """Tell the counters that changed, and those of some others in turn, whose windows went on."""
        while True:
            await asyncio.sleep(COUNTERS_S)
            ours = self.assigned(self.topics.signals)
            self.folds.keep(ours)
            self.source.keep(self.assigned(self._settings.topics.events))
            self.approvals.keep(self.assigned(self._settings.topics.approvals))
            try:
                told = [_counters(one) for one in self.folds.counters(TURN)]
                await self.output.send(told_to(self._settings.topics.counters, told))
                self.counted += len(told)
            except Exception as error:  # noqa: BLE001  # whatever it is, the process begins anew
                self._leave(f"the counters can't be told: {said(error)}")

    def assigned(self, topic: str) -> frozenset[int]:
        """The partitions that are ours now."""
        assignment = self.app.consumer.assignment() if self.app.started else ()
        return frozenset(place.partition for place in assignment if place.topic == topic)

    def taken(self, topic: str, partition: int) -> int | None:
        """The next offset that is expected of a partition; None where nothing was read yet."""
        return (self.source if topic == self.events_topic else self.folds).position(partition)

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Raises KafkaUnavailable."""
        await self.output.start()
        await self.app.start()
        self.app.sensors.remove(self.app.monitor)  # our own numbers cost a tenth of what it does for each event
        self._publisher = asyncio.create_task(self._publish())

    async def stop(self) -> None:
        self._stopping = True
        if self._publisher is not None:
            self._publisher.cancel()
            await asyncio.gather(self._publisher, return_exceptions=True)
        await self.app.stop()
        await self.output.stop()

    def read(self) -> int:
        """Records read by this process, to see whether some come."""
        return self.source.counts["events"] + self.folds.totals()["signals"]

    @property
    def crashed(self) -> bool:
        return bool(self.app.crashed) or (self._publisher is not None and self._publisher.done())


def said(error: BaseException) -> str:
    """An error of ours in its words; any other by its type and place, as its text may quote what it met."""
    if isinstance(error, AirlockError):
        return error.message
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


def told_to(topic: str, counters: Sequence[Counters]) -> list[Outgoing]:
    return [Outgoing(topic, counters_key(one.principal), encode_counters(one)) for one in counters]


def _counters(one: Counted) -> Counters:
    return Counters((one.issuer, one.subject), one.time_unix_nano, one.values)


def _by_partition(batch: Sequence[Any]) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for event in batch:
        message = event.message
        found.setdefault(message.partition, []).append(Record(message.offset, event.value or b""))
    return found
