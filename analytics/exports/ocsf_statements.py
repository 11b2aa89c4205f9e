"""Decisions and executions as OCSF Datastore Activity (6005). Pure."""

from __future__ import annotations

from analytics.exports import ocsf_parts as parts
from analytics.exports.context import Contexts, SessionContext, facts_of, normalized
from analytics.exports.ocsf_parts import Json, made
from analytics.exports.ocsf_record import Kind, record
from analytics.project.document import MessageFacts
from decision.model import events as e
from decision.model.decision import PolicyEffect
from decision.model.session import Outcome

DATASTORE = Kind(6, "Application Activity", 5, "Datastore Activity")
QUERY, UPDATE, WRITE, CREATE, DELETE, OTHER = (
    (4, "Query"), (2, "Update"), (5, "Write"), (6, "Create"), (7, "Delete"), (99, "Other"),
)  # fmt: skip
# The first of these that a message does names it: what takes away before what changes before what reads.
_ACTIVITIES = (
    (("delete", "truncate"), DELETE),
    (("update", "merge"), UPDATE),
    (("insert", "copy_in"), WRITE),
    (("select", "copy_out", "cursor", "explain"), QUERY),
)
_EFFECTS = {  # effect: (action_id, action, disposition_id, disposition)
    PolicyEffect.ALLOW: (1, "Allowed", 1, "Allowed"),
    PolicyEffect.DENY: (2, "Denied", 2, "Blocked"),
    PolicyEffect.HOLD: (99, "Held", 14, "Delayed"),
}
_STATUSES = {
    PolicyEffect.ALLOW: (1, "Success"),
    PolicyEffect.DENY: (2, "Failure"),
    PolicyEffect.HOLD: (99, "Held"),
}
_OUTCOMES = {
    Outcome.COMPLETED: (1, "Success"),
    Outcome.FAILED: (2, "Failure"),
    Outcome.DENIED: (2, "Failure"),
    Outcome.CANCELLED: (99, "Cancelled"),
    Outcome.UNKNOWN: (0, "Unknown"),
}


def decided_record(event: e.AuditEvent, decided: e.StatementDecided, contexts: Contexts) -> Json:
    """Who wanted to do what to which tables, and what was decided by which rules."""
    facts = facts_of(decided)
    session = contexts.session(decided.session_id)
    action_id, action, disposition_id, disposition = _EFFECTS[decided.effect]
    status_id, status = _STATUSES[decided.effect]
    worst = _severity(decided)
    rules = list(dict.fromkeys(one.rule for one in decided.results if one.effect is decided.effect))
    found = record(
        DATASTORE, activity_of(facts), event,
        severity=worst, status=(status_id, status),
        status_code=decided.error_code or (rules[0] if rules and decided.effect is not PolicyEffect.ALLOW else ""),
        status_detail=decided.message, message=f"{decided.effect.value}: {_what(facts)}",
        duration=decided.latency_ns // 1_000_000,
        unmapped=parts.unmapped(
            event, _context(session, decided), **_of_facts(facts), decision_id=decided.decision_id,
            message_kind=decided.message_kind, rules=rules, approval_id=decided.approval_id,
            masked_columns=len(decided.masked) or None, policy_engine=decided.engine,
            enforcement_point=decided.enforcement_point,
        ),
    )  # fmt: skip
    return {
        **found,
        "action_id": action_id,
        "action": action,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "is_alert": decided.effect is PolicyEffect.DENY and worst in ("high", "critical"),
        "actor": parts.actor(
            decided.principal, decided.session_id, application=decided.client.application, results=decided.results
        ),
        "src_endpoint": parts.source(decided.client, decided.enforcement_point),
        "dst_endpoint": parts.target(
            decided.database, "" if session is None else session.engine, decided.enforcement_point
        ),
        **_datastore(decided.database, facts),
        **made(policy=_policy(decided), query_info=_query(decided.decision_id, normalized(facts))),
    }


