"""How the service's events get into the journal: with an id, a time and their source, in the order of the calls.

Every statement makes two of them, so these two are written by decision.wire.hot wherever it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from decision.model.events import AuditEvent, EventDraft, Payload, StatementExecuted
from decision.model.ports import Appended, Clock, IdSource, Journal
from decision.model.session import ExecutionReport
from decision.wire import hot


class Recorder:
    """All methods raise JournalUnavailable where the journal refuses at once."""

    def __init__(self, journal: Journal, clock: Clock, ids: IdSource, source: str) -> None:
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._source = source
        self._heads = hot.EventHeads(source)

    def check(self) -> None:
        """Raise what an append would meet now."""
        self._journal.check()

    def queue(self, payload: Payload, correlation_id: str, causation_id: str = "") -> Awaitable[AuditEvent]:
        """Take the event's place in the journal's order; done once it is durable."""
        return self._journal.append(self._draft(payload, correlation_id, causation_id))

    def queue_then(self, payload: Payload, correlation_id: str, causation_id: str, done: Appended) -> None:
        """`queue` with a call instead of something to wait for."""
        self._journal.append_then(self._draft(payload, correlation_id, causation_id), done)

    def _draft(self, payload: Payload, correlation_id: str, causation_id: str) -> EventDraft:
        return EventDraft(
            id=self._ids.new_id(),
            time_unix_nano=self._clock.time_unix_nano(),
            source=self._source,
            correlation_id=correlation_id,
            payload=payload,
            causation_id=causation_id,
        )

    def decided(self, after: bytes, time_unix_nano: int, done: Appended) -> None:
        """A StatementDecided whose second half is written."""
        self._journal.append_encoded(self._heads.decided(self._ids.new_id(), time_unix_nano), after, done)

    def executed(self, report: ExecutionReport, time_unix_nano: int, done: Appended) -> None:
        try:
            after = hot.executed_after(report)
            before = self._heads.executed(self._ids.new_id(), time_unix_nano)
        except ValueError:
            self.queue_then(_executed(report), report.session_id, report.decision_id, done)
            return
        self._journal.append_encoded(before, after, done)


def _executed(report: ExecutionReport) -> StatementExecuted:
    return StatementExecuted(
        report.decision_id, report.session_id, report.statement_index, report.outcome, report.command_tag,
        report.rows, report.bytes, report.duration_ns, report.sqlstate, report.masked_cells, report.in_transaction,
    )  # fmt: skip


class Recording:
    """Several events of one call on their way: `answers` has why an event could not be recorded, or None, in the order
    in which they were begun. The journal tells of them in that same order."""

    __slots__ = ("_done", "_told", "_waiting", "answers")

    def __init__(self) -> None:
        self.answers: list[Exception | None] = []
        self._waiting: list[int] = []  # places in `answers` of those that the journal took
        self._told = 0
        self._done: asyncio.Future[None] | None = None

    def begun(self) -> None:
        self._waiting.append(len(self.answers))
        self.answers.append(None)

    def refused(self, error: Exception) -> None:
        self.answers.append(error)

    def settle(self, error: Exception | None) -> None:
        """The journal's answer for the next of those that it took."""
        if error is not None:
            self.answers[self._waiting[self._told]] = error
        self._told += 1
        if self._done is not None and self._told == len(self._waiting) and not self._done.done():
            self._done.set_result(None)

    async def settled(self) -> list[Exception | None]:
        """After the last was begun or refused: all answers."""
        if self._told < len(self._waiting):
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        return self.answers
