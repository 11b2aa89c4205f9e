"""Open sessions of the decision service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from decision.analysis import SessionState
from decision.config import DatabaseEntry
from decision.model.errors import SessionRefused, SessionUnknown
from decision.model.policy import Context
from decision.model.principal import Principal
from decision.model.session import SessionRequest


@dataclass(slots=True)
class Session:
    """What the service knows of one open session.

    `lock` keeps the session's decisions in the order in which they were asked for: `state` (prepared statements,
    cursors, search_path) of one is the ground of the next. `expires_unix` is the earliest end of any credential in the
    chain; 0 for never.
    """

    session_id: str
    principal: Principal
    principal_json: bytes
    resource_json: bytes
    entry: DatabaseEntry
    request: SessionRequest  # without the credential
    opened_event_id: str
    state: SessionState = field(default_factory=SessionState)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    settings: tuple[tuple[str, str], ...] = ()  # as reported with the statement that made `state`
    context: Context | None = None  # of the newest statement without a grant
    expires_unix: int = field(init=False)

    def __post_init__(self) -> None:
        ends = [p.authentication.expires_unix for p in self.principal.chain() if p.authentication.expires_unix]
        self.expires_unix = min(ends, default=0)


class Sessions:
    """The bounded table of open sessions."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def check_room(self) -> None:
        """Raise SessionRefused when the table is full."""
        if len(self._open) >= self._limit:
            raise SessionRefused(
                f"too many open sessions ({self._limit})", hint="close some, or raise decision.max_sessions"
            )

    def add(self, session: Session) -> None:
        self._open[session.session_id] = session

    def get(self, session_id: str) -> Session:
        """Raises SessionUnknown: never opened here, closed, or from before a restart of the service."""
        session = self._open.get(session_id)
        if session is None:
            raise SessionUnknown("this session is not open at the decision service", hint="connect again")
        return session

    def remove(self, session_id: str) -> Session | None:
        return self._open.pop(session_id, None)
