"""Masks in COPY output in csv format. Compiled by mypyc like `rows`.

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


class CopyCsvRewriter:
    """COPY … TO STDOUT in csv format, as a server writes it: a field is quoted as a whole or not at all."""

    def __init__(
        self,
        columns: int,
        masks: Sequence[ColumnMask],
        delimiter: bytes = b",",
        null: bytes = b"",
        header: bool = False,
        quote: bytes = b'"',
        escape: bytes = b"",
    ) -> None:
        escape = escape or quote
        if len(delimiter) != 1 or len(quote) != 1 or len(escape) != 1 or delimiter == quote:
            raise ObligationUnfulfillable("COPY's options can't be used with masks")
        self.columns = columns
        self.rows = 0
        self.masked_cells = 0
        self._masks = ordered(masks, columns)
        self._delimiter = delimiter
        self._null_text = null
        self._header = header
        self._quote = quote
        self._escape = escape
        self._rest = Pieces()
        self._quoted = False  # at the end of what was looked at, in `_rest`
        self._escaped = False

    def feed(self, chunk: bytes) -> bytes:
        """Raises ObligationUnfulfillable for a row that has not the expected columns or quoting."""
        out: list[bytes] = []
        begin = 0
        while True:
            end = self._row_end(chunk, begin)
            if end < 0:
                if begin < len(chunk):
                    self._rest.add(chunk[begin:])
                return b"".join(out)
            self._rest.add(chunk[begin:end])
            row = self._rest.take()
            if self._header:
                self._header = False
                out.append(row)
            else:
                out.append(self._row(row))
            begin = end

    def finish(self) -> bytes:
        """Raises ObligationUnfulfillable if a row was left without its end."""
        if self._rest.size:
            raise malformed()
        return b""

    def _row_end(self, chunk: bytes, position: int) -> int:
        """Behind the newline that ends the row; -1 if it is not in this chunk."""
        if self._quote != self._escape:
            return self._slow_row_end(chunk, position)
        while True:
            found = chunk.find(b"\n", position)
            stop = found + 1 if found >= 0 else len(chunk)
            if chunk.count(self._quote, position, stop) % 2:
                self._quoted = not self._quoted
            if found < 0:
                return -1
            if not self._quoted:
                return stop
            position = stop

    def _slow_row_end(self, chunk: bytes, position: int) -> int:
        quote, escape = self._quote[0], self._escape[0]
        while position < len(chunk):
            code = chunk[position]
            position += 1
            if self._escaped:
                self._escaped = False
            elif self._quoted and code == escape:
                self._escaped = True
            elif code == quote:
                self._quoted = not self._quoted
            elif code == 10 and not self._quoted:
                return position
        return -1

    def _row(self, row: bytes) -> bytes:
        fields = self._fields(row[:-1])
        if len(fields) != self.columns:
            raise malformed()
        self.rows += 1
        for mask in self._masks:
            index = mask.ordinal - 1
            field = fields[index]
            quoted = field[:1] == self._quote
            if not quoted and field == self._null_text:
                continue
            value = mask.apply(self._unquote(field) if quoted else field)
            fields[index] = self._null_text if value is None else self._written(value)
            self.masked_cells += 1
        return self._delimiter.join(fields) + b"\n"

    def _fields(self, row: bytes) -> list[bytes]:
        """The fields as they are written, quotes included."""
        fields: list[bytes] = []
        position = 0
        while True:
            if row[position : position + 1] == self._quote:
                end = self._closing(row, position + 1) + 1
                if end < len(row) and row[end : end + 1] != self._delimiter:
                    raise malformed()
            else:
                end = row.find(self._delimiter, position)
                if end < 0:
                    end = len(row)
                if row.find(self._quote, position, end) >= 0:
                    raise malformed()
            fields.append(row[position:end])
            if end >= len(row):
                return fields
            position = end + 1

    def _closing(self, row: bytes, position: int) -> int:
        """Where the quote stands that ends the field whose text begins at `position`."""
        quote, escape = self._quote, self._escape
        if quote == escape:
            while True:
                position = row.find(quote, position)
                if position < 0:
                    raise malformed()
                if row[position + 1 : position + 2] != quote:
                    return position
                position += 2
        while position < len(row):
            if row[position : position + 1] == escape:
                position += 2
            elif row[position : position + 1] == quote:
                return position
            else:
                position += 1
        raise malformed()

    def _unquote(self, field: bytes) -> bytes:
        inner = field[1:-1]
        if self._quote == self._escape:
            return inner.replace(self._quote + self._quote, self._quote)
        out = bytearray()
        position = 0
        while position < len(inner):
            if inner[position : position + 1] == self._escape:
                position += 1
            out += inner[position : position + 1]
            position += 1
        return bytes(out)

    def _written(self, value: bytes) -> bytes:
        """Always quoted: the server quotes a value that equals the null string, which must not be seen from outside."""
        out = value.replace(self._escape, self._escape + self._escape)
        if self._quote != self._escape:
            out = out.replace(self._quote, self._escape + self._quote)
        return self._quote + out + self._quote
