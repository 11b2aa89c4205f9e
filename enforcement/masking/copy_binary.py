"""Masks in COPY output in binary format. Compiled by mypyc like `rows`.

Fed with the payloads of CopyData messages in any chunks, `feed` gives what may leave so far and keeps the piece of a
row whose end has not come; `finish` says that the output is over. What a server would not write raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from enforcement.masking.pieces import Pieces
from enforcement.masking.rows import ColumnMask, int32, malformed, ordered

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
                self._tuple(data, position, out)
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

    def _tuple(self, data: bytes, position: int, out: list[bytes]) -> None:
        copied = position
        position += 2
        self.rows += 1
        column = 0
        for mask in self._masks:
            while True:
                size: int = INT32.unpack_from(data, position)[0]
                begin = position + 4
                position = begin + size if size > 0 else begin
                column += 1
                if column == mask.ordinal:
                    break
            if size < 0:
                continue
            out.append(data[copied : begin - 4])
            copied = position
            value = mask.apply(data[begin:position])
            if value is None:
                out.append(b"\xff\xff\xff\xff")
            else:
                out.append(int32(len(value)))
                out.append(value)
            self.masked_cells += 1
        while column < self.columns:
            size = INT32.unpack_from(data, position)[0]
            position += 4 + size if size > 0 else 4
            column += 1
        out.append(data[copied:position])
