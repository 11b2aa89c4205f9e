"""What a long-running part says of itself in numbers; airlock.metrics shows it to Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SampleKind(StrEnum):
    """COUNTER only ever grows while the process lives; GAUGE goes up and down."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number. `name` is snake case with its unit and without the prefix `airlock_` or a suffix `_total`:
    `relay_lag_events`, `relay_sent_bytes`. `help` is one sentence. `labels` hold neither literals nor principals."""

    name: str
    kind: SampleKind
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Measured(Protocol):
    """A part that can be asked for its numbers, from any thread, without I/O."""

    def samples(self) -> Iterable[Sample]: ...
