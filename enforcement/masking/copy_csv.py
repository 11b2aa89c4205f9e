"""Masks in COPY output in csv format. Compiled by mypyc like `rows`.

`rewrite` takes runs of whole CopyData messages. `feed` takes their payloads in any chunks, gives what may leave so far
and keeps the piece of a row whose end has not come; `finish` says that the output is over. What a server would not
write raises. Everything
is UTF-8, so that no delimiter is part of another character.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import error as struct_error
from typing import Final

from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.copy_messages import fed, in_messages, lines_of
from enforcement.masking.pieces import Pieces
from enforcement.masking.rows import CALL, CONSTANT, NULL, ColumnMask, malformed, ordered

COMPILED: Final = not __file__.endswith(".py")
OF_MASKS: Final = b"*0123456789abcdef"  # what they write beside parts of the value


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
        self._delimiter = delimiter
        self._null_text = null
        self._header = header
        self._quote = quote
        self._escape = escape
        # With each mask: what stands in the place of every value, as it is written, or None where that depends on the
        # value; and whether what it makes of a value without quotes has none.
        safe = quote not in OF_MASKS and escape not in OF_MASKS
        self._plan = [
            (mask.ordinal - 1, self._always(mask), mask, safe and mask.action != CALL)
            for mask in ordered(masks, columns)
        ]
        self._rest = Pieces()
        self._quoted = False  # at the end of what was looked at, in `_rest`
        self._escaped = False

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
            quotes = text.count(self._quote)
            if not lines or text.count(b"\n") != len(lines) - 1 or (quotes and not self._closed(lines)):
                masked = fed(self.feed, buffer, start, end)
            else:
                masked = in_messages(self._lines(lines, quotes > 0))
        except (struct_error, IndexError):
            raise malformed() from None
        return masked, self.rows - rows, self.masked_cells - cells

    def _closed(self, lines: list[bytes]) -> bool:
        """Whether no line ends within quotes; False too where that can't be said at a glance."""
        quote = self._quote
        if quote != self._escape:
            return False
        return all(line.count(quote) % 2 == 0 for line in lines)

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
                out += self._lines([row[:-1]], True)
                out.append(b"\n")
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

    def _always(self, mask: ColumnMask) -> bytes | None:
        if mask.action == NULL:
            return self._null_text
        return self._written(mask.constant) if mask.action == CONSTANT else None

    def _lines(self, rows: list[bytes], quotes: bool) -> list[bytes]:
        """Rows without their last newline. `quotes`: whether there is one in any of them."""
        columns, delimiter, quote, null, plan = self.columns, self._delimiter, self._quote, self._null_text, self._plan
        doubled = quote == self._escape
        out: list[bytes] = []
        cells = 0
        for row in rows:
            if not quotes or row.find(quote) < 0:
                fields = row.split(delimiter)
            else:
                fields = self._by_parity(row) if doubled else self._fields(row)
            if len(fields) != columns:
                raise malformed()
            for index, written, mask, safe in plan:
                field = fields[index]
                quoted = quotes and field[:1] == quote
                if field == null and not quoted:
                    if mask.for_null is not None:
                        fields[index] = self._written(mask.for_null)
                        cells += 1
                    continue
                if written is not None:
                    fields[index] = written
                else:
                    clear = self._unquote(field) if quoted else field
                    value = mask.apply(clear) if COMPILED else mask.function(clear)  # type: ignore[misc]
                    if value is None:
                        fields[index] = null
                    elif safe and not quoted:
                        fields[index] = quote + value + quote
                    else:
                        fields[index] = self._written(value)
                cells += 1
            out.append(delimiter.join(fields))
        self.rows += len(rows)
        self.masked_cells += cells
        return out

    def _by_parity(self, row: bytes) -> list[bytes]:
        """The fields as they are written, where a quote inside is doubled: a field is over when its quotes are even."""
        quote, two = self._quote, self._quote + self._quote
        fields: list[bytes] = []
        held = b""
        for part in row.split(self._delimiter):
            if not held and part.find(quote) < 0:
                fields.append(part)
                continue
            held = held + self._delimiter + part if held else part
            if held.count(quote) % 2:
                continue
            if held[:1] != quote or held[-1:] != quote or held[1:-1].replace(two, b"").find(quote) >= 0:
                raise malformed()
            fields.append(held)
            held = b""
        if held:
            raise malformed()
        return fields

    def _fields(self, row: bytes) -> list[bytes]:
        """The fields as they are written, quotes included, where another character escapes a quote inside."""
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
