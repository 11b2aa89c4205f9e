"""Who is signed in. Kept in memory only: a restart signs everybody out, and no credential is ever stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from decision.model.ports import Clock
from decision.model.principal import Principal


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`credential` is what the decision service is asked with; `csrf` must come with everything that changes."""

    session_id: str
    principal: Principal
    credential: str
    csrf: str
    expires_unix_nano: int
    may_audit: bool

    def __repr__(self) -> str:  # keeps the credential out of logs
        return f"SignedIn({self.principal.subject!r})"


class Sessions:
    """`new_token` gives unguessable text. Bounded: beyond `limit` the sign-in that ends soonest makes room."""

    def __init__(self, clock: Clock, new_token: Callable[[], str], lifetime_s: int, limit: int) -> None:
        self._clock = clock
        self._new_token = new_token
        self._lifetime_ns = lifetime_s * 1_000_000_000
        self._limit = limit
        self._open: dict[str, SignedIn] = {}

    def open(self, principal: Principal, credential: str, may_audit: bool) -> SignedIn:
        """A new sign-in; it lasts no longer than the credential."""
        self._forget_ended()
        if len(self._open) >= self._limit:
            del self._open[min(self._open, key=lambda known: self._open[known].expires_unix_nano)]
        expires = self._clock.time_unix_nano() + self._lifetime_ns
        if principal.authentication.expires_unix:
            expires = min(expires, principal.authentication.expires_unix * 1_000_000_000)
        session = SignedIn(self._new_token(), principal, credential, self._new_token(), expires, may_audit)
        self._open[session.session_id] = session
        return session

    def find(self, session_id: str) -> SignedIn | None:
        session = self._open.get(session_id)
        if session is not None and session.expires_unix_nano <= self._clock.time_unix_nano():
            self.close(session_id)
            return None
        return session

    def close(self, session_id: str) -> None:
        self._open.pop(session_id, None)

    def _forget_ended(self) -> None:
        now = self._clock.time_unix_nano()
        self._open = {key: one for key, one in self._open.items() if one.expires_unix_nano > now}
