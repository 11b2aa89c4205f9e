"""What is kept of a decision so that the same session's same message can be decided again at once.

Soundness: a decision follows from the message (kind, text, settings, intent, ticket, transaction status), the session
(principal, database, what earlier statements made), the catalog, the active policy, the counters that it reads and the
time in seconds. An entry is found by session, kind and text, and good only if each of the others is what it was. It is
kept only where no approval was in play and letting the message run leaves the session as it was. So what is repeated is
the whole decision but for its ids, digests of values and times, which each message has of its own.
"""

from __future__ import annotations

from typing import Any

from decision.analysis import SessionState
from decision.model.decision import Decision
from decision.model.policy import Context
from decision.model.session import DecideRequest
from decision.pinned import PinnedForm
from decision.question import UNCOUNTED, Catalog, Counted
from decision.sessions import Session
from decision.wire.hot import DecidedForm

_Key = tuple[str, str, bytes]
MAX_ENTRIES = 4_096
MAX_BYTES = 16 * 1024 * 1024
MAX_ENTRY_BYTES = 32 * 1024


class Warm:
    """One kept decision. `rest` are the fields of Decision after its id."""

    __slots__ = ("catalog", "context", "form", "pinned", "rest", "revision", "state")

    def __init__(
        self,
        catalog: Catalog,
        state: SessionState,
        context: Context,
        revision: str,
        form: DecidedForm,
        pinned: tuple[PinnedForm, ...],
        decision: Decision,
    ) -> None:
        self.catalog = catalog
        self.state = state
        self.context = context
        self.revision = revision
        self.form = form
        self.pinned = pinned
        self.rest: tuple[Any, ...] = (
            decision.effect, decision.message, decision.hint, decision.results, decision.statements, decision.limits,
            decision.advice, decision.holds, decision.approval_id, decision.policy_revision, decision.catalog_changing,
            decision.tracks, decision.sqlstate, decision.cursor, decision.wait_s, decision.catalog_shared,
        )  # fmt: skip


class WarmCache:
    """Bounded in entries and bytes, the oldest dropped first. Each is made anew every second at least, so old ones are
    those that nobody asks for."""

    def __init__(self, entries: int = MAX_ENTRIES, size: int = MAX_BYTES) -> None:
        self._entries = entries
        self._max_bytes = size
        self._bytes = 0
        self._held: dict[_Key, Warm] = {}

    def find(
        self,
        session: Session,
        request: DecideRequest,
        catalog: Catalog | None,
        revision: str,
        time_unix: int,
        counted: Counted = UNCOUNTED,
    ) -> Warm | None:
        warm = self._held.get((session.session_id, request.kind, request.text))
        if warm is None:
            return None
        context = warm.context
        if (
            context.time_unix == time_unix
            and warm.state is session.state
            and warm.catalog is catalog
            and warm.revision == revision
            and request.settings == session.settings
            and context.transaction_status == request.transaction_status
            and context.intent == (request.intent or session.request.intent)
            and context.ticket == (request.ticket or session.request.ticket)
            and counted.in_context(context)
        ):
            return warm
        return None

    def keep(self, session: Session, request: DecideRequest, warm: Warm) -> None:
        size = _size(warm, request.text)
        if size > MAX_ENTRY_BYTES:
            return
        key = (session.session_id, request.kind, request.text)
        self._drop(key)
        self._held[key] = warm
        self._bytes += size
        while len(self._held) > self._entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._held)))

    def _drop(self, key: _Key) -> None:
        warm = self._held.pop(key, None)
        if warm is not None:
            self._bytes -= _size(warm, key[2])


def _size(warm: Warm, text: bytes) -> int:
    return warm.form.size + len(text)
