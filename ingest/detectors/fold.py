"""Signals to alerts and counters: the fold that both forms share. Pure.

What it knows follows from the signals it was given, each counted once; their order does not matter as long as none is
later than the grace, and what is later is counted, not hidden. `flush` tells each alert at its greatest so far, so what
was told last is the same whatever the batches were. Memory is bounded: keys by number (the one that was silent longest
goes), items of a key by number, buckets by time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from decision.model.events import EventDraft
from ingest.detectors.alerts import Evidence, alert, listed
from ingest.detectors.figures import FIGURES, Counted, Figure
from ingest.detectors.gaps import Gaps
from ingest.detectors.person import Held, Person
from ingest.detectors.rules import RULES, Rule
from ingest.detectors.seen import Seen, Taken
from ingest.detectors.signals import PRODUCER, Key, Places, Signal, is_principal

SECOND = 1_000_000_000
NO_TIME = 7_258_118_400 * SECOND
"""2200-01-01: no clock of ours says so, and the end of a window behind it fits in no message."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`keys`: principals and whatever else is counted, at once. `items` of one measure of a key, `firsts` of a key.
    `pages` of 8,192 events each are remembered to tell duplicates. `grace_s`: how late an event may be, compared with
    the newest of its key, and still count in every window."""

    keys: int = 50_000
    items: int = 20_000
    firsts: int = 2_000
    pages: int = 4_096
    grace_s: int = 3_600
    producers: int = 1_000


class Detections:
    """Not thread-safe. `counts` are totals for people and metrics."""

    def __init__(self, rules: Iterable[Rule] = RULES, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._rules = tuple(rules)
        self.people: OrderedDict[Key, Person] = OrderedDict()
        self._seen = Seen(limits.pages)
        self._changed: dict[Key, Person] = {}
        self._untold: dict[Key, None] = {}
        self._turn: list[Key] = []
        self.met: list[tuple[Key, str, str, int]] = []
        self.counts = dict.fromkeys(
            ("signals", "duplicates", "late", "refused_times", "evicted_keys", "refused_items", "alerts"), 0
        )
        self._plan()

    def _plan(self) -> None:
        """Which buckets each measure needs, and which rules look at them."""
        self._sums: dict[str, dict[int, int]] = {}
        self._items: dict[str, dict[int, int]] = {}
        self._watch: dict[Held, list[Rule]] = {}
        self._firsts: dict[str, Rule] = {}
        gaps = 0
        for rule in self._rules:
            if rule.measure == "missing_events":
                gaps, self._missing = rule.window_s, rule
                continue
            if rule.first:
                self._firsts[rule.measure] = rule
                continue
            self._hold(self._items if rule.distinct else self._sums, rule.measure, rule.step_s, rule.window_s)
            self._watch.setdefault((rule.measure, rule.step_s), []).append(rule)
            for _, items in rule.evidence:
                self._hold(self._items, items, rule.step_s, rule.window_s)
        for figure in FIGURES:
            held = self._items if figure.distinct else self._sums
            self._hold(held, figure.measure, figure.step_s, figure.window_s)
        self._gaps = Gaps(gaps * SECOND, self._limits.producers) if gaps else None

    def _hold(self, plan: dict[str, dict[int, int]], measure: str, step_s: int, window_s: int) -> None:
        keep = (window_s + self._limits.grace_s) // step_s + 1
        steps = plan.setdefault(measure, {})
        steps[step_s] = max(steps.get(step_s, 0), keep)

    # ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, signals: Iterable[Signal], now_ns: int = NO_TIME) -> None:
        """`now_ns`: the reader's clock (UNIX). What is ahead of it by more than the grace is refused: all that really
        happens to its key would be late behind it, and so go unseen."""
        seen, counts = self._seen, self.counts
        until = min(NO_TIME, now_ns + self._limits.grace_s * SECOND)
        for signal in signals:
            counts["signals"] += 1
            if not 0 <= signal.time_unix_nano < until:
                counts["refused_times"] += 1
                continue
            taken = seen.take((signal.producer_id, signal.epoch, signal.part), signal.seq)
            if taken is Taken.NEW:
                self._count(signal)
            else:
                counts["duplicates" if taken is Taken.DUPLICATE else "late"] += 1

    def arrived(self, places: Iterable[Places]) -> None:
        """Which events of a producer there are; all of a producer's must be told to the same fold."""
        if self._gaps is not None:
            for one in places:
                self._gaps.arrived(one)

    def remember(self, key: Key, measure: str, item: str, time_unix_nano: int) -> None:
        """A first time that is known from before; it is not told again."""
        person = self._person(key)
        place = (measure, item)
        person.firsts[place] = min(time_unix_nano, person.firsts.get(place, time_unix_nano))

    def _person(self, key: Key) -> Person:
        person = self.people.get(key)
        if person is not None:
            self.people.move_to_end(key)
            return person
        if len(self.people) >= self._limits.keys:
            gone, _ = self.people.popitem(last=False)
            self._changed.pop(gone, None)
            self.counts["evicted_keys"] += 1
        person = self.people[key] = Person()
        return person

    def _count(self, signal: Signal) -> None:
        key = (signal.issuer, signal.subject)
        person = self._person(key)
        self._changed[key] = person
        time = signal.time_unix_nano
        second = time // SECOND
        late = False
        for measure, amount in signal.amounts:
            for step, keep in self._sums.get(measure, _NONE).items():
                late |= not person.grow((measure, step), second // step, amount, time, keep)
        most = self._limits.items
        for measure, item in signal.items:
            for step, keep in self._items.get(measure, _NONE).items():
                if not person.see((measure, step), second // step, item, time, keep, most):
                    self.counts["refused_items"] += 1
            if measure in self._firsts and not person.meet(measure, item, time, self._limits.firsts):
                self.counts["refused_items"] += 1
        if late:
            self.counts["late"] += 1

    # ── alerts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def flush(self, now_ns: int | None = None) -> list[EventDraft]:
        """The alerts that are new or have grown since the last call, each once. `now_ns`: see Gaps.found."""
        found: list[EventDraft] = []
        for key, person in self._changed.items():
            for held, since in person.touched.items():
                for rule in self._watch.get(held, ()):
                    found.extend(self._look(rule, key, person, held, since))
            person.touched.clear()
            if person.unfirst:
                found.extend(self._met(key, person))
            self._untold[key] = None
        self._changed.clear()
        if self._gaps is not None:
            found.extend(self._missed(now_ns))
        self.counts["alerts"] += len(found)
        return found

    def _look(self, rule: Rule, key: Key, person: Person, held: Held, since: int) -> Iterator[EventDraft]:
        windows = person.items.get(held) if rule.distinct else person.sums.get(held)
        if windows is None:
            return
        step, count = held[1], rule.window_s // held[1]
        best: dict[int, tuple[int, int]] = {}
        for bucket, observed in windows.over(count, rule.threshold, since):
            slot = bucket * step // rule.window_s
            best[slot] = max(best.get(slot, (0, 0)), (observed, bucket))
        for slot, (observed, bucket) in best.items():
            if (observed, bucket) <= person.raised.get((rule.id, slot), (0, 0)):
                continue
            person.raised[rule.id, slot] = (observed, bucket)
            self._limit(person)
            newest = _newest(person, held, bucket, rule.distinct)
            yield alert(
                rule, key, str(slot), observed, (bucket - count + 1) * step * SECOND, (bucket + 1) * step * SECOND,
                newest, self._evidence(rule, person, bucket, count),
            )  # fmt: skip

    def _evidence(self, rule: Rule, person: Person, bucket: int, count: int) -> Evidence:
        named = []
        for name, measure in rule.evidence:
            items = person.items.get((measure, rule.step_s))
            if items is not None and (held := items.within(bucket, count)):
                named.append((name, listed(held)))
        return tuple(named)

    def _limit(self, person: Person) -> None:
        """Forget what was told longest ago: far beyond the grace, so it can't come again."""
        most = 64 + 4 * len(self._rules)
        while len(person.raised) > most:
            del person.raised[next(iter(person.raised))]

    def _met(self, key: Key, person: Person) -> Iterator[EventDraft]:
        for (measure, item), time in person.unfirst.items():
            rule = self._firsts[measure]
            self.met.append((key, measure, item, time))
            named = tuple((name, item) for name, _ in rule.evidence)
            yield alert(rule, key, item, 1, time, time, time, named)
        person.unfirst.clear()

    def _missed(self, now_ns: int | None) -> Iterator[EventDraft]:
        assert self._gaps is not None
        for gap in self._gaps.found(now_ns):
            key = (PRODUCER, gap.producer_id)
            missing = gap.last_missing - gap.first_missing + 1
            person = self._person(key)
            place = ("missing_events", gap.first_missing)
            if missing < self._missing.threshold or person.raised.get(place, (0, 0))[0] >= missing:
                continue
            person.raised[place] = (missing, 0)
            self._limit(person)
            named = (("first_missing", str(gap.first_missing)), ("last_missing", str(gap.last_missing)))
            yield alert(
                self._missing, key, str(gap.first_missing), missing, gap.noticed_unix_nano, gap.newest_unix_nano,
                gap.newest_unix_nano, named,
            )  # fmt: skip

    # ── counters ────────────────────────────────────────────────────────────────────────────────────────────────────

    def counters(self, now_unix_nano: int, again: int = 0) -> list[Counted]:
        """The figures of each principal that differ from those told last: of those that did something, and of `again`
        others in turn, whose windows went on."""
        if again and not self._turn:
            self._turn = list(self.people)
        for _ in range(min(again, len(self._turn))):
            self._untold[self._turn.pop()] = None
        told = []
        for key in self._untold:
            person = self.people.get(key)
            if person is None or not is_principal(key):
                continue
            values = _figures(person, now_unix_nano)
            if values != person.told:
                person.told = values
                told.append(Counted(*key, now_unix_nano, values))
        self._untold.clear()
        return told


_NONE: dict[int, int] = {}


def _newest(person: Person, held: Held, bucket: int, distinct: bool) -> int:
    if distinct:
        return max(person.items[held].buckets[bucket].values())
    return person.sums[held].buckets[bucket][1]


def _figures(person: Person, now: int) -> tuple[tuple[str, int, int], ...]:
    return tuple(found for figure in FIGURES if (found := _figure(person, figure, now)) is not None)


def _figure(person: Person, figure: Figure, now: int) -> tuple[str, int, int] | None:
    held = (figure.measure, figure.step_s)
    windows = person.items.get(held) if figure.distinct else person.sums.get(held)
    if windows is None:
        return None
    step, count = figure.step_s, figure.window_s // figure.step_s
    value, newest = windows.at(max(now // SECOND // step, windows.newest), count)
    return (figure.name, value, (newest + count) * step * SECOND) if value else None
