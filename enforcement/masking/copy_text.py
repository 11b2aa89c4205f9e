"""Masks in COPY output in text format. Compiled by mypyc like `rows`.

Fed with the payloads of CopyData messages in any chunks, `feed` gives what may leave so far and keeps the piece of a
row whose end has not come; `finish` says that the output is over. What a server would not write raises. Everything
is UTF-8, so that no delimiter is part of another character.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.pieces import Pieces
from enforcement.masking.rows import ColumnMask, malformed, ordered

COMPILED: Final = not __file__.endswith(".py")
ESCAPES: Final = {98: 8, 102: 12, 110: 10, 114: 13, 116: 9, 118: 11}  # \b \f \n \r \t \v
WRITTEN: Final = {8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r", 92: b"\\\\"}
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
        self._masks = ordered(masks, columns)
        self._delimiter = delimiter
        self._null_text = null
        self._header = header
        self._rest = Pieces()

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
        out: list[bytes] = []
        for line in data[:-1].split(b"\n"):
            if self._header:
                self._header = False
                out.append(line)
            else:
                out.append(self._line(line))
        out.append(b"")
        return b"\n".join(out)

    def finish(self) -> bytes:
        """Raises ObligationUnfulfillable if a row was left without its end."""
        if self._rest.size:
            raise malformed()
        return b""

    def _fields(self, line: bytes) -> list[bytes]:
        parts = line.split(self._delimiter)
        if line.find(b"\\" + self._delimiter) < 0:
            return parts
        fields: list[bytes] = []
        held: list[bytes] = []
        for part in parts:
            held.append(part)
            if not _odd_backslashes(part):
                fields.append(self._delimiter.join(held))
                held = []
        if held:
            raise malformed()
        return fields

    def _line(self, line: bytes) -> bytes:
        fields = self._fields(line)
        if len(fields) != self.columns:
            raise malformed()
        self.rows += 1
        for mask in self._masks:
            index = mask.ordinal - 1
            field = fields[index]
            if field == self._null_text:
                continue
            value = mask.apply(unescape(field) if field.find(b"\\") >= 0 else field)
            fields[index] = self._null_text if value is None else escape(value, self._delimiter[0])
            self.masked_cells += 1
        return self._delimiter.join(fields)
