"""The parts that OCSF records are made of: who, from where, by what, how severe. Pure.

Source: the schema of OCSF 1.7.0 (schema.ocsf.io/1.7.0): objects actor, user, idp, session, network_endpoint, metadata,
product, policy, authorization, database, table, query_info. An object of theirs without any attribute is no object, so
parts that would say nothing are None, and `made` leaves them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from analytics.exports.context import SessionContext
from decision.model.decision import RuleResult
from decision.model.events import AuditEvent
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import ClientInfo

Json = dict[str, object]

SCHEMA_VERSION = "1.7.0"
PRODUCT = "Airlock"
LARGEST_INTEGER = 2**31 - 1  # of integer_t
UNKNOWN_NAME = "unknown"

SEVERITIES = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_SEVERITY_NAMES = {0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_USER_TYPES = {
    PrincipalKind.HUMAN: (1, "User"),
    PrincipalKind.SERVICE: (4, "Service"),
    PrincipalKind.AGENT: (99, "Agent"),
}


def made(**attributes: object) -> Json:
    """The attributes that say something: not None, no empty text, list or object. Numbers and truths always do."""
    return {name: value for name, value in attributes.items() if value is not None and value not in ("", [], {})}


def severity(name: str) -> Json:
    number = SEVERITIES.get(name.lower(), 0)
    return {"severity_id": number, "severity": _SEVERITY_NAMES[number]}


def milliseconds(unix_nano: int) -> int:
    return unix_nano // 1_000_000


def user(principal: Principal) -> Json:
    number, caption = _USER_TYPES[principal.kind]
    return made(
        name=principal.subject or UNKNOWN_NAME,
        uid=principal.subject,
        domain=principal.issuer,
        email_addr=principal.email if _EMAIL.fullmatch(principal.email) else "",
        type_id=number,
        type=caption,
        groups=[{"name": group} for group in principal.groups if group],
    )


def named_user(name: str) -> Json:
    """Somebody who called itself so; nothing is proven."""
    return {"name": name or UNKNOWN_NAME, "type_id": 0, "type": "Unknown"}


def idp(principal: Principal) -> Json | None:
    """An identity provider, by its issuer."""
    if not principal.issuer:
        return None
    return {"name": principal.issuer, "uid": principal.issuer, "issuer": principal.issuer}


def session(session_id: str, principal: Principal | None = None) -> Json | None:
    amr = () if principal is None else principal.authentication.amr
    return (
        made(
            uid=session_id,
            issuer="" if principal is None else principal.issuer,
            is_mfa=True if {"mfa", "otp", "hwk"} & set(amr) else None,
            is_remote=True,
        )
        if session_id
        else None
    )


def actor(
    principal: Principal | None,
    session_id: str = "",
    *,
    application: str = "",
    results: Iterable[RuleResult] = (),
    component: str = "",
) -> Json:
    """Who acts: a principal in a session by an application, or `component` of ours where nobody did. Never empty: the
    schema demands one of user, session and app_name at least."""
    found = made(
        user=None if principal is None else user(principal),
        idp=None if principal is None else idp(principal),
        session=session(session_id, principal),
        app_name=application,
        authorizations=[authorization(result) for result in results],
    )
    if not found.keys() & {"user", "session", "app_name"}:
        found["app_name"] = component or PRODUCT
    return found


def authorization(result: RuleResult) -> Json:
    """What one rule said."""
    policy = made(name=result.rule or UNKNOWN_NAME, desc=result.message, group={"name": "Airlock rules"})
    return {"decision": result.effect.value, "policy": policy}


def source(client: ClientInfo | None, enforcement_point: str = "") -> Json:
    """Where it came from. The schema demands a name or an address: the enforcement point's where the client's is not
    known."""
    host, port = split_address("" if client is None else client.address)
    found = made(
        ip=host if _is_ip(host) else "",
        hostname="" if _is_ip(host) else host,
        port=port,
        svc_name="" if client is None else client.application,
    )
    if not found.keys() & {"ip", "hostname", "svc_name"}:
        found["name"] = enforcement_point or UNKNOWN_NAME
    return found


def target(database: str, engine: str, enforcement_point: str) -> Json:
    """What was connected to."""
    return made(name=enforcement_point or PRODUCT, svc_name=engine or "postgresql", domain=database)


def split_address(address: str) -> tuple[str, int | None]:
    """`192.0.2.1:5000` or `[2001:db8::1]:5000` in its parts; also `2001:db8::1:5000`, as sockets name it."""
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        return address.strip("[]"), None
    return host.strip("[]"), int(port)


def _is_ip(host: str) -> bool:
    parts = host.split(".")
    if len(parts) == 4:
        return all(part.isascii() and part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts)
    return host.count(":") >= 2 and all(one in "0123456789abcdefABCDEF:." for one in host)


def metadata(event: AuditEvent, event_type: str, version: str, profiles: tuple[str, ...] = ()) -> Json:
    """`uid` is the event's id, so that a record that comes twice is seen to be the same; `correlation_uid` is the
    session or what else the event belongs to."""
    draft = event.draft
    return made(
        version=SCHEMA_VERSION,
        product=made(name=PRODUCT, vendor_name=PRODUCT, version=version),
        uid=draft.id or UNKNOWN_NAME,
        correlation_uid=draft.correlation_id,
        event_code=event_type,
        log_name="airlock.audit",
        log_provider=draft.source,
        reporter=made(name=event.producer_id or draft.source or PRODUCT, uid=event.producer_id),
        sequence=event.seq if 0 <= event.seq <= LARGEST_INTEGER else None,
        profiles=list(profiles),
        is_truncated=True if draft.omissions else None,
    )


def database(name: str) -> Json:
    return {"name": name or UNKNOWN_NAME, "type_id": 1, "type": "Relational"}


def unmapped(event: AuditEvent, context: SessionContext | None = None, **more: object) -> Json:
    """What the schema has no place for. The event's place in its producer's chain is always there: with it the record
    is found in the log, and proven."""
    draft = event.draft
    behind = [] if context is None or context.principal is None else chain(context.principal)
    return made(
        producer_id=event.producer_id,
        epoch=event.epoch,
        seq=event.seq,
        hash=event.hash.hex(),
        causation_id=draft.causation_id,
        on_behalf_of=behind,
        environment=None if context is None else context.environment,
        intent=None if context is None else context.intent,
        ticket=None if context is None else context.ticket,
        **more,
    )


def chain(principal: Principal) -> list[Json]:
    """Everyone that the principal acts for, nearest first."""
    return [made(subject=one.subject, issuer=one.issuer, kind=one.kind.value) for one in list(principal.chain())[1:]]
