"""The audit sink: Kafka's events to the analytics store. The one writer of a data folder in the distributed form.

It reads the topics directly, without a consumer group: how far each partition was taken stands in the store and changes
in the same transaction as the rows. So after a kill at any moment it goes on exactly behind what is durable. What the
relay sent twice is a duplicate and changes nothing; what is late or out of order is taken and counted; what is no event
becomes a dead letter with its bytes; where offsets are missing it refuses (ingest.sink_source).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.live import StoreOutdated
from analytics.rebuild import rebuild
from analytics.retention_keeper import Keeper
from analytics.store import DEFAULTS as STORE_DEFAULTS
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from decision.model.errors import KafkaUnavailable
from decision.model.metrics import Sample, counter, gauge
from decision.model.ports import Clock, IdSource
from ingest.kafka_clients import IDLE_S
from ingest.kafka_settings import KafkaSettings
from ingest.publication import Publication
from ingest.sink_batch import take_chunks
from ingest.sink_rebuild import KafkaFeed
from ingest.sink_source import Chunk, Places, TopicsSource
from ingest.status import IngestStatus, write_status

log = logging.getLogger(__name__)

_FULLER_S = 0.25
"""So long the next records are waited for that are known to be there: few large batches cost less than many."""
_SOON_S = 0.05

Wait = Callable[[float], bool]
"""Waits so many seconds, or until it is time to stop; whether it is."""


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """Durations in seconds. `poll_s`: how long an idle topic is waited for. `publish_s`: the least time between
    publications. `batch` and `batch_bytes`: the most that is taken at once. `pause_s` doubles to `longest_pause_s`
    while Kafka is away; `away_log_s`: how often the log repeats that; `idle_s`: how often an idle sink asks whether
    Kafka is there."""

    poll_s: float = 0.2
    publish_s: float = 0.6
    batch: int = 16_384
    batch_bytes: int = 48 * 1024 * 1024
    status_s: float = 1.0
    pause_s: float = 0.25
    longest_pause_s: float = 2.0
    away_log_s: float = 60.0
    idle_s: float = IDLE_S
    store: StoreSettings = STORE_DEFAULTS


DEFAULTS = SinkSettings()


class KafkaSink:
    """One store fed by the topics. `run` on one thread; `samples` on any."""

    def __init__(
        self,
        data_dir: Path,
        kafka: KafkaSettings,
        settings: SinkSettings = DEFAULTS,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        accept_loss: bool = False,
    ) -> None:
        self._folder = data_dir / FOLDER
        self._kafka = kafka.demand()
        self._settings = settings
        self._clock = clock or SystemClock()
        self._ids = ids or Uuid7Source()
        self._accept_loss = accept_loss
        self._error = ""
        self._status: IngestStatus | None = None
        self._lags: dict[tuple[str, int], int] = {}
        self._lost = 0

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; then what was taken is published. Raises StoreError when another process writes the
        folder or its store has to be made again; SinkRefused, TopicRefused, SettingsError for what no waiting mends.
        """
        with self._opened() as store:
            _Taking(self, store).run(stop.wait)

    def _opened(self) -> AnalyticsStore:
        """The store; one made for other tables is made again from the topics first."""
        parts = (self._clock, self._ids, self._settings.store)
        try:
            return AnalyticsStore(self._folder, *parts)
        except StoreOutdated:
            log.warning("%s was made by another version: making it again from Kafka", self._folder)
            rebuild(self._folder, KafkaFeed(self._kafka, accept_loss=self._accept_loss), *parts)
            return AnalyticsStore(self._folder, *parts)

    def samples(self) -> Iterable[Sample]:
        status = self._status
        if status is None:
            return
        yield counter("sink_events", "Events taken into the audit store since it was made.", status.events)
        yield counter("sink_duplicates", "Events that came again and changed nothing.", status.duplicates)
        yield counter("sink_dead_letters", "Records that are no event, and events that could not be projected.",
                      status.dead_letters)  # fmt: skip
        yield gauge("sink_missing_events", "Events that a producer numbered and that have not arrived.", status.missing)
        yield counter("sink_lost_records", "Offsets passed over because that was asked for.", self._lost)
        yield gauge("sink_segments", "Parquet files of the audit store.", status.segments)
        yield gauge("sink_publication_lag_seconds", "From an event's own time to its publication, of the newest one.",
                    status.last_lag_s)  # fmt: skip
        yield gauge("sink_connected", "1 while the topics are being read.", 0 if status.error else 1)
        for (topic, partition), lag in sorted(self._lags.items()):
            yield gauge(
                "sink_lag_events", "Records that wait in the topic.", lag, topic=topic, partition=str(partition)
            )


