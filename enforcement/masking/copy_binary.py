"""Masks in COPY output in binary format. Compiled by mypyc like `rows`.

`rewrite` takes runs of whole CopyData messages. `feed` takes their payloads in any chunks, gives what may leave so far
and keeps the piece of a row whose end has not come; `finish` says that the output is over. What a server would not
write raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from struct import error as struct_error
from typing import Final

from enforcement.masking.copy_messages import fed, head_of, message_end
from enforcement.masking.pieces import Pieces
from enforcement.masking.rows import (
    NULL_FIELD,
    ColumnMask,
    int32,
    malformed,
    ordered,
    read_int32,
)

COMPILED: Final = not __file__.endswith(".py")
SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00"
HEADER: Final = Struct("!II")
INT16: Final = Struct("!h")
INT32: Final = Struct("!i")


class CopyBinaryRewriter:
    """COPY … TO STDOUT in binary format: a header, tuples like DataRow's bodies, a trailer."""

    def __init__(self, columns: int, masks: Sequence[ColumnMask]) -> None:
        self.columns = columns
        self.rows = 0
        self.masked_cells = 0
        self._masks = ordered(masks, columns)
        self._rest = Pieces()
        self._have = 0
        self._need = len(SIGNATURE) + 8
        self._header = True
        self._over = False

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        """The whole CopyData messages in buffer[start:end], masked; the number of rows and of masked cells.

        A row that comes in one message leaves in one. Raises ObligationUnfulfillable like `feed`, and for messages that
        are cut or are no CopyData.
        """
        if not 0 <= start <= end <= len(buffer):
            raise malformed()
        rows, cells = self.rows, self.masked_cells
        try:
            out: list[bytes] = []
            position = start
            while position < end:
                after = self._tuples(buffer, position, end, out)
                if after == position:  # the header, the trailer, or a piece
                    after = message_end(buffer, position, end)
                    out.append(fed(self.feed, buffer, position, after))
                position = after
            masked = b"".join(out)
        except (struct_error, IndexError):
            raise malformed() from None
        return masked, self.rows - rows, self.masked_cells - cells

    def _tuples(self, buffer: bytes, start: int, end: int, out: list[bytes]) -> int:
        """Mask as many messages as hold one whole tuple each; where they end."""
        position = start
        while position < end and not (self._header or self._over or self._have):
            after = message_end(buffer, position, end)
            if after - position < 7 or (buffer[position + 5] << 8 | buffer[position + 6]) != self.columns:
                break
            if self._fields_end(buffer, position + 7, after) != after:
                break
            slot = len(out)
            out.append(b"")
            size = self._tuple(buffer, position + 5, after, out)
            out[slot] = head_of(size)
            position = after
        return position

    def _fields_end(self, buffer: bytes, position: int, end: int) -> int:
        """Behind the fields at `position`; -1 if they are not whole."""
        for _ in range(self.columns):
            if position + 4 > end:
                return -1
            if COMPILED:
                size = read_int32(buffer, position)
            else:
                size = INT32.unpack_from(buffer, position)[0]
            if size < -1:
                raise malformed()
            position += 4 + size if size > 0 else 4
        return position

    def feed(self, chunk: bytes) -> bytes:
        """Raises ObligationUnfulfillable for another header than known, and tuples with other columns."""
        if not chunk:
            return b""
        self._rest.add(chunk)
        self._have += len(chunk)
        if self._have < self._need:
            return b""
        data = self._rest.take()
        out: list[bytes] = []
        position = 0
        while not self._over or position < len(data):
            end = self._head(data) if self._header else self._tuple_end(data, position)
            if end < 0:
                break
            if self._header:
                self._header = False
                out.append(data[:end])
            elif self._over:
                out.append(data[position:end])
            else:
                self._tuple(data, position, end, out)
            position = end
        left = data[position:]
        self._have = len(left)
        if left:
            self._rest.add(left)
        return b"".join(out)

    def finish(self) -> bytes:
        """Raises ObligationUnfulfillable if the trailer did not come."""
        if not self._over:
            raise malformed()
        return b""

    def _head(self, data: bytes) -> int:
        if data[: len(SIGNATURE)] != SIGNATURE:
            raise malformed()
        flags: int = HEADER.unpack_from(data, len(SIGNATURE))[0]
        extension: int = HEADER.unpack_from(data, len(SIGNATURE))[1]
        if flags or extension > 65536:
            raise malformed()
        end = len(SIGNATURE) + 8 + extension
        if end > len(data):
            self._need = end
            return -1
        return end

    def _tuple_end(self, data: bytes, position: int) -> int:
        """Behind the tuple or trailer at `position`; -1 if it is not whole, with `_need` set."""
        start = position
        if self._over:
            raise malformed()
        if len(data) < position + 2:
            self._need = 2
            return -1
        count: int = INT16.unpack_from(data, position)[0]
        if count == -1:
            self._over = True
            self._need = 1
            return position + 2
        if count != self.columns:
            raise malformed()
        position += 2
        for _ in range(count):
            if len(data) < position + 4:
                self._need = position + 4 - start
                return -1
            size: int = INT32.unpack_from(data, position)[0]
            if size < -1:
                raise malformed()
            position += 4 + size if size > 0 else 4
        if len(data) < position:
            self._need = position - start
            return -1
        return position

    def _tuple(self, data: bytes, start: int, end: int, out: list[bytes]) -> int:
        """Write the tuple in data[start:end], masked; the size of what was written."""
        copied, position, column, written = start, start + 2, 0, end - start
        self.rows += 1
        for mask in self._masks:
            size = 0
            while column < mask.ordinal:
                position += size if size > 0 else 0
                size = read_int32(data, position) if COMPILED else INT32.unpack_from(data, position)[0]
                position += 4
                column += 1
            if size < 0 and mask.for_null is None:
                continue
            out.append(data[copied : position - 4])
            if size < 0:
                value, size = mask.for_null, 0
                copied = position
            else:
                copied = position + size
                value = mask.apply(data[position:copied])
            if value is None:
                out.append(NULL_FIELD)
                written -= size
            else:
                out.append(int32(len(value)))
                out.append(value)
                written += len(value) - size
            position = copied
            self.masked_cells += 1
        out.append(data[copied:end])
        return written
