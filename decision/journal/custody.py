"""Who signs for a log, and since when: the chain of custody of its keys. Pure.

A log's keys come in generations. Each one after the first is endorsed in a note that the generation before it and it
itself have signed: so whoever trusts one key of the chain can follow it both ways. While two generations overlap both
sign every checkpoint; a tree larger than where a generation began needs that generation's signature, so a key that is
lost after its time signs nothing that is believed.

The endorsement's text (its second line is no number, so it can be taken for no checkpoint):

    airlock.log/next-key/v1
    <origin>
    from <size of the newest checkpoint then>
    <verifier key>            one line for each key of the new generation
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from decision.journal.algorithms import ED25519
from decision.journal.checkpoints import Checkpoint, parse_checkpoint
from decision.journal.notes import (
    Note,
    Signed,
    SignerKey,
    VerifierKey,
    find_signed,
    open_note,
    parse_note,
    sign_note,
)
from decision.model.errors import NoteInvalid

KEYS = "keys.json"
VERIFIER = "verifier.txt"
_ENDORSEMENT = "airlock.log/next-key/v1"


@dataclass(frozen=True, slots=True)
class Generation:
    """Keys that sign together; one of them is Ed25519. `from_size`: the newest checkpoint's size when they began.
    `endorsement` is the note that makes them successors, empty for the first."""

    verifiers: tuple[VerifierKey, ...]
    from_size: int = 0
    endorsement: str = ""

    @property
    def ed25519(self) -> VerifierKey:
        return next(key for key in self.verifiers if key.algorithm == ED25519)


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that a key of the log has signed. `signed` are the log's signatures that were verified."""

    checkpoint: Checkpoint
    note: Note
    signed: tuple[Signed, ...]


@dataclass(frozen=True, slots=True)
class Custody:
    """The keys of one log, oldest first."""

    origin: str
    generations: tuple[Generation, ...]

    @classmethod
    def of(cls, *keys: VerifierKey) -> Custody:
        """A log of which nothing but its keys is known; its origin is their name."""
        return cls(keys[0].name, (Generation(keys),))

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        return tuple(key for generation in self.generations for key in generation.verifiers)

    @property
    def newest(self) -> Generation:
        return self.generations[-1]

    def open(self, data: bytes) -> Opened:
        """The checkpoint in `data`. Raises NoteInvalid where it is malformed, of another log, or not signed by the
        generation whose turn it was."""
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
        if checkpoint.origin != self.origin:
            raise NoteInvalid(f"a checkpoint of the log {checkpoint.origin}, not {self.origin}")
        signed = open_note(note, self.verifiers)
        due = [one for one in self.generations if one.from_size <= checkpoint.size] or [self.generations[0]]
        allowed = set(due[-1].verifiers)
        for older, newer in zip(reversed(due[:-1]), reversed(due), strict=False):
            if newer.from_size < checkpoint.size:
                break
            allowed.update(older.verifiers)
        if not any(one.key in allowed for one in signed):
            raise NoteInvalid(
                f"the checkpoint of {checkpoint.size} is signed by a key whose turn it is not",
                hint=f"it must be signed by {due[-1].ed25519.encode()}",
            )
        return Opened(checkpoint, note, signed)

    def endorse(self, old: SignerKey, new: Sequence[SignerKey], from_size: int) -> Custody:
        """With `new` as the next generation. `old` and the Ed25519 one of `new` sign for it."""
        verifiers = tuple(key.verifier for key in new)
        own = next(key for key in new if key.algorithm == ED25519)
        note = sign_note(_endorsement(self.origin, from_size, verifiers), (old, own))
        added = Generation(verifiers, from_size, note.encode().decode())
        return Custody(self.origin, (*self.generations, added))

    def encode(self) -> bytes:
        """For keys.json."""
        listed = [
            {
                "verifiers": [key.encode() for key in one.verifiers],
                "from_size": one.from_size,
                "endorsement": one.endorsement,
            }
            for one in self.generations
        ]
        return (
            json.dumps({"origin": self.origin, "generations": listed}, indent=2, ensure_ascii=False) + "\n"
        ).encode()

    @classmethod
    def parse(cls, data: bytes, trusted: VerifierKey | None = None) -> Custody:
        """What keys.json says, every endorsement verified. `trusted` must be one of its keys; without it nothing but
        the list itself speaks for it. Raises NoteInvalid."""
        try:
            raw = json.loads(data)
            found = cls(
                str(raw["origin"]),
                tuple(
                    Generation(
                        tuple(VerifierKey.parse(key) for key in one["verifiers"]),
                        int(one["from_size"]),
                        str(one["endorsement"]),
                    )
                    for one in raw["generations"]
                ),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NoteInvalid("the log's list of keys can't be read", hint="copy keys.json again") from None
        found._check()
        if trusted is not None and trusted not in found.verifiers:
            raise NoteInvalid(
                "the key that you trust is none of this log's keys",
                hint="this is another log, or somebody has replaced its keys",
            )
        return found

    def _check(self) -> None:
        if not self.generations:
            raise NoteInvalid("the log's list of keys is empty")
        for one in self.generations:
            if not any(key.algorithm == ED25519 for key in one.verifiers):
                raise NoteInvalid("a generation of the log's keys has no Ed25519 key")
        for older, newer in zip(self.generations, self.generations[1:], strict=False):
            note = parse_note(newer.endorsement.encode())
            signers = (older.ed25519, newer.ed25519)
            if {one.key for one in find_signed(note, signers)} != set(signers):
                raise NoteInvalid(f"the key {newer.ed25519.encode()} is not endorsed by the key before it")
            if note.text != _endorsement(self.origin, newer.from_size, newer.verifiers):
                raise NoteInvalid(f"what endorses {newer.ed25519.encode()} says something else")
            if newer.from_size < older.from_size:
                raise NoteInvalid("the log's keys are not in their order")


def _endorsement(origin: str, from_size: int, verifiers: Sequence[VerifierKey]) -> str:
    lines = (_ENDORSEMENT, origin, f"from {from_size}", *(key.encode() for key in verifiers))
    return "".join(f"{line}\n" for line in lines)
