"""What a fold knows, as a plain document, and back: for a restart that does not read everything again. Pure.

The document holds no numbers of events: who restores it goes on from the position that was stored with it. Windows are
kept for the plan of rules they were made with; under another plan only first times are taken over.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from ingest.detectors.extract import Extraction
from ingest.detectors.fold import Detections
from ingest.detectors.person import Person
from ingest.detectors.rules import Rule
from ingest.detectors.windows import Items, Sums

FORM = 1

Document = dict[str, Any]


def plan_of(rules: Iterable[Rule], grace_s: int) -> str:
    """Equal for equal windows."""
    text = [f"{rule.id} {rule.measure} {rule.window_s} {rule.distinct} {rule.evidence}" for rule in rules]
    return sha256("\n".join([*text, str(grace_s)]).encode()).hexdigest()[:16]


def dump(extraction: Extraction, detections: Detections, plan: str) -> Document:
    return {
        "form": FORM,
        "plan": plan,
        "sessions": extraction.sessions.known(),
        "people": [[*key, *_person(person)] for key, person in detections.people.items()],
    }


def load(document: Document, extraction: Extraction, detections: Detections, plan: str) -> bool:
    """Put it into folds that know nothing yet. False: the windows were made by another plan, only first times count.
    Raises KeyError, TypeError, ValueError for what is no such document; the folds are then to be thrown away."""
    if document["form"] != FORM:
        raise ValueError(f"form {document['form']}")
    same: bool = document["plan"] == plan
    for session_id, keys, database in document["sessions"]:
        extraction.sessions.open(session_id, tuple((issuer, subject) for issuer, subject in keys), database)
    for issuer, subject, sums, items, firsts, raised in document["people"]:
        for measure, item, time in firsts:
            detections.remember((issuer, subject), measure, item, time)
        if same:
            person = detections.people.setdefault((issuer, subject), Person())
            for measure, step, buckets in sums:
                person.sums[measure, step] = _sums(buckets)
            for measure, step, seen in items:
                person.items[measure, step] = _items(seen)
            for rule, slot, observed, bucket in raised:
                person.raised[rule, slot] = (observed, bucket)
    return same


def _person(person: Person) -> list[object]:
    return [
        [[*held, [[bucket, *found] for bucket, found in sums.buckets.items()]] for held, sums in person.sums.items()],
        [[*held, list(map(list, items.buckets.items()))] for held, items in person.items.items()],
        [[*place, time] for place, time in person.firsts.items()],
        [[*place, *told] for place, told in person.raised.items()],
    ]


def _sums(buckets: Iterable[tuple[int, int, int]]) -> Sums:
    sums = Sums()
    for bucket, amount, time in buckets:
        sums.buckets[bucket] = [amount, time]
        sums.total += amount
    sums.newest = max(sums.buckets, default=-1)
    return sums


def _items(buckets: Iterable[tuple[int, dict[str, int]]]) -> Items:
    items = Items()
    for bucket, held in buckets:
        items.buckets[bucket] = dict(held)
        items.size += len(held)
        for item in held:
            items.live[item] = items.live.get(item, 0) + 1
    items.newest = max(items.buckets, default=-1)
    return items