class _Taking:
    """A sink at work, with its store open."""

    def __init__(self, sink: KafkaSink, store: AnalyticsStore) -> None:
        self._sink = sink
        self._store = store
        self._clock = sink._clock
        self._settings = sink._settings
        self._events = sink._kafka.topics.events
        self._source = TopicsSource(
            sink._kafka, Places(store.position, store.identity), accept_loss=sink._accept_loss
        )  # fmt: skip
        self._publication = Publication(store, sink._clock, sink._settings.publish_s)
        self._keeper = Keeper(store, sink._clock)
        self._identities: dict[str, str] = {}
        self._behind = False
        self._failures = 0
        self._said_at = 0
        self._away_since = 0
        self._status_at = 0
        self._checked_at = 0

    def run(self, wait: Wait) -> None:
        try:
            while not wait(0.0):
                self._step(wait)
        finally:
            self._source.close()
        self._store.flush()
        self._publication.publish()
        self._tell()

    def _step(self, wait: Wait) -> None:
        try:
            if not self._source.is_open:
                self._identities = self._source.open()
                self._checked_at = self._clock.monotonic_ns()
            taken = self._take()
            if not taken and self._clock.monotonic_ns() - self._checked_at >= self._settings.idle_s * 1e9:
                self._source.check()
                self._checked_at = self._clock.monotonic_ns()
            self._recovered()
        except KafkaUnavailable as error:
            self._away(error)
            self._store.flush()
        if self._store.dirty and self._publication.is_due(behind=self._behind):
            self._publication.publish()
        self._store.compact()
        self._store.clean()
        self._keeper.step()
        now = self._clock.monotonic_ns()
        if now - self._status_at >= self._settings.status_s * 1e9:
            self._tell()
        if not self._source.is_open:
            wait(min(self._settings.longest_pause_s, self._settings.pause_s * 2.0 ** min(self._failures, 8)))

    def _away(self, error: KafkaUnavailable) -> None:
        self._source.close()
        now = self._clock.monotonic_ns()
        if not self._sink._error or now - self._said_at >= self._settings.away_log_s * 1e9:
            log.warning("%s: waiting for it (%s)", error.message, error.hint)
            self._said_at = now
        self._away_since = self._away_since or now
        self._failures += 1
        self._sink._error = error.message

    def _recovered(self) -> None:
        if self._sink._error:
            away_s = (self._clock.monotonic_ns() - self._away_since) / 1e9
            log.warning("Kafka is back after %.0f s: the sink goes on", away_s)
        self._failures, self._away_since, self._sink._error = 0, 0, ""

    def _take(self) -> int:
        """Take the next batch. Returns how many records it held."""
        chunks: list[Chunk] = []
        count = size = 0
        while count < self._settings.batch and size < self._settings.batch_bytes:
            wait_s = _FULLER_S if chunks and any(self._source.lags().values()) else 0.0
            if not chunks:
                wait_s = min(_SOON_S, self._settings.poll_s) if self._store.dirty else self._settings.poll_s
            more = self._source.poll(wait_s)
            if not more:
                break
            chunks += more
            count += sum(len(chunk.values) for chunk in more)
            size += sum(sum(map(len, chunk.values)) for chunk in more)
        self._behind = count >= self._settings.batch or size >= self._settings.batch_bytes
        if chunks:
            self._store_chunks(chunks)
        if not self._behind:
            self._store.flush()
        return count

    def _store_chunks(self, chunks: Sequence[Chunk]) -> None:
        applied = take_chunks(self._store, chunks, self._events, self._identities, self._source.starts)
        self._identities = {}
        if applied.dead_letters:
            log.warning("%d records could not be read or projected: see the view dead_letters", applied.dead_letters)
        if applied.newest_ns:
            self._publication.took(applied.oldest_ns, applied.newest_ns)

    def _tell(self) -> None:
        """Write the status."""
        self._status_at = self._clock.monotonic_ns()
        sink, counts = self._sink, self._store.counters
        lags = self._source.lags() or sink._lags
        partitions = [partition for topic, partition in lags if topic == self._events]
        position = sum(self._store.position(f"{self._events}/{partition}") for partition in partitions)
        waiting = sum(lag for (topic, _), lag in lags.items() if topic == self._events)
        sink._lags, sink._lost = lags, self._source.lost
        sink._status = IngestStatus(
            pid=os.getpid(),
            time_unix_nano=self._clock.time_unix_nano(),
            position=position,
            head=position + waiting,
            lag_events=waiting,
            lag_s=self._publication.lag_s,
            last_lag_s=self._publication.last_lag_s,
            events=counts["events"],
            duplicates=counts["duplicates"],
            dead_letters=counts["dead_letters"],
            missing=counts["missing"],
            segments=len(self._store.segments),
            error=sink._error,
            source="kafka",
        )
        write_status(self._store.folder, sink._status)
