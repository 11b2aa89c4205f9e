"""The checkpoints that stand among the events: what the log said of its tree while it grew.

Whoever writes a log anew, with right hashes all over, must forge each of these, too: their notes are signed, and they
lie in journals, in Kafka, in segments and in the log itself.
"""

from __future__ import annotations

from analytics.verify_ledger import Ledger
from decision.journal.codec import EventCodec
from decision.journal.custody import Custody
from decision.journal.merkle import NodeReader, root_of
from decision.journal.verify_core import Finding, Place, Tampering
from decision.model.errors import ChainBroken, LogDamaged, NoteInvalid
from decision.model.events import CheckpointSigned

_BATCH = 4_096
_READ = 1_000


class Claims:
    """Takes the checkpoints out of a store's events. `custody` None: nobody can verify their signatures."""

    def __init__(self, ledger: Ledger, store: str, codec: EventCodec, custody: Custody | None) -> None:
        self._ledger = ledger
        self._table = f"{store}_claims"
        self._codec = codec
        self._custody = custody
        self._held: list[tuple[object, ...]] = []
        self.forged: Finding | None = None
        self.count = 0
        ledger.ask(
            f"CREATE TABLE {self._table} "
            "(size BIGINT, root BLOB, producer INTEGER, epoch BIGINT, seq BIGINT, part BIGINT, spot BIGINT)"
        )

    def look(self, raw: bytes, place: Place) -> None:
        """Keep what `raw`, a CheckpointSigned, claims of this log."""
        try:
            draft, producer_id, epoch, seq, _ = self._codec.decode(raw)
        except ChainBroken:
            return
        claim = draft.payload
        if not isinstance(claim, CheckpointSigned) or self._custody is None or claim.origin != self._custody.origin:
            return
        why = ""
        try:
            signed = self._custody.open(claim.note.encode()).checkpoint
            if (signed.size, signed.root) != (claim.tree_size, claim.root_hash):
                why = "the event says something else than the note in it"
        except (NoteInvalid, UnicodeEncodeError) as error:
            why = error.message if isinstance(error, NoteInvalid) else "the note in it is no text"
        if why:
            finding = Finding(
                Tampering.EDITED, f"its checkpoint is not the log's: {why}", producer_id, epoch, seq, place
            )
            self.forged = self.forged or finding
            return
        self.count += 1
        number = self._ledger.number(producer_id)
        self._held.append((claim.tree_size, claim.root_hash, number, epoch, seq, place.part, place.spot))
        if len(self._held) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        for claim in self._held:
            self._ledger.ask(f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, ?, ?)", claim)
        self._held.clear()

    def check(self, nodes: NodeReader, size: int) -> Finding | None:
        """Hold every claim against the tree of `size`: the first that is none of its heads."""
        self.flush()
        if self.forged is not None:
            return self.forged
        after = -1
        while rows := self._ledger.ask(
            f"SELECT size, root, min((producer, epoch, seq, part, spot)) FROM {self._table} WHERE size > {after} "
            f"GROUP BY size, root ORDER BY size LIMIT {_READ}"
        ):
            for claimed, root, who in rows:
                producer, epoch, seq, part, spot = who.values() if isinstance(who, dict) else who
                name, place = self._ledger.name(producer), Place(part, spot)
                if claimed > size:
                    message = f"the log ends at {size}, and here a checkpoint of {claimed} is signed"
                    return Finding(Tampering.TRUNCATED, message, name, epoch, seq, place)
                try:
                    same = root_of(nodes, claimed) == bytes(root)
                except LogDamaged as error:
                    return Finding(Tampering.EDITED, error.message, name, epoch, seq, place)
                if not same:
                    message = f"the log's first {claimed} leaves are not those of the checkpoint that this event holds"
                    return Finding(Tampering.FORKED, message, name, epoch, seq, place)
                after = claimed
        return None
