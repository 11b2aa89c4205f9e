"""The relay: what is durable in the journal, on Kafka too. At least once, in order for each key, never with a hole.

    starting ──▶ running ◀──▶ away       no broker, or none that acknowledges: it goes on by itself
                    └──▶ refused         topics or journal are not what they were: raised to whoever runs it

It reads whole batches, undecoded, sends them and goes on reading while they are acknowledged; the cursor follows. What
is on its way is bounded, so an outage of any length costs no memory: the journal waits, up to its quota. After a
failure it begins anew at the cursor with another producer: what had arrived comes again, the same bytes at the same
place of the chain, and readers drop it. For each key the first copies still come in order, because of each partition
a producer's batches are taken in their order or not at all.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import kafka.errors as errors

from decision.journal.chain import Head
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import AirlockError, JournalUnavailable, KafkaUnavailable
from decision.model.metrics import Sample
from decision.model.ports import Clock
from ingest.kafka_clients import abandon, producer, said
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import ClusterFound, ensure_topics
from ingest.relay_cursor import CursorFile, RelayCursor, RelayTarget, begin_at
from ingest.relay_records import RecordMaker
from ingest.relay_status import RelayState, RelayStatus, samples_of, write_relay_status
from ingest.relay_window import Chunk, Window

log = logging.getLogger(__name__)

LINGER_MS = 100
"""How long a batch may wait to be filled, while there is more to fill it with: else it is pushed."""
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RelayPace:
    """Durations in seconds. `poll_s`: how often an idle journal is looked at. `keep_s`: the least time between two
    writings of the cursor, `status_s` of the status. `stalled_s`: without an acknowledgement for so long the brokers
    count as away; after `given_up_s` the relay begins anew. `drain_s`: how long the end waits for acknowledgements.
    `pause_s` doubles to `longest_pause_s` between attempts. `chunk`: events that are read at once."""

    poll_s: float = 0.02
    keep_s: float = 0.2
    status_s: float = 1.0
    stalled_s: float = 5.0
    given_up_s: float = 45.0
    drain_s: float = 3.0
    pause_s: float = 0.25
    longest_pause_s: float = 8.0
    chunk: int = 2_048
    chunk_bytes: int = 4 * 1024 * 1024


PACE = RelayPace()


class Relay:
    """One journal to one cluster. `run` on one thread; `samples` and `status` on any."""

    def __init__(
        self,
        folder: Path,
        reader: SqliteJournalReader,
        settings: KafkaSettings,
        clock: Clock,
        jitter: Callable[[], float],
        pace: RelayPace = PACE,
    ) -> None:
        """`folder` is the journal's. `jitter` gives numbers from 0 to 1."""
        self._folder = folder
        self._reader = reader
        self._settings = settings.demand()
        self._clock = clock
        self._jitter = jitter
        self._pace = pace
        self._cursors = CursorFile(folder)
        self._kept = 0
        self._kept_at = 0
        self._dry = False
        self._progress_at = 0
        self._failures = 0
        self._logged_at: int | None = None
        self._away_since = 0
        self._status_at = 0
        now = clock.time_unix_nano()
        self._status = RelayStatus(os.getpid(), now, RelayState.STARTING, now, 0, 0, 0, 0.0, 0, 0, 0)

    # ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Until `stopped(seconds)`, which waits that long or until it is time to stop. Raises TopicRefused,
        RelayRefused, ChainBroken and SettingsError: what no waiting mends."""
        while not stopped(0.0):
            try:
                with self._connected() as (window, cursor):
                    self._pump(window, cursor, stopped)
                    break
            except (KafkaUnavailable, JournalUnavailable) as error:
                self._away(error)
                if stopped(self._pause()):
                    break
            except AirlockError as error:
                self._tell(RelayState.REFUSED, error)
                raise
        self._tell(RelayState.STOPPED)

    def _pause(self) -> float:
        """Doubling, and spread so that many relays don't come back at once."""
        longest = min(self._pace.longest_pause_s, self._pace.pause_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return longest * (0.5 + self._jitter() / 2)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[Window, RelayCursor]]:
        cursor = self._begin(ensure_topics(self._settings))
        client = producer(self._settings, linger_ms=LINGER_MS)
        self._progress_at, self._dry = self._clock.monotonic_ns(), False
        window = Window(client, self._settings, RecordMaker(cursor.producer_id), cursor.seq, cursor.hash)
        try:
            with said(self._settings):
                yield window, cursor
        finally:
            if window:
                abandon(client)
            else:
                with contextlib.suppress(errors.KafkaError):
                    client.close(timeout=self._pace.drain_s)

    def _begin(self, found: ClusterFound) -> RelayCursor:
        """The cursor to go on from. Raises RelayRefused where that would hide something."""
        topics = tuple((name, found.topics[name].topic_id, found.topics[name].partitions) for name in self._trail)
        target = RelayTarget(found.cluster_id, topics)
        producer_id = self._reader.producer()
        if not producer_id:
            raise JournalUnavailable(
                f"there is no journal in {self._folder} yet", hint="it is made when the decision service starts"
            )
        cursor, base = self._cursors.load(), self._reader.base()
        head, _ = self._reader.head()
        at = None if cursor is None else self._reader.hash_at(cursor.seq)
        if cursor is None and base != Head():
            log.warning("events up to %d were pruned before there was a relay: Kafka will not have them", base.seq)
        begun = begin_at(cursor, producer_id, base, head, at, target)
        if cursor is None:
            self._cursors.save(begun)
        self._kept = begun.seq
        self._status = replace(self._status, relayed=begun.seq, head=head)
        return begun

    @property
    def _trail(self) -> tuple[str, str]:
        return self._settings.topics.trail

    def _pump(self, window: Window, cursor: RelayCursor, stopped: Callable[[float], bool]) -> None:
        self._tell(RelayState.RUNNING if self._status.state is RelayState.STARTING else self._status.state)
        while not stopped(0.0):
            more = self._fill(window)
            full = not (window.room_events and window.room_bytes)
            if window and not more and not full:
                window.push(self._pace.poll_s)
            cursor = self._advance(cursor, window.settle(0.2 if full else 0.0), window)
            if not window and not more:
                self._recovered()
                self._progress_at = self._clock.monotonic_ns()
                stopped(self._pace.poll_s)
        end = self._clock.monotonic_ns() + int(self._pace.drain_s * 1e9)
        while window and self._clock.monotonic_ns() < end:
            window.push(0.1)
            cursor = self._advance(cursor, window.settle(0.0), window)
        self._keep(cursor, at_once=True)

    def _fill(self, window: Window) -> bool:
        """Send the next batches, if there are any and there is room. Returns whether there may be more."""
        room_events, room_bytes = window.room_events, window.room_bytes
        if not room_events or not room_bytes or (self._dry and not self._reader.changed()):
            return False
        limit, most = min(room_events, self._pace.chunk), min(room_bytes, self._pace.chunk_bytes)
        batches = self._reader.read_batches(window.seq, limit, most)
        self._dry = not batches
        if batches:
            if not window:
                self._progress_at = self._clock.monotonic_ns()
            window.send(batches)
        return bool(batches)

    def _advance(self, cursor: RelayCursor, done: list[Chunk], window: Window) -> RelayCursor:
        """The cursor after what was acknowledged; kept when it is time. Raises KafkaUnavailable when nothing was for
        long."""
        now = self._clock.monotonic_ns()
        if done:
            self._progress_at = now
            self._recovered()
            cursor = replace(cursor, seq=done[-1].last_seq, hash=done[-1].seal)
            sent = self._status
            self._status = replace(
                sent,
                relayed=cursor.seq,
                sent_events=sent.sent_events + sum(chunk.events for chunk in done),
                sent_bytes=sent.sent_bytes + sum(chunk.bytes for chunk in done),
            )
        elif window:
            silent_s = (now - self._progress_at) / _SECOND
            if silent_s > self._pace.stalled_s:
                servers = ", ".join(self._settings.bootstrap_servers)
                error = KafkaUnavailable(f"Kafka at {servers} has acknowledged nothing for {silent_s:.0f} s")
                if silent_s > self._pace.given_up_s:
                    raise error
                self._away(error)
        self._keep(cursor)
        if now - self._status_at > self._pace.status_s * _SECOND:
            self._tell(self._status.state, oldest=window.oldest_time)
        return cursor

    def _keep(self, cursor: RelayCursor, *, at_once: bool = False) -> None:
        now = self._clock.monotonic_ns()
        if cursor.seq != self._kept and (at_once or now - self._kept_at >= self._pace.keep_s * _SECOND):
            self._cursors.save(cursor)
            self._kept, self._kept_at = cursor.seq, now

    # ── what others see ─────────────────────────────────────────────────────────────────────────────────────────────

    def _away(self, error: AirlockError) -> None:
        """Say it once, and again each `away_log_s`."""
        now = self._clock.monotonic_ns()
        if self._status.state is not RelayState.AWAY:
            self._away_since = self._progress_at or now
            self._status = replace(self._status, errors=self._status.errors + 1)
        if self._logged_at is None or now - self._logged_at >= self._settings.away_log_s * _SECOND:
            self._logged_at = now
            self._tell(RelayState.AWAY, error)
            hint = f" ({error.hint})" if error.hint else ""
            log.warning("%s%s; events that wait in the journal: %d", error.message, hint, self._status.lag_events)
        elif self._status.state is not RelayState.AWAY or now - self._status_at > self._pace.status_s * _SECOND:
            self._tell(RelayState.AWAY, error)

    def _recovered(self) -> None:
        self._failures = 0
        if self._status.state in (RelayState.AWAY, RelayState.STARTING):
            if self._logged_at is not None:
                away_s = (self._clock.monotonic_ns() - self._away_since) / _SECOND
                log.warning("Kafka is back after %.0f s: the relay goes on after event %d", away_s, self._kept)
            self._logged_at = None
            self._tell(RelayState.RUNNING)

    def _tell(self, state: RelayState, error: AirlockError | None = None, oldest: int = 0) -> None:
        now, before = self._clock.time_unix_nano(), self._status
        with contextlib.suppress(JournalUnavailable):
            before = replace(before, head=self._reader.head()[0])
        if before.head > before.relayed and not oldest:
            oldest = self._oldest(before.relayed)
        self._status = replace(
            before,
            time_unix_nano=now,
            state=state,
            since_unix_nano=before.since_unix_nano if state is before.state else now,
            lag_events=max(0, before.head - before.relayed),
            lag_s=round(max(0.0, (now - oldest) / _SECOND), 3) if oldest else 0.0,
            error="" if error is None else error.message,
            hint="" if error is None else error.hint,
        )
        self._status_at = self._clock.monotonic_ns()
        write_relay_status(self._folder, self._status)

    def _oldest(self, relayed: int) -> int:
        """The time of the first event that was not relayed; 0 where it can't be read."""
        with contextlib.suppress(AirlockError):
            for _, raw in self._reader.read_raw(relayed, 1):
                return RecordMaker("").make(raw).time_unix_nano
        return 0

    def status(self) -> RelayStatus:
        return self._status

    def samples(self) -> Iterator[Sample]:
        """See decision.model.metrics."""
        return samples_of(self._status)
