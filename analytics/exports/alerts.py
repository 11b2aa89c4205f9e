"""Alerts for an export. They are derived from events and stand in no chain, so their place is their time.

An alert may be found a while after its time, so each look reaches back by OVERLAP_S; what was taken already is
remembered by what it says. After a restart those of the overlap come again: they have the same ids.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from hashlib import sha256

from analytics.query import CatalogReader
from decision.journal.chain import chain_hash
from decision.journal.codec import EventCodec
from decision.model.events import AlertRaised, AuditEvent, EventDraft

PRODUCER = "detections"
OVERLAP_S = 3600
MOST = 10_000
_SQL = """
SELECT time, alert_id, rule, severity, title, window_start, window_end, principal, principal_issuer, database, evidence,
  observed, threshold
FROM fact.alert_events WHERE time >= ? ORDER BY time, alert_id
"""


class Alerts:
    """`after` is the newest time that was taken (UNIX nanoseconds)."""

    def __init__(self, codec: EventCodec, after: int = 0) -> None:
        self.after = after
        self._codec = codec
        self._taken: OrderedDict[bytes, None] = OrderedDict()

    def read(self, reader: CatalogReader, since: int = 0) -> list[AuditEvent]:
        """Those that were not taken yet, by time; none from before `since`."""
        begin = max(self.after - OVERLAP_S * 1_000_000_000, since, 0)
        answer = reader.ask(_SQL, [datetime.fromtimestamp(begin // 1_000_000_000, UTC)], limit=MOST, timeout_s=120.0)
        found = []
        for row in answer.rows:
            event = self._event(row)
            if event.draft.time_unix_nano < begin or event.hash in self._taken:
                continue
            self._taken[event.hash] = None
            if len(self._taken) > 2 * MOST:
                self._taken.popitem(last=False)
            found.append(event)
            self.after = max(self.after, event.draft.time_unix_nano)
        return found

    def _event(self, row: tuple[object, ...]) -> AuditEvent:
        time, alert_id, rule, severity, title, start, end, subject, issuer, database, evidence, observed, threshold = (
            row
        )
        pairs = evidence if isinstance(evidence, dict) else {}
        payload = AlertRaised(
            _text(alert_id), _text(rule), _text(severity), _text(title), _nanos(start), _nanos(end), _text(subject),
            _text(issuer), _text(database), tuple((str(name), str(value)) for name, value in sorted(pairs.items())),
            _number(observed), _number(threshold),
        )  # fmt: skip
        identity = sha256(f"{payload.alert_id}\0{_nanos(time)}".encode("utf-8", "replace")).hexdigest()[:32]
        draft = EventDraft(identity, _nanos(time), PRODUCER, payload.alert_id, payload)
        raw = self._codec.encode(draft, PRODUCER, 0, 0, b"")
        return AuditEvent(draft, PRODUCER, 0, 0, b"", chain_hash(b"\0" * 32, 0, raw), raw)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _nanos(value: object) -> int:
    if not isinstance(value, datetime):
        return 0
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
