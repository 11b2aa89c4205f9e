"""Signed notes (C2SP signed-note) and the keys that sign them. Pure: seeds and times are arguments.

A note is a text and the signatures under it; a key is known by its name and a 32-bit id that its name, algorithm and
public part make. Who is not known is ignored, so a new kind of signature never breaks an old reader; a signature of a
known key that is wrong spoils the whole note.

| type | algorithm | signs |
|---|---|---|
| 0x01 | Ed25519 | the text: the log's own signature |
| 0x04 | Ed25519, cosignature/v1 | a time and a checkpoint: a witness (C2SP tlog-cosignature) |
| 0x06 | ML-DSA-44, subtree/v1 | a time and a checkpoint: a log or a witness, safe from quantum computers |

Keys as text: `PRIVATE+KEY+<name>+<id>+<base64 of type and seed>` and `<name>+<id>+<base64 of type and public key>`,
as Go's golang.org/x/mod/sumdb/note writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from decision.journal.algorithms import ALGORITHMS, ED25519, SEED_BYTES, key_id_of
from decision.journal.encoding import base64_text, parse_base64
from decision.model.errors import NoteInvalid

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_ID = re.compile(r"[0-9a-f]{8}")
_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: of the key (name, key_id), which may be unknown to us."""

    name: str
    key_id: int
    signature: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {base64_text(self.key_id.to_bytes(4, 'big') + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """`text` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return f"{self.text}\n{''.join(one.line() for one in self.signatures)}".encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public part of a key. Equal keys have equal texts."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> int:
        return key_id_of(self.name, self.algorithm, self.public)

    def encode(self) -> str:
        return f"{self.name}+{self.key_id:08x}+{base64_text(bytes((self.algorithm,)) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Raises NoteInvalid, also for an algorithm that is not known here."""
        name, key_id, algorithm, public = _key_parts(text)
        if len(public) != ALGORITHMS[algorithm].public_bytes:
            raise NoteInvalid(f"the key of {name} has {len(public)} bytes")
        key = cls(name, algorithm, public)
        if key.key_id != key_id:
            raise NoteInvalid(f"the key of {name} does not have the id that its text says", hint="copy it again")
        return key

    def verify(self, text: str, signature: bytes) -> int:
        """The time that the signature states, 0 where its algorithm states none. Raises NoteInvalid."""
        try:
            return ALGORITHMS[self.algorithm].verify(self.public, self.name, text, signature)
        except NoteInvalid as error:
            raise NoteInvalid(f"the signature of {self.name} is wrong", hint=error.message) from None


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key, as the seed of 32 bytes that it is made from."""

    name: str
    algorithm: int
    seed: bytes = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.algorithm, ALGORITHMS[self.algorithm].public_of(self.seed))

    def encode(self) -> str:
        """Secret."""
        secret = base64_text(bytes((self.algorithm,)) + self.seed)
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id:08x}+{secret}"

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """Raises NoteInvalid, whose message repeats nothing of a secret."""
        if not text.startswith(_PRIVATE):
            raise NoteInvalid("that is no private key", hint=f"it begins with {_PRIVATE}")
        name, key_id, algorithm, seed = _key_parts(text.removeprefix(_PRIVATE))
        if len(seed) != SEED_BYTES:
            raise NoteInvalid(f"the private key of {name} has {len(seed)} bytes where {SEED_BYTES} must be")
        key = cls(name, algorithm, seed)
        if key.verifier.key_id != key_id:
            raise NoteInvalid(f"the private key of {name} does not have the id that its text says")
        return key

    def sign(self, text: str, time_s: int = 0) -> Signature:
        """Sign a note's text; `time_s` (seconds since 1970) is for algorithms that state a time.

        Raises NoteInvalid for a text that the algorithm can't sign: some sign checkpoints only.
        """
        made = ALGORITHMS[self.algorithm].sign(self.seed, self.name, text, time_s)
        return Signature(self.name, self.verifier.key_id, made)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was verified. `time_s`: the time it states, 0 for none."""

    key: VerifierKey
    signature: Signature
    time_s: int


def new_key(name: str, seed: bytes, algorithm: int = ED25519) -> SignerKey:
    """Raises NoteInvalid for a name that no key can have, ValueError for a seed that is none."""
    if not is_key_name(name):
        raise NoteInvalid(f"{name!r} can't be a key's name", hint="no spaces, no plus sign: log.example.com/airlock")
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes")
    return SignerKey(name, algorithm, seed)


def sign_note(text: str, keys: Iterable[SignerKey], time_s: int = 0) -> Note:
    """The note of `text`, signed by each key. Raises NoteInvalid."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteInvalid("a note's text ends in a newline and has no other control character")
    return Note(text, tuple(key.sign(text, time_s) for key in keys))


def parse_note(data: bytes) -> Note:
    """The note in `data`, nothing of it verified. Raises NoteInvalid."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"a note of {len(data)} bytes is refused unread")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteInvalid("a note must be UTF-8") from None
    if _CONTROL.search(whole):
        raise NoteInvalid("a note holds a control character")
    text, gap, lines = whole.rpartition("\n\n")
    if not gap or not lines.endswith("\n"):
        raise NoteInvalid("a note is a text, an empty line and signature lines")
    signatures = lines[:-1].split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise NoteInvalid(f"a note with {len(signatures)} signatures is refused unread")
    return Note(f"{text}\n", tuple(parse_signature(line) for line in signatures))


def parse_signature(line: str) -> Signature:
    """A signature line without its newline. Raises NoteInvalid."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not is_key_name(name):
        raise NoteInvalid("a signature line is a dash, a key's name and base64")
    raw = parse_base64(encoded)
    if len(raw) < 5:
        raise NoteInvalid("a signature is too short to be one")
    return Signature(name, int.from_bytes(raw[:4], "big"), raw[4:])


def open_note(note: Note, trusted: Iterable[VerifierKey]) -> tuple[Signed, ...]:
    """What trusted keys have signed of `note`, at least one, in the note's order; the first of each key counts.

    Raises NoteInvalid where a signature of a trusted key is wrong, or none is there.
    """
    found = find_signed(note, trusted)
    if not found:
        raise NoteInvalid("the note is signed by no trusted key", hint="give the verifier key that its log published")
    return found


def find_signed(note: Note, trusted: Iterable[VerifierKey]) -> tuple[Signed, ...]:
    """`open_note` for notes that may have no signature of these keys, as a witness's may be missing."""
    keys = {(key.name, key.key_id): key for key in trusted}
    found: dict[tuple[str, int], Signed] = {}
    for signature in note.signatures:
        place = (signature.name, signature.key_id)
        key = keys.get(place)
        if key is not None and place not in found:
            found[place] = Signed(key, signature, key.verify(note.text, signature.signature))
    return tuple(found.values())


def is_key_name(name: str) -> bool:
    """Not empty, no Unicode space, no plus sign."""
    return bool(name) and "+" not in name and not any(one.isspace() for one in name)


def _key_parts(text: str) -> tuple[str, int, int, bytes]:
    """(name, id, algorithm, key) of a key's text."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not is_key_name(parts[0]) or _ID.fullmatch(parts[1]) is None:
        raise NoteInvalid("that is no key", hint="a key is <name>+<id>+<base64>")
    key = parse_base64(parts[2])
    if not key or key[0] not in ALGORITHMS:
        known = ", ".join(f"0x{number:02x}" for number in ALGORITHMS)
        raise NoteInvalid(f"the key of {parts[0]} is of a type that is not known here", hint=f"known: {known}")
    return parts[0], int(parts[1], 16), key[0], key[1:]
