"""The client's direction: every message waits here until all before it have gone and its own decision is known.

Two positions move along the queue. *Preparing* goes ahead: it resolves names and asks for decisions, in order, as far
as the meaning of a text can't be changed by something that has not run yet (a barrier). *Releasing* follows: it
forwards the head, or its substitute, once decided. What follows a refused message up to Sync is dropped here, as the
server would skip it.
"""

from __future__ import annotations

from collections import deque
from struct import Struct

from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import ObligationUnfulfillable
from decision.model.session import DecideRequest, MessageKind, Outcome, ParameterValue
from enforcement.postgres.protocol import denial, messages, parsing
from enforcement.postgres.protocol.errors import MessageTooLarge, ProtocolViolation
from enforcement.postgres.protocol.exchange import (
    Exchange,
    Portal,
    Refusal,
    Statement,
    Unsettled,
    sensitive,
)
from enforcement.postgres.protocol.messages import Front
from enforcement.postgres.protocol.readonly import ReadOnly
from enforcement.postgres.protocol.state import CloseSession, HoldStarted, State
from enforcement.postgres.protocol.table import Expect
from enforcement.postgres.protocol.text import inert

LENGTH = Struct("!I")
KNOWN = frozenset(int(code) for code in Front)
EXPECTED: dict[int, Expect] = {
    Front.QUERY: Expect.QUERY,
    Front.FUNCTION_CALL: Expect.QUERY,
    Front.PARSE: Expect.PARSE,
    Front.BIND: Expect.BIND,
    Front.DESCRIBE: Expect.DESCRIBE,
    Front.EXECUTE: Expect.EXECUTE,
    Front.CLOSE: Expect.CLOSE,
    Front.SYNC: Expect.SYNC,
    Front.COPY_DONE: Expect.COPY_END,
    Front.COPY_FAIL: Expect.COPY_END,
}
KINDS = {
    Front.QUERY: MessageKind.QUERY,
    Front.PARSE: MessageKind.PARSE,
    Front.BIND: MessageKind.BIND,
    Front.FUNCTION_CALL: MessageKind.FUNCTION_CALL,
}
ASKED = frozenset(KINDS)
ENDS_SKIP = (Front.SYNC, Front.TERMINATE)


