"""Masks of a Bind are checked against the columns that the server describes, before anything of it is forwarded."""

from __future__ import annotations

from decision.model.errors import ObligationUnfulfillable
from decision.model.session import Outcome
from enforcement.postgres.protocol import denial, messages
from enforcement.postgres.protocol.exchange import Exchange, Statement, sensitive
from enforcement.postgres.protocol.messages import Front
from enforcement.postgres.protocol.state import State
from enforcement.postgres.protocol.table import Expect


class Planner:
    def __init__(self, state: State) -> None:
        self.state = state

    def settle(self, bind: Exchange) -> bool:
        """Plan the masks of `bind`, or refuse it; False while the server is asked to describe the statement."""
        assert bind.statement is not None and bind.portal is not None and bind.bind is not None
        obligations = bind.obligations()
        if obligations is None or not sensitive(obligations):
            return True
        unknown = bind.statement.fields is None or not bind.statement.fixed_shape
        if unknown and not bind.described:
            bind.described = True
            self._describe(bind, bind.statement)
            return False
        if bind.statement.fields is None or self._describing():
            return False
        try:
            bind.portal.masker = self.state.masks.for_rows(obligations, bind.statement.fields, bind.bind.result_formats)
        except ObligationUnfulfillable as error:
            bind.refusal = denial.withheld(error)
            decision_id = bind.decision.decision_id if bind.decision else ""
            self.state.report(decision_id, bind.index, Outcome.DENIED, sqlstate="42501")
        return True

    def _describing(self) -> bool:
        return any(one.internal and one.expect == Expect.DESCRIBE for one in self.state.pending)

    def _describe(self, bind: Exchange, statement: Statement) -> None:
        statement.fields = None
        raw = messages.describe_statement(statement.name)
        asked = Exchange(Front.DESCRIBE, Expect.DESCRIBE, raw)
        asked.internal, asked.target, asked.name, asked.statement = True, ord("S"), statement.name, statement
        asked.segment = self.state.segment
        asked.decision = bind.decision
        self.state.to_server += (raw, messages.FLUSH)
        self.state.unflushed = False
        self.state.segment_open = True
        self.state.push(asked)
