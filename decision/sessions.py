"""Open sessions of the decision service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from decision.analysis import SessionState
from decision.approvals.book import Holder, chain_of
from decision.config import DatabaseEntry
from decision.model.errors import SessionRefused, SessionUnknown
from decision.model.policy import Context
from decision.model.principal import Principal
from decision.model.session import DecideRequest, MessageKind, SessionRequest
from decision.wire import hot

MAX_PARSED = 32
MAX_PARSED_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Written:
    """Parts of a session's events (decision.wire.hot)."""

    links: bytes
    session: bytes
    place: bytes


@dataclass(slots=True)
class Session:
    """What the service knows of one open session.

    `lock` keeps the session's decisions in the order in which they were asked for: `state` (prepared statements,
    cursors, search_path) of one is the ground of the next. `expires_unix` is the earliest end of any credential in the
    chain; 0 for never. `holder` is whose approvals fit its messages.
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
    holder: Holder = field(init=False)
    turns: int = 0  # calls of `decide` under way
    parsed: dict[bytes, str] = field(default_factory=dict)  # the newest texts of a Parse, with their decisions
    _written: Written | None = None

    def link(self, request: DecideRequest) -> DecideRequest:
        """`request`, a Bind with the decision of its Parse: one that was sent right behind it does not know it."""
        if request.kind is MessageKind.BIND and not request.parse_decision_id:
            parse_decision_id = self.parsed.get(request.text)
            if parse_decision_id is not None:
                return replace(request, parse_decision_id=parse_decision_id)
        return request

    def remember(self, request: DecideRequest, decision_id: str) -> None:
        """What `link` goes by."""
        if request.kind is not MessageKind.PARSE or len(request.text) > MAX_PARSED_BYTES:
            return
        self.parsed.pop(request.text, None)
        if len(self.parsed) >= MAX_PARSED:
            del self.parsed[next(iter(self.parsed))]
        self.parsed[request.text] = decision_id

    @property
    def written(self) -> Written:
        """What every event of a decision says of the session, encoded once. After `opened_event_id` is known."""
        if self._written is None:
            self._written = Written(
                hot.links(self.session_id, self.opened_event_id),
                hot.session_part(self.session_id, self.principal, self.entry.name, self.entry.environment.value),
                hot.place_part(self.request.client, self.request.enforcement_point),
            )
        return self._written

    def __post_init__(self) -> None:
        ends = [p.authentication.expires_unix for p in self.principal.chain() if p.authentication.expires_unix]
        self.expires_unix = min(ends, default=0)
        self.holder = chain_of(self.principal), self.entry.name


class Turn:
    """One call of `decide`, from the call itself to its end: only then may a decision be made without waiting, or it
    would overtake this one. A coroutine that never began ends with its last reference."""

    __slots__ = ("_session",)

    def __init__(self, session: Session | None) -> None:
        self._session = session
        if session is not None:
            session.turns += 1

    def end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.turns -= 1

    def __del__(self) -> None:
        self.end()


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

    def find(self, session_id: str) -> Session | None:
        return self._open.get(session_id)

    def get(self, session_id: str) -> Session:
        """Raises SessionUnknown: never opened here, closed, or from before a restart of the service."""
        session = self._open.get(session_id)
        if session is None:
            raise SessionUnknown("this session is not open at the decision service", hint="connect again")
        return session

    def remove(self, session_id: str) -> Session | None:
        return self._open.pop(session_id, None)
