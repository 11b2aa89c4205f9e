"""Recall, precision and misses of many comparisons, as one document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from decision.model.facts import Via
from tests.differential.oracle.compare import Comparison, Miss

MAY = frozenset({Via.TRIGGER, Via.FUNCTION, Via.FOREIGN_KEY, Via.ROW_SECURITY, Via.INHERITANCE, Via.RULE})
WORK = frozenset({"select", "insert", "update", "delete", "merge", "copy_in", "copy_out"})


@dataclass(frozen=True, slots=True)
class Hole:
    """A miss in a file's line."""

    file: str
    line: int
    miss: Miss
    text: str


@dataclass(slots=True)
class Tally:
    """Counts messages unless it says otherwise.

    `extra` counts claimed relations that the server did not touch; `possible` those among them that may be touched, but
    were not this time (triggers, cascades, function bodies, partitions that the planner left out).
    """

    ran: int = 0
    failed: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # why something was unresolved
    wanted: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)  # lost, and not closed either
    claimed: int = 0
    extra: int = 0
    possible: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    extra_via: Counter[str] = field(default_factory=Counter)
    holes: list[Hole] = field(default_factory=list)
    extras: list[Hole] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)  # of what the server ran

    def add(self, file: str, line: int, text: str, made: Comparison, kinds: set[str], closed: str) -> None:
        """One message that ran."""
        self.ran += 1
        self.wanted.update(made.wanted)
        self.lost.update(made.lost)
        self.open.update(made.holes)
        self.checked.update(made.checked)
        if closed:
            self.closed[closed] += 1
        for miss in made.misses:
            (self.excused if miss.closed else self.missed)[miss.what] += 1
            if not miss.closed:
                self.holes.append(Hole(file, line, miss, text))
        if kinds & WORK and not kinds - WORK and not closed:
            self._precision(file, line, text, made)

    def _precision(self, file: str, line: int, text: str, made: Comparison) -> None:
        self.claimed += made.claimed
        for name, via in made.extra.items():
            self.extra_via[",".join(sorted(way.value for way in via))] += 1
            if via <= MAY:
                self.possible += 1
            else:
                self.extra += 1
                self.extras.append(Hole(file, line, Miss("extra", ".".join(name), "", 0, ""), text))

    def merge(self, other: Tally) -> None:
        for name in ("ran", "failed", "claimed", "extra", "possible"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("closed", "reasons", "wanted", "lost", "open", "checked", "missed", "excused", "extra_via"):
            getattr(self, name).update(getattr(other, name))
        for name in ("holes", "extras", "crashes", "refusals"):
            getattr(self, name).extend(getattr(other, name))

    def recall(self, what: str = "data") -> float:
        """Of the relations that the server read or wrote ("data") or changed in definition ("definition"), the share
        that is in the facts, or whose statement is closed."""
        return 1 - self.open[what] / self.wanted[what] if self.wanted[what] else 1.0

    def recall_strict(self, what: str = "data") -> float:
        """The share that is in the facts."""
        return 1 - self.lost[what] / self.wanted[what] if self.wanted[what] else 1.0

    @property
    def precision(self) -> float:
        """Of the relations claimed of statements on data, the share that the server touched, or might have."""
        return 1 - self.extra / self.claimed if self.claimed else 1.0

    def document(self) -> dict[str, object]:
        """The figures; no SQL."""
        holes = sorted({(h.file, h.line, h.miss.what, h.miss.name, h.miss.wanted) for h in self.holes})
        return {
            "messages": {"ran": self.ran, "failed_on_server": self.failed, "refused_by_us": sorted(self.refusals)},
            "relations": {
                "touched": dict(sorted(self.wanted.items())),
                "recall": {what: round(self.recall(what), 5) for what in sorted(self.wanted)},
                "recall_without_closed": {what: round(self.recall_strict(what), 5) for what in sorted(self.wanted)},
                "claimed": self.claimed,
                "precision": round(self.precision, 5),
                "precision_strict": round(1 - (self.extra + self.possible) / self.claimed if self.claimed else 1.0, 5),
                "not_touched_by_way": dict(sorted(self.extra_via.items())),
            },
            "checks": dict(sorted(self.checked.items())),
            "missed": dict(sorted(self.missed.items())),
            "missed_but_closed": dict(sorted(self.excused.items())),
            "closed_messages": dict(sorted(self.closed.items())),
            "unresolved_because": dict(self.reasons.most_common()),
            "crashes": len(self.crashes),
            "holes": [" ".join(map(str, hole)) for hole in holes],
        }
