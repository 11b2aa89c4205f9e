"""Keyed digests: an event can be matched to a value in hand, but the value can't be guessed from the event.

HMAC-SHA256 (RFC 2104) with a purpose in front, so that a digest made for one purpose says nothing in another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from decision.model.session import ParameterValue

KEY_BYTES = 32
MAX_COLUMNS = 4_096  # columns whose digest is kept begun


class Digester:
    """Digests of statements, parameters and column values under one secret key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a digest key has {KEY_BYTES} bytes")
        self._statement = hmac.new(key, b"airlock/statement/v1\0", hashlib.sha256)
        self._parameters = hmac.new(key, b"airlock/parameters/v1\0", hashlib.sha256)
        self._value = hmac.new(key, b"airlock/value/v1\0", hashlib.sha256)
        self._columns: dict[tuple[str, str, str], hmac.HMAC] = {}

    def statement(self, text: bytes) -> bytes:
        mac = self._statement.copy()
        mac.update(text)
        return mac.digest()

    def parameters(self, parameters: Sequence[ParameterValue]) -> bytes:
        """Of the exact values with their types and formats; empty for a message that carries none."""
        if not parameters:
            return b""
        mac = self._parameters.copy()
        for parameter in parameters:
            head = b"%d/%d/%d:" % (
                parameter.type_oid,
                parameter.format,
                -1 if parameter.value is None else len(parameter.value),
            )
            mac.update(head)
            mac.update(parameter.value or b"")
        return mac.digest()

    def value(self, schema: str, table: str, column: str, value: bytes) -> bytes:
        """Of a column's value in its canonical text form; the column is bound in, so that equal values of different
        columns can't be linked."""
        started = self._columns.get((schema, table, column)) or self._column(schema, table, column)
        mac = started.copy()
        mac.update(value)
        return mac.digest()

    def _column(self, schema: str, table: str, column: str) -> hmac.HMAC:
        """The digest begun with the column's name: the same few columns come again and again."""
        mac = self._value.copy()
        for part in (schema, table, column):
            encoded = part.encode()
            mac.update(b"%d:" % len(encoded))
            mac.update(encoded)
        if len(self._columns) >= MAX_COLUMNS:
            self._columns.clear()
        self._columns[schema, table, column] = mac
        return mac
