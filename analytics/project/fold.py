"""An event to its rows. Pure.

The same function runs in the embedded runner, in the stream's audit sink and in a rebuild, so all three give the same
rows. Every row depends on one event alone; neither order nor repetition matters to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from analytics.project.document import ProjectionError
from analytics.project.rows import (
    TABLE_OF,
    AlertEventRow,
    ApprovalEventRow,
    CatalogChangeRow,
    CheckpointRow,
    DeadLetterRow,
    EnforcementGapRow,
    EventRow,
    ExecutionRow,
    PolicyChangeRow,
    Row,
    SessionEndRow,
    SessionStartRow,
    SettingsChangeRow,
    TextEventRow,
)
from analytics.project.statements import decided
from analytics.project.who import NOBODY, who
from decision.model import events as e
from decision.model.principal import Principal

_LATEST = 253_402_300_799_000_000  # the end of the year 9999: what no store can show is shown as this

Rows = dict[str, list[Row]]
"""Fact table to rows."""


def project(events: Iterable[e.AuditEvent], origin: str = "journal") -> Rows:
    """The rows of all `events`. An event whose payload can't be projected keeps its row in `events` and becomes a dead
    letter, with its bytes; `origin` says where it was read from."""
    rows: Rows = {}
    for event in events:
        _add(rows, envelope(event))
        try:
            made = payload_rows(event)
        except ProjectionError as error:
            made = [dead_letter(event, "unprojectable", error.message, origin)]
        for row in made:
            _add(rows, row)
        if isinstance(event.payload, e.UnknownPayload):
            _add(rows, dead_letter(event, "unknown_payload", event.payload.why, origin))
    return rows


def _add(rows: Rows, row: Row) -> None:
    table = TABLE_OF[type(row)]
    if table in rows:
        rows[table].append(row)
    else:
        rows[table] = [row]


def alert_rows(alerts: Iterable[e.AuditEvent]) -> Rows:
    """The rows of alerts that stand outside any chain: they are derived from events, and no events themselves."""
    rows: Rows = {}
    for alert in alerts:
        if isinstance(alert.payload, e.AlertRaised):
            for row in payload_rows(alert):
                _add(rows, row)
    return rows


def micros(unix_nano: int) -> int:
    """Microseconds since 1970, within what a TIMESTAMPTZ can hold."""
    return min(max(unix_nano, 0) // 1000, _LATEST)


def event_type(payload: e.Payload) -> str:
    """`StatementDecided`: the payload's name, also for one that only newer versions know."""
    if isinstance(payload, e.UnknownPayload):
        return payload.type.rpartition(".")[2] or "Unknown"
    return type(payload).__name__


def envelope(event: e.AuditEvent) -> EventRow:
    draft = event.draft
    return EventRow(
        micros(draft.time_unix_nano), draft.id, event_type(draft.payload), event.producer_id, event.epoch, event.seq,
        draft.source, draft.correlation_id, draft.causation_id, draft.time_unix_nano, draft.trace_id.hex(),
        draft.span_id.hex(), tuple(omission.field for omission in draft.omissions), event.prev_hash, event.hash,
        event.raw,
    )  # fmt: skip


def dead_letter(event: e.AuditEvent, reason: str, error: str, origin: str) -> DeadLetterRow:
    return DeadLetterRow(
        micros(event.draft.time_unix_nano), origin, event.seq, event.producer_id, event.epoch, event.seq,
        event_type(event.payload), reason, error, event.raw,
    )  # fmt: skip


def payload_rows(event: e.AuditEvent) -> list[Row]:
    """The rows of the payload alone. Raises ProjectionError."""
    time = micros(event.draft.time_unix_nano)
    match event.payload:
        case e.StatementDecided() as payload:
            return decided(time, payload)
        case e.StatementExecuted() as payload:
            return [_executed(time, payload)]
        case e.SessionOpened() | e.SessionRefused() | e.SessionClosed() as payload:
            return [_session(time, payload)]
        case (
            e.ApprovalRequested()
            | e.ApprovalGranted()
            | e.ApprovalDenied()
            | e.ApprovalExpired()
            | e.ApprovalUsed() as payload
        ):
            return [_approval(time, payload)]
        case e.UnknownPayload():
            return []
        case payload:
            return _system(time, payload)


def _executed(time: int, x: e.StatementExecuted) -> ExecutionRow:
    return ExecutionRow(
        time, x.decision_id, x.session_id, x.statement_index, x.outcome.value, x.command_tag, x.rows, x.bytes,
        x.duration_ns / 1e6, x.sqlstate, x.masked_cells, x.in_transaction,
    )  # fmt: skip


