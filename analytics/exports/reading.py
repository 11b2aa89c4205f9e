"""Events for an export, in their order, from a position on: from a journal, or from the published audit store.

A position says what was taken; given back, reading goes on behind it. In a journal it is a number (`journal:1234`). The
audit store holds events of several producers, and they arrive out of order: there it is a number for each
(`catalog:node-1=120;node-2=77`), and a producer's events are read only as far as none is missing. What lies behind a
gap is read once the gap has been there for `patience_s`: what is lost must not hold up the rest for ever. Alerts are
read there, too, by their time (`~alerts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from analytics.exports.alerts import Alerts
from analytics.query import CatalogReader
from decision.journal.chain import chain_hash
from decision.journal.codec import EventCodec
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import ChainBroken, SettingsError
from decision.model.events import AuditEvent
from decision.model.ports import Clock

PRIME = 20_000
"""Events before a position that are read again, for what later ones refer to."""
ALERTS = "~alerts"  # no producer has such a name
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Unread:
    """An event that can't be decoded: `airlock verify` says more."""

    producer_id: str
    seq: int


Taken = tuple[list[AuditEvent], list[Unread]]


class Source(Protocol):
    @property
    def position(self) -> str:
        """Of what `read` has returned so far."""
        ...

    def seek(self, since_unix_nano: int) -> None:
        """Go on with the first event of that time; a little earlier is all the same."""
        ...

    def before(self, limit: int = PRIME) -> list[AuditEvent]:
        """Up to `limit` events before the position, in their order."""
        ...

    def read(self, limit: int) -> Taken:
        """Up to `limit` events behind the position, which then moves. Nothing: all there is was read."""
        ...


def decoded(raw: bytes, codec: EventCodec) -> AuditEvent:
    """Raises ChainBroken."""
    draft, producer_id, epoch, seq, prev_hash = codec.decode(raw)
    return AuditEvent(draft, producer_id, epoch, seq, prev_hash, chain_hash(prev_hash, seq, raw), raw)


def _decoded_all(raws: list[tuple[str, int, bytes]], codec: EventCodec) -> Taken:
    events, unread = [], []
    for producer_id, seq, raw in raws:
        try:
            events.append(decoded(raw, codec))
        except ChainBroken:
            unread.append(Unread(producer_id, seq))
    return events, unread


class JournalSource:
    """The journal of a node: what is durable is there at once, what was pruned is not."""

    NAME = "journal"

    def __init__(self, folder: Path, codec: EventCodec, after: str = "") -> None:
        self._reader = SqliteJournalReader(folder, codec)
        self._codec = codec
        self._after = _number(after, self.NAME) if after else 0

    @property
    def position(self) -> str:
        return f"{self.NAME}:{self._after}"

    def seek(self, since_unix_nano: int) -> None:
        """By bisection: times of a journal rise but for corrections of the clock."""
        low, high = self._reader.base().seq, self._reader.head()[0]
        while low < high:
            middle = (low + high) // 2
            found = self._reader.read_raw(middle, 1)
            if not found or decoded(found[0][1], self._codec).draft.time_unix_nano >= since_unix_nano:
                high = middle
            else:
                low = middle + 1
        self._after = low

    def before(self, limit: int = PRIME) -> list[AuditEvent]:
        begin = max(0, self._after - limit)
        found = self._raws(begin, self._after - begin)
        return _decoded_all([one for one in found if one[1] <= self._after], self._codec)[0]

    def read(self, limit: int) -> Taken:
        found = self._raws(self._after, limit)
        if found:
            self._after = found[-1][1]
        return _decoded_all(found, self._codec)

    def _raws(self, after: int, limit: int) -> list[tuple[str, int, bytes]]:
        found: list[tuple[str, int, bytes]] = []
        while len(found) < limit:
            more = self._reader.read_raw(found[-1][1] if found else after, limit - len(found))
            if not more:
                break
            found += [("", seq, raw) for seq, raw in more]
        return found


