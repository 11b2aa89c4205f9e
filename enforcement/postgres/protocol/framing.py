"""Cutting the client's bytes into messages, and reading each into an exchange."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from enforcement.postgres.protocol import parsing
from enforcement.postgres.protocol.errors import MessageTooLarge, ProtocolViolation
from enforcement.postgres.protocol.exchange import Exchange, Statement
from enforcement.postgres.protocol.messages import Front
from enforcement.postgres.protocol.table import Expect

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
QUERY, PARSE, BIND, EXECUTE = int(Front.QUERY), int(Front.PARSE), int(Front.BIND), int(Front.EXECUTE)
DESCRIBE, CLOSE = int(Front.DESCRIBE), int(Front.CLOSE)


class Framer:
    """Messages arrive in any pieces and leave whole. `message_bytes`: the largest that is taken."""

    def __init__(self, message_bytes: int) -> None:
        self._message_bytes = message_bytes
        self._carry = bytearray()
        self._need = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Code and bytes of each message that is complete now. Raises ProtocolViolation."""
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
            if length > self._message_bytes:
                raise MessageTooLarge(
                    f"a message of {length} bytes is over the limit of {self._message_bytes} bytes",
                    hint="send less at a time, or raise max_message_bytes in the settings",
                )
            end = position + 1 + length
            if end > size:
                need = end - position
                break
            yield code, data if end - position == size else data[position:end]
            position = end
        if position < size:
            self._carry = bytearray(data[position:])
            self._need = need


def read_exchange(code: int, raw: bytes) -> Exchange:
    """Raises ProtocolViolation for a message that does not fit its own counts, or has no place in a session."""
    exchange = Exchange(code, EXPECTED.get(code), raw)
    if code == BIND:
        exchange.bind = parsing.bind_message(raw)
        exchange.name = exchange.bind.portal
    elif code == EXECUTE:
        exchange.name, _ = parsing.execute_message(raw)
    elif code == QUERY:
        exchange.text = parsing.query_text(raw)
    elif code == PARSE:
        parsed = parsing.parse_message(raw)
        exchange.name, exchange.text = parsed.name, parsed.text
        exchange.statement = Statement(parsed.name, parsed.text, parsed.type_oids)
    elif code in (DESCRIBE, CLOSE):
        exchange.target, exchange.name = parsing.kind_and_name(raw)
    elif code == Front.PASSWORD:
        raise ProtocolViolation("a password message inside a session")
    return exchange
