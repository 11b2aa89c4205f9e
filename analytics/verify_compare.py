"""One store held against another that is known to be right: the log, whose root is signed, or a journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analytics.verify_ledger import Ledger
from decision.journal.chain import Head
from decision.journal.verify_core import Finding, Link, Place, Tampering


@dataclass(frozen=True, slots=True)
class Compared:
    """How many events of a store another one vouches for, and how many are newer than that one knows, the first of
    these of each producer in `next_ones`. A finding of what is missing has in `shown_by` where the vouching store has
    it."""

    vouched: int
    beyond: int
    finding: Finding | None
    next_ones: tuple[Link, ...] = ()


def compare(
    ledger: Ledger,
    voucher: str,
    store: str,
    *,
    voucher_bases: Mapping[str, Head] | None = None,
    bases: Mapping[str, Head] | None = None,
    only: str = "",
    partial: bool = False,
) -> Compared:
    """What `voucher` has and `store` hasn't was edited, dropped or truncated; what it hasn't and `store` has was
    inserted, or is newer than it knows. Nothing is said of events before `bases` (of the store) and `voucher_bases`:
    these were pruned. `only`: the store is for this producer's events alone. `partial`: it may hold a part of them."""
    missing = None if partial else _missing(ledger, voucher, store, bases or {}, only)
    vouched, beyond, extra = _extra(ledger, voucher, store, voucher_bases or {})
    joint = _joint(ledger, voucher, bases or {})
    found = [finding for finding in (joint, extra, missing) if finding is not None]
    first = min(found, key=lambda finding: (ledger.number(finding.producer_id), finding.seq), default=None)
    return Compared(vouched, beyond, first, _next_ones(ledger, voucher, store) if beyond else ())


def _next_ones(ledger: Ledger, voucher: str, store: str) -> tuple[Link, ...]:
    rows = ledger.ask(
        f"WITH ends AS (SELECT producer, max(seq) AS seq FROM {voucher} GROUP BY producer) "
        f"SELECT s.producer, min(s.seq) FROM {store} s LEFT JOIN ends USING (producer) "
        f"WHERE s.seq > coalesce(ends.seq, 0) GROUP BY s.producer ORDER BY s.producer"
    )
    return tuple(link for producer, seq in rows for link in ledger.links(store, ledger.name(producer), seq)[:1])


def _extra(ledger: Ledger, voucher: str, store: str, bases: Mapping[str, Head]) -> tuple[int, int, Finding | None]:
    ledger.set_bases(bases)
    ((different,),) = ledger.ask(f"SELECT count(DISTINCT hash) FROM {store}")
    ((vouched,),) = ledger.ask(f"SELECT count(DISTINCT s.hash) FROM {store} s SEMI JOIN {voucher} v ON v.hash = s.hash")
    rows = ledger.ask(
        f"WITH ends AS (SELECT producer, max(seq) AS seq FROM {voucher} GROUP BY producer) "
        f"SELECT s.producer, s.epoch, s.seq, s.part, s.spot "
        f"FROM (FROM {store} s ANTI JOIN {voucher} v ON v.hash = s.hash) s JOIN ends USING (producer) "
        f"LEFT JOIN base USING (producer) "
        f"WHERE s.seq <= ends.seq AND s.seq > coalesce(base.seq, 0) ORDER BY s.producer, s.seq LIMIT 1"
    )
    if not rows:
        return vouched, different - vouched, None
    producer, epoch, seq, part, spot = rows[0]
    name, place = ledger.name(producer), Place(part, spot)
    right = {link.hash for link in ledger.links(voucher, name, seq)}
    beside = {link.hash for link in ledger.links(store, name, seq)}
    if right and right <= beside:
        what, message = Tampering.FORKED, "the event that is vouched for has this number, too"
    elif right:
        what, message = Tampering.EDITED, "other bytes are vouched for"
    else:
        what, message = Tampering.INSERTED, "nothing vouches for it"
    return vouched, different - vouched, Finding(what, message, name, epoch, seq, place)


def _missing(ledger: Ledger, voucher: str, store: str, bases: Mapping[str, Head], only: str) -> Finding | None:
    ledger.set_bases(bases)
    those = f"AND v.producer = {ledger.number(only)} " if only else ""
    rows = ledger.ask(
        f"WITH ends AS (SELECT producer, max(seq) AS seq FROM {store} GROUP BY producer) "
        f"SELECT v.producer, v.epoch, v.seq, v.part, v.spot, coalesce(ends.seq, 0) "
        f"FROM (FROM {voucher} v ANTI JOIN {store} s ON s.hash = v.hash) v "
        f"LEFT JOIN ends USING (producer) LEFT JOIN base USING (producer) "
        f"WHERE v.seq > coalesce(base.seq, 0) {those}ORDER BY v.producer, v.seq LIMIT 1"
    )
    if not rows:
        return None
    producer, epoch, seq, part, spot, end = rows[0]
    name, shown_by = ledger.name(producer), Place(part, spot)
    if instead := ledger.links(store, name, seq):
        message = "other bytes are vouched for"
        return Finding(Tampering.EDITED, message, name, epoch, seq, instead[0].place, shown_by=shown_by)
    if seq > end:
        message = f"the store ends at event {end}" if end else "the store has none of this producer's events"
        return Finding(Tampering.TRUNCATED, message, name, epoch, seq, shown_by=shown_by)
    return Finding(Tampering.DROPPED, "it is missing, and it is vouched for", name, epoch, seq, shown_by=shown_by)


def _joint(ledger: Ledger, voucher: str, bases: Mapping[str, Head]) -> Finding | None:
    """Whether what a pruned store goes on from is what `voucher` has there."""
    for producer_id, head in bases.items():
        known = ledger.links(voucher, producer_id, head.seq)
        if head.seq and known and head.hash not in {link.hash for link in known}:
            message = "the pruned store goes on from another hash than is vouched for"
            return Finding(Tampering.EDITED, message, producer_id, head.epoch, head.seq)
    return None