def executed_record(event: e.AuditEvent, executed: e.StatementExecuted, contexts: Contexts) -> Json:
    """What the database then did; who and what come from the decision, where it is known."""
    decision = contexts.decision(executed.decision_id)
    session = contexts.session(executed.session_id)
    facts = None if decision is None else decision.facts
    index = executed.statement_index
    one = None if facts is None else _only(facts, index)
    context = session if decision is None else _context(session, decision.decided)
    found = record(
        DATASTORE, activity_of(one), event,
        status=_OUTCOMES[executed.outcome], status_code=executed.sqlstate,
        message=f"{executed.outcome.value}: {executed.command_tag or _what(one)}",
        duration=executed.duration_ns // 1_000_000,
        unmapped=parts.unmapped(
            event, context, **_of_facts(one), decision_id=executed.decision_id,
            statement_index=index, outcome=executed.outcome.value, rows=executed.rows, bytes=executed.bytes,
            masked_values=executed.masked_cells, in_transaction=executed.in_transaction,
        ),
    )  # fmt: skip
    client = None if context is None else context.client
    point = "" if context is None else context.enforcement_point
    return {
        **found,
        "actor": parts.actor(
            None if context is None else context.principal, executed.session_id,
            application="" if client is None else client.application, component=event.draft.source,
        ),
        "src_endpoint": parts.source(client, point),
        **_datastore("" if context is None else context.database, one),
        **made(query_info=_query(executed.decision_id, normalized(facts, index), executed.bytes)),
    }  # fmt: skip


def activity_of(facts: MessageFacts | None) -> tuple[int, str]:
    """What a message does, by the strongest of its kinds; of schema changes, by their verb."""
    if facts is None:
        return OTHER[0], "Not understood"
    verbs = {operation.split(" ")[0] for one in facts.statements for operation in one.operations}
    if "ddl" in facts.kinds:
        return DELETE if "drop" in verbs else CREATE if "create" in verbs else UPDATE
    for kinds, activity in _ACTIVITIES:
        if set(kinds) & set(facts.kinds):
            return activity
    return OTHER[0], " ".join(facts.kinds[:1]) or OTHER[1]


def _only(facts: MessageFacts, index: int) -> MessageFacts | None:
    """The facts of one statement of the message."""
    if not 0 <= index < len(facts.statements):
        return None
    one = facts.statements[index]
    return MessageFacts((one,), facts.catalog_version, one.complete, one.tables, one.kinds, one.writes)


def _severity(decided: e.StatementDecided) -> str:
    """The worst of the rules that made the decision; an allowed statement is information."""
    if decided.effect is PolicyEffect.ALLOW:
        return "informational"
    found = [one.severity.lower() for one in decided.results if one.effect is decided.effect]
    return max(found, key=lambda name: parts.SEVERITIES.get(name, 0), default="medium")


def _what(facts: MessageFacts | None) -> str:
    if facts is None:
        return "a statement that was not understood"
    kinds = ", ".join(facts.kinds) or "statement"
    return f"{kinds} on {', '.join(facts.tables[:5])}" if facts.tables else kinds


def _of_facts(facts: MessageFacts | None) -> dict[str, object]:
    return {} if facts is None else {"tables": list(facts.tables), "kinds": list(facts.kinds)}


def _datastore(database: str, facts: MessageFacts | None) -> Json:
    """The database, and the first table: the class has room for one; all are in `unmapped.tables`."""
    table = None if facts is None or not facts.tables else {"name": facts.tables[0], "uid": facts.tables[0]}
    return made(database=parts.database(database), table=table, type_id=1, type="Database")


def _query(decision_id: str, text: str, size: int | None = None) -> Json | None:
    return made(uid=decision_id, name="statement", query_string=text, bytes=size) if text else None


def _policy(decided: e.StatementDecided) -> Json | None:
    if not decided.policy_revision:
        return None
    revision = decided.policy_revision
    return {"name": "airlock", "uid": revision, "version": revision[:16], "is_applied": True}


def _context(session: SessionContext | None, decided: e.StatementDecided) -> SessionContext:
    """What the decision itself says of its session."""
    return SessionContext(
        decided.session_id, decided.principal, "", decided.database, decided.environment, decided.client,
        decided.enforcement_point, "" if session is None else session.engine, decided.intent, decided.ticket,
    )  # fmt: skip
