"""Detections in the embedded form: the same folds as in the streams app, in the process that projects the journal.

`EmbeddedDetections` lives beside the store: it is given each batch before the store, and the alerts it answers with are
stored in the same transaction. What it knows is written now and then with the journal's position
(`<data-dir>/analytics/detections.bin`); after a restart it reads from there what lies between, so nothing is counted
twice and nothing is lost. Alerts replace each other by id: telling one again changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import orjson

from decision.model.errors import ChainBroken
from decision.model.events import AuditEvent, EventDraft
from decision.model.metrics import Sample, SampleKind
from decision.model.ports import Clock
from decision.wire.events import ProtobufEventCodec
from ingest.alerts_settings import DetectionSettings
from ingest.app_events import read_event, signals_of
from ingest.counters import Counters, write_counters
from ingest.detectors import Detections, Extraction
from ingest.detectors.alerts import SOURCE
from ingest.detectors.state import dump, load, plan_of

log = logging.getLogger(__name__)

SNAPSHOT = "detections.bin"
SNAPSHOT_S = 30.0
COUNTERS_S = 0.5
TURN = 200
MOST_REPLAYED = 200_000
"""Without a snapshot it begins so many events before the journal's position."""
_BATCH = 8_192
_CODEC = ProtobufEventCodec()

Read = Callable[[int, int], Sequence[AuditEvent]]
"""(after seq, limit) to events of the journal, in order."""


class Detecting:
    """Events in order to alerts, in memory. Not thread-safe."""

    def __init__(self, settings: DetectionSettings, clock: Clock) -> None:
        self.settings = settings
        self.rules = settings.tuned()
        self.clock = clock
        self._begin()

    def _begin(self) -> None:
        self.extraction = Extraction(self.settings.meaning(self.clock.time_unix_nano()))
        self.detections = Detections(self.rules, self.settings.limits())

    def alerts(self, events: Iterable[AuditEvent]) -> list[AuditEvent]:
        """The alerts that these events raise or let grow."""
        now = self.clock.time_unix_nano()
        for event in events:
            self.detections.add(self.extraction.signals(event), now)
        return [alert_event(draft) for draft in self.detections.flush(self.clock.monotonic_ns())]

    def alerts_of(self, raws: Iterable[bytes]) -> list[AuditEvent]:
        """As `alerts` of the decoded events, at less than half the cost. What is no event says nothing."""
        now = self.clock.time_unix_nano()
        for raw in raws:
            with contextlib.suppress(ChainBroken):
                self.detections.add(signals_of(self.extraction, read_event(raw)), now)
        return [alert_event(draft) for draft in self.detections.flush(self.clock.monotonic_ns())]


def alert_event(draft: EventDraft) -> AuditEvent:
    """An alert as an event outside any chain: derived, part of no journal, no leaf."""
    return AuditEvent(draft, SOURCE, 0, 0, b"", b"", _CODEC.encode(draft, SOURCE, 0, 0, b""))


class EmbeddedDetections(Detecting):
    """`folder` is the analytics folder. `resume` once, then `take` and `tick` by turns, `close` at the end."""

    def __init__(self, folder: Path, settings: DetectionSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._folder = folder
        self._plan = plan_of(self.rules, settings.grace_s)
        self._position = 0
        self._saved = self._told = clock.monotonic_ns()
        self._counters: dict[tuple[str, str], Counters] = {}
        self._unsaved = False
        self._new = False

    def resume(self, position: int, read: Read) -> list[AuditEvent]:
        """Know what lies up to `position`. The alerts of what was read again: equal to those that were stored, or
        grown, so storing them is right."""
        at = self._load(position)
        if at < 0:
            at = max(0, position - MOST_REPLAYED)
        alerts: dict[str, AuditEvent] = {}
        while at < position:
            events = [event for event in read(at, min(_BATCH, position - at)) if event.seq <= position]
            if not events:
                break
            alerts |= {alert.draft.correlation_id: alert for alert in self.alerts(events)}
            at = events[-1].seq
        self._position = position
        return list(alerts.values())

    def take(self, events: Sequence[AuditEvent], position: int) -> list[AuditEvent]:
        """The alerts that these events raise or let grow; `position` is the journal's after them."""
        self._position = position
        self._unsaved = self._unsaved or bool(events)
        return self.alerts(events)

    def take_raw(self, raws: Sequence[bytes], position: int) -> list[AuditEvent]:
        """`take` of the events' bytes."""
        self._position = position
        self._unsaved = self._unsaved or bool(raws)
        return self.alerts_of(raws)

    def tick(self) -> None:
        """Tell the counters and save what is known, as far as it is time. A full disk is logged, and tried again."""
        now = self.clock.monotonic_ns()
        if now - self._told >= COUNTERS_S * 1e9:
            self._told = now
            self._guarded(self._tell, "counters")
        if self._unsaved and now - self._saved >= SNAPSHOT_S * 1e9:
            self._saved = now
            self._guarded(self._save, "detections")

    def close(self) -> None:
        self._guarded(self._tell, "counters")
        self._guarded(self._save, "detections")

    def samples(self) -> Iterable[Sample]:
        counts = {**self.detections.counts, **self.extraction.counts}
        for name, text in SAMPLES:
            yield Sample(f"detections_{name}", SampleKind.COUNTER, text, counts[name])
        yield Sample(
            "detections_keys",
            SampleKind.GAUGE,
            "Principals and other keys that are counted",
            len(self.detections.people),
        )

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _guarded(self, work: Callable[[], None], what: str) -> None:
        try:
            work()
        except OSError as error:
            log.warning("the %s can't be written to %s: %s", what, self._folder, error.strerror)

    def _tell(self) -> None:
        now = self.clock.time_unix_nano()
        for one in self.detections.counters(now, TURN):
            self._new = True
            key = (one.issuer, one.subject)
            if one.values:
                self._counters[key] = Counters(key, one.time_unix_nano, one.values)
            else:
                self._counters.pop(key, None)
        if self._new:
            write_counters(self._folder, self._counters.values())
            self._new = False

    def _save(self) -> None:
        document = {"position": self._position, "state": dump(self.extraction, self.detections, self._plan)}
        staging = self._folder / f".{SNAPSHOT}"
        staging.write_bytes(zlib.compress(orjson.dumps(document), 1))
        staging.replace(self._folder / SNAPSHOT)
        self._unsaved = False

    def _load(self, position: int) -> int:
        """The position of what was saved, once it is known again; -1 for none that can be used."""
        path = self._folder / SNAPSHOT
        try:
            document = orjson.loads(zlib.decompress(path.read_bytes()))
            at = int(document["position"])
            if at <= position:
                same = load(document["state"], self.extraction, self.detections, self._plan)
                return at if same else max(0, position - MOST_REPLAYED)
            log.info("%s is of a later state of the store: reading the journal again", path)
        except FileNotFoundError:
            return -1
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            log.warning("%s can't be used (%s): reading the journal again", path, type(error).__name__)
            self._begin()
        return -1


SAMPLES = (
    ("signals", "Signals that were counted or told apart as repetitions"),
    ("duplicates", "Signals that had been counted before"),
    ("late", "Signals too late for some of their windows"),
    ("refused_times", "Signals of a time ahead of the clock by more than the grace"),
    ("evicted_keys", "Keys forgotten because there were too many"),
    ("refused_items", "Items not kept because a key had too many"),
    ("alerts", "Alerts raised, or raised again as they grew"),
    ("unattributed", "Executions whose session is not known"),
    ("unreadable", "Policy inputs that can't be read"),
)
