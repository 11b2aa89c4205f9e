"""What is reported of executions: one report for each statement, when it is over."""

from __future__ import annotations

from typing import Final

from decision.model.decision import PolicyEffect
from decision.model.session import Outcome
from enforcement.postgres.protocol import parsing
from enforcement.postgres.protocol.exchange import Exchange, Portal
from enforcement.postgres.protocol.state import State
from enforcement.postgres.protocol.table import Expect

COMPLETED: Final = Outcome.COMPLETED
CANCELLED_STATE: Final = "57014"
RETURNING_TAGS: Final = ("SELECT", "FETCH", "SHOW")


class Executions:
    def __init__(self, state: State) -> None:
        self.state = state

    def completed(self, head: Exchange, tag: str, aborted: bool) -> None:
        decision = head.covering
        if decision is None:
            return
        portal = head.portal if head.expect == Expect.EXECUTE else None
        rows = (portal.rows if portal else 0) + head.rows
        changed = 0 if tag.startswith(RETURNING_TAGS) else parsing.tag_rows(tag)
        self.state.report(
            decision.decision_id,
            head.index,
            Outcome.DENIED if aborted else COMPLETED,
            tag=tag,
            rows=changed if tag.startswith("COPY") else max(rows, changed),
            size=(portal.bytes if portal else 0) + head.bytes,
            duration_ns=(portal.duration_ns if portal else 0) + self.state.now_ns - head.started_ns,
            sqlstate=head.refusal.sqlstate if aborted and head.refusal else "",
            masked=(portal.masked if portal else 0) + head.masked,
            in_transaction=self.state.in_transaction,
        )
        if portal is not None:
            portal.rows = portal.bytes = portal.masked = portal.duration_ns = 0

    def failed(self, head: Exchange, sqlstate: str) -> None:
        decision = head.covering
        if decision is None or decision.effect is not PolicyEffect.ALLOW or head.internal:
            return
        refusal = head.refusal
        outcome = Outcome.FAILED
        if refusal is not None and head.aborted:
            sqlstate = refusal.sqlstate
            outcome = Outcome.CANCELLED if sqlstate == CANCELLED_STATE else Outcome.DENIED
        elif refusal is not None:
            return
        elif sqlstate == CANCELLED_STATE:
            outcome = Outcome.CANCELLED
        self.state.report(
            decision.decision_id, head.index, outcome, rows=head.rows, size=head.bytes, masked=head.masked,
            duration_ns=self.state.now_ns - head.started_ns, sqlstate=sqlstate,
            in_transaction=self.state.in_transaction,
        )  # fmt: skip

    def portals_gone(self) -> None:
        for portal in self.state.portals.forget_all():
            self.portal_gone(portal)

    def portal_gone(self, portal: Portal) -> None:
        """A suspended portal was given up before its end: what it gave is reported."""
        if portal.duration_ns and portal.decision is not None:
            self.state.report(
                portal.decision.decision_id, 0, Outcome.COMPLETED, rows=portal.rows, size=portal.bytes,
                duration_ns=portal.duration_ns, masked=portal.masked, in_transaction=self.state.in_transaction,
            )  # fmt: skip
            portal.duration_ns = 0
