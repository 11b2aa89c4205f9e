"""An audit event as one line for people, and as a flat record for programs."""

from __future__ import annotations

from datetime import UTC, datetime

from analytics.project.fold import event_type
from analytics.project.who import who
from analytics.render import printable
from decision.model import events as e
from decision.model.decision import PolicyEffect
from decision.model.session import Outcome

Record = dict[str, object]

_COLOURS = {"deny": "red", "hold": "yellow", "allow": "green", "failed": "yellow", "denied": "red", "refused": "red"}


def record(event: e.AuditEvent) -> Record:
    """What `airlock tail --format json` prints: the same names for every type of event."""
    draft = event.draft
    time = datetime.fromtimestamp(draft.time_unix_nano / 1e9, UTC)
    outcome, person, database, text, rules = _said(event.payload)
    return {
        "time": time,
        "type": event_type(event.payload),
        "outcome": outcome,
        "who": person,
        "database": database,
        "what": printable(text),
        "rules": rules,
        "session_id": draft.correlation_id,
        "seq": event.seq,
        "event_id": draft.id,
    }


def is_denial(payload: e.Payload) -> bool:
    match payload:
        case e.StatementDecided():
            return payload.effect is PolicyEffect.DENY
        case e.StatementExecuted():
            return payload.outcome is Outcome.DENIED
        case e.SessionRefused() | e.EnforcementGapReported():
            return True
    return False


def line(found: Record) -> tuple[str, str]:
    """(the line, the colour that its outcome has on a terminal, empty for none)."""
    time = found["time"]
    assert isinstance(time, datetime)
    outcome = str(found["outcome"])
    parts = [time.strftime("%H:%M:%S.%f")[:-3], outcome.upper().ljust(9)]
    for key in ("who", "database", "what"):
        if found[key]:
            parts.append(str(found[key]))
    rules = found["rules"]
    if isinstance(rules, list) and rules:
        parts.append("[" + ", ".join(str(rule) for rule in rules) + "]")
    return "  ".join(parts), _COLOURS.get(outcome, "")


def _said(payload: e.Payload) -> tuple[str, str, str, str, list[str]]:
    """(outcome, who, database, what, rules)."""
    match payload:
        case e.StatementDecided() as d:
            rules = list(dict.fromkeys(result.rule for result in d.results if result.effect is d.effect))
            return d.effect.value, who(d.principal).who, d.database, d.statement_text, rules
        case e.StatementExecuted() as x:
            masked = f", {x.masked_cells} values masked" if x.masked_cells else ""
            failed = f", SQLSTATE {x.sqlstate}" if x.sqlstate else ""
            what = f"{x.command_tag or 'statement'}: {x.rows} rows in {x.duration_ns / 1e6:.1f} ms{masked}{failed}"
            return x.outcome.value, "", "", what, []
        case e.SessionOpened() as o:
            where = f"from {o.client.address} by {o.client.application or 'an unnamed application'}"
            why = f", intent: {o.intent}" if o.intent else ""
            return "connected", who(o.principal).who, o.database, where + why, []
        case e.SessionRefused() as r:
            person = r.user if r.principal is None else who(r.principal).who
            return "refused", person, r.database, r.message, [r.code]
        case e.SessionClosed() as c:
            return "closed", "", "", f"after {c.duration_ns / 1e9:.1f} s, {c.statements} statements ({c.reason})", []
        case e.ApprovalRequested() as q:
            return "asked", who(q.requester).who, q.database, f"approval {q.approval_id} for: {q.statement}", []
        case e.ApprovalGranted() as v:
            return "approved", who(v.approver).who, "", f"approval {v.approval_id}: {v.reason}", []
        case e.ApprovalDenied() as v:
            return "denied", who(v.approver).who, "", f"approval {v.approval_id}: {v.reason}", []
        case e.ApprovalExpired():
            return "expired", "", "", f"approval {payload.approval_id}", []
        case e.ApprovalUsed():
            return "used", "", "", f"approval {payload.approval_id}", []
        case _:
            return _said_of_the_system(payload)


def _said_of_the_system(payload: e.Payload) -> tuple[str, str, str, str, list[str]]:
    match payload:
        case e.PolicyActivated() as p:
            return "policy", "", "", f"revision {p.revision[:12]} is active", []
        case e.PolicyRejected() as p:
            return "policy", "", "", f"revision {p.revision[:12]} was refused: {p.error}", []
        case e.CatalogChanged() as c:
            return "catalog", "", c.database, f"{c.relations} relations, version {c.version[:12]}", []
        case e.AlertRaised() as a:
            return "alert", a.subject, a.database, f"{a.severity}: {a.title}", [a.rule]
        case e.CheckpointSigned() as s:
            return "signed", "", "", f"checkpoint over {s.tree_size} events", []
        case e.SettingsChanged() as s:
            return "settings", "", "", f"{s.component}: {', '.join(key for key, _ in s.changes)}", []
        case e.EnforcementGapReported() as g:
            return "refused", g.enforcement_point, "", f"{g.denials} statements while alone: {g.reason}", []
        case e.TextRevealed() as t:
            return "revealed", who(t.principal).who, "", f"read the text of {t.decision_id}: {t.reason}", []
        case e.KeysErased() as k:
            said = f"erased the texts of {k.subject} before {k.before_month}: {k.reason}"
            return "erased", who(k.principal).who, "", said, []
        case _:
            return "unknown", "", "", event_type(payload), []
