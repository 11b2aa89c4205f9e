"""One event of every type as exports meet them, in a session that makes sense together."""

from __future__ import annotations

from dataclasses import replace

from decision.model import events as e
from decision.model.decision import HoldTerms, PolicyEffect
from decision.model.session import ClientInfo, Outcome
from tests.support.analytics_story import AGENT, ALICE, CLIENT, DROP, READ, START, UPDATE, decided, executed

SECRET = "zebra-4711"
EXACT = f"SELECT email FROM customers WHERE id = '{SECRET}'"

OPENED = e.SessionOpened("s1", AGENT, "shop", "postgresql", "prod", "app", CLIENT, "proxy-1", "look", "OPS-1")
ALLOWED = replace(decided("d1", "s1", READ, EXACT, PolicyEffect.ALLOW, "access.read"), latency_ns=2_000_000)
DENIED = decided("d2", "s1", DROP, "DROP TABLE payments", PolicyEffect.DENY, "guardrails.drop_critical")
HELD = replace(
    decided("d3", "s1", UPDATE, "UPDATE customers SET email = ?", PolicyEffect.HOLD, "approvals.mass"), approval_id="a1"
)
REFUSED_TEXT = replace(
    decided("d4", "s1", b"", EXACT, PolicyEffect.DENY, "airlock.syntax_refused"), error_code="syntax_refused"
)
PREPARED = replace(decided("d5", "s1", READ, EXACT, PolicyEffect.ALLOW, "access.read"), message_kind="parse")
TERMS = (HoldTerms("approvals.mass", ("dba",)),)

PAYLOADS: tuple[e.Payload, ...] = (
    OPENED,
    e.SessionRefused("s2", "shop", "mallory", "credential_invalid", "the token is not ours", CLIENT, "proxy-1"),
    e.SessionRefused("s3", "shop", "", "session_refused", "not in", ClientInfo(), "", ALICE),
    ALLOWED,
    executed("d1", "s1"),
    DENIED,
    HELD,
    REFUSED_TEXT,
    PREPARED,
    e.StatementExecuted("d1", "s1", 0, Outcome.FAILED, "", 0, 0, 1_000_000, "57014", 0),
    e.ApprovalRequested("a1", "d3", "s1", AGENT, "shop", EXACT, b"\1" * 32, b"", TERMS, START + 10**12),
    e.ApprovalGranted("a1", ALICE, "reviewed"),
    e.ApprovalDenied("a2", ALICE, "not now"),
    e.ApprovalExpired("a3"),
    e.ApprovalUsed("a1", "d3", "s1"),
    e.PolicyActivated("r" * 64, "q" * 64, "embedded", ("guardrails",)),
    e.PolicyRejected("r" * 64, "guardrails.rego:3: unsafe", "q" * 64),
    e.CatalogChanged("shop", "v2", "v1", 12, "proxy-1"),
    e.AlertRaised("alert-1", "enumeration", "high", "Many single rows", START, START + 10**9, "alice",
                  "https://id.example", "shop", (("distinct_rows", "200"),)),
    e.CheckpointSigned("airlock.example/log", 12, b"\2" * 32, "airlock.example/log\n12\n…"),
    e.SettingsChanged("decision", (("max_sessions", "10"),)),
    e.EnforcementGapReported("proxy-1", "service_unavailable", 3, START, START + 10**9),
    e.TextRevealed("d1", ALICE, "an incident"),
    e.KeysErased("alice", "https://id.example", "2026-10", AGENT, "asked for"),
    e.UnknownPayload("airlock.v1.FromTheFuture", "this version does not know the payload"),
    e.SessionClosed("s1", "client", 5_000_000_000, 3, 900, 4_000),
)  # fmt: skip


def event(payload: e.Payload, seq: int, **changes: object) -> e.AuditEvent:
    """A durable event with its place in a journal; its bytes are no protobuf."""
    draft = e.EventDraft(
        id=f"0190f1a2-0000-7000-8000-{seq:012x}", time_unix_nano=START + seq * 1_000_000,
        source="decision-service/main", correlation_id=getattr(payload, "session_id", "") or "other", payload=payload,
    )  # fmt: skip
    draft = replace(draft, **changes)  # type: ignore[arg-type]
    return e.AuditEvent(draft, "node-1", 1, seq, b"\0" * 32, b"\1" * 32, b"raw %d" % seq)


def events() -> list[e.AuditEvent]:
    return [event(payload, seq) for seq, payload in enumerate(PAYLOADS, 1)]
