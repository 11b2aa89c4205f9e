"""Audit events as a journal would give them: a story of sessions and statements, and a list-backed journal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import orjson

from decision.journal.chain import GENESIS, chain_hash
from decision.model.decision import Limits, PolicyEffect, RuleResult
from decision.model.events import (
    AuditEvent,
    EventDraft,
    MaskedColumn,
    Payload,
    PinnedValue,
    SessionClosed,
    SessionOpened,
    StatementDecided,
    StatementExecuted,
)
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import ClientInfo, Outcome
from decision.wire.events import ProtobufEventCodec

START = 1_790_000_000_000_000_000
CODEC = ProtobufEventCodec()
ALICE = Principal("https://id.example", "alice", PrincipalKind.HUMAN, "alice@example.com", ("analysts", "staff"))
AGENT = Principal("https://id.example", "agent-7", PrincipalKind.AGENT, "", ("agents",), (ALICE,))
CLIENT = ClientInfo("127.0.0.1:50000", "psql", "postgres/3.0", "TLSv1.3")


def document(
    text: str,
    kinds: Sequence[str],
    tables: Sequence[tuple[str, str, Sequence[str]]] = (),
    columns: Sequence[tuple[str, str, Sequence[str]]] = (),
    output: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A policy input with one statement: `tables` (schema, name, access), `columns` (table, column, usage) and `output`
    (table, column), as decision.policy.input makes it."""
    statement = {
        "dialect": "postgres",
        "catalog_version": "c1",
        "complete": True,
        "statements": [
            {
                "fingerprint": "f1",
                "normalized_text": text,
                "kinds": list(kinds),
                "parameter_count": 0,
                "operations": [],
                "relations": [
                    {"schema": s, "name": n, "kind": "table", "access": list(a), "via": "direct", "tags": []}
                    for s, n, a in tables
                ],
                "columns": [
                    {"schema": "public", "table": t, "column": c, "usage": list(u), "tags": ["pii.email"]}
                    for t, c, u in columns
                ],
                "output": [
                    {
                        "ordinal": i,
                        "name": c,
                        "sources": [{"schema": "public", "table": t, "column": c}],
                        "transform": "identity",
                        "tags": ["pii.email"],
                        "opaque": False,
                    }
                    for i, (t, c) in enumerate(output, 1)
                ],
                "functions": [],
                "predicate": {"present": True, "always_true": False, "pinned": ["id"], "limit": None},
                "flags": [],
                "unresolved": [],
            }
        ],
    }
    document = {
        "phase": "statement",
        "principal": {},
        "action": "query",
        "resource": {"database": "shop", "labels": {"statement": "x"}},
        "statement": statement,
        "context": {"intent": 'a "statement" of sorts,"statement":{'},
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


READ = document(
    "SELECT email FROM customers WHERE id = ?",
    ["select"],
    [("public", "customers", ["read"])],
    [("customers", "email", ["output"]), ("customers", "id", ["filter"])],
    [("customers", "email")],
)
DROP = document("DROP TABLE payments", ["ddl"], [("public", "payments", ["ddl"])])
UPDATE = document(
    "UPDATE customers SET email = ? WHERE id = ?",
    ["update"],
    [("public", "customers", ["write"])],
    [("customers", "email", ["write"]), ("customers", "id", ["filter"])],
)


def decided(
    decision_id: str,
    session_id: str,
    input_json: bytes,
    text: str,
    effect: PolicyEffect,
    rule: str,
    *,
    principal: Principal = AGENT,
    masked: tuple[MaskedColumn, ...] = (),
    pinned: tuple[PinnedValue, ...] = (),
) -> StatementDecided:
    return StatementDecided(
        decision_id=decision_id,
        session_id=session_id,
        principal=principal,
        database="shop",
        environment="prod",
        message_kind="query",
        effect=effect,
        message="" if effect is PolicyEffect.ALLOW else f"denied by {rule}: not here",
        results=(
            RuleResult(rule, effect, "because", "high", ("SOC2:CC6.1",)),
            RuleResult("base.other", PolicyEffect.ALLOW if effect is PolicyEffect.DENY else PolicyEffect.DENY, "no"),
        )[: 2 if effect is PolicyEffect.DENY else 1],
        policy_revision="rev-1",
        engine="regorus",
        input_json=input_json,
        statement_digest=b"\x01" * 32,
        parameters_digest=b"",
        statement_text=text,
        masked=masked,
        limits=Limits(rows=1000),
        pinned=pinned,
        intent="look into ticket",
        ticket="OPS-1",
        latency_ns=500_000,
        client=CLIENT,
        enforcement_point="proxy-1",
    )


def executed(decision_id: str, session_id: str, rows: int = 5, outcome: Outcome = Outcome.COMPLETED) -> Payload:
    return StatementExecuted(decision_id, session_id, 0, outcome, f"SELECT {rows}", rows, 800, 2_500_000, "", rows)


def session(number: int) -> Iterator[tuple[str, Payload]]:
    """(correlation id, payload) of one session: a masked read, a refused DROP, an UPDATE."""
    s, d = f"s{number}", [f"d{number}.{k}" for k in range(3)]
    yield s, SessionOpened(s, AGENT, "shop", "postgres", "prod", "app", CLIENT, "proxy-1", "look into ticket", "OPS-1")
    mask = (MaskedColumn(0, 1, "email", "email", "masking.pii"),)
    text = "SELECT email FROM customers WHERE id = ?"
    yield s, decided(d[0], s, READ, text, PolicyEffect.ALLOW, "access.read", masked=mask)
    yield s, executed(d[0], s)
    yield s, decided(d[1], s, DROP, "DROP TABLE payments", PolicyEffect.DENY, "guardrails.drop_critical")
    pinned = (
        PinnedValue(0, "public", "customers", "id", "pinned", b"\xaa"),
        PinnedValue(0, "public", "customers", "email", "written", b"\xbb"),
    )
    text = "UPDATE customers SET email = ? WHERE id = ?"
    yield s, decided(d[2], s, UPDATE, text, PolicyEffect.ALLOW, "access.write", pinned=pinned)
    yield s, executed(d[2], s, 1)
    yield s, SessionClosed(s, "client", 9_000_000_000, 3, 100, 900)


def chain(
    payloads: Iterator[tuple[str, Payload]], producer: str = "p1", epoch: int = 1, step_ns: int = 1_000_000
) -> Iterator[AuditEvent]:
    """The payloads as durable events of one journal, encoded and chained as it does."""
    previous = GENESIS
    for seq, (correlation, payload) in enumerate(payloads, 1):
        draft = EventDraft(f"e{producer}.{seq}", START + seq * step_ns, "decision-service", correlation, payload)
        raw = CODEC.encode(draft, producer, epoch, seq, previous)
        digest = chain_hash(previous, seq, raw)
        yield AuditEvent(draft, producer, epoch, seq, previous, digest, raw)
        previous = digest


def story(sessions: int, producer: str = "p1", step_ns: int = 1_000_000) -> list[AuditEvent]:
    """Seven events for each session."""
    payloads = itertools.chain.from_iterable(session(number) for number in range(sessions))
    return list(chain(payloads, producer, step_ns=step_ns))


class ListJournal:
    """A JournalReader over a list that may grow."""

    def __init__(self, events: Sequence[AuditEvent] = ()) -> None:
        self.events = list(events)

    def read(self, after_seq: int, limit: int) -> Sequence[AuditEvent]:
        return [event for event in self.events if event.seq > after_seq][:limit]

    def read_raw(self, after_seq: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return [(event.seq, event.raw) for event in self.read(after_seq, limit)]

    def head(self) -> tuple[int, bytes]:
        return (self.events[-1].seq, self.events[-1].hash) if self.events else (0, GENESIS)
