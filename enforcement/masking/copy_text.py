"""Masks in COPY output in text format. Compiled by mypyc like `rows`.

`rewrite` takes runs of whole CopyData messages. `feed` takes their payloads in any chunks, gives what may leave so far
and keeps the piece of a row whose end has not come; `finish` says that the output is over. What a server would not
write raises. Everything is UTF-8, so that no delimiter is part of another character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import error as struct_error
from typing import Final

from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.copy_messages import fed, in_messages, lines_of
from enforcement.masking.pieces import Pieces
from enforcement.masking.rows import CALL, CONSTANT, NULL, ColumnMask, malformed, ordered

COMPILED: Final = not __file__.endswith(".py")
ESCAPES: Final = {98: 8, 102: 12, 110: 10, 114: 13, 116: 9, 118: 11}  # \b \f \n \r \t \v
WRITTEN: Final = {8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r", 92: b"\\\\"}
OF_MASKS: Final = b"*0123456789abcdef"  # what they write beside parts of the value
SPECIAL: Final = re.compile(rb"[\x08-\x0d\\]")
# Any other null string may be a value, which would leave as if it were NULL: a way to ask for a value by guessing it.
UNMISTAKABLE: Final = (b"\\N", b"")


def unescape(field: bytes) -> bytes:
    """The value of a field in COPY's text format."""
    out = bytearray()
    position, end = 0, len(field)
    while position < end:
        found = field.find(b"\\", position)
        if found < 0:
            out += field[position:]
            break
        out += field[position:found]
        if found + 1 >= end:
            raise malformed()
        code = field[found + 1]
        position = found + 2
        if 48 <= code <= 55:
            number = 0
            position = found + 1
            while position < end and position < found + 4 and 48 <= field[position] <= 55:
                number = number * 8 + field[position] - 48
                position += 1
            out.append(number & 255)
        elif code == 120 and field[position : position + 1] and field[position] in b"0123456789abcdefABCDEF":
            stop = position + 1
            if stop < end and field[stop] in b"0123456789abcdefABCDEF":
                stop += 1
            out.append(int(field[position:stop].decode("ascii"), 16))
            position = stop
        else:
            out.append(ESCAPES.get(code, code))
    return bytes(out)


def escape(value: bytes, delimiter: int) -> bytes:
    """`value` as a field of COPY's text format."""
    if SPECIAL.search(value) is None and value.find(delimiter) < 0:
        return value
    out = bytearray()
    for code in value:
        if code in WRITTEN:
            out += WRITTEN[code]
        elif code == delimiter:
            out += b"\\"
            out.append(code)
        else:
            out.append(code)
    return bytes(out)


def _odd_backslashes(field: bytes) -> bool:
    return (len(field) - len(field.rstrip(b"\\"))) % 2 == 1


class CopyTextRewriter:
    """COPY … TO STDOUT in text format. `rows` and `masked_cells` count what left."""

    def __init__(
        self,
        columns: int,
        masks: Sequence[ColumnMask],
        delimiter: bytes = b"\t",
        null: bytes = b"\\N",
        header: bool = False,
    ) -> None:
        if len(delimiter) != 1 or delimiter in b"\\\r\n":
            raise ObligationUnfulfillable("COPY's delimiter can't be used with masks")
        if masks and null not in UNMISTAKABLE:
            raise ObligationUnfulfillable(
                "COPY's null string can't be told from a masked value", hint="leave out the option NULL, or use csv"
            )
        self.columns = columns
        self.rows = 0
        self.masked_cells = 0
        self._delimiter = delimiter
        self._null_text = null
        self._escaped = b"\\" + delimiter
        # With each mask: what stands in the place of every value, as it is written, or None where that depends on the
        # value; and whether what it makes of a value without escapes needs none.
        safe = delimiter not in OF_MASKS
        self._plan = [
            (mask.ordinal - 1, self._always(mask), mask, safe and mask.action != CALL)
            for mask in ordered(masks, columns)
        ]
        self._header = header
        self._rest = Pieces()

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        """The whole CopyData messages in buffer[start:end], masked; the number of rows and of masked cells.

        A row that comes in one message leaves in one. Raises ObligationUnfulfillable like `feed`, and for messages that
        are cut or are no CopyData.
        """
        if not 0 <= start <= end <= len(buffer):
            raise malformed()
        rows, cells = self.rows, self.masked_cells
        try:
            lines = [] if self._header or self._rest.size else lines_of(buffer, start, end)
            text = b"\n".join(lines)
            if lines and text.count(b"\n") == len(lines) - 1:
                masked = in_messages(self._lines(lines, text.find(b"\\") >= 0))
            else:
                masked = fed(self.feed, buffer, start, end)
        except (struct_error, IndexError):
            raise malformed() from None
        return masked, self.rows - rows, self.masked_cells - cells

    def feed(self, chunk: bytes) -> bytes:
        """Raises ObligationUnfulfillable for a row that has not the expected columns."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            if chunk:
                self._rest.add(chunk)
            return b""
        self._rest.add(chunk[:end])
        data = self._rest.take()
        if end < len(chunk):
            self._rest.add(chunk[end:])
        lines = data[:-1].split(b"\n")
        if not self._header:
            return b"\n".join([*self._lines(lines, data.find(b"\\") >= 0), b""])
        self._header = False
        return b"\n".join([lines[0], *self._lines(lines[1:], True), b""])

    def finish(self) -> bytes:
        """Raises ObligationUnfulfillable if a row was left without its end."""
        if self._rest.size:
            raise malformed()
        return b""

    def _always(self, mask: ColumnMask) -> bytes | None:
        if mask.action == NULL:
            return self._null_text
        return escape(mask.constant, self._delimiter[0]) if mask.action == CONSTANT else None

    def _fields(self, line: bytes) -> list[bytes]:
        """The fields of a line with escaped delimiters, as they are written."""
        fields: list[bytes] = []
        held: list[bytes] = []
        for part in line.split(self._delimiter):
            held.append(part)
            if not _odd_backslashes(part):
                fields.append(self._delimiter.join(held))
                held = []
        if held:
            raise malformed()
        return fields

    def _lines(self, lines: list[bytes], escaped: bool) -> list[bytes]:
        """`escaped`: whether there is a backslash in any of them."""
        columns, delimiter, null, plan = self.columns, self._delimiter, self._null_text, self._plan
        out: list[bytes] = []
        cells = 0
        for line in lines:
            fields = line.split(delimiter)
            here = escaped and line.find(b"\\") >= 0
            if here and line.find(self._escaped) >= 0:
                fields = self._fields(line)
            if len(fields) != columns:
                raise malformed()
            for index, written, mask, safe in plan:
                field = fields[index]
                if field == null:
                    if mask.for_null is not None:
                        fields[index] = escape(mask.for_null, delimiter[0])
                        cells += 1
                    continue
                clear = unescape(field) if here and field.find(b"\\") >= 0 else field
                if written is not None:
                    fields[index] = written
                else:
                    value = mask.apply(clear) if COMPILED else mask.function(clear)  # type: ignore[misc]
                    if value is None:
                        value = null
                    elif not safe or clear is not field:
                        value = escape(value, delimiter[0])
                    fields[index] = value
                cells += 1
            out.append(delimiter.join(fields))
        self.rows += len(lines)
        self.masked_cells += cells
        return out