def _session(time: int, payload: e.SessionOpened | e.SessionRefused | e.SessionClosed) -> Row:
    match payload:
        case e.SessionOpened() as o:
            return SessionStartRow(
                time, o.session_id, True, *who(o.principal), o.database, o.engine, o.environment, o.db_role, "",
                o.client.address, o.client.application, o.client.protocol, o.client.tls, o.enforcement_point,
                o.intent, o.ticket, "", "",
            )  # fmt: skip
        case e.SessionRefused() as r:
            whoever = NOBODY if r.principal is None else who(r.principal)
            return SessionStartRow(
                time, r.session_id, False, *whoever, r.database, "", "", "", r.user,
                r.client.address, r.client.application, r.client.protocol, r.client.tls, r.enforcement_point,
                "", "", r.code, r.message,
            )  # fmt: skip
        case e.SessionClosed() as c:
            return SessionEndRow(
                time, c.session_id, c.reason, c.duration_ns / 1e6, c.statements, c.bytes_in, c.bytes_out
            )
        case _:
            assert_never(payload)


def _approval(
    time: int,
    payload: e.ApprovalRequested | e.ApprovalGranted | e.ApprovalDenied | e.ApprovalExpired | e.ApprovalUsed,
) -> ApprovalEventRow:
    match payload:
        case e.ApprovalRequested() as q:
            return ApprovalEventRow(
                time, q.approval_id, "requested", *_named(q.requester), q.decision_id, q.session_id, q.database,
                q.statement, tuple(hold.rule for hold in q.holds),
                tuple(dict.fromkeys(group for hold in q.holds for group in hold.approvers)),
                max((hold.quorum for hold in q.holds), default=1), micros(q.expires_unix_nano), "", q.intent, q.ticket,
            )  # fmt: skip
        case e.ApprovalGranted() as vote:
            return ApprovalEventRow(time, vote.approval_id, "vote_granted", *_named(vote.approver), reason=vote.reason)
        case e.ApprovalDenied() as vote:
            return ApprovalEventRow(time, vote.approval_id, "vote_denied", *_named(vote.approver), reason=vote.reason)
        case e.ApprovalExpired():
            return ApprovalEventRow(time, payload.approval_id, "expired")
        case e.ApprovalUsed() as used:
            return ApprovalEventRow(
                time, used.approval_id, "used", decision_id=used.decision_id, session_id=used.session_id
            )
        case _:
            assert_never(payload)


def _named(principal: Principal) -> tuple[str, str, str]:
    return who(principal).who, principal.subject, principal.issuer


def _system(
    time: int,
    payload: e.PolicyActivated
    | e.PolicyRejected
    | e.CatalogChanged
    | e.AlertRaised
    | e.CheckpointSigned
    | e.SettingsChanged
    | e.EnforcementGapReported
    | e.TextRevealed
    | e.KeysErased,
) -> list[Row]:
    match payload:
        case e.PolicyActivated() as p:
            return [PolicyChangeRow(time, True, p.revision, p.previous_revision, p.engine, p.policies, "")]
        case e.PolicyRejected() as p:
            return [PolicyChangeRow(time, False, p.revision, p.active_revision, "", (), p.error)]
        case e.CatalogChanged() as c:
            return [CatalogChangeRow(time, c.database, c.version, c.previous_version, c.relations, c.enforcement_point)]
        case e.AlertRaised() as a:
            return [
                AlertEventRow(
                    time,
                    a.alert_id,
                    a.rule,
                    a.severity,
                    a.title,
                    micros(a.window_start_unix_nano),
                    micros(a.window_end_unix_nano),
                    a.subject,
                    a.issuer,
                    a.database,
                    tuple(dict(a.evidence).items()),
                    a.observed,
                    a.threshold,
                )
            ]
        case e.CheckpointSigned() as s:
            return [CheckpointRow(time, s.origin, s.tree_size, s.root_hash.hex(), s.note)]
        case e.SettingsChanged() as s:
            return [SettingsChangeRow(time, s.component, setting, value) for setting, value in s.changes]
        case e.EnforcementGapReported() as g:
            return [
                EnforcementGapRow(
                    time,
                    g.enforcement_point,
                    g.reason,
                    g.denials,
                    micros(g.since_unix_nano),
                    micros(g.until_unix_nano),
                )
            ]
        case e.TextRevealed() as t:
            return [TextEventRow(time, "revealed", t.decision_id, "", "", "", *_named(t.principal), t.reason)]
        case e.KeysErased() as k:
            who_did = _named(k.principal)
            return [TextEventRow(time, "erased", "", k.subject, k.issuer, k.before_month, *who_did, k.reason)]
        case _:
            assert_never(payload)
