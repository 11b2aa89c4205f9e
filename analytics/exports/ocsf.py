"""Events as records of the Open Cybersecurity Schema Framework 1.7. Pure.

| events | class |
|---|---|
| StatementDecided, StatementExecuted | Datastore Activity (6005), decisions with the profile security_control |
| SessionOpened, SessionRefused, SessionClosed | Authentication (3002) |
| approvals, policies, catalogs, settings, texts and their keys | Entity Management (3004) |
| AlertRaised | Detection Finding (2004) |
| EnforcementGapReported | Application Error (6008) |
| CheckpointSigned and what this version does not know | Base Event (0) |

A record holds no literal: `query_info` is the normalized text, whatever the settings say of `statement_text`; where
analysis refused the text it is left out. What a record repeats of earlier events comes from `Contexts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from analytics.exports import ocsf_parts as parts
from analytics.exports.context import Contexts
from analytics.exports.ocsf_entities import entity_record
from analytics.exports.ocsf_parts import Json, made
from analytics.exports.ocsf_record import Kind, record
from analytics.exports.ocsf_statements import decided_record, executed_record
from decision.model import events as e

SECURITY_CONTROL = "security_control"
AUTHENTICATION = Kind(3, "Identity & Access Management", 2, "Authentication")
FINDING = Kind(2, "Findings", 4, "Detection Finding")
APPLICATION_ERROR = Kind(6, "Application Activity", 8, "Application Error")
BASE = Kind(0, "Uncategorized", 0, "Base Event")


@dataclass(frozen=True, slots=True)
class OcsfMapper:
    """`version` is this program's."""

    version: str
    contexts: Contexts

    def record(self, event: e.AuditEvent, event_type: str) -> Json:
        """The record of one event, which `contexts` has taken."""
        payload = event.payload
        match payload:
            case e.StatementDecided():
                found = decided_record(event, payload, self.contexts)
            case e.StatementExecuted():
                found = executed_record(event, payload, self.contexts)
            case e.SessionOpened() | e.SessionRefused() | e.SessionClosed():
                found = self._session(event, payload)
            case e.AlertRaised():
                found = _alert(event, payload)
            case e.EnforcementGapReported():
                found = _gap(event, payload)
            case e.CheckpointSigned():
                found = record(
                    BASE, (99, "Checkpoint"), event, message=f"checkpoint over {payload.tree_size} events",
                    unmapped=parts.unmapped(event, origin=payload.origin, tree_size=payload.tree_size,
                                            root_hash=payload.root_hash.hex()),
                )  # fmt: skip
            case e.UnknownPayload():
                found = record(BASE, (0, "Unknown"), event, unmapped=parts.unmapped(event, why=payload.why))
            case _:
                found = entity_record(event, payload, self.contexts)
        profiles = (SECURITY_CONTROL,) if "action_id" in found else ()
        return {**found, "metadata": parts.metadata(event, event_type, self.version, profiles)}

    # ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _session(self, event: e.AuditEvent, payload: e.SessionOpened | e.SessionRefused | e.SessionClosed) -> Json:
        context = self.contexts.session(payload.session_id)
        principal = None if context is None else context.principal
        claimed = "" if context is None else context.user
        refused = isinstance(payload, e.SessionRefused)
        message, code, detail = _session_words(payload)
        found = record(
            AUTHENTICATION, (2, "Logoff") if isinstance(payload, e.SessionClosed) else (1, "Logon"), event,
            severity="medium" if refused else "informational",
            status=(2, "Failure") if refused else (1, "Success"),
            message=message, status_code=code, status_detail=detail,
            unmapped=parts.unmapped(event, context, **_session_rest(payload)),
        )  # fmt: skip
        method = "" if principal is None else principal.authentication.method
        return {
            **found,
            "user": parts.named_user(claimed) if principal is None else parts.user(principal),
            "service": {"name": parts.PRODUCT},
            "is_remote": True,
            "logon_type_id": 3,
            "logon_type": "Network",
            **_protocol(method),
            **made(
                session=parts.session(payload.session_id, principal),
                src_endpoint=None if context is None else parts.source(context.client, context.enforcement_point),
                dst_endpoint=None
                if context is None
                else parts.target(context.database, context.engine, context.enforcement_point),
                is_cleartext=None if context is None or not context.client.protocol else not context.client.tls,
            ),
        }


def _protocol(method: str) -> Json:
    """How the principal proved who it is."""
    if not method:
        return {}
    number, caption = {"oidc": (4, "OpenID")}.get(method, (99, method))
    return {"auth_protocol_id": number, "auth_protocol": caption}


def _session_words(payload: e.SessionOpened | e.SessionRefused | e.SessionClosed) -> tuple[str, str, str]:
    """(message, status code, status detail)."""
    match payload:
        case e.SessionOpened():
            return f"connected to {payload.database}", "", ""
        case e.SessionRefused():
            return f"refused: {payload.code}", payload.code, payload.message
        case e.SessionClosed():
            return f"disconnected: {payload.reason}", "", payload.reason


def _session_rest(payload: e.SessionOpened | e.SessionRefused | e.SessionClosed) -> dict[str, object]:
    match payload:
        case e.SessionOpened():
            return {"db_role": payload.db_role}
        case e.SessionRefused():
            return {}
        case e.SessionClosed():
            return {
                "session_duration_ms": payload.duration_ns // 1_000_000, "statements": payload.statements,
                "bytes_in": payload.bytes_in, "bytes_out": payload.bytes_out,
            }  # fmt: skip


def _alert(event: e.AuditEvent, alert: e.AlertRaised) -> Json:
    found = record(
        FINDING, (1, "Create"), event, severity=alert.severity, status=(1, "New"), message=alert.title,
        unmapped=parts.unmapped(
            event, window_start=alert.window_start_unix_nano, window_end=alert.window_end_unix_nano,
            observed=alert.observed, threshold=alert.threshold,
        ),
    )  # fmt: skip
    rule = alert.rule or parts.UNKNOWN_NAME
    evidence = made(
        user=made(name=alert.subject, domain=alert.issuer, type_id=0, type="Unknown") if alert.subject else None,
        database=parts.database(alert.database) if alert.database else None,
        data=dict(alert.evidence),
    )
    return {
        **found,
        "is_alert": True,
        "finding_info": made(
            uid=alert.alert_id or event.draft.id or parts.UNKNOWN_NAME,
            title=alert.title,
            analytic={"name": rule, "uid": rule, "type_id": 1, "type": "Rule"},
            first_seen_time=parts.milliseconds(alert.window_start_unix_nano),
            last_seen_time=parts.milliseconds(alert.window_end_unix_nano),
            created_time=parts.milliseconds(event.draft.time_unix_nano),
        ),
        **made(evidences=[evidence] if evidence else []),
    }


def _gap(event: e.AuditEvent, gap: e.EnforcementGapReported) -> Json:
    found = record(
        APPLICATION_ERROR, (1, "General Error"), event, severity="high", status=(2, "Failure"),
        status_code=gap.reason, message=f"{gap.denials} denials without a record: {gap.reason}",
        unmapped=parts.unmapped(event, denials=gap.denials, enforcement_point=gap.enforcement_point),
    )  # fmt: skip
    return {
        **found,
        "start_time": parts.milliseconds(gap.since_unix_nano),
        "end_time": parts.milliseconds(gap.until_unix_nano),
        **made(count=gap.denials if 0 < gap.denials <= parts.LARGEST_INTEGER else None),
    }
