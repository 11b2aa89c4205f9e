"""Taking a store's events into a ledger, and what is found of the whole store."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from analytics.verify_ledger import Checked, Ledger
from decision.journal.codec import EventCodec
from decision.journal.verify_core import Finding, Place, Tampering
from decision.model.errors import ChainBroken

_BATCH = 65_536
_HASH = 32
_CHECKPOINT = b"airlock.v1.CheckpointSigned"
"""An event's type; it stands behind the id, which comes first, each with its tag and length before it."""

Progress = Callable[[int, int], None]
"""(events so far, about how many there are in all; 0: not known)."""


Links = tuple[list[int], list[int], list[int], list[bytes], list[bytes], list[int], list[int]]
"""Columns: the producer's number in the ledger, epoch, seq, prev_hash, hash, part, spot."""

Fetch = Callable[[Place], bytes | None]
"""Gives the bytes at a place of a store once more."""

Look = Callable[[bytes, Place], None]


def _none(place: Place) -> None:
    """The place can't be asked about."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of one store. `where` names it. `events`: different ones; `copies`: delivered again. `vouched`:
    events that a store known to be right has too; `beyond`: events newer than that one. `notes`: what a reader should
    know of how far this goes. `finding`: the first bad event, None if there is none. `words` names a place of the
    store, `fetch` gives the event there."""

    store: str
    where: str
    events: int = 0
    copies: int = 0
    producers: int = 0
    vouched: int = 0
    beyond: int = 0
    finding: Finding | None = None
    notes: tuple[str, ...] = field(default=())
    words: Callable[[Place], str] = field(default=str, repr=False, compare=False)
    fetch: Fetch = field(default=_none, repr=False, compare=False)

    @property
    def good(self) -> bool:
        return self.finding is None


class Entries:
    """Takes the events of one store, in any order. Remembers the first bytes that are no event."""

    def __init__(self, ledger: Ledger, store: str, codec: EventCodec) -> None:
        ledger.open(store)
        self.ledger = ledger
        self.store = store
        self._codec = codec
        self._columns: Links = ([], [], [], [], [], [], [])
        self.taken = 0
        self.newest_ns = 0
        self.unreadable: Finding | None = None

    def take(self, raws: Sequence[bytes], part: int, spots: Iterable[int], look: Look | None = None) -> int:
        """How many of `raws` were events; their links are the last of `links`. `look` sees the checkpoints."""
        if len(self._columns[0]) >= _BATCH:
            self.flush()
        place_of, numbers, sha256 = self._codec.place_of, self.ledger.producers, hashlib.sha256
        producers, epochs, seqs, befores, hashes, parts, places = self._columns
        known, raw = len(seqs), b""
        for raw, spot in zip(raws, spots, strict=False):
            try:
                producer_id, epoch, seq, prev_hash = place_of(raw)
            except ChainBroken:
                self._no_event("the bytes there are no audit event", part, spot)
                continue
            if seq < 1 or len(prev_hash) != _HASH:
                self._no_event("the event there has no place in a chain", part, spot)
                continue
            number = numbers.get(producer_id)
            producers.append(self.ledger.number(producer_id) if number is None else number)
            epochs.append(epoch)
            seqs.append(seq)
            befores.append(prev_hash)
            # decision.journal.chain.chain_hash, without the call
            hashes.append(sha256(b"%b%b%b" % (prev_hash, ((seq << 32) | len(raw)).to_bytes(12, "big"), raw)).digest())
            places.append(spot)
            if look is not None and raw.startswith(_CHECKPOINT, raw[1] + 4):
                look(raw, Place(part, spot))
        taken = len(seqs) - known
        parts += [part] * taken
        if taken:
            self._sample(raw)
        self.taken += taken
        return taken

    def _sample(self, raw: bytes) -> None:
        """The time of the newest event, about: of one in each batch."""
        with contextlib.suppress(ChainBroken):
            self.newest_ns = max(self.newest_ns, self._codec.decode(raw)[0].time_unix_nano)

    def _no_event(self, message: str, part: int, spot: int) -> None:
        if self.unreadable is None:
            self.unreadable = Finding(Tampering.EDITED, message, place=Place(part, spot))

    @property
    def links(self) -> Links:
        """Since the last flush."""
        return self._columns

    def flush(self) -> None:
        if self._columns[0]:
            self.ledger.insert(self.store, self._columns)
            self._columns = ([], [], [], [], [], [], [])


def choose(
    checked: Checked,
    unreadable: Finding | None,
    others: Iterable[Finding | None],
    on_its_way: Callable[[Finding], bool] = lambda _: False,
) -> tuple[Finding | None, int]:
    """The finding to name, and how many holes are events `on_its_way`: of those the store doesn't have yet.

    Bytes that are no event come first, and stand for the first event that is missing; then what the chain says, with
    the place of a hole from `others`; else the first of `others`.
    """
    more = [finding for finding in others if finding is not None]
    chain, waiting = None, 0
    for finding in checked.findings:
        if finding.what is Tampering.DROPPED and unreadable is None and not more and on_its_way(finding):
            waiting += 1
            continue
        chain = finding
        break
    if unreadable is not None:
        if chain is not None and chain.what is Tampering.DROPPED:
            unreadable = replace(unreadable, producer_id=chain.producer_id, epoch=chain.epoch, seq=chain.seq)
        return unreadable, waiting
    if chain is None:
        return (more[0] if more else None), waiting
    if chain.place is None:
        hole = next((finding for finding in more if finding.what is chain.what and finding.place is not None), None)
        chain = chain if hole is None else replace(chain, place=hole.place)
    return chain, waiting


@dataclass(frozen=True, slots=True)
class Recent:
    """Whether a hole is younger than `seconds` before the newest event: then what fills it may be on its way, as
    partitions are read one after the other."""

    codec: EventCodec
    newest_ns: int
    fetch: Fetch
    seconds: int = 60

    def __call__(self, finding: Finding) -> bool:
        raw = None if finding.shown_by is None else self.fetch(finding.shown_by)
        if raw is None:
            return False
        try:
            since = self.codec.decode(raw)[0].time_unix_nano
        except ChainBroken:
            return False
        return self.newest_ns - since < self.seconds * 1_000_000_000


def named(finding: Finding, codec: EventCodec, fetch: Fetch, words: Callable[[Place], str]) -> Finding:
    """The finding with the words for its place, and with the number and id of the event that stands there, where the
    bytes still tell them."""
    place = finding.place
    if place is None:
        return finding
    raw = fetch(place) if finding.what not in (Tampering.DROPPED, Tampering.TRUNCATED) else None
    event_id = ""
    if raw is not None:
        with contextlib.suppress(ChainBroken):
            draft, producer_id, epoch, seq, _ = codec.decode(raw)
            event_id = draft.id
            if not finding.seq:
                finding = replace(finding, producer_id=producer_id, epoch=epoch, seq=seq)
    return finding.at(words(place), event_id)
