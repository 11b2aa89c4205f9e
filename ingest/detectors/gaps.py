"""Events of a journal that never arrived, seen by their numbers: a journal leaves none out. Pure.

A relay delivers a journal's events to several partitions, which are read at different speed: a number that is missing
now may come a moment later. It is missing when the journal's own time has gone on by the window since, and so has the
reader's where it tells: who catches up after a night reads one partition hours ahead of another within seconds.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from analytics.project import Coverage
from ingest.detectors.signals import Places

_MOST_INTERVALS = 4_096


class Gap(NamedTuple):
    producer_id: str
    first_missing: int
    last_missing: int
    noticed_unix_nano: int
    newest_unix_nano: int


class _Journal:
    __slots__ = ("covered", "newest", "noticed", "since")

    def __init__(self, time: int) -> None:
        self.covered = Coverage()
        self.newest = self.since = time
        self.noticed: dict[int, tuple[int, int]] = {}


class Gaps:
    """By producer. Not thread-safe."""

    def __init__(self, window_ns: int, most_producers: int) -> None:
        self._window = window_ns
        self._most = most_producers
        self._journals: dict[str, _Journal] = {}

    def arrived(self, places: Places) -> None:
        journal = self._journals.get(places.producer_id)
        if journal is None:
            if len(self._journals) >= self._most:
                del self._journals[next(iter(self._journals))]
            journal = self._journals[places.producer_id] = _Journal(places.time_unix_nano)
        for seq in places.seqs:
            journal.covered.take(places.producer_id, 0, seq)
        journal.newest = max(journal.newest, places.time_unix_nano)

    def found(self, now_ns: int | None) -> list[Gap]:
        """The gaps that lasted; `now` is the reader's time, from any beginning, None where it does not matter.

        What lies near the place where reading began is left out: partitions begin unevenly."""
        gaps: list[Gap] = []
        for producer, journal in self._journals.items():
            intervals = journal.covered.intervals()
            noticed: dict[int, tuple[int, int]] = {}
            for before, after in itertools.pairwise(intervals):
                first = before.last_seq + 1
                since, read = noticed[first] = journal.noticed.get(first, (journal.newest, now_ns or 0))
                settled = since >= journal.since + self._window or intervals[0].first_seq == 1
                waited = now_ns is None or now_ns - read >= self._window
                if settled and waited and journal.newest - since >= self._window:
                    gaps.append(Gap(producer, first, after.first_seq - 1, since, journal.newest))
            journal.noticed = noticed
            if len(intervals) > _MOST_INTERVALS:  # what is missing for so long was told long ago
                journal.covered = Coverage(intervals[-_MOST_INTERVALS // 2 :])
        return gaps
