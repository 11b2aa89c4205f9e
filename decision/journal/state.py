"""What goes to the store and what it last measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decision.journal.chain import Head
from decision.journal.files import Space


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one commit. `head` is the chain's end after them, `size` the sum of their bytes."""

    first_seq: int
    raws: Sequence[bytes]
    head: Head
    size: int


@dataclass(frozen=True, slots=True)
class StoreState:
    """What the store last measured. `events` stored now (pruned ones not counted); `reusable` bytes inside the
    database that pruning freed; `full` says why appends must be refused, empty if they need not."""

    head: Head
    base: Head
    space: Space
    reusable: int = 0
    full: str = ""

    @property
    def events(self) -> int:
        return self.head.seq - self.base.seq

    @property
    def used(self) -> int:
        return self.space.used - self.reusable
