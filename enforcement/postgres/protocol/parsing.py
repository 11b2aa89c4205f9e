"""The reading of whole messages. Each function takes a complete message, header included.

Raises ProtocolViolation for a body that does not fit its own counts; nothing is guessed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from struct import Struct

from enforcement.postgres.protocol.errors import ProtocolViolation
from enforcement.postgres.protocol.messages import COMPILED, CUT_SHORT, uint16, uint32

FIELD = Struct("!IhIhih")  # table OID, attribute number, type OID, type length, type modifier, format


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a RowDescription. `table_oid` and `number` are 0 where it is no column of a table."""

    name: str
    table_oid: int
    number: int
    type_oid: int
    format: int


class ParseMessage:
    __slots__ = ("name", "text", "type_oids")

    def __init__(self, name: bytes, text: bytes, type_oids: tuple[int, ...]) -> None:
        self.name = name
        self.text = text
        self.type_oids = type_oids


class BindMessage:
    __slots__ = ("formats", "portal", "result_formats", "statement", "values")

    def __init__(
        self,
        portal: bytes,
        statement: bytes,
        formats: tuple[int, ...],
        values: tuple[bytes | None, ...],
        result_formats: tuple[int, ...],
    ) -> None:
        self.portal = portal
        self.statement = statement
        self.formats = formats
        self.values = values
        self.result_formats = result_formats

    def format_of(self, index: int) -> int:
        """Format of parameter `index`: none given means text, one given holds for all."""
        if len(self.formats) <= 1:
            return self.formats[0] if self.formats else 0
        return self.formats[index]


@dataclass(frozen=True, slots=True)
class CopyFormats:
    """CopyOutResponse: overall 0 text (or CSV), 1 binary; a format for each column."""

    overall: int
    columns: tuple[int, ...]


def string_at(raw: bytes, position: int) -> tuple[bytes, int]:
    """The NUL-ended string at `position`, and where the next field begins."""
    end = raw.find(b"\x00", position)
    if end < 0:
        raise ProtocolViolation("a string in the message is not ended")
    return raw[position:end], end + 1


def exactly(raw: bytes, position: int, what: str) -> None:
    if position != len(raw):
        raise ProtocolViolation(f"{what} has another length than its fields")


def query_text(raw: bytes) -> bytes:
    text, position = string_at(raw, 5)
    exactly(raw, position, "Query")
    return text


def parse_message(raw: bytes) -> ParseMessage:
    try:
        name, position = string_at(raw, 5)
        text, position = string_at(raw, position)
        count = uint16(raw, position)
        position += 2
        oids = tuple([uint32(raw, position + 4 * index) for index in range(count)])
    except CUT_SHORT as error:
        raise ProtocolViolation("Parse is cut short") from error
    exactly(raw, position + 4 * count, "Parse")
    return ParseMessage(name, text, oids)


def int16s(raw: bytes, position: int) -> tuple[tuple[int, ...], int]:
    count = uint16(raw, position)
    position += 2
    if not count:
        return (), position
    if COMPILED:
        return tuple([uint16(raw, position + 2 * index) for index in range(count)]), position + 2 * count
    return struct.unpack_from(f"!{count}H", raw, position), position + 2 * count


def bind_message(raw: bytes) -> BindMessage:
    try:
        portal, position = string_at(raw, 5)
        statement, position = string_at(raw, position)
        formats, position = int16s(raw, position)
        count = uint16(raw, position)
        position += 2
        values: list[bytes | None] = []
        for _ in range(count):
            length = uint32(raw, position)
            position += 4
            if length == 0xFFFFFFFF:
                values.append(None)
                continue
            if position + length > len(raw):
                raise ProtocolViolation("a parameter of Bind is cut short")
            values.append(raw[position : position + length])
            position += length
        result_formats, position = int16s(raw, position)
    except CUT_SHORT as error:
        raise ProtocolViolation("Bind is cut short") from error
    exactly(raw, position, "Bind")
    if len(formats) > 1 and len(formats) != count:
        raise ProtocolViolation("Bind gives a number of parameter formats that fits neither none, one nor all")
    if (formats and max(formats) > 1) or (result_formats and max(result_formats) > 1):
        raise ProtocolViolation("Bind names an unknown format")
    return BindMessage(portal, statement, formats, tuple(values), result_formats)


def kind_and_name(raw: bytes) -> tuple[int, bytes]:
    """Of Describe and Close: `S` or `P`, and the name."""
    if len(raw) < 7 or raw[5] not in b"SP":
        raise ProtocolViolation("Describe or Close names neither a statement nor a portal")
    name, position = string_at(raw, 6)
    exactly(raw, position, "Describe or Close")
    return raw[5], name


def execute_message(raw: bytes) -> tuple[bytes, int]:
    """Portal and the largest number of rows (0: all)."""
    portal, position = string_at(raw, 5)
    if len(raw) != position + 4:
        raise ProtocolViolation("Execute has another length than its fields")
    return portal, uint32(raw, position)


def row_description(raw: bytes) -> tuple[Field, ...]:
    try:
        count = uint16(raw, 5)
        position = 7
        found = []
        for _ in range(count):
            name, position = string_at(raw, position)
            table, number, type_oid, _length, _modifier, code = FIELD.unpack_from(raw, position)
            position += FIELD.size
            found.append(Field(name.decode("utf-8", "replace"), table, number, type_oid, code))
    except CUT_SHORT as error:
        raise ProtocolViolation("RowDescription is cut short", by="server") from error
    exactly(raw, position, "RowDescription")
    return tuple(found)


def parameter_description(raw: bytes) -> tuple[int, ...]:
    try:
        return tuple([uint32(raw, 7 + 4 * index) for index in range(uint16(raw, 5))])
    except CUT_SHORT as error:
        raise ProtocolViolation("ParameterDescription is cut short", by="server") from error


def copy_formats(raw: bytes) -> CopyFormats:
    try:
        columns, position = int16s(raw, 6)
    except CUT_SHORT as error:
        raise ProtocolViolation("a COPY response is cut short", by="server") from error
    exactly(raw, position, "a COPY response")
    return CopyFormats(raw[5], columns)


def error_fields(raw: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse by their code."""
    found: dict[str, str] = {}
    position = 5
    while position < len(raw) and raw[position]:
        code = chr(raw[position])
        value, position = string_at(raw, position + 1)
        found[code] = value.decode("utf-8", "replace")
    return found


def status_pair(raw: bytes) -> tuple[str, str]:
    """Name and value of a ParameterStatus."""
    name, position = string_at(raw, 5)
    value, _ = string_at(raw, position)
    return name.decode("utf-8", "replace"), value.decode("utf-8", "replace")


def command_tag(raw: bytes) -> str:
    return raw[5 : max(len(raw) - 1, 5)].decode("ascii", "replace")


def tag_rows(tag: str) -> int:
    """Rows that a command tag tells of (`INSERT 0 5`, `SELECT 3`); 0 where it tells of none."""
    last = tag.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0
