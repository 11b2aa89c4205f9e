"""The signature algorithms of notes, by their type number. Pure. A new one is one more entry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from decision.journal.checkpoints import parse_checkpoint
from decision.model.errors import NoteInvalid

ED25519 = 0x01
COSIGNATURE = 0x04
ML_DSA_44 = 0x06
SEED_BYTES = 32
_TIME_BYTES = 8
_LONGEST_NAME = 255


class Algorithm(Protocol):
    """`public_bytes`: the length of a public key."""

    public_bytes: int

    def public_of(self, seed: bytes) -> bytes: ...

    def sign(self, seed: bytes, name: str, text: str, time_s: int) -> bytes:
        """The signature of the key `name` under a note's text. Raises NoteInvalid for a text it can't sign."""
        ...

    def verify(self, public: bytes, name: str, text: str, signature: bytes) -> int:
        """The time that is stated, 0 for none. Raises NoteInvalid."""
        ...


def key_id_of(name: str, algorithm: int, public: bytes) -> int:
    digest = hashlib.sha256(name.encode() + b"\n" + bytes((algorithm,)) + public).digest()
    return int.from_bytes(digest[:4], "big")


class _Ed25519:
    """RFC 8032 over the text."""

    public_bytes = 32

    def public_of(self, seed: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

    def sign(self, seed: bytes, name: str, text: str, time_s: int) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(seed).sign(self._message(text, time_s))

    def verify(self, public: bytes, name: str, text: str, signature: bytes) -> int:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, self._message(text, 0))
        except (InvalidSignature, ValueError):
            raise NoteInvalid("it does not verify") from None
        return 0

    def _message(self, text: str, time_s: int) -> bytes:
        return text.encode()


class _Cosignature(_Ed25519):
    """tlog-cosignature's `cosignature/v1`: the time in eight bytes, then RFC 8032 over time and checkpoint."""

    def sign(self, seed: bytes, name: str, text: str, time_s: int) -> bytes:
        parse_checkpoint(text)
        return _time_bytes(time_s) + Ed25519PrivateKey.from_private_bytes(seed).sign(self._message(text, time_s))

    def verify(self, public: bytes, name: str, text: str, signature: bytes) -> int:
        time_s, own = _stated_time(signature)
        parse_checkpoint(text)
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(own, self._message(text, time_s))
        except (InvalidSignature, ValueError):
            raise NoteInvalid("it does not verify") from None
        return time_s

    def _message(self, text: str, time_s: int) -> bytes:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()


class _MlDsa44:
    """tlog-cosignature's `subtree/v1` over a whole tree: the time in eight bytes, then FIPS 204 over origin, size, root
    and the signer's own name. It says nothing of extension lines."""

    public_bytes = 1312

    def public_of(self, seed: bytes) -> bytes:
        return MLDSA44PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()

    def sign(self, seed: bytes, name: str, text: str, time_s: int) -> bytes:
        message = self._message(name, text, time_s)
        return _time_bytes(time_s) + MLDSA44PrivateKey.from_seed_bytes(seed).sign(message)

    def verify(self, public: bytes, name: str, text: str, signature: bytes) -> int:
        time_s, own = _stated_time(signature)
        try:
            MLDSA44PublicKey.from_public_bytes(public).verify(own, self._message(name, text, time_s))
        except (InvalidSignature, ValueError):
            raise NoteInvalid("it does not verify") from None
        return time_s

    def _message(self, name: str, text: str, time_s: int) -> bytes:
        checkpoint = parse_checkpoint(text)
        names = b"".join(
            (_sized(name), _time_bytes(time_s), _sized(checkpoint.origin), bytes(8), checkpoint.size.to_bytes(8, "big"))
        )
        return b"subtree/v1\n\x00" + names + checkpoint.root


ALGORITHMS: Mapping[int, Algorithm] = {ED25519: _Ed25519(), COSIGNATURE: _Cosignature(), ML_DSA_44: _MlDsa44()}


def _time_bytes(time_s: int) -> bytes:
    if not 0 <= time_s < 1 << 63:
        raise NoteInvalid("a signature can't state that time")
    return time_s.to_bytes(_TIME_BYTES, "big")


def _stated_time(signature: bytes) -> tuple[int, bytes]:
    """(time, what is signed with it)."""
    time_s = int.from_bytes(signature[:_TIME_BYTES], "big")
    if len(signature) <= _TIME_BYTES or time_s >= 1 << 63:
        raise NoteInvalid("it states no time")
    return time_s, signature[_TIME_BYTES:]


def _sized(text: str) -> bytes:
    raw = text.encode()
    if not 0 < len(raw) <= _LONGEST_NAME:
        raise NoteInvalid(f"a name of {len(raw)} bytes can't be signed")
    return bytes((len(raw),)) + raw
