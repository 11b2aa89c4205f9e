"""A credential (a signed JWT) to the Principal that it proves.

The order of the checks: size and form; the header, before any key is looked for; the issuer, by exact comparison; the
key, from the configured issuer alone (never from the token: `jku`, `x5u`, `x5c`, `jwk` are refused); the signature
under an algorithm that the issuer's settings allow; then the claims. Only claims under a good signature are used,
except `iss`, which merely chooses the settings and is signed too.

No message quotes anything of the token.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import warnings
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from decision.identity.claims import check_audience, check_times, principal_of
from decision.identity.discovery import discover
from decision.identity.keys import FetchedKeys, FileKeys, KeySource, PublicKey
from decision.identity.settings import IdentitySettings, IssuerSettings
from decision.model.errors import CredentialInvalid, IssuerUnavailable
from decision.model.ports import Clock
from decision.model.principal import Principal

# RFC 9864 deprecates the name EdDSA, not what it does here (the key's curve is checked); issuers still use it.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

_REFUSED_HEADERS = frozenset({"jku", "x5u", "x5c", "jwk", "crit", "b64", "enc", "zip"})
_TOKEN_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class TokenVerifier:
    """Verifies tokens of the issuers in the settings. Keeps their public keys, and nothing of any token."""

    def __init__(self, settings: IdentitySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._issuers: dict[str, tuple[IssuerSettings, KeySource]] = {
            issuer.issuer: (issuer, _source(issuer, clock)) for issuer in settings.issuers
        }

    async def verify(self, credential: str) -> Principal:
        """Raises CredentialInvalid, CredentialExpired or IssuerUnavailable."""
        header, unverified = self._opened(credential)
        issuer_name = unverified.get("iss")
        found = self._issuers.get(issuer_name) if isinstance(issuer_name, str) else None
        if found is None:
            raise CredentialInvalid(
                "the token's issuer is not one that is configured", hint=f"believed are: {', '.join(self._issuers)}"
            )
        issuer, keys = found
        algorithm = header["alg"]
        if algorithm not in issuer.algorithms:
            raise CredentialInvalid(
                "the token is signed with an algorithm that is not allowed for its issuer",
                hint=f"allowed are: {', '.join(issuer.algorithms)}",
            )
        try:
            async with asyncio.timeout(issuer.timeout_s * 2):  # discovery makes two requests
                key = await keys.find(header.get("kid", ""), algorithm)
        except TimeoutError as error:
            raise IssuerUnavailable("the issuer's keys did not come in time", hint="try again") from error
        claims = _claims(_verified_payload(credential, key, algorithm))
        if claims.get("iss") != issuer.issuer:
            raise CredentialInvalid("the token's issuer is not the one whose key signed it")
        check_audience(claims, issuer.audience)
        check_times(claims, self._clock.time_unix_nano() // 1_000_000_000, issuer.leeway_s)
        events = claims.get("events")
        if isinstance(events, dict) and _LOGOUT_EVENT in events:
            raise CredentialInvalid("a logout token is no credential")
        return principal_of(claims, issuer)

    def _opened(self, credential: str) -> tuple[dict[str, str], dict[str, Any]]:
        """(header, claims not yet verified) of a token whose form is right."""
        if not credential:
            raise CredentialInvalid("no token was given", hint="use a token as the password")
        if len(credential) > self._settings.max_token_bytes:
            raise CredentialInvalid(f"the token is over {self._settings.max_token_bytes} bytes")
        parts = credential.split(".")
        if len(parts) != 3 or not credential.isascii():
            raise CredentialInvalid("this is no signed token (JWT)", hint="use a token as the password")
        header = _object(parts[0], "header")
        if _REFUSED_HEADERS & header.keys():
            raise CredentialInvalid("the token's header wants a key or an extension that is never taken from a token")
        if not all(isinstance(value, str) for value in header.values()) or not header.get("alg"):
            raise CredentialInvalid("the token's header is not that of a signed token")
        if header.get("typ", "JWT").lower() not in _TOKEN_TYPES:
            raise CredentialInvalid("the token is of another type than an identity or access token")
        return header, _object(parts[1], "payload")


def _source(issuer: IssuerSettings, clock: Clock) -> KeySource:
    if issuer.jwks_file is not None:
        return FileKeys(issuer.jwks_file)
    return FetchedKeys(issuer, discover(issuer), clock)


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CredentialInvalid(f"the token's {what} is malformed") from error
    return _claims(raw, what)


def _claims(raw: bytes, what: str = "payload") -> dict[str, Any]:
    try:
        loaded = orjson.loads(raw)
    except ValueError as error:  # nesting beyond orjson's own limit included
        raise CredentialInvalid(f"the token's {what} is malformed") from error
    if not isinstance(loaded, dict):
        raise CredentialInvalid(f"the token's {what} is malformed")
    return loaded


def _verified_payload(credential: str, key: PublicKey, algorithm: str) -> bytes:
    """The payload under a good signature of `key`. Raises CredentialInvalid."""
    try:
        return jws.deserialize_compact(credential, key, algorithms=[algorithm]).payload
    except (JoseError, ValueError, TypeError) as error:
        raise CredentialInvalid("the token's signature does not verify") from error