class CatalogSource:
    """The published audit store of a data folder: everything that was not expired, of all producers."""

    NAME = "catalog"

    def __init__(
        self,
        data_dir: Path,
        codec: EventCodec,
        clock: Clock,
        after: str = "",
        *,
        patience_s: float = 60.0,
        on_gap: Callable[[str, int, int], None] = lambda producer, first, last: None,
    ) -> None:
        self._data_dir = data_dir
        self._codec = codec
        self._clock = clock
        self._after = _numbers(after, self.NAME) if after else {}
        self._alerts = Alerts(codec, self._after.pop(ALERTS, 0))
        self._since = 0
        self._patience_ns = int(patience_s * 1e9)
        self._on_gap = on_gap
        self._gaps: dict[str, tuple[int, int]] = {}  # of a producer: the number that is missing, since when

    @property
    def position(self) -> str:
        taken = {**self._after, **({ALERTS: self._alerts.after} if self._alerts.after else {})}
        return f"{self.NAME}:" + ";".join(f"{producer}={number}" for producer, number in sorted(taken.items()))

    def seek(self, since_unix_nano: int) -> None:
        self._since = since_unix_nano
        with CatalogReader(self._data_dir) as reader:
            answer = reader.ask(
                "SELECT producer_id, min(seq) FILTER (time_unix_nano >= ?), max(seq) FROM events GROUP BY producer_id",
                [since_unix_nano], timeout_s=_TIMEOUT_S,
            )  # fmt: skip
        for producer, first, last in answer.rows:
            assert isinstance(producer, str) and isinstance(last, int)
            self._after[producer] = last if not isinstance(first, int) else first - 1

    def before(self, limit: int = PRIME) -> list[AuditEvent]:
        found: list[AuditEvent] = []
        with CatalogReader(self._data_dir) as reader:
            for producer, after in self._after.items():
                raws = self._raws(reader, producer, after - limit + 1, after, limit)
                found += _decoded_all(raws, self._codec)[0]
        return sorted(found, key=_by_time)

    def read(self, limit: int) -> Taken:
        events: list[AuditEvent] = []
        unread: list[Unread] = []
        with CatalogReader(self._data_dir) as reader:
            for producer, ranges in self._coverage(reader).items():
                taken = self._read(reader, producer, ranges, limit)
                events += taken[0]
                unread += taken[1]
            events += self._alerts.read(reader, self._since)
        events.sort(key=_by_time)
        return events, unread

    def _coverage(self, reader: CatalogReader) -> dict[str, list[tuple[int, int]]]:
        """What of each producer is there, from the first to the last number of each run."""
        answer = reader.ask(
            "SELECT producer_id, first_seq, last_seq FROM meta.coverage ORDER BY producer_id, first_seq",
            limit=1_000_000, timeout_s=_TIMEOUT_S,
        )  # fmt: skip
        found: dict[str, list[tuple[int, int]]] = {}
        for producer, first, last in answer.rows:
            assert isinstance(producer, str) and isinstance(first, int) and isinstance(last, int)
            found.setdefault(producer, []).append((first, last))
        return found

    def _read(self, reader: CatalogReader, producer: str, ranges: list[tuple[int, int]], limit: int) -> Taken:
        """The next run of the producer's events that is whole; its position moves."""
        wanted = self._after.get(producer, ranges[0][0] - 1) + 1
        first, last = next(((first, last) for first, last in ranges if last >= wanted), (0, 0))
        if not last:
            return [], []
        if first > wanted and not self._pass(producer, wanted, first):
            return [], []
        wanted = max(wanted, first)
        raws = self._raws(reader, producer, wanted, last, limit)
        # Less than asked for: the rest of the run has expired.
        self._after[producer] = raws[-1][1] if len(raws) == limit else last
        return _decoded_all(raws, self._codec)

    def _pass(self, producer: str, wanted: int, first: int) -> bool:
        """Whether to go on behind the gap from `wanted` to before `first`."""
        now = self._clock.monotonic_ns()
        missing, since = self._gaps.get(producer, (0, now))
        if missing != wanted:
            since = now
        self._gaps[producer] = (wanted, since)
        if now - since < self._patience_ns:
            return False
        self._on_gap(producer, wanted, first - 1)
        return True

    @staticmethod
    def _raws(reader: CatalogReader, producer: str, first: int, last: int, limit: int) -> list[tuple[str, int, bytes]]:
        answer = reader.ask(
            "SELECT seq, raw FROM events WHERE producer_id = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            [producer, first, last, limit], limit=limit, timeout_s=_TIMEOUT_S,
        )  # fmt: skip
        return [(producer, seq, raw) for seq, raw in answer.rows if isinstance(seq, int) and isinstance(raw, bytes)]


def _by_time(event: AuditEvent) -> tuple[int, str, int]:
    return event.draft.time_unix_nano, event.producer_id, event.seq


def _number(text: str, name: str) -> int:
    kind, _, number = text.partition(":")
    if kind != name or not number.isdigit():
        raise _no_position(text, name)
    return int(number)


def _numbers(text: str, name: str) -> dict[str, int]:
    kind, _, rest = text.partition(":")
    pairs = [pair.rpartition("=") for pair in rest.split(";") if pair]
    if kind != name or not all(producer and number.isdigit() for producer, _, number in pairs):
        raise _no_position(text, name)
    return {producer: int(number) for producer, _, number in pairs}


def _no_position(text: str, name: str) -> SettingsError:
    return SettingsError(
        f"{text!r} is no position in the {name}",
        hint="give one that an export of the same --source has printed, as it stands",
    )
