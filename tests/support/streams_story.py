"""Events of many principals at a time of choice, for counters and detections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from decision.journal.chain import GENESIS, chain_hash
from decision.model.decision import PolicyEffect
from decision.model.events import AuditEvent, EventDraft, Payload, SessionOpened, SessionRefused, StatementExecuted
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import ClientInfo, Outcome
from tests.support.analytics_story import CLIENT, CODEC, DROP, READ, decided, document

SECOND = 1_000_000_000
ISSUER = "https://id.example"

Told = tuple[int, str, Payload]
"""When (UNIX nanoseconds), the correlation id, and what."""


def person(name: str) -> Principal:
    return Principal(ISSUER, name, PrincipalKind.HUMAN, f"{name}@example.com", ("staff",))


def agent_of(name: str, human: Principal) -> Principal:
    return Principal(ISSUER, name, PrincipalKind.AGENT, "", ("agents",), (human,))


def opened(time: int, session: str, principal: Principal) -> Told:
    return time, session, SessionOpened(session, principal, "shop", "postgres", "prod", "app", CLIENT, "proxy-1")


def read(time: int, session: str, decision: str, principal: Principal, rows: int, size: int = 0) -> list[Told]:
    """A read that was allowed, and its execution a millisecond later."""
    text = "SELECT email FROM customers WHERE id = ?"
    payload = decided(decision, session, READ, text, PolicyEffect.ALLOW, "access.read", principal=principal)
    done = StatementExecuted(
        decision, session, 0, Outcome.COMPLETED, f"SELECT {rows}", rows, size or 100 * rows, 2_500_000, "", 0
    )
    return [(time, session, payload), (time + 1_000_000, session, done)]


def looked(time: int, session: str, decision: str, principal: Principal, table: str) -> Told:
    """A read of one table."""
    facts = document(f"SELECT * FROM {table}", ["select"], [("public", table, ["read"])])
    text = f"SELECT * FROM {table}"
    return (
        time,
        session,
        decided(decision, session, facts, text, PolicyEffect.ALLOW, "access.read", principal=principal),
    )


def denied(time: int, session: str, decision: str, principal: Principal) -> Told:
    rule = "guardrails.drop_critical"
    payload = decided(decision, session, DROP, "DROP TABLE payments", PolicyEffect.DENY, rule, principal=principal)
    return time, session, replace(payload, statement_digest=decision.encode())


def refused(
    time: int, session: str, user: str, address: str = "10.0.0.7:5000", code: str = "credential_invalid"
) -> Told:
    client = ClientInfo(address, "psql", "postgres/3.0", "TLSv1.3")
    return time, session, SessionRefused(session, "shop", user, "credential_invalid", "no", client, "proxy-1")


def told(stories: Iterable[Told], producer: str = "p1", epoch: int = 1, first: int = 1) -> list[AuditEvent]:
    """As durable events of one journal, in the order given."""
    events: list[AuditEvent] = []
    previous = GENESIS
    for seq, (time, correlation, payload) in enumerate(stories, first):
        draft = EventDraft(f"{producer}.{seq}", time, "decision-service", correlation, payload)
        raw = CODEC.encode(draft, producer, epoch, seq, previous)
        digest = chain_hash(previous, seq, raw)
        events.append(AuditEvent(draft, producer, epoch, seq, previous, digest, raw))
        previous = digest
    return events


def crowd(principals: int, rounds: int, start: int, step_ns: int = 1_000_000) -> Iterator[Told]:
    """Each of the principals reads once a round, one in ten is denied; everything `step_ns` apart."""
    people = [person(f"user-{number}") for number in range(principals)]
    time = start
    for number, who in enumerate(people):
        yield opened(time, f"s{number}", who)
        time += step_ns
    for turn in range(rounds):
        for number, who in enumerate(people):
            session, decision = f"s{number}", f"d{number}.{turn}"
            if (number + turn) % 10 == 0:
                yield denied(time, session, decision, who)
            else:
                yield from read(time, session, decision, who, rows=number % 7 + 1)
            time += step_ns
