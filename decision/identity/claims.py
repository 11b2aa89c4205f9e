"""From verified claims to a Principal. Pure.

A delegated token (RFC 8693) names the human in `sub` and who acts in `act`: the principal is the actor, and
`on_behalf_of` holds the earlier actors (`act.act`), nearest first, then the human. Policy is evaluated for each of
them, which is stricter than RFC 8693 asks for earlier actors. Groups and e-mail of an actor are read inside `act`,
never from the top, where they are the human's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from decision.identity.settings import ClaimNames, IssuerSettings
from decision.model.errors import CredentialExpired, CredentialInvalid
from decision.model.principal import Authentication, Principal, PrincipalKind

Claims = Mapping[str, object]

MAX_ACTORS: Final = 4
MAX_GROUPS: Final = 1_000
MAX_NAME: Final = 255
_FAR: Final = 2**53
_ABSENT: Final = object()


def check_times(claims: Claims, now_unix: int, leeway_s: int) -> None:
    """Raise CredentialExpired or CredentialInvalid unless the token holds at `now_unix` (seconds)."""
    expires = _time(claims, "exp")
    if expires is None:
        raise CredentialInvalid("the token has no expiry (exp)", hint="have the issuer put an exp claim in")
    if now_unix >= expires + leeway_s:
        raise CredentialExpired("the token has expired", hint="sign in again for a new one")
    for name, what in (("nbf", "is not valid yet"), ("iat", "was issued in the future")):
        moment = _time(claims, name)
        if moment is not None and moment > now_unix + leeway_s:
            raise CredentialInvalid(
                f"the token {what} ({name})", hint="check the clocks of issuer and decision service"
            )


def check_audience(claims: Claims, audience: tuple[str, ...]) -> None:
    """Raise CredentialInvalid unless the token was made for one of `audience`."""
    named = claims.get("aud")
    present = [named] if isinstance(named, str) else named
    if not isinstance(present, list) or not all(isinstance(item, str) for item in present):
        raise CredentialInvalid("the token names no audience (aud)", hint=f"ask for audience {audience[0]}")
    if not set(present) & set(audience):
        raise CredentialInvalid("the token was made for another audience", hint=f"ask for audience {audience[0]}")


def principal_of(claims: Claims, issuer: IssuerSettings) -> Principal:
    """The principal that verified claims name. Raises CredentialInvalid where they are not what they should be."""
    names = issuer.claims
    expires = _time(claims, "exp") or 0
    moment = _time(claims, "auth_time")
    authentication = Authentication(
        method="oidc",
        amr=_strings(claims.get("amr"), "amr"),
        time_unix=(_time(claims, "iat") or 0) if moment is None else moment,
        expires_unix=expires + issuer.leeway_s,
    )
    bearer = _member(claims, issuer, names.subject, _kind(claims, names, names.default_kind), (), authentication)
    actors = _actors(claims, issuer.issuer)
    if not actors:
        return bearer
    chain = [
        _member(actor, issuer, "sub", _kind(actor, names, names.actor_kind, rules=False), (), authentication)
        for actor in actors
    ]
    if len({member.key for member in (*chain, bearer)}) != len(chain) + 1:
        raise CredentialInvalid("the token's chain of actors (act) names someone twice")
    first = chain[0]
    return Principal(
        first.issuer, first.subject, first.kind, first.email, first.groups, (*chain[1:], bearer), authentication
    )


def _actors(claims: Claims, issuer: str) -> list[Claims]:
    """The `act` claims from the current actor to the earliest."""
    found: list[Claims] = []
    act = claims.get("act", _ABSENT)
    while act is not _ABSENT:
        if not isinstance(act, dict):
            raise CredentialInvalid("the token's actor (act) is no object with a sub")
        if len(found) == MAX_ACTORS:
            raise CredentialInvalid(f"the token's chain of actors (act) is longer than {MAX_ACTORS}")
        if act.get("iss", issuer) != issuer:
            raise CredentialInvalid("the token's actor (act) belongs to another issuer than the token")
        found.append(act)
        act = act.get("act", _ABSENT)
    return found


def _member(
    claims: Claims,
    issuer: IssuerSettings,
    subject_claim: str,
    kind: PrincipalKind,
    behind: tuple[Principal, ...],
    authentication: Authentication,
) -> Principal:
    subject = _name(_find(claims, subject_claim), subject_claim)
    email = _find(claims, issuer.claims.email)
    verified = isinstance(email, str) and claims.get("email_verified", True) in (True, "true")
    return Principal(
        issuer=issuer.issuer,
        subject=subject,
        kind=kind,
        email=_name(email, issuer.claims.email) if verified and email else "",
        groups=_groups(claims, issuer.claims.groups),
        on_behalf_of=behind,
        authentication=authentication,
    )


def _kind(claims: Claims, names: ClaimNames, default: PrincipalKind, *, rules: bool = True) -> PrincipalKind:
    said = _find(claims, names.kind)
    if said is not _ABSENT:
        if not isinstance(said, str) or said not in set(PrincipalKind):
            raise CredentialInvalid(f"the token's {names.kind} claim is none of human, agent, service")
        return PrincipalKind(said)
    for rule in names.kind_rules if rules else ():
        value = _find(claims, rule.claim)
        if value == rule.value or (isinstance(value, list) and rule.value in value):
            return rule.kind
    return default


def _groups(claims: Claims, claim: str) -> tuple[str, ...]:
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, dict) and claim in elsewhere:
        # Distributed claims: the issuer left the groups out. A deny by group would silently not match.
        raise CredentialInvalid(
            "the token's groups are kept elsewhere by the issuer", hint="limit the groups in tokens"
        )
    groups = _strings(_find(claims, claim), claim)
    if len(groups) > MAX_GROUPS:
        raise CredentialInvalid(f"the token names more than {MAX_GROUPS} groups")
    return groups


def _find(claims: Claims, name: str) -> object:
    """The claim of that very name, else what the dotted path leads to."""
    if name in claims:
        return claims[name]
    here: object = claims
    for part in name.split("."):
        if not isinstance(here, dict) or part not in here:
            return _ABSENT
        here = here[part]
    return here


def _strings(value: object, claim: str) -> tuple[str, ...]:
    """A list of names, or a single one, sorted and without repetition; nothing for an absent claim."""
    if value is _ABSENT or value is None:
        return ()
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise CredentialInvalid(f"the token's {claim} claim is no list of names")
    return tuple(sorted({_name(item, claim) for item in items}))


def _name(value: object, claim: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_NAME or not value.isprintable():
        raise CredentialInvalid(f"the token's {claim} claim holds no name of 1 to {MAX_NAME} printable characters")
    return value


def _time(claims: Claims, claim: str) -> int | None:
    value = claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FAR:
        raise CredentialInvalid(f"the token's {claim} claim is no time")
    return int(value)
