"""Keyed digests: an event can be matched to a value in hand, but the value can't be guessed from the event.

HMAC-SHA256 (RFC 2104) with a purpose in front, so that a digest made for one purpose says nothing in another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from decision.model.session import ParameterValue

KEY_BYTES = 32
MAC_BYTES = 32
MAX_COLUMNS = 4_096  # columns whose digest is kept begun

_BLOCK = 64


class Mac:
    """HMAC-SHA256, begun: the standard library's costs twice as much a digest, and there are several a statement."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, begun: bytes) -> None:
        padded = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + begun)
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def digest(self, rest: bytes) -> bytes:
        """Of what it was begun with and `rest`."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.digest()


class Digester:
    """Digests of statements, parameters and column values under one secret key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a digest key has {KEY_BYTES} bytes")
        self._key = key
        self._statement = Mac(key, b"airlock/statement/v1\0")
        self._parameters = Mac(key, b"airlock/parameters/v1\0")
        self._columns: dict[tuple[str, str, str], Mac] = {}

    def statement(self, text: bytes) -> bytes:
        return self._statement.digest(text)

    def parameters(self, parameters: Sequence[ParameterValue]) -> bytes:
        """Of the exact values with their types and formats; empty for a message that carries none."""
        if not parameters:
            return b""
        parts = []
        for one in parameters:
            value = one.value
            if value is None:
                parts.append(b"%d/%d/-1:" % (one.type_oid, one.format))
            else:
                parts.append(b"%d/%d/%d:%b" % (one.type_oid, one.format, len(value), value))
        return self._parameters.digest(b"".join(parts))

    def value(self, schema: str, table: str, column: str, value: bytes) -> bytes:
        """Of a column's value in its canonical text form; the column is bound in, so that equal values of different
        columns can't be linked."""
        return self.column(schema, table, column).digest(value)

    def column(self, schema: str, table: str, column: str) -> Mac:
        """`value`, begun with the column's name: the same few columns come again and again."""
        mac = self._columns.get((schema, table, column))
        if mac is None:
            names = [part.encode() for part in (schema, table, column)]
            begun = b"".join([b"%d:%b" % (len(name), name) for name in names])
            mac = Mac(self._key, b"airlock/value/v1\0" + begun)
            if len(self._columns) >= MAX_COLUMNS:
                self._columns.clear()
            self._columns[schema, table, column] = mac
        return mac
