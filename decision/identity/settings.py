"""Settings of identity: which issuers are believed, and how their claims are read."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from decision.model.principal import PrincipalKind

ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)


class KindRule(BaseModel):
    """If the claim holds the value (or, for a list, contains it), the principal is of this kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: str = Field(min_length=1)
    value: str
    kind: PrincipalKind


class ClaimNames(BaseModel):
    """Where an issuer puts what Airlock reads. A name is taken as it stands first, then as a dotted path.

    `kind`: a claim that says human, agent or service itself; without it `kind_rules` are tried in order, then
    `default_kind` holds. `actor_kind` is the kind of who stands in `act`, unless its own claim says it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: str = "sub"
    groups: str = "groups"
    email: str = "email"
    kind: str = "airlock_kind"
    kind_rules: tuple[KindRule, ...] = ()
    default_kind: PrincipalKind = PrincipalKind.HUMAN
    actor_kind: PrincipalKind = PrincipalKind.AGENT


class IssuerSettings(BaseModel):
    """One issuer. `issuer` is compared with the token's `iss` character by character.

    Its keys come from `jwks_file`, or by discovery (`<issuer>/.well-known/openid-configuration`), which demands https
    except on loopback. `audience`: any of them must be in the token. `leeway_s` allows for clocks that differ.
    `keys_ttl_s`: how long fetched keys are used without a question; `keys_max_stale_s`: how long they are still used
    while the issuer can't be reached; `refresh_interval_s`: the least time between two fetches.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1, max_length=512)
    audience: tuple[str, ...] = Field(min_length=1)
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA", "Ed25519")
    jwks_file: Path | None = None
    claims: ClaimNames = ClaimNames()
    leeway_s: int = Field(default=30, ge=0, le=300)
    keys_ttl_s: int = Field(default=3600, ge=1)
    keys_max_stale_s: int = Field(default=24 * 3600, ge=0)
    refresh_interval_s: int = Field(default=30, ge=1)
    timeout_s: float = Field(default=5.0, gt=0, le=60)

    @field_validator("algorithms")
    @classmethod
    def _asymmetric(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refused = sorted(set(value) - ASYMMETRIC)
        if refused or not value:
            raise ValueError(f"{', '.join(refused) or 'nothing'}: choose from {', '.join(sorted(ASYMMETRIC))}")
        return value

    @field_validator("audience")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value):
            raise ValueError("an audience may not be empty")
        return value

    @model_validator(mode="after")
    def _reachable(self) -> IssuerSettings:
        if self.jwks_file is None and not is_safe_url(self.issuer):
            raise ValueError(
                "an issuer found by discovery must be an https URL (http on loopback only); or set jwks_file"
            )
        return self


class IdentitySettings(BaseModel):
    """`max_token_bytes`: a longer credential is refused before anything of it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuers: tuple[IssuerSettings, ...] = Field(min_length=1)
    max_token_bytes: int = Field(default=16_384, ge=256, le=131_072)

    @field_validator("issuers")
    @classmethod
    def _distinct(cls, value: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
        names = [issuer.issuer for issuer in value]
        if len(set(names)) != len(names):
            raise ValueError("an issuer is named twice")
        return value


def is_loopback(host: str) -> bool:
    """Whether a host name or address never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe_url(url: str) -> bool:
    """https anywhere, http on loopback only; nothing with credentials or a fragment in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if not host or not port_is_valid or parts.username or parts.password or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
