"""An alert as an event: its id follows from what it is about, so that raising it again replaces it. Pure."""

from __future__ import annotations

from hashlib import sha256

from decision.model.events import AlertRaised, EventDraft
from ingest.detectors.rules import Rule
from ingest.detectors.signals import Key

SOURCE = "detections"
_SHOWN = 10
_LONGEST = 200

Evidence = tuple[tuple[str, str], ...]


def alert_id(rule: str, key: Key, window: str) -> str:
    """`window`: what tells this alert from another one of the same rule and key."""
    digest = sha256("\0".join((rule, *key, window)).encode("utf-8", "replace")).hexdigest()
    return f"{rule}-{digest[:20]}"


def alert(
    rule: Rule, key: Key, window: str, observed: int, start_ns: int, end_ns: int, time_ns: int, evidence: Evidence
) -> EventDraft:
    """The draft of AlertRaised. Its id is a UUIDv7 (RFC 9562) of the event's time whose random part follows from the
    alert and what was observed: raised again from the same events, it is the same event."""
    found = alert_id(rule.id, key, window)
    payload = AlertRaised(
        alert_id=found,
        rule=rule.id,
        severity=rule.severity,
        title=rule.title,
        window_start_unix_nano=start_ns,
        window_end_unix_nano=end_ns,
        subject=key[1],
        issuer=key[0],
        database=_database(evidence),
        evidence=(*evidence, ("controls", " ".join(rule.controls)), ("advice", rule.advice)),
        observed=observed,
        threshold=rule.threshold,
    )
    return EventDraft(_uuid7(time_ns, f"{found} {observed} {end_ns}"), time_ns, SOURCE, found, payload)


def listed(items: set[str]) -> str:
    """The first few of them in order, and how many more there are."""
    shown = sorted(items)[:_SHOWN]
    text = ", ".join(item[:_LONGEST] for item in shown)
    return text if len(items) == len(shown) else f"{text} and {len(items) - len(shown)} more"


def _database(evidence: Evidence) -> str:
    named = dict(evidence).get("databases", "")
    return "" if "," in named else named


def _uuid7(time_ns: int, content: str) -> str:
    digits = sha256(content.encode("utf-8", "replace")).hexdigest()
    millis = f"{max(time_ns, 0) // 1_000_000:012x}"[-12:]
    variant = "89ab"[int(digits[3], 16) & 3]
    return f"{millis[:8]}-{millis[8:]}-7{digits[:3]}-{variant}{digits[4:7]}-{digits[8:20]}"
