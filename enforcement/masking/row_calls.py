"""Masks in DataRow messages, the way that is fastest for the interpreter: few calls that do much. Never compiled.

Does the same as `rows.RowRewriter`, whose plain arithmetic compiles well and interprets slowly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import Struct
from struct import error as struct_error
from typing import Final

from enforcement.masking.rows import (
    EMAIL,
    HEAD,
    INT32,
    MAILBOX,
    NULL_FIELD,
    ROW,
    SHORT,
    ColumnMask,
    int32,
    malformed,
    ordered,
)

FIRST: Final = Struct("!BiHi")  # the head of a row and the length of its first field
LONG: Final = len(SHORT)
ADDRESSES: Final = re.compile(rb"%b(?:\n%b)*+" % (MAILBOX, MAILBOX))
LONGEST_DOMAIN: Final = 260  # bytes with its @: longer ones are no addresses
HIDDEN: Final = [SHORT[size + 3] + b"***" for size in range(LONGEST_DOMAIN)]
HOPE: Final = 8  # runs with what looks like a mail address and is none, before each value is looked at by itself
SHOWN: Final = [bytes((code,)) + b"***" for code in range(256)]


class CallingRowRewriter:
    """Masks `masks` in rows of `columns` fields. Keeps nothing between calls but how often its guesses were wrong."""

    def __init__(self, columns: int, masks: Sequence[ColumnMask]) -> None:
        self.columns = columns
        self._masks = ordered(masks, columns)
        before = [0] + [mask.ordinal for mask in self._masks]
        # For each mask: the fields to skip before it.
        self._plan = [(range(mask.ordinal - last - 1), mask) for mask, last in zip(self._masks, before, strict=False)]
        self._single = len(self._masks) == 1 and self._masks[0].for_null is None
        self._hope = HOPE if self._single and self._masks[0].action == EMAIL else 0

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        """As `rows.RowRewriter.rewrite`."""
        if not 0 <= start <= end <= len(buffer):
            raise malformed()
        try:
            if not self._single:
                return self._many(buffer, start, end)
            if self._hope:
                found = self._one(buffer, start, end, True)
                if found is not None:
                    return found
                self._hope -= 1
            done = self._one(buffer, start, end, False)
            assert done is not None
            return done
        except (struct_error, IndexError):
            raise malformed() from None

    def _one(self, buffer: bytes, start: int, end: int, mails: bool) -> tuple[bytes, int, int] | None:
        """One column. A row gives four pieces: up to its length, that, up to the masked field, and its mask.

        With `mails`, what has an @ is taken for a mail address, all of which are looked at in the end, at once: None if
        one is none.
        """
        skip, mask = self._plan[0]
        columns, written, function = self.columns, mask.written, mask.function
        head, unpack, short = FIRST.unpack_from, INT32.unpack_from, SHORT
        out: list[bytes] = []
        taken: list[bytes] = []
        nulls = 0
        copied = position = start
        while position < end:
            code, length, count, size = head(buffer, position)
            if code != ROW or count != columns:
                raise malformed()
            field = position + 7
            for _ in skip:
                if size > 0:
                    field += size + 4
                elif size >= -1:
                    field += 4
                else:
                    raise malformed()
                (size,) = unpack(buffer, field)
            after = position + 1 + length
            stop = field + 4 + size
            if size < 0:
                if size < -1 or field + 4 > after:
                    raise malformed()
                nulls += 1
            elif stop > after:
                raise malformed()
            else:
                if function is not None:
                    value = buffer[field + 4 : stop]
                    at = value.find(b"@") if mails else 0
                    if at > 0 and size - at < LONGEST_DOMAIN:  # what is behind the local part stays where it is
                        taken.append(value)
                        written = short[size - at + 4] + SHOWN[value[0]] if at >= 3 else HIDDEN[size - at]
                        stop += at - size
                    else:
                        made = function(value)
                        written = NULL_FIELD if made is None else int32(len(made)) + made
                new = length + len(written) - stop + field
                out += (
                    buffer[copied : position + 1],
                    short[new] if new < LONG else INT32.pack(new),
                    buffer[position + 5 : field],
                    written,
                )
                copied = stop
            position = after
        if position != end:
            raise malformed()
        if taken:
            lines = b"\n".join(taken)
            if lines.count(b"\n") >= len(taken) or ADDRESSES.fullmatch(lines) is None:
                return None
        out.append(buffer[copied:end])
        cells = len(out) // 4
        return b"".join(out), cells + nulls, cells

    def _many(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        columns, plan = self.columns, self._plan
        head, unpack, short = HEAD.unpack_from, INT32.unpack_from, SHORT
        out: list[bytes] = []
        rows = cells = 0
        copied = position = start
        while position < end:
            code, length, count = head(buffer, position)
            after = position + 1 + length
            if code != ROW or count != columns or length < 6 or after > end:
                raise malformed()
            field = position + 7
            slot = -1
            for skip, mask in plan:
                for _ in skip:
                    (size,) = unpack(buffer, field)
                    if size > 0:
                        field += size + 4
                    elif size >= -1:
                        field += 4
                    else:
                        raise malformed()
                (size,) = unpack(buffer, field)
                field += 4
                instead = None
                if size < 0:
                    if size < -1:
                        raise malformed()
                    instead = mask.for_null
                    if instead is None:
                        continue
                    size = 0
                if slot < 0:
                    slot = len(out) + 1
                    out += (buffer[copied : position + 1], b"", buffer[position + 5 : field - 4])
                else:
                    out.append(buffer[copied : field - 4])
                copied = field + size
                if instead is not None:
                    written = int32(len(instead)) + instead
                elif mask.function is None:
                    written = mask.written
                else:
                    made = mask.function(buffer[field:copied])
                    written = NULL_FIELD if made is None else int32(len(made)) + made
                out.append(written)
                length += len(written) - 4 - size
                cells += 1
                field = copied
            if field > after:
                raise malformed()
            if slot >= 0:
                out[slot] = short[length] if length < LONG else INT32.pack(length)
            rows += 1
            position = after
        out.append(buffer[copied:end])
        return b"".join(out), rows, cells
