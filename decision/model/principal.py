"""Who asks: a verified identity and the chain of principals that it acts for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class PrincipalKind(StrEnum):
    HUMAN = "human"
    AGENT = "agent"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a principal proved who it is.

    `method` is `oidc`, `mtls` or `bearer`; `amr` the methods its identity provider reports (RFC 8176);
    `time_unix` the moment of the proof in seconds (the token's `auth_time`, else its `iat`), 0 if unknown;
    `expires_unix` the moment from which it proves nothing, 0 for never.
    """

    method: str
    amr: tuple[str, ...] = ()
    time_unix: int = 0
    expires_unix: int = 0


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified identity. `(issuer, subject)` is its key; every other field is for people and policies.

    `on_behalf_of` is the chain behind an agent, nearest first. In a delegated token (RFC 8693) `sub` is the
    human and `act.sub` the agent: here the agent is the principal and the human stands in `on_behalf_of`.
    """

    issuer: str
    subject: str
    kind: PrincipalKind
    email: str = ""
    groups: tuple[str, ...] = ()
    on_behalf_of: tuple[Principal, ...] = ()
    authentication: Authentication = Authentication(method="oidc")

    @property
    def key(self) -> tuple[str, str]:
        return (self.issuer, self.subject)

    def chain(self) -> Iterator[Principal]:
        """This principal and everyone it acts for, nearest first."""
        yield self
        for behind in self.on_behalf_of:
            yield from behind.chain()

    def involves(self, other: Principal) -> bool:
        """Whether `other`, or anyone it acts for, stands in this principal's chain (no self-approval)."""
        mine = {member.key for member in self.chain()}
        return any(member.key in mine for member in other.chain())
