"""What is managed rather than run: approvals, policies, catalogs, settings, texts and their keys, as OCSF Entity
Management (3004). Pure.

The schema's activities name what is done to an entity: a request for approval is created, a grant activates it. What it
has no word for is `Other` (99) with the word itself as the activity's name.
"""

from __future__ import annotations

from typing import NamedTuple

from analytics.exports import ocsf_parts as parts
from analytics.exports.context import Contexts, DecisionContext
from analytics.exports.ocsf_parts import Json, made
from analytics.exports.ocsf_record import Kind, record
from decision.model import events as e
from decision.model.principal import Principal

ENTITY = Kind(3, "Identity & Access Management", 4, "Entity Management")
CREATE, UPDATE, READ, ACTIVATE = (1, "Create"), (3, "Update"), (2, "Read"), (10, "Activate")


class Told(NamedTuple):
    """An event in the words of the class. `entity` is (type_id, type, name, uid)."""

    activity: tuple[int, str]
    entity: tuple[int, str, str, str]
    message: str
    principal: Principal | None = None
    comment: str = ""
    failed: str = ""
    session_id: str = ""
    rest: dict[str, object] = {}  # noqa: RUF012 - never changed


def entity_record(event: e.AuditEvent, payload: e.Payload, contexts: Contexts) -> Json:
    told = _told(payload, contexts)
    type_id, type_name, name, uid = told.entity
    context = contexts.session(told.session_id) if told.session_id else None
    found = record(
        ENTITY, told.activity, event, severity="high" if told.failed else "informational",
        status=(2, "Failure") if told.failed else (1, "Success"), status_detail=told.failed, message=told.message,
        unmapped=parts.unmapped(event, context, **told.rest),
    )  # fmt: skip
    policy = {"name": name, "uid": uid, "version": uid[:16]} if type_id == POLICY and uid else None
    return {
        **found,
        "entity": made(name=name or uid or parts.UNKNOWN_NAME, uid=uid, type_id=type_id, type=type_name, policy=policy),
        "actor": parts.actor(told.principal, told.session_id, component=event.draft.source),
        **made(
            comment=told.comment,
            src_endpoint=None if context is None else parts.source(context.client, context.enforcement_point),
        ),
    }


POLICY, OTHER = 5, 99


def _told(payload: e.Payload, contexts: Contexts) -> Told:
    match payload:
        case e.ApprovalRequested() | e.ApprovalGranted() | e.ApprovalDenied() | e.ApprovalExpired() | e.ApprovalUsed():
            return _approval(payload, contexts)
        case e.PolicyActivated():
            return Told(
                ACTIVATE, (POLICY, "Policy", "airlock", payload.revision),
                f"policy revision {payload.revision[:16]} is active",
                rest={"previous": payload.previous_revision, "engine": payload.engine,
                      "policies": list(payload.policies)},
            )  # fmt: skip
        case e.PolicyRejected():
            return Told(
                ACTIVATE, (POLICY, "Policy", "airlock", payload.revision),
                f"policy revision {payload.revision[:16]} was refused", failed=payload.error or "refused",
                rest={"active": payload.active_revision},
            )  # fmt: skip
        case e.CatalogChanged():
            return Told(
                UPDATE, (OTHER, "Database Catalog", payload.database, payload.version),
                f"the catalog of {payload.database} changed",
                rest={"previous": payload.previous_version, "relations": payload.relations},
            )  # fmt: skip
        case e.SettingsChanged():
            return Told(
                UPDATE, (OTHER, "Settings", payload.component, payload.component),
                f"settings of {payload.component} changed", rest={"keys": [key for key, _ in payload.changes]},
            )  # fmt: skip
        case e.TextRevealed():
            return Told(
                READ, (OTHER, "Statement Text", "statement text", payload.decision_id), "a statement's text was read",
                payload.principal, payload.reason,
            )  # fmt: skip
        case e.KeysErased():
            return Told(
                (4, "Delete"), (OTHER, "Statement Keys", payload.subject, payload.subject),
                f"the keys of statement texts before {payload.before_month} were thrown away",
                payload.principal, payload.reason, rest={"subject_issuer": payload.issuer},
            )  # fmt: skip
        case _:
            name = type(payload).__name__
            return Told((OTHER, name), (OTHER, name, name, ""), name)


def _approval(
    payload: e.ApprovalRequested | e.ApprovalGranted | e.ApprovalDenied | e.ApprovalExpired | e.ApprovalUsed,
    contexts: Contexts,
) -> Told:
    entity = (OTHER, "Approval", "approval", payload.approval_id)
    match payload:
        case e.ApprovalRequested():
            rules = [terms.rule for terms in payload.holds]
            return Told(
                CREATE, entity, f"approval asked for: {', '.join(rules)}", payload.requester, "", "",
                payload.session_id,
                {"decision_id": payload.decision_id, "database": payload.database, "rules": rules,
                 "approvers": [group for terms in payload.holds for group in terms.approvers],
                 "expires_ms": parts.milliseconds(payload.expires_unix_nano)},
            )  # fmt: skip
        case e.ApprovalGranted():
            return Told(ACTIVATE, entity, "approval granted", payload.approver, payload.reason)
        case e.ApprovalDenied():
            return Told((OTHER, "Deny"), entity, "approval denied", payload.approver, payload.reason)
        case e.ApprovalExpired():
            return Told((OTHER, "Expire"), entity, "approval expired")
        case e.ApprovalUsed():
            who = _requester(contexts.decision(payload.decision_id), contexts, payload.session_id)
            return Told(
                (OTHER, "Use"), entity, "approval used", who, session_id=payload.session_id,
                rest={"decision_id": payload.decision_id},
            )  # fmt: skip


def _requester(decision: DecisionContext | None, contexts: Contexts, session_id: str) -> Principal | None:
    if decision is not None:
        return decision.decided.principal
    session = contexts.session(session_id)
    return None if session is None else session.principal
