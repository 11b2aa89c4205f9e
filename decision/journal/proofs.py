"""Proofs that an event is in the log, as files (C2SP tlog-proof). Pure.

    c2sp.org/tlog-proof@v1
    extra <base64>              the event's bytes, unless they are kept beside the proof
    index <leaf's index>
    <base64> …                  the inclusion proof, from the leaf's sibling up

    <the checkpoint, as published>

A proof needs nothing but the log's verifier key to be checked, offline and for ever. The extra data are not trusted:
they are what is proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decision.journal.checkpoints import parse_decimal, parse_hash
from decision.journal.custody import Custody, Opened
from decision.journal.encoding import base64_text, parse_base64
from decision.journal.merkle import MAX_PROOF, leaf_hash, verify_inclusion
from decision.journal.notes import MAX_NOTE_BYTES, Signed, VerifierKey, find_signed
from decision.model.errors import NoteInvalid, ProofInvalid

SUFFIX = ".tlog-proof"
_FIRST = "c2sp.org/tlog-proof@v1"
_MAX_BYTES = 2 * MAX_NOTE_BYTES


@dataclass(frozen=True, slots=True)
class TlogProof:
    """`extra`: the event's bytes, None where they are not in the file. `checkpoint` is a signed note."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        lines = [_FIRST]
        if self.extra is not None:
            lines.append(f"extra {base64_text(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(base64_text, self.hashes)
        return "".join(f"{line}\n" for line in (*lines, "")).encode() + self.checkpoint


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """An event that is leaf `index` of the tree that `opened` vouches for. `witnesses` are the cosignatures of the
    witnesses that were asked about, with their times."""

    index: int
    raw: bytes
    opened: Opened
    witnesses: tuple[Signed, ...]


def parse_proof(data: bytes) -> TlogProof:
    """The proof in a file, nothing of it verified. Raises ProofInvalid."""
    if len(data) > _MAX_BYTES:
        raise ProofInvalid(f"a proof of {len(data)} bytes is refused unread")
    head, gap, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        if not gap or lines[0] != _FIRST:
            raise ProofInvalid("that is no proof", hint=f"its first line is {_FIRST}")
        rest = lines[1:]
        extra = None
        if rest and rest[0].startswith("extra "):
            extra = parse_base64(rest.pop(0).removeprefix("extra "))
        if not rest or not rest[0].startswith("index "):
            raise ProofInvalid("the proof names no index")
        index = parse_decimal(rest[0].removeprefix("index "), "the proof's index")
        if len(rest) - 1 > MAX_PROOF:
            raise ProofInvalid("the proof has more hashes than any tree has levels")
        return TlogProof(index, tuple(parse_hash(line) for line in rest[1:]), checkpoint, extra)
    except (UnicodeDecodeError, NoteInvalid) as error:
        said = error.message if isinstance(error, NoteInvalid) else "it is no text"
        raise ProofInvalid(f"the proof can't be read: {said}") from None


def verify_proof(
    proof: TlogProof, custody: Custody, raw: bytes | None = None, witnesses: Sequence[VerifierKey] = (), quorum: int = 0
) -> VerifiedProof:
    """Verify that an event is in the log of `custody`: `raw`, or where it is None the one inside the proof.

    Raises NoteInvalid (the checkpoint is not this log's, is signed wrongly, or cosigned by fewer than `quorum` of
    `witnesses`), ProofInvalid (the event is not in that tree, or none was given).
    """
    event = proof.extra if raw is None else raw
    if event is None:
        raise ProofInvalid("the proof does not hold its event", hint="give the event's bytes beside it")
    opened = custody.open(proof.checkpoint)
    cosigned = find_signed(opened.note, witnesses)
    if len({one.key.name for one in cosigned}) < quorum:
        raise NoteInvalid(f"the checkpoint is cosigned by {len(cosigned)} of the witnesses, and {quorum} are demanded")
    checkpoint = opened.checkpoint
    verify_inclusion(leaf_hash(event), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return VerifiedProof(proof.index, event, opened, cosigned)
