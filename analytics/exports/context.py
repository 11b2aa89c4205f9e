"""What an export remembers of earlier events, so that an execution can say who ran what. Pure.

An event holds only what it adds: an execution names its decision, the end of a session its session. Exports bring both
together again from the newest MOST sessions and decisions; where what went before is not known any more, the
record says less and stays valid. Events are taken in the order of their journal.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from analytics.project.document import MessageFacts, ProjectionError, message_facts
from decision.model.decision import PolicyEffect
from decision.model.events import AuditEvent, SessionOpened, SessionRefused, StatementDecided, StatementExecuted
from decision.model.principal import Principal
from decision.model.session import ClientInfo

MOST = 50_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionContext:
    session_id: str
    principal: Principal | None
    user: str
    database: str
    environment: str
    client: ClientInfo
    enforcement_point: str
    engine: str = ""
    intent: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """`facts` are None where analysis refused the text; `time_unix_nano` is the event's, `event_id` too."""

    decided: StatementDecided
    facts: MessageFacts | None
    event_id: str
    time_unix_nano: int
    trace_id: bytes = b""
    span_id: bytes = b""

    @property
    def runs(self) -> bool:
        """Whether the database was to be given it: a Parse prepares only."""
        return self.decided.effect is PolicyEffect.ALLOW and self.decided.message_kind != "parse"


class Newest(Generic[T]):
    """The newest `most` values by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, T] = OrderedDict()

    def put(self, key: str, value: T) -> None:
        self._held.pop(key, None)
        self._held[key] = value
        if len(self._held) > self._most:
            self._held.popitem(last=False)

    def get(self, key: str) -> T | None:
        return self._held.get(key)


class Contexts:
    """`take` every event before it is exported."""

    def __init__(self, most: int = MOST) -> None:
        self._sessions: Newest[SessionContext] = Newest(most)
        self._decisions: Newest[DecisionContext] = Newest(most)
        self._executions: Newest[str] = Newest(most)

    def take(self, event: AuditEvent) -> None:
        payload, draft = event.payload, event.draft
        match payload:
            case SessionOpened():
                self._sessions.put(payload.session_id, SessionContext(
                    payload.session_id, payload.principal, "", payload.database, payload.environment, payload.client,
                    payload.enforcement_point, payload.engine, payload.intent, payload.ticket,
                ))  # fmt: skip
            case SessionRefused():
                self._sessions.put(payload.session_id, SessionContext(
                    payload.session_id, payload.principal, payload.user, payload.database, "", payload.client,
                    payload.enforcement_point,
                ))  # fmt: skip
            case StatementDecided():
                found = DecisionContext(
                    payload, facts_of(payload), draft.id, draft.time_unix_nano, draft.trace_id, draft.span_id
                )
                self._decisions.put(payload.decision_id, found)
                if self._sessions.get(payload.session_id) is None:
                    self._sessions.put(payload.session_id, SessionContext(
                        payload.session_id, payload.principal, "", payload.database, payload.environment,
                        payload.client, payload.enforcement_point, "", payload.intent, payload.ticket,
                    ))  # fmt: skip
            case StatementExecuted():
                key = f"{payload.decision_id}/{payload.statement_index}"
                if self._executions.get(key) is None:
                    self._executions.put(key, draft.id)
            case _:
                pass

    def session(self, session_id: str) -> SessionContext | None:
        return self._sessions.get(session_id)

    def decision(self, decision_id: str) -> DecisionContext | None:
        return self._decisions.get(decision_id)

    def again(self, executed: StatementExecuted, event_id: str) -> str:
        """`event_id` where it is not the first execution of its statement (a portal fetched in portions)."""
        first = self._executions.get(f"{executed.decision_id}/{executed.statement_index}")
        return "" if first is None or first == event_id else event_id


def facts_of(decided: StatementDecided) -> MessageFacts | None:
    try:
        return message_facts(decided.input_json)
    except ProjectionError:
        return None


def normalized(facts: MessageFacts | None, index: int | None = None) -> str:
    """The normalized text, without literals, of a message or of one statement in it; empty where nothing is known.

    `StatementDecided.statement_text` is no substitute: the settings may have it hold the exact text.
    """
    if facts is None:
        return ""
    if index is None:
        return "; ".join(statement.text for statement in facts.statements)
    return facts.statements[index].text if 0 <= index < len(facts.statements) else ""
