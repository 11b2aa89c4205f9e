"""A journal with a mixed workload: sessions, approvals, events of neither."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.model.events import (
    ApprovalGranted,
    ApprovalUsed,
    AuditEvent,
    EventDraft,
    Payload,
    PolicyActivated,
    SessionClosed,
    StatementExecuted,
)
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import Outcome
from decision.wire.events import ProtobufEventCodec

CODEC = ProtobufEventCodec()
SMALL = JournalSettings(ballast_bytes=0, min_free_bytes=0)
BOB = Principal("https://id.example", "bob", PrincipalKind.HUMAN)


def draft(number: int, sessions: int = 7) -> EventDraft:
    """Event `number` of a workload: executions of some sessions, now and then an approval, seldom something without a
    session."""
    session, time = f"session-{number % sessions}", 1_790_000_000_000_000_000 + number * 1_000_000
    payload: Payload
    if number % 50 == 49:
        payload = ApprovalGranted(f"approval-{number // 100}", BOB, "fine")
    elif number % 50 == 48:
        payload = ApprovalUsed(f"approval-{number // 100}", f"decision-{number}", session)
    elif number % 211 == 210:
        payload, session = PolicyActivated(f"rev-{number}", "", "regorus", ("base",)), ""
    elif number % 97 == 96:
        payload = SessionClosed(session, "bye", number, 2, 3, 4)
    else:
        payload = StatementExecuted(f"d-{number}", session, 0, Outcome.COMPLETED, "SELECT", number, 40, 9, "", 0)
    return EventDraft(f"event-{number}", time, "decision-service", session, payload)


async def append(journal: SqliteJournal, drafts: Iterable[EventDraft]) -> None:
    await asyncio.gather(*[journal.append(one) for one in drafts])


def fill(folder: Path, numbers: Iterable[int], settings: JournalSettings = SMALL) -> list[AuditEvent]:
    """Append these events to the journal in `folder`; all that it holds then."""

    async def run() -> None:
        journal = SqliteJournal.open(folder, producer_id="node-1", codec=CODEC, settings=settings)
        every = list(numbers)
        for start in range(0, len(every), 500):
            await append(journal, [draft(number) for number in every[start : start + 500]])
        await journal.close()

    asyncio.run(run())
    return held(folder)


def held(folder: Path) -> list[AuditEvent]:
    """All that the journal holds."""
    reader = SqliteJournalReader(folder, CODEC)
    events = reader.read(reader.base().seq, 1_000_000)
    while events and (more := reader.read(events[-1].seq, 1_000_000)):
        events += more
    reader.close()
    return list(events)
