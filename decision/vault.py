"""Erasable text in a log that can't be erased: what a statement said word by word, encrypted under a key that can go.

Each principal, with those whom it acts for, has a data key for each month (UTC). A text is sealed by AES-256-GCM (NIST
SP 800-38D) under it, bound to the statement's digest; the data key is kept wrapped (AES key wrap, RFC 3394) under the
vault's wrapping key, or by a command that asks a key management service. Throwing a data key away erases every text
under it, in every copy of the log, while the log's bytes, and so its hashes and proofs, stay what they are.

A sealed text is: version (1 byte, 0x01), key id (16), nonce (12), ciphertext with its tag.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from decision.model.errors import TextGone, VaultUnavailable
from decision.model.principal import Principal
from decision.model.texts import TextKey
from decision.vault_store import Chain, VaultStore, WrappedKey
from decision.vault_wrapping import KEY_BYTES, Wrapping, Wrappings

VERSION = b"\x01"
ID_BYTES = 16
NONCE_BYTES = 12
MAX_TEXT_BYTES = 24 * 1024
"""A longer text is not sealed: it would not fit into an event beside the policy input."""

_KEPT_KEYS = 1_024
_KEPT_TEXTS = 2_048
_HEAD = 1 + ID_BYTES + NONCE_BYTES

Randomness = Callable[[int], bytes]


def month_of(time_unix: int) -> str:
    """`2026-11`: the month, in UTC, that a time in Unix seconds lies in."""
    return datetime.fromtimestamp(time_unix, UTC).strftime("%Y-%m")


class Vault:
    """Seals and opens texts. Used by one thread. Everything raises VaultUnavailable where keys can't be had."""

    def __init__(self, path: Path, wrappings: Wrappings, randomness: Randomness) -> None:
        self._store = VaultStore(path)
        self._wrappings = wrappings
        self._randomness = randomness
        self._keys: OrderedDict[tuple[Chain, str], tuple[bytes, AESGCM]] = OrderedDict()
        self._texts: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()
        self._looked_at = 0

    def seal(self, principal: Principal, time_unix: int, text: bytes, digest: bytes) -> bytes:
        """`text`, which has the keyed digest `digest`, sealed for its principal's month; empty where it is too long.

        The same text of the same month comes sealed the same: that it is the same, the digest tells anyhow.
        """
        if len(text) > MAX_TEXT_BYTES:
            return b""
        if time_unix != self._looked_at:
            self._looked_at = time_unix
            self.forget_if_changed()
        chain = tuple((member.issuer, member.subject) for member in principal.chain())
        key_id, cipher = self._key_of(chain, month_of(time_unix))
        known = self._texts.get((key_id, digest))
        if known is not None:
            return known
        nonce = self._randomness(NONCE_BYTES)
        sealed = VERSION + key_id + nonce + cipher.encrypt(nonce, text, _bound(key_id, digest))
        self._texts[key_id, digest] = sealed
        if len(self._texts) > _KEPT_TEXTS:
            self._texts.popitem(last=False)
        return sealed

    def open(self, sealed: bytes, digest: bytes) -> bytes:
        """The text. Raises TextGone where its key is gone, VaultUnavailable for what is no sealed text of ours."""
        if len(sealed) < _HEAD or sealed[:1] != VERSION:
            raise VaultUnavailable("this is no sealed text, or one of a newer version")
        key_id, nonce = sealed[1 : 1 + ID_BYTES], sealed[1 + ID_BYTES : _HEAD]
        kept = self._store.get(key_id)
        if kept is None:
            raise TextGone("the text was erased: its key is gone")
        try:
            return AESGCM(self._unwrap(kept)).decrypt(nonce, sealed[_HEAD:], _bound(key_id, digest))
        except InvalidTag:
            raise VaultUnavailable("the sealed text was changed, or belongs to another statement") from None

    def forget_if_changed(self) -> None:
        """Drop what is held in memory where another process changed the keys."""
        if self._store.changed():
            self._forget()

    def _forget(self) -> None:
        self._keys.clear()
        self._texts.clear()

    def _key_of(self, chain: Chain, month: str) -> tuple[bytes, AESGCM]:
        found = self._keys.get((chain, month))
        if found is not None:
            return found
        kept = self._store.find(chain, month)
        if kept is None:
            fresh = self._randomness(KEY_BYTES)
            wrapping = self._wrappings.current()
            key_id = self._randomness(ID_BYTES)
            kept = self._store.add(WrappedKey(key_id, chain, month, wrapping.name, wrapping.wrap(fresh)))
        made = kept.key_id, AESGCM(self._unwrap(kept))
        self._keys[chain, month] = made
        if len(self._keys) > _KEPT_KEYS:
            self._keys.popitem(last=False)
        return made

    def _unwrap(self, kept: WrappedKey) -> bytes:
        wrapping = self._wrappings.named(kept.wrapping_id)
        if wrapping is None:
            raise VaultUnavailable(
                f"a data key was wrapped by {kept.wrapping_id}, and this vault has {self._wrappings.current().name}",
                hint="restore the wrapping key of before from your backup",
            )
        key = wrapping.unwrap(kept.wrapped)
        if len(key) != KEY_BYTES:
            raise VaultUnavailable("what was unwrapped is no data key")
        return key

    # ── the office of `airlock keys` ────────────────────────────────────────────────────────────────────────────────

    def keys(self) -> list[TextKey]:
        """All data keys that are left, by month."""
        return [_listed(key) for key in self._store.all()]

    def begin_erasure(self, payload: bytes) -> int:
        """Remember that an erasure was asked for, until `erase` is told its number."""
        return self._store.begin_erasure(payload)

    def begun_erasures(self) -> list[tuple[int, bytes]]:
        """(number, payload) of those that a crash cut off."""
        return self._store.begun_erasures()

    def erase(self, subject: str, before_month: str, issuer: str = "", number: int = 0) -> list[TextKey]:
        """Throw away a subject's data keys of months before `before_month` (`2026-11`), those of whoever acted for it
        too; what they were. An empty issuer means every one. `number`: the erasure that ends with it."""
        gone = self._store.erase(subject, issuer, before_month, number)
        self._forget()
        return [_listed(key) for key in gone]

    def rotate(self, wrapping: Wrapping) -> int:
        """Wrap every data key by `wrapping` from now on, all or none; how many there are. Copies of the vault from
        before are worth nothing once the old wrapping key is gone, and with them what was erased since."""
        kept = self._store.all()
        self._store.rewrap(
            [
                replace(key, wrapping_id=wrapping.name, wrapped=wrapping.wrap(self._unwrap(key)))
                for key in kept
                if key.wrapping_id != wrapping.name
            ]
        )
        self._forget()
        return len(kept)

    def close(self) -> None:
        self._forget()
        self._store.close()


def _bound(key_id: bytes, digest: bytes) -> bytes:
    """What a sealed text is bound to: it can't be passed off as another statement's."""
    return b"airlock/text/v1\0" + key_id + digest


def _listed(key: WrappedKey) -> TextKey:
    (issuer, subject), *behind = key.chain
    return TextKey(key.key_id.hex(), subject, issuer, tuple(one for _, one in behind), key.month, key.wrapping_id)
