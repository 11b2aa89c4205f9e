"""Where an issuer's public keys come from, and which of them may verify a given token.

A key set is small and changes rarely. It is fetched when there is none, when it is older than its time to live, and
when a token names a key that is not in it (the issuer rotated), but never more often than once in `refresh_interval_s`:
tokens with invented key ids can't make us hammer the issuer. A failed fetch is tried again after RETRY_S. While the
issuer can't be reached, the keys we have are used until they are too stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from decision.identity.settings import IssuerSettings
from decision.model.errors import CredentialInvalid, IssuerUnavailable
from decision.model.ports import Clock

PublicKey = RSAKey | ECKey | OKPKey

MAX_KEYS = 64
MIN_RSA_BITS = 2048
RETRY_S = 5  # after a failed fetch
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of one JWKS document, by key id. Keys that are no public signature keys are left out."""

    keys: tuple[tuple[str, PublicKey, Mapping[str, Any]], ...]

    @classmethod
    def parse(cls, document: bytes) -> KeySet:
        """Raises ValueError for what is no JWKS document."""
        loaded = orjson.loads(document)
        entries = loaded.get("keys") if isinstance(loaded, dict) else None
        if not isinstance(entries, list) or len(entries) > MAX_KEYS:
            raise ValueError(f"no JWKS document of at most {MAX_KEYS} keys")
        found = [(entry, _public(entry)) for entry in entries if isinstance(entry, dict)]
        return cls(tuple((str(entry.get("kid", "")), key, entry) for entry, key in found if key is not None))

    def choose(self, key_id: str, algorithm: str) -> PublicKey | None:
        """The one key for this token. Without a key id in the token there must be exactly one that fits."""
        fitting = [
            key
            for name, key, entry in self.keys
            if (not key_id or name == key_id) and entry.get("alg", algorithm) == algorithm and _fits(key, algorithm)
        ]
        return fitting[0] if len(fitting) == 1 else None


def _public(entry: dict[str, Any]) -> PublicKey | None:
    """The entry's public part as a key; None for symmetric, weak, malformed ones and those not for signatures."""
    if entry.get("kty") not in ("RSA", "EC", "OKP") or entry.get("use", "sig") != "sig":
        return None
    operations = entry.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return None
    public: dict[str, Any] = {name: entry[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in entry}
    try:
        if entry["kty"] == "RSA" and len(str(public.get("n", ""))) * 6 < MIN_RSA_BITS:
            return None
        key = import_key(public)
        if isinstance(key, RSAKey):
            return key if key.public_key.key_size >= MIN_RSA_BITS else None
        return key if isinstance(key, ECKey | OKPKey) and key.public_key is not None else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _fits(key: PublicKey, algorithm: str) -> bool:
    if isinstance(key, RSAKey):
        return algorithm[:2] in ("RS", "PS")
    if isinstance(key, ECKey):
        return algorithm.startswith("ES") and _CURVES.get(algorithm) == key.curve_name
    return algorithm in ("EdDSA", "Ed25519") and key.curve_name == "Ed25519"


class FileKeys:
    """The keys in a local JWKS file, read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys = KeySet(())

    async def find(self, key_id: str, algorithm: str) -> PublicKey:
        """Raises CredentialInvalid for an unknown key, IssuerUnavailable when the file can't be read."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._keys = KeySet.parse(self._path.read_bytes())
                self._stamp = stamp
        except (OSError, ValueError) as error:
            raise IssuerUnavailable(
                f"the issuer's key file {self._path} can't be read", hint="check jwks_file in the settings"
            ) from error
        return _chosen(self._keys, key_id, algorithm)


class FetchedKeys:
    """The keys that `fetch` brings, kept as the module's docstring says. One fetch at a time, shared by all waiters."""

    def __init__(self, settings: IssuerSettings, fetch: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        self._settings = settings
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_ns = 0
        self._tried_ns: int | None = None
        self._pause_s = 0
        self._lock = asyncio.Lock()

    async def find(self, key_id: str, algorithm: str) -> PublicKey:
        """Raises CredentialInvalid for an unknown key, IssuerUnavailable when there are no keys to ask."""
        keys = await self._fresh()
        key = keys.choose(key_id, algorithm)
        if key is None and await self._refresh(unless_newer_than=self._fetched_ns):
            keys = self._keys or keys
        return key or _chosen(keys, key_id, algorithm)

    async def _fresh(self) -> KeySet:
        """The keys, fetched if there are none or they are past their time to live."""
        if self._keys is None or self._age_s() > self._settings.keys_ttl_s:
            await self._refresh(unless_newer_than=self._fetched_ns)
        if self._keys is None:
            raise IssuerUnavailable("the issuer's keys could not be fetched", hint="try again; check the issuer")
        if self._age_s() > self._settings.keys_ttl_s + self._settings.keys_max_stale_s:
            raise IssuerUnavailable("the issuer's keys are too old and can't be renewed", hint="check the issuer")
        return self._keys

    async def _refresh(self, *, unless_newer_than: int) -> bool:
        """Fetch, at most once in the refresh interval; whether the keys are newer than the caller's now."""
        async with self._lock:
            if self._keys is not None and self._fetched_ns > unless_newer_than:
                return True  # another waiter did it
            now = self._clock.monotonic_ns()
            if self._tried_ns is not None and now - self._tried_ns < self._pause_s * 1_000_000_000:
                return False
            self._tried_ns = now
            self._pause_s = min(RETRY_S, self._settings.refresh_interval_s)
            try:
                self._keys = KeySet.parse(await self._fetch())
            except (IssuerUnavailable, ValueError):
                return False
            self._fetched_ns = self._clock.monotonic_ns()
            self._pause_s = self._settings.refresh_interval_s
            return True

    def _age_s(self) -> float:
        return (self._clock.monotonic_ns() - self._fetched_ns) / 1e9


def _chosen(keys: KeySet, key_id: str, algorithm: str) -> PublicKey:
    key = keys.choose(key_id, algorithm)
    if key is None:
        raise CredentialInvalid("the token is signed with a key that its issuer does not publish for that algorithm")
    return key


KeySource = FileKeys | FetchedKeys
__all__: Sequence[str] = ("FetchedKeys", "FileKeys", "KeySet", "KeySource", "PublicKey")
