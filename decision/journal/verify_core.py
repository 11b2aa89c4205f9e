"""What can be wrong with a store of audit events, and which event it is. Pure.

Every event holds its producer's name, its number `seq` (from 1, none left out) and `prev_hash`, the chain's value
before it (decision.journal.chain). So an event vouches for all before it, and is vouched for by what comes after:
its successor's `prev_hash`, a batch's seal, a leaf of the tree under a signed checkpoint, another store.

What each finding means, and what it takes to be sure of it. *Chain alone*: nothing but the events of this store.

| finding | is | by the chain alone | needs more |
|---|---|---|---|
| edited | an event is not the one that its successor, seal or leaf vouches for | any event but a producer's newest; where event n+1 contradicts n and is itself contradicted by n+2, n+1 is named, though both may be edited | newest event: seal, leaf or another store. Two edited neighbours: a leaf names the first |
| dropped | an event that was there is missing | a hole whose next event vouches for something that is not here | a hole whose neighbours link over it is a gap, unless a leaf or another store holds the event |
| inserted | an event that nothing vouches for | one of another producer in a journal, a copy in a journal or a log, numbers below 1, incarnations that fall | an event put behind the newest, a producer made up: only a store that vouches knows better |
| reordered | the right events in an order that the store does not claim | a journal's rows, the offsets of one producer in one partition | leaves: the signed root |
| forked | two different events under one number, or two signed trees that are not one | always | of two histories in two stores: either of them with the other. Two checkpoints: both notes |
| truncated | the end is missing | never: a shorter chain is a good chain | a checkpoint or a store that knows more |
| gap | the producer itself left numbers out: its chain goes on over the hole | always | |

An attacker who can write the store can make a new chain from any event on, with all hashes right: by the chain alone
that passes. It contradicts every checkpoint signed since, the ones that others keep above all.

Copies of an event, byte by byte, are no finding where delivery is at least once (Kafka): they are counted.
"""  # noqa: E501  (a table)

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from decision.journal.chain import GENESIS, Head


class Tampering(StrEnum):
    EDITED = "edited"
    DROPPED = "dropped"
    INSERTED = "inserted"
    REORDERED = "reordered"
    FORKED = "forked"
    TRUNCATED = "truncated"
    GAP = "gap"


class Place(NamedTuple):
    """Where a store has it: what `part` and `spot` are is the store's (partition and offset, file and row, batch and
    number, leaf)."""

    part: int = 0
    spot: int = 0


class Link(NamedTuple):
    """An event as the chain sees it: `hash` is the chain's value after it, which no other bytes have."""

    producer_id: str
    epoch: int
    seq: int
    prev_hash: bytes
    hash: bytes
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Finding:
    """The first bad event. `seq` 0: its bytes don't tell which it is, or it is no single event. `place`: where the
    store has it, None if it hasn't; `where`: the same in words. `shown_by`: where the event is that shows a hole."""

    what: Tampering
    message: str
    producer_id: str = ""
    epoch: int = 0
    seq: int = 0
    place: Place | None = None
    where: str = ""
    event_id: str = ""
    shown_by: Place | None = None

    def at(self, where: str, event_id: str = "") -> Finding:
        return replace(self, where=where, event_id=event_id or self.event_id)

    def __str__(self) -> str:
        event = f"event {self.seq} of {self.producer_id!r} (epoch {self.epoch})" if self.seq else ""
        known = f"id {self.event_id}" if self.event_id else ""
        named = ", ".join(part for part in (event, known, self.where) if part)
        return f"{self.what}: {named}: {self.message}" if named else f"{self.what}: {self.message}"


def of(link: Link, what: Tampering, message: str) -> Finding:
    return Finding(what, message, link.producer_id, link.epoch, link.seq, link.place)


def judge(before: Link | None, here: Link, voucher: bytes | None, base: Head | None = None) -> Finding | None:
    """What is wrong with `here`, an event of the producer of `before`, which is the one with the next lower number (or
    the same); None: it continues the chain. `voucher` is what vouches for `here`: the `prev_hash` of the event that
    follows, or a seal; None where there is nothing. `base` is where the chain begins, if not at its genesis.
    """
    start = base or Head(0, GENESIS, 0)
    last = Head(before.seq, before.hash, before.epoch) if before is not None else start
    if before is not None and here.seq == before.seq:
        return None if here.hash == before.hash else of(here, Tampering.FORKED, "another event has the same number")
    if here.seq <= last.seq:
        return of(here, Tampering.INSERTED, f"its number is below {last.seq + 1}, where the chain begins")
    if here.seq > last.seq + 1:
        return _hole(last, here)
    if here.prev_hash != last.hash:
        return _blame(before, here, voucher)
    if here.epoch < last.epoch:
        return of(here, Tampering.INSERTED, f"its epoch is below that of the event before it, {last.epoch}")
    return None


def _hole(last: Head, here: Link) -> Finding:
    first, through = last.seq + 1, here.seq - 1
    missing = f"event {first}" if first == through else f"events {first} to {through}"
    if here.prev_hash == last.hash:
        what, message = Tampering.GAP, f"the producer itself left out {missing}: event {here.seq} continues {last.seq}"
    else:
        verb = "is" if first == through else "are"
        what, message = Tampering.DROPPED, f"{missing} {verb} missing, and event {here.seq} vouches for more"
    return Finding(what, message, here.producer_id, here.epoch, first, shown_by=here.place)


def _blame(before: Link | None, here: Link, voucher: bytes | None) -> Finding:
    """Event `here` does not continue `before`: one of the two was edited, the one that nothing vouches for."""
    if before is None:
        return of(here, Tampering.EDITED, "it does not begin the chain where that begins")
    if voucher is None:
        return of(before, Tampering.EDITED, f"event {here.seq}, the newest, vouches for other bytes")
    if voucher == here.hash:
        return of(before, Tampering.EDITED, f"event {here.seq} vouches for other bytes")
    return of(here, Tampering.EDITED, "it does not continue the chain, and what follows vouches for other bytes")
