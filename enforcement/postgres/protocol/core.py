"""One session of the enforcement point as a state machine: bytes and decisions in, bytes and commands out.

The shell sets `state.now_ns`, calls one input, then takes the outputs: `to_client`, `to_server`, `asks`, `commands`,
`reports`. Inputs raise ProtocolViolation, after which the session must be ended.
"""

from __future__ import annotations

from decision.model.decision import Decision
from decision.model.session import DecideRequest, Outcome
from enforcement.postgres.protocol import denial
from enforcement.postgres.protocol.answers import Answers
from enforcement.postgres.protocol.asking import request_of
from enforcement.postgres.protocol.exchange import Exchange, Masks, Refusal
from enforcement.postgres.protocol.gate import Gate
from enforcement.postgres.protocol.results import Results
from enforcement.postgres.protocol.state import CoreLimits, State
from enforcement.postgres.protocol.table import Expect


class SessionCore:
    def __init__(
        self,
        session_id: str,
        masks: Masks,
        *,
        limits: CoreLimits = CoreLimits(),  # noqa: B008 - a frozen value
        parameters: dict[str, str] | None = None,
        intent: str = "",
        ticket: str = "",
    ) -> None:
        self.state = State(session_id, limits, masks, intent, ticket)
        self.state.parameters.update(parameters or {})
        self.state.settings_changed()
        self._gate = Gate(self.state)
        self._results = Results(self.state, self._gate.skip)
        self._answers = Answers(self.state, self._results)

    # ── inputs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def client_data(self, data: bytes) -> None:
        self._gate.feed(data)

    def server_data(self, data: bytes) -> None:
        self._answers.feed(data)
        self._gate.pump()

    def decided(self, exchange: Exchange, decision: Decision) -> None:
        self._gate.decided(exchange, decision)

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        self._gate.refused(exchange, refusal)

    def cancel_requested(self) -> bool:
        """The client wants to cancel; True if that is settled here, False if the server must be cancelled."""
        return self._gate.cancel()

    def cancel_finished(self) -> None:
        self.state.cancelling -= 1
        self._gate.pump()

    def catalog_changing(self) -> None:
        """Another session has changed the catalog: nothing is asked, and nothing forwarded that was decided before,
        until `catalog_synced`."""
        self.state.catalog_syncing += 1
        self.state.catalog_changes += 1

    def catalog_synced(self) -> None:
        self.state.catalog_syncing -= 1
        self._gate.pump()

    def time_over(self) -> None:
        """The head's time limit has passed."""
        head, limit = self._timed()
        if head is not None and limit is not None:
            self._answers.abort(head, denial.time_limit(limit))

    def lost(self) -> None:
        """The connection is gone: what was running has an unknown outcome."""
        for exchange in self.state.pending:
            decision = exchange.covering
            if exchange.expect in (Expect.QUERY, Expect.EXECUTE) and decision is not None and not exchange.internal:
                if exchange.failed or exchange.refusal is not None:
                    continue
                self.state.report(
                    decision.decision_id, exchange.index, Outcome.UNKNOWN, rows=exchange.rows, size=exchange.bytes,
                    duration_ns=max(self.state.now_ns - exchange.started_ns, 0), masked=exchange.masked,
                    in_transaction=self.state.in_transaction,
                )  # fmt: skip
        self.state.pending.clear()

    # ── outputs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def request(self, exchange: Exchange) -> DecideRequest:
        return request_of(exchange, self.state)

    @property
    def queued_bytes(self) -> int:
        return self._gate.queued_bytes

    @property
    def idle(self) -> bool:
        """Nothing is on its way in either direction."""
        return not self.state.pending and not self._gate.queue

    @property
    def masking(self) -> bool:
        """Whether rows are being rewritten now, which is work in proportion to them."""
        head = self.state.pending[0] if self.state.pending else None
        return head is not None and (head.masker is not None or head.copy_masker is not None)

    @property
    def deadline_ns(self) -> int | None:
        """When the statement that the server works on has to be over (monotonic)."""
        head, limit = self._timed()
        return None if head is None or limit is None else head.started_ns + limit * 1_000_000

    def _timed(self) -> tuple[Exchange | None, int | None]:
        for one in self.state.pending:  # the answers of a Parse before it stay with the server until it is over
            if one.expect in (Expect.QUERY, Expect.EXECUTE):
                limits = None if one.aborted or one.refusal is not None else self._results.limits_of(one)
                return one, None if limits is None else limits.timeout_ms
        return None, None
