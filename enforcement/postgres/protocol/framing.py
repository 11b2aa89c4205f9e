"""Cutting the client's bytes into messages, and reading each into an exchange."""

from __future__ import annotations

from typing import Final

from enforcement.postgres.protocol import parsing
from enforcement.postgres.protocol.errors import MessageTooLarge, ProtocolViolation
from enforcement.postgres.protocol.exchange import Exchange, Statement
from enforcement.postgres.protocol.messages import Front, codes, uint32
from enforcement.postgres.protocol.table import Expect

KNOWN: Final = codes(Front)
EXPECTED: Final[dict[int, int]] = {
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


class Framer:
    """Messages arrive in any pieces and leave whole. `message_bytes`: the largest that is taken."""

    def __init__(self, message_bytes: int) -> None:
        self._message_bytes = message_bytes
        self._carry = bytearray()
        self._need = 0
        self._data = b""
        self._position = 0

    def feed(self, data: bytes) -> None:
        """Take bytes; `take` gives the messages."""
        if self._carry:
            self._carry += data
            if len(self._carry) < self._need:
                return
            data = bytes(self._carry)
            self._carry = bytearray()
        self._data, self._position = data, 0

    def take(self) -> bytes:
        """The next message that is complete; empty if there is none. Raises ProtocolViolation."""
        data, position = self._data, self._position
        size, need = len(data), 5
        if size - position >= 5:
            code = data[position]
            length = uint32(data, position + 1)
            if code not in KNOWN or length < 4:
                raise ProtocolViolation(f"unexpected message of type 0x{code:02X}")
            if length > self._message_bytes:
                raise MessageTooLarge(
                    f"a message of {length} bytes is over the limit of {self._message_bytes} bytes",
                    hint="send less at a time, or raise max_message_bytes in the settings",
                )
            end = position + 1 + length
            if end <= size:
                self._position = end
                return data if end - position == size else data[position:end]
            need = end - position
        if position < size:
            self._carry = bytearray(data[position:])
            self._need = need
        self._data = b""
        return b""


def read_exchange(code: int, raw: bytes) -> Exchange:
    """Raises ProtocolViolation for a message that does not fit its own counts, or has no place in a session."""
    exchange = Exchange(code, EXPECTED.get(code, Expect.NOTHING), raw)
    if code == Front.BIND:
        exchange.bind = parsing.bind_message(raw)
        exchange.name = exchange.bind.portal
    elif code == Front.EXECUTE:
        exchange.name, _ = parsing.execute_message(raw)
    elif code == Front.QUERY:
        exchange.text = parsing.query_text(raw)
    elif code == Front.PARSE:
        parsed = parsing.parse_message(raw)
        exchange.name, exchange.text = parsed.name, parsed.text
        exchange.statement = Statement(parsed.name, parsed.text, parsed.type_oids)
    elif code in (Front.DESCRIBE, Front.CLOSE):
        exchange.target, exchange.name = parsing.kind_and_name(raw)
    elif code == Front.PASSWORD:
        raise ProtocolViolation("a password message inside a session")
    return exchange