class Gate:
    def __init__(self, state: State) -> None:
        self.state = state
        self.queue: deque[Exchange] = deque()
        self.queued_bytes = 0
        self._unprepared: deque[Exchange] = deque()
        self._carry = bytearray()
        self._need = 0
        self._skipping = False
        self._unflushed = False
        self._read_only = ReadOnly(state)

    # ── arriving ────────────────────────────────────────────────────────────────────────────────────────────────────

    def feed(self, data: bytes) -> None:
        """Take bytes as they come. Raises ProtocolViolation."""
        if self._carry:
            self._carry += data
            if len(self._carry) < self._need:
                return
            data = bytes(self._carry)
            self._carry = bytearray()
        position, size, need = 0, len(data), 5
        while size - position >= 5:
            code = data[position]
            length: int = LENGTH.unpack_from(data, position + 1)[0]
            if code not in KNOWN or length < 4:
                raise ProtocolViolation(f"unexpected message of type 0x{code:02X}")
            if length > self.state.limits.message_bytes:
                raise MessageTooLarge(
                    f"a message of {length} bytes is over the limit of {self.state.limits.message_bytes} bytes",
                    hint="send less at a time, or raise max_message_bytes in the settings",
                )
            end = position + 1 + length
            if end > size:
                need = end - position
                break
            self._accept(code, data if end - position == size else data[position:end])
            position = end
        if position < size:
            self._carry = bytearray(data[position:])
            self._need = need
        self.pump()

    def _accept(self, code: int, raw: bytes) -> None:
        if self._skipping:
            if code not in ENDS_SKIP:
                return
            self._skipping = False
        if not self.queue and code in (Front.COPY_DATA, Front.FLUSH):
            self.state.to_server.append(raw)
            self._unflushed = self._unflushed and code != Front.FLUSH
            return
        exchange = self._read(code, raw)
        self.queue.append(exchange)
        self.queued_bytes += len(raw)
        self._unprepared.append(exchange)

    def _read(self, code: int, raw: bytes) -> Exchange:
        exchange = Exchange(code, EXPECTED.get(code), raw)
        if code == Front.QUERY:
            exchange.text = parsing.query_text(raw)
        elif code == Front.PARSE:
            parsed = parsing.parse_message(raw)
            exchange.name, exchange.text = parsed.name, parsed.text
            exchange.statement = Statement(parsed.name, parsed.text, parsed.type_oids)
        elif code == Front.BIND:
            exchange.bind = parsing.bind_message(raw)
            exchange.name = exchange.bind.portal
        elif code in (Front.DESCRIBE, Front.CLOSE):
            exchange.target, exchange.name = parsing.kind_and_name(raw)
        elif code == Front.EXECUTE:
            exchange.name, _ = parsing.execute_message(raw)
        elif code == Front.PASSWORD:
            raise ProtocolViolation("a password message inside a session")
        return exchange

    # ── preparing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pump(self) -> None:
        """Go on as far as possible."""
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
        if self._unflushed and self.queue and state.pending and not state.cancelling:
            head = self.queue[0]
            if not head.prepared and head.kind in (*ASKED, Front.EXECUTE):
                state.to_server.append(messages.FLUSH)  # what it waits for would else stay in the server's buffer
                self._unflushed = False
        if state.copy_in and self.queue and self.queue[0].kind in ASKED and not self.queue[0].prepared:
            raise ProtocolViolation("a statement was sent during COPY FROM STDIN", hint="end the COPY first")

    def _prepare(self, exchange: Exchange) -> bool:
        """Resolve names and ask for the decision; False while that must wait for something before it."""
        state, code = self.state, exchange.kind
        exchange.segment = state.segment
        if code in ASKED:
            if state.barriers or state.catalog_syncing or state.asking >= state.limits.asks:
                return False
            if code == Front.BIND and not self._resolve_bind(exchange):
                return False
            if code == Front.PARSE:
                state.statements.announce(exchange.name, exchange.statement, exchange)
            elif code == Front.QUERY and not inert(exchange.text):
                self._make_barrier(exchange)
            if exchange.refusal is None:
                self._ask(exchange)
        elif code == Front.EXECUTE:
            found = state.portals.find(exchange.name, exchange.segment)
            if isinstance(found, Unsettled):
                return False
            exchange.portal = found
            if found is None:
                exchange.refusal = denial.UNKNOWN_PORTAL
            elif not found.statement.inert:
                self._make_barrier(exchange)
        elif code == Front.SYNC:
            state.segment += 1
        elif code == Front.CLOSE:
            if exchange.target == ord("S"):
                state.statements.announce(exchange.name, None, exchange)
            else:
                state.portals.announce(exchange.name, None, exchange)
        elif code == Front.DESCRIBE and exchange.target == ord("S"):
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
        state.asking += 1
        state.asks.append(exchange)

    def request(self, exchange: Exchange) -> DecideRequest:
        """The question to the decision service."""
        state = self.state
        parameters: tuple[ParameterValue, ...] = ()
        text, parse_decision_id = exchange.text, ""
        bind, statement = exchange.bind, exchange.statement
        if bind is not None and statement is not None:
            text, parse_decision_id = statement.text, statement.decision_id
            parameters = tuple(
                ParameterValue(statement.type_of(index), bind.format_of(index), value)
                for index, value in enumerate(bind.values)
            )
        return DecideRequest(
            session_id=state.session_id,
            text=text,
            kind=KINDS[Front(exchange.kind)],
            parameters=parameters,
            settings=state.settings,
            transaction_status=state.status,
            intent=state.own["intent"],
            ticket=state.own["ticket"],
            parse_decision_id=parse_decision_id,
        )

    # ── decided ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def decided(self, exchange: Exchange, decision: Decision) -> None:
        self._answered(exchange)
        if exchange.dropped or exchange.refusal is not None:
            return
        exchange.holding = False
        exchange.decision = decision
        if exchange.kind == Front.PARSE and exchange.statement is not None:
            exchange.statement.decision_id = decision.decision_id
        if decision.catalog_changing and not exchange.barrier and exchange.kind == Front.QUERY:
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
        if head is None or self.state.pending or not (head.asked or head.holding):
            return False
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
        if decision.effect is PolicyEffect.HOLD and decision.wait_s > 0 and self._may_wait():
            head.holding = True
            self.state.commands.append(HoldStarted(head))
            return True
        if not decision.allowed:
            head.refusal = denial.refusal_of(decision)
        elif head.kind == Front.FUNCTION_CALL:
            head.refusal = denial.NO_FUNCTION_CALL
        elif head.kind == Front.BIND:
            return self._plan(head)
        return False

    def _may_wait(self) -> bool:
        """Whether a client may be kept waiting: no transaction of its own is open, and nothing ran in this segment."""
        state = self.state
        return state.status == "I" and not state.in_transaction and not state.executed_in_segment

    def _plan(self, bind: Exchange) -> bool:
        """Check the masks against the columns that the server describes, before anything runs; True while it is
        asked to describe them."""
        assert bind.statement is not None and bind.portal is not None and bind.bind is not None
        obligations = bind.obligations()
        if obligations is None or not sensitive(obligations):
            return False
        stale = bind.statement.fields is None or bind.statement.indirect
        if stale and not bind.described:
            bind.described = True
            self._describe(bind.statement)
            return True
        if bind.statement.fields is None or self._describing():
            return True
        try:
            bind.portal.masker = self.state.masks.for_rows(obligations, bind.statement.fields, bind.bind.result_formats)
        except ObligationUnfulfillable as error:
            bind.refusal = denial.withheld(error)
            decision_id = bind.decision.decision_id if bind.decision else ""
            self.state.report(decision_id, bind.index, Outcome.DENIED, sqlstate="42501")
        return False

    def _describing(self) -> bool:
        return any(one.internal and one.expect is Expect.DESCRIBE for one in self.state.pending)

    def _describe(self, statement: Statement) -> None:
        statement.fields = None
        raw = messages.describe_statement(statement.name)
        asked = Exchange(Front.DESCRIBE, Expect.DESCRIBE, raw)
        asked.internal, asked.target, asked.name, asked.statement = True, ord("S"), statement.name, statement
        asked.segment = self.state.segment
        asked.decision = self.queue[0].decision
        self.state.to_server += (raw, messages.FLUSH)
        self._unflushed = False
        self.state.push(asked)

    def _forward(self, head: Exchange) -> None:
        state, code = self.state, head.kind
        if code == Front.EXECUTE and head.portal is not None:
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
        if code == Front.TERMINATE:
            state.commands.append(CloseSession("client"))
            return
        if code == Front.FLUSH or code == Front.COPY_DATA:
            self._unflushed = self._unflushed and code != Front.FLUSH
            return
        if code == Front.SYNC:
            self._unflushed = state.segment_open = False
            state.executed_in_segment = False
            if state.copy_in:
                return  # the server ignores Sync while it copies in
        elif code == Front.QUERY:
            self._unflushed = state.segment_open = False
            state.generation += 1
            state.statements.forget(b"")
            state.portals.forget(b"")
        elif code == Front.BIND and head.portal is not None:
            head.portal.decision = head.decision
            head.portal.generation = state.generation
            self._unflushed = state.segment_open = True
        else:
            self._unflushed = state.segment_open = True
        if head.expect is Expect.COPY_END and state.copy_in:
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
        extended = head.kind not in (Front.QUERY, Front.FUNCTION_CALL)
        state.to_server.append(denial.substitute(head.refusal, extended=extended))
        head.raw = b""
        if not extended:
            state.push(head)
            return
        state.drop(head)
        refused = Exchange(Front.PARSE, Expect.PARSE, b"")
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
