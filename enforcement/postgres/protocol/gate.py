"""The client's direction: every message waits here until all before it have gone and its own decision is known.

Two positions move along the queue. *Preparing* goes ahead: it resolves names and asks for decisions, in order, as far
as the meaning of a text can't be changed by something that has not run yet (a barrier). *Releasing* follows: it
forwards the head, or its substitute, once decided. What follows a refused message up to Sync is dropped here, as the
server would skip it. Both move one queue and share its state, so they stay in one module, a little over the usual
length.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from decision.model.decision import Decision, PolicyEffect
from enforcement.postgres.protocol import denial, messages
from enforcement.postgres.protocol.asking import KINDS
from enforcement.postgres.protocol.errors import ProtocolViolation
from enforcement.postgres.protocol.exchange import Exchange, Portal, Refusal, Unsettled, guarded
from enforcement.postgres.protocol.framing import Framer, read_exchange
from enforcement.postgres.protocol.messages import Front
from enforcement.postgres.protocol.planning import Planner
from enforcement.postgres.protocol.readonly import ReadOnly
from enforcement.postgres.protocol.state import CloseSession, HoldStarted, State
from enforcement.postgres.protocol.table import Expect
from enforcement.postgres.protocol.text import inert

ALLOW: Final = PolicyEffect.ALLOW
HOLD: Final = PolicyEffect.HOLD
BIND: Final = Front.BIND
CLOSE: Final = Front.CLOSE
COPY_DATA: Final = Front.COPY_DATA
DESCRIBE: Final = Front.DESCRIBE
EXECUTE: Final = Front.EXECUTE
FLUSH: Final = Front.FLUSH
FUNCTION_CALL: Final = Front.FUNCTION_CALL
PARSE: Final = Front.PARSE
QUERY: Final = Front.QUERY
SYNC: Final = Front.SYNC
TERMINATE: Final = Front.TERMINATE
STATEMENT: Final = 0x53  # S
ASKED: Final = frozenset(KINDS)
ENDS_SKIP: Final = (SYNC, TERMINATE)
LETS_WAIT: Final = (Expect.PARSE, Expect.BIND, Expect.DESCRIBE, Expect.CLOSE)


class Gate:
    def __init__(self, state: State) -> None:
        self.state = state
        self.queue: deque[Exchange] = deque()
        self.queued_bytes = 0
        self._unprepared: deque[Exchange] = deque()
        self._framer = Framer(state.limits.message_bytes)
        self._planner = Planner(state)
        self._skipping = False
        self._read_only = ReadOnly(state)

    # ── arriving ────────────────────────────────────────────────────────────────────────────────────────────────────

    def feed(self, data: bytes) -> None:
        """Take bytes as they come. Raises ProtocolViolation."""
        self._framer.feed(data)
        while raw := self._framer.take():
            self._accept(raw[0], raw)
        self.pump()

    def _accept(self, code: int, raw: bytes) -> None:
        if self._skipping:
            if code not in ENDS_SKIP:
                return
            self._skipping = False
        if not self.queue and code in (COPY_DATA, FLUSH):
            self.state.to_server.append(raw)
            self.state.unflushed = self.state.unflushed and code != FLUSH
            return
        exchange = read_exchange(code, raw)
        self.queue.append(exchange)
        self.queued_bytes += len(raw)
        self._unprepared.append(exchange)

    # ── preparing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pump(self) -> None:
        """Go on as far as possible."""
        if not (self.queue or self._unprepared):
            return
        state = self.state
        while True:
            while self._unprepared:
                exchange = self._unprepared[0]
                if not exchange.dropped and not self._prepare(exchange):
                    break
                self._unprepared.popleft()
            before = len(self.queue)
            self._release()
            if len(self.queue) == before or not self._unprepared:
                break
        if state.unflushed and self.queue and state.pending and not state.cancelling:
            head = self.queue[0]
            if not head.prepared and (head.kind in ASKED or head.kind == EXECUTE):
                state.to_server.append(messages.FLUSH)  # what it waits for would else stay in the server's buffer
                state.unflushed = False
        if state.copy_in and self.queue and self.queue[0].kind in ASKED and not self.queue[0].prepared:
            raise ProtocolViolation("a statement was sent during COPY FROM STDIN", hint="end the COPY first")

    def _prepare(self, exchange: Exchange) -> bool:
        """Resolve names and ask for the decision; False while that must wait for something before it."""
        state, code = self.state, exchange.kind
        exchange.segment = state.segment
        if code in ASKED:
            if state.barriers or state.catalog_syncing or state.asking >= state.limits.asks:
                return False
            if code == BIND and not self._resolve_bind(exchange):
                return False
            if code == PARSE:
                state.statements.announce(exchange.name, exchange.statement, exchange)
            elif code == QUERY and not inert(exchange.text):
                self._make_barrier(exchange)
            if exchange.refusal is None:
                self._ask(exchange)
        elif code == EXECUTE:
            found = state.portals.find(exchange.name, exchange.segment)
            if isinstance(found, Unsettled):
                return False
            exchange.portal = found
            if found is None:
                exchange.refusal = denial.UNKNOWN_PORTAL
            elif not found.statement.inert:
                self._make_barrier(exchange)
        elif code == SYNC:
            state.segment += 1
        elif code == CLOSE:
            if exchange.target == STATEMENT:
                state.statements.announce(exchange.name, None, exchange)
            else:
                state.portals.announce(exchange.name, None, exchange)
        elif code == DESCRIBE and exchange.target == STATEMENT:
            statement = state.statements.find(exchange.name, exchange.segment)
            exchange.statement = None if isinstance(statement, Unsettled) else statement
        exchange.prepared = True
        return True

    def _make_barrier(self, exchange: Exchange) -> None:
        exchange.barrier = True
        self.state.barriers += 1

    def _resolve_bind(self, exchange: Exchange) -> bool:
        assert exchange.bind is not None
        found = self.state.statements.find(exchange.bind.statement, exchange.segment)
        if isinstance(found, Unsettled):
            return False
        if found is None:
            exchange.refusal = denial.UNKNOWN_STATEMENT
            return True
        exchange.statement = found
        exchange.portal = Portal(exchange.name, found, exchange.bind)
        self.state.portals.announce(exchange.name, exchange.portal, exchange)
        return True

    def _ask(self, exchange: Exchange) -> None:
        state = self.state
        if not state.readable:
            exchange.refusal = denial.WRONG_READING
            return
        exchange.asked = True
        exchange.changes = state.catalog_changes
        state.asking += 1
        state.asks.append(exchange)

    # ── decided ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def decided(self, exchange: Exchange, decision: Decision) -> None:
        self._answered(exchange)
        if exchange.dropped or exchange.refusal is not None:
            return
        exchange.holding = False
        exchange.decision = decision
        if exchange.kind == PARSE and exchange.statement is not None:
            exchange.statement.decision_id = decision.decision_id
        if decision.catalog_changing and not exchange.barrier and exchange.kind == QUERY:
            self._make_barrier(exchange)
        self.pump()

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        """No decision could be had, or the wait for an approval is over."""
        self._answered(exchange)
        if not exchange.dropped and exchange.refusal is None:
            exchange.holding = False
            exchange.refusal = refusal
            self.pump()

    def _answered(self, exchange: Exchange) -> None:
        if exchange.asked:
            exchange.asked = False
            self.state.asking -= 1

    def cancel(self) -> bool:
        """The client asks to cancel. True if what it waits for is here, so that the server needs no cancelling."""
        head = self.queue[0] if self.queue else None
        if head is None or not (head.holding or (head.asked and not self.state.pending)):
            return False  # while one is held, the server has only been asked what runs nothing
        self.refused(head, denial.CANCELLED)
        return True

    # ── releasing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _release(self) -> None:
        while self.queue and not self.state.cancelling:
            head = self.queue[0]
            if not head.prepared or self._waits(head) or not self._read_only.settle(head):
                return
            self.queue.popleft()
            self.queued_bytes -= len(head.raw)
            self._forward(head)

    def _waits(self, head: Exchange) -> bool:
        """Whether the head must stay; settles what can be settled now."""
        if head.kind not in ASKED or head.refusal is not None:
            return False
        decision = head.decision
        if decision is None or head.holding:
            return True
        if decision.effect is HOLD and decision.wait_s > 0 and self._may_wait():
            if all(one.expect in LETS_WAIT for one in self.state.pending):
                head.holding = True
                self.state.commands.append(HoldStarted(head))
            return True  # whether a transaction is open is known when what is under way has been answered
        if decision.effect is not ALLOW:
            head.refusal = denial.refusal_of(decision)
        elif head.kind == FUNCTION_CALL:
            head.refusal = denial.NO_FUNCTION_CALL
        elif head.changes != self.state.catalog_changes and head.kind != PARSE:
            head.refusal = denial.CATALOG_CHANGED  # what was decided may not be what would run
        elif head.kind == BIND:
            return not self._planner.settle(head)
        return False

    def _may_wait(self) -> bool:
        """Whether a client may be kept waiting: no transaction of its own is open, and nothing ran in this segment."""
        state = self.state
        return state.status == "I" and not state.in_transaction and not state.executed_in_segment

    def _forward(self, head: Exchange) -> None:
        state, code = self.state, head.kind
        if code == EXECUTE and head.portal is not None:
            if head.portal.statement.indirect and head.portal.generation != state.generation:
                head.refusal = denial.STALE_PORTAL
            state.generation += 1
            head.portal.generation = state.generation
            head.masker = head.portal.masker
            state.executed_in_segment = True
        if head.refusal is not None:
            self._substitute(head)
            return
        state.to_server.append(head.raw)
        state.touched = state.touched or guarded(head.decision)
        if code == TERMINATE:
            state.commands.append(CloseSession("client"))
            return
        if code in (FLUSH, COPY_DATA):
            state.unflushed = state.unflushed and code != FLUSH
            return
        if code == SYNC:
            state.unflushed = state.segment_open = False
            state.executed_in_segment = False
            if state.copy_in:
                return  # the server ignores Sync while it copies in
        elif code == QUERY:
            state.unflushed = state.segment_open = False
            state.generation += 1
            state.statements.forget(b"")
            state.portals.forget(b"")
        elif code == BIND and head.portal is not None:
            head.portal.decision = head.decision
            head.portal.generation = state.generation
            state.unflushed = state.segment_open = True
        else:
            state.unflushed = state.segment_open = True
        if head.expect == Expect.COPY_END and state.copy_in:
            state.copy_in = False
            return
        decision = head.decision
        if decision is not None and decision.limits.timeout_ms is not None:
            state.timed = True
        head.raw = b""  # the text is enough from here on
        state.push(head)

    def _substitute(self, head: Exchange) -> None:
        """Forward what can't be parsed; in the extended protocol drop the rest up to Sync."""
        assert head.refusal is not None
        state = self.state
        state.statement_count += 1
        extended = head.kind not in (QUERY, FUNCTION_CALL)
        state.to_server.append(denial.substitute(head.refusal, extended=extended))
        head.raw = b""
        if not extended:
            state.push(head)
            return
        state.drop(head)
        refused = Exchange(PARSE, Expect.PARSE, b"")
        refused.refusal, refused.segment, refused.name = head.refusal, head.segment, denial.SUBSTITUTE_NAME
        state.push(refused)
        state.to_server.append(messages.FLUSH)
        self.skip()

    def skip(self) -> None:
        """The server ignores everything up to Sync."""
        while self.queue:
            if self.queue[0].kind in ENDS_SKIP:
                return
            dropped = self.queue.popleft()
            self.queued_bytes -= len(dropped.raw)
            self.state.drop(dropped)
        self._skipping = True
