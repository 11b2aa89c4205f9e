"""From the `samples()` of a process' parts to Prometheus' families, within bounds that no part can break.

A label is one of LABELS, so none can name a principal, a session or a statement; a name has at most MOST_SERIES series.
What goes beyond is left out and counted in `airlock_metrics_dropped_total`. A part that fails leaves its numbers out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from decision.model.metrics import Measured, Sample, SampleKind, counter

log = logging.getLogger(__name__)

PREFIX = "airlock_"
LABELS = frozenset({
    "command", "counter", "database", "direction", "effect", "kind", "outcome", "partition", "reason", "rule",
    "service", "severity", "state", "table", "topic", "type", "version",
})  # fmt: skip
MOST_SERIES = 200
MOST_LABEL_CHARACTERS = 128
NAME = re.compile(r"[a-z][a-z0-9_]{1,99}")


class Families:
    """Samples put together by name. The first of two equal series counts: Prometheus refuses the second."""

    def __init__(self) -> None:
        self.found: dict[str, Metric] = {}
        self.dropped = 0
        self._series: dict[str, set[tuple[tuple[str, str], ...]]] = {}

    def add(self, sample: Sample) -> None:
        if not (NAME.fullmatch(sample.name) and all(_sound(*label) for label in sample.labels)):
            self.dropped += 1
            return
        name = PREFIX + sample.name
        family = self.found.setdefault(name, Metric(name, sample.help, sample.kind.value))
        series = self._series.setdefault(name, set())
        labels = tuple(sorted(sample.labels))
        if family.type != sample.kind.value or labels in series or len(series) >= MOST_SERIES:
            self.dropped += 1
            return
        series.add(labels)
        _append(family, sample, dict(labels))


def _sound(name: str, value: str) -> bool:
    return name in LABELS and len(value) <= MOST_LABEL_CHARACTERS


def _append(family: Metric, sample: Sample, labels: dict[str, str]) -> None:
    match sample.kind:
        case SampleKind.COUNTER:
            family.add_sample(f"{family.name}_total", labels, sample.value)
        case SampleKind.GAUGE:
            family.add_sample(family.name, labels, sample.value)
        case SampleKind.HISTOGRAM:
            for bound, count in sample.buckets:
                family.add_sample(f"{family.name}_bucket", {**labels, "le": _bound(bound)}, count)
            family.add_sample(f"{family.name}_count", labels, sample.buckets[-1][1] if sample.buckets else 0)
            family.add_sample(f"{family.name}_sum", labels, sample.value)


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


class PartsCollector(Collector):
    """Asks every part at each scrape; `parts` may still grow."""

    def __init__(self, build: Measured, parts: Sequence[Measured]) -> None:
        self._build = build
        self._parts = parts
        self._failed: set[str] = set()
        self._failures = 0

    def collect(self) -> Iterator[Metric]:
        families = Families()
        for part in (self._build, *self._parts):
            for sample in self._ask(part):
                families.add(sample)
        for sample in (
            counter("metrics_dropped", "Numbers left out of this answer: their form or count was out of bounds.",
                    families.dropped),
            counter("metrics_failures", "Times that a part could not say its numbers.", self._failures),
        ):  # fmt: skip
            families.add(sample)
        yield from families.found.values()

    def _ask(self, part: Measured) -> Iterable[Sample]:
        try:
            return list(part.samples())
        except Exception as error:  # noqa: BLE001 - the numbers of the others are worth having
            self._failures += 1
            place = f"{type(part).__name__}: {type(error).__name__}"
            if place not in self._failed:
                self._failed.add(place)
                log.error("a part's numbers can't be had (%s)", place)
            return ()
