"""Events as OpenTelemetry spans and log records, as plain values. Pure.

A session is a span, each statement that ran a child of it: from the question for its decision to the end of its
execution. A statement that was not to run (denied, held) is a span that ends with the decision. Every event is a log
record beside. All ids come from the events' own, so whatever is sent twice is the same thing twice: a span has the id
of its session, or of its decision and the statement's place in it; a log record names its event (`log.record.uid`).
A statement that brought a trace context of its own (a traceparent) is a span of that trace, linked to its session.

Attributes: the stable semantic conventions for databases (opentelemetry.io/docs/specs/semconv/db, 1.33), `client.*`,
`error.type`; ours begin with `airlock.`. `db.query.text` is the normalized text, never one with literals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from analytics.exports.context import Contexts, DecisionContext, SessionContext, normalized
from analytics.exports.ocsf import OcsfMapper
from analytics.exports.ocsf_parts import split_address
from analytics.project.document import MessageFacts
from decision.model import events as e
from decision.model.decision import PolicyEffect
from decision.model.principal import Principal
from decision.model.session import ClientInfo, Outcome

Value = str | int | bool | tuple[str, ...]
Attributes = Mapping[str, Value]
TraceContext = tuple[bytes, bytes]
"""A trace's id (16 bytes) and a span's (8)."""

SERVER, CLIENT = "server", "client"
# Severity numbers of OpenTelemetry's log data model by those of OCSF.
_SEVERITIES = {0: 9, 1: 9, 2: 10, 3: 13, 4: 17, 5: 18}


@dataclass(frozen=True, slots=True)
class Span:
    """Times in UNIX nanoseconds. `error`: what went wrong, in words; empty for what went well."""

    context: TraceContext
    parent: bytes
    name: str
    kind: str
    start: int
    end: int
    attributes: Attributes
    error: str = ""
    link: TraceContext | None = None
    producer_id: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    time: int
    severity: int
    event_name: str
    body: str
    attributes: Attributes
    context: TraceContext
    producer_id: str = ""


@dataclass(frozen=True, slots=True)
class Telemetry:
    spans: list[Span] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)


def session_context(session_id: str) -> TraceContext:
    """The session's trace and its span in it."""
    return _digest("trace", session_id)[:16], _digest("session", session_id)[:8]


def statement_context(
    decision_id: str, index: int, session_id: str, trace_id: bytes = b"", again: str = ""
) -> TraceContext:
    """`again` is the event's id where the statement was executed before under the same decision."""
    trace = trace_id if len(trace_id) == 16 and any(trace_id) else session_context(session_id)[0]
    return trace, _digest("statement", decision_id, str(index), again)[:8]


def _digest(*parts: str) -> bytes:
    """Of parts, none of which can hold the mark between them."""
    return sha256("\0".join(("airlock", *parts)).encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class TelemetryMapper:
    records: OcsfMapper

    @property
    def contexts(self) -> Contexts:
        return self.records.contexts

    def take(self, event: e.AuditEvent, event_type: str, into: Telemetry) -> None:
        """Add what the event makes, which `contexts` has taken."""
        payload = event.payload
        match payload:
            case e.StatementDecided():
                decision = self.contexts.decision(payload.decision_id)
                if payload.effect is not PolicyEffect.ALLOW and decision is not None:
                    into.spans.append(self._undone(event, decision))
            case e.StatementExecuted():
                into.spans.append(self._executed(event, payload))
            case e.SessionClosed():
                into.spans.append(self._session(event, payload))
            case _:
                pass
        into.logs.append(self._log(event, event_type))

    # ── spans ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _undone(self, event: e.AuditEvent, decision: DecisionContext) -> Span:
        """A statement that was not to run: it ends with its decision."""
        decided = decision.decided
        reason = decided.error_code or next(
            (one.rule for one in decided.results if one.effect is decided.effect), decided.effect.value
        )
        attributes: dict[str, Value] = {**self._of_decision(decision, None), "error.type": reason}
        return self._statement(
            event, decision, 0, event.draft.time_unix_nano, attributes, decided.message or decided.effect.value
        )

    def _executed(self, event: e.AuditEvent, executed: e.StatementExecuted) -> Span:
        decision = self.contexts.decision(executed.decision_id)
        attributes: dict[str, Value] = {
            **({} if decision is None else self._of_decision(decision, executed.statement_index)),
            "airlock.decision.id": executed.decision_id,
            "airlock.outcome": executed.outcome.value,
            "airlock.rows": executed.rows,
            "airlock.bytes": executed.bytes,
            "airlock.masked_values": executed.masked_cells,
        }
        error = ""
        if executed.sqlstate:
            attributes["db.response.status_code"] = executed.sqlstate
        if executed.outcome is not Outcome.COMPLETED:
            attributes["error.type"] = executed.sqlstate or executed.outcome.value
            error = executed.outcome.value
        if decision is not None:
            index, end = executed.statement_index, event.draft.time_unix_nano
            again = self.contexts.again(executed, event.draft.id)
            return self._statement(event, decision, index, end, attributes, error, again)
        context = statement_context(executed.decision_id, executed.statement_index, executed.session_id)
        end = event.draft.time_unix_nano
        return Span(
            context, session_context(executed.session_id)[1], "statement", CLIENT,
            max(0, end - executed.duration_ns), end, attributes, error, producer_id=event.producer_id,
        )  # fmt: skip

    def _statement(
        self, event: e.AuditEvent, decision: DecisionContext, index: int, end: int, attributes: Attributes, error: str,
        again: str = "",
    ) -> Span:  # fmt: skip
        decided = decision.decided
        started = max(0, decision.time_unix_nano - decided.latency_ns)
        own = session_context(decided.session_id)
        context = statement_context(decided.decision_id, index, decided.session_id, decision.trace_id, again)
        foreign = context[0] != own[0]
        name = str(attributes.get("db.query.summary") or decided.database or "statement")
        return Span(
            context, decision.span_id if foreign else own[1], name, CLIENT, started, max(end, started), attributes,
            error, own if foreign else None, event.producer_id,
        )  # fmt: skip

    def _session(self, event: e.AuditEvent, closed: e.SessionClosed) -> Span:
        context = self.contexts.session(closed.session_id)
        end = event.draft.time_unix_nano
        attributes: dict[str, Value] = {
            **_of_session(closed.session_id, context),
            "airlock.session.end": closed.reason,
            "airlock.session.statements": closed.statements,
            "airlock.session.bytes_in": closed.bytes_in,
            "airlock.session.bytes_out": closed.bytes_out,
        }
        error = "the session ended by an error" if closed.reason == "error" else ""
        attributes.update({"error.type": closed.reason} if error else {})
        name = "session" if context is None or not context.database else f"session {context.database}"
        return Span(
            session_context(closed.session_id), b"", name, SERVER,
            max(0, end - closed.duration_ns), end, attributes, error, producer_id=event.producer_id,
        )  # fmt: skip

    def _of_decision(self, decision: DecisionContext, index: int | None) -> dict[str, Value]:
        decided = decision.decided
        found = _of_session(decided.session_id, _session_of(decision, self.contexts.session(decided.session_id)))
        found.update(_of_statement(decision.facts, index))
        found["airlock.decision.id"] = decided.decision_id
        found["airlock.effect"] = decided.effect.value
        found["airlock.policy.revision"] = decided.policy_revision
        rules = tuple(dict.fromkeys(one.rule for one in decided.results if one.effect is decided.effect))
        if rules:
            found["airlock.rules"] = rules
        if decided.approval_id:
            found["airlock.approval.id"] = decided.approval_id
        return found

    # ── log records ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _log(self, event: e.AuditEvent, event_type: str) -> Log:
        payload, draft = event.payload, event.draft
        record = self.records.record(event, event_type)
        attributes: dict[str, Value] = {
            "log.record.uid": draft.id,
            "airlock.source": draft.source,
            "airlock.producer.epoch": event.epoch,
            "airlock.producer.seq": event.seq,
        }
        session_id = str(getattr(payload, "session_id", ""))
        context = session_context(session_id or draft.correlation_id or draft.id)
        decision = self.contexts.decision(str(getattr(payload, "decision_id", "")))
        if isinstance(payload, e.StatementDecided | e.StatementExecuted) and decision is not None:
            index = payload.statement_index if isinstance(payload, e.StatementExecuted) else None
            attributes.update(self._of_decision(decision, index))
            again = self.contexts.again(payload, draft.id) if isinstance(payload, e.StatementExecuted) else ""
            context = statement_context(payload.decision_id, index or 0, payload.session_id, decision.trace_id, again)
        elif session_id:
            attributes.update(_of_session(session_id, self.contexts.session(session_id)))
        if code := record.get("status_code"):
            attributes["airlock.status_code"] = str(code)
        severity = record["severity_id"]
        assert isinstance(severity, int)
        return Log(
            draft.time_unix_nano, _SEVERITIES[severity], event_type, str(record.get("message", event_type)), attributes,
            context, event.producer_id,
        )  # fmt: skip


def _session_of(decision: DecisionContext, known: SessionContext | None) -> SessionContext:
    decided = decision.decided
    return SessionContext(
        decided.session_id, decided.principal, "", decided.database, decided.environment, decided.client,
        decided.enforcement_point, "" if known is None else known.engine,
    )  # fmt: skip


def _of_session(session_id: str, context: SessionContext | None) -> dict[str, Value]:
    found: dict[str, Value] = {"session.id": session_id, "db.system.name": "postgresql"}
    if context is None:
        return found
    if context.engine:
        found["db.system.name"] = "postgresql" if context.engine.startswith("postgres") else context.engine
    for name, value in (
        ("db.namespace", context.database),
        ("airlock.environment", context.environment),
        ("airlock.enforcement_point", context.enforcement_point),
    ):
        if value:
            found[name] = value
    return {**found, **_of_client(context.client), **_of_principal(context.principal)}


def _of_client(client: ClientInfo) -> dict[str, Value]:
    host, port = split_address(client.address)
    found: dict[str, Value] = {}
    if host:
        found["client.address"] = host
    if port is not None:
        found["client.port"] = port
    if client.application:
        found["airlock.client.application"] = client.application
    return found


def _of_principal(principal: Principal | None) -> dict[str, Value]:
    if principal is None:
        return {}
    found: dict[str, Value] = {
        "airlock.principal.subject": principal.subject,
        "airlock.principal.issuer": principal.issuer,
        "airlock.principal.kind": principal.kind.value,
    }
    behind = tuple(one.subject for one in list(principal.chain())[1:])
    if behind:
        found["airlock.principal.on_behalf_of"] = behind
    return found


def _of_statement(facts: MessageFacts | None, index: int | None) -> dict[str, Value]:
    """What semantic conventions say of a query: of one statement, or of a message as a whole."""
    if facts is None or not facts.statements:
        return {}
    chosen = facts.statements if index is None else facts.statements[index : index + 1]
    operations = list(dict.fromkeys(kind.upper() for one in chosen for kind in one.kinds[:1]))
    tables = list(dict.fromkeys(table for one in chosen for table in one.tables))
    found: dict[str, Value] = {}
    if text := normalized(facts, index):
        found["db.query.text"] = text
    if len(operations) == 1:
        found["db.operation.name"] = operations[0]
    if len(tables) == 1:
        found["db.collection.name"] = tables[0]
    if len(chosen) > 1:
        found["db.operation.batch.size"] = len(chosen)
    if operations:
        found["db.query.summary"] = " ".join([*operations, *tables])[:255]
    return found
