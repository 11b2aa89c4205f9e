"""Masks in DataRow messages. The hot module: plain typed Python that runs the same interpreted and compiled by mypyc.

A result passes as runs of whole DataRow messages ('D', int32 length, int16 count, then per field an int32 length, -1
for NULL, and the value). Only masked fields are rebuilt; everything between them is copied in slices as large as
possible, across rows where nothing changes. What does not have the described shape raises: a row that can't be
understood can't be masked.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as struct_error
from typing import Final

from decision.model.errors import ObligationUnfulfillable

INT32 = Struct("!i")
HEAD = Struct("!BiH")
ROW: Final = 68  # 'D'
SHORT = [INT32.pack(number) for number in range(4096)]  # int32 of the usual lengths
NULL_FIELD: Final = b"\xff\xff\xff\xff"
COMPILED: Final = not __file__.endswith(".py")

# What is done to a value.
NULL: Final = 0  # it becomes NULL
CONSTANT: Final = 1  # it becomes the same constant for every value
EMAIL: Final = 2
LAST_FOUR: Final = 3
PARTIAL: Final = 4
HASH: Final = 5
CALL: Final = 6  # whatever a function makes of it

FULL_TEXT: Final = b"***"
NO_DIGITS: Final = b"****"
ALNUM: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MAILBOX: Final = ALNUM + b"._%+-'@"
PUNCTUATION: Final = bytes(set(range(128)) - set(ALNUM))
LONGEST_MAILBOX: Final = 320
LEAST_PARTIAL: Final = 6
LEAST_LAST_FOUR: Final = 8


def int32(number: int) -> bytes:
    """`number` (not negative) as four bytes."""
    return SHORT[number] if number < 4096 else INT32.pack(number)


def mask_email(value: bytes) -> bytes:
    """`alice@example.com` to `a***@example.com`; a local part under 3 shows nothing; what is no address is `***`."""
    value = value.strip(b" ")
    at = value.find(b"@")
    if at < 1 or len(value) > LONGEST_MAILBOX or value.translate(None, MAILBOX):
        return FULL_TEXT
    domain = value[at:]
    if domain.find(b".") < 2 or domain.rfind(b"@") > 0:
        return FULL_TEXT
    return value[:1] + b"***" + domain if at >= 3 else b"***" + domain


def mask_last_four(value: bytes) -> bytes:
    """`4111-1111-1111-1234` to `****1234`; fewer than 8 letters and digits, or others than ASCII's, show nothing."""
    if not value.isascii():
        return NO_DIGITS
    kept = value.translate(None, PUNCTUATION)
    return NO_DIGITS + kept[-4:] if len(kept) >= LEAST_LAST_FOUR else NO_DIGITS


def mask_partial(value: bytes) -> bytes:
    """`Jonathan` to `J***n`, by characters; fewer than 6 characters show nothing."""
    text = value.strip(b" ").decode("utf-8", "replace")
    return (text[0] + "***" + text[-1]).encode() if len(text) >= LEAST_PARTIAL else FULL_TEXT


def pseudonym(key: bytes, value: bytes) -> bytes:
    """32 hexadecimal digits of HMAC-SHA-256: equal values stay equal, so joins and GROUP BY still work."""
    return hmac.digest(key, value, "sha256").hex()[:32].encode("ascii")


class ColumnMask:
    """How one column is masked. `ordinal` is 1-based; `constant`, `key`, `function` serve the actions that use them."""

    def __init__(
        self,
        ordinal: int,
        action: int,
        constant: bytes = b"",
        key: bytes = b"",
        function: Callable[[bytes], bytes | None] | None = None,
    ) -> None:
        if action < NULL or action > CALL or (action == CALL) != (function is not None) or (action == HASH and not key):
            raise ObligationUnfulfillable("a mask lacks what its method needs")
        self.ordinal = ordinal
        self.action = action
        self.constant = constant
        self.key = key
        self.function = function

    def apply(self, value: bytes) -> bytes | None:
        """What leaves instead of `value` (not NULL); None for NULL."""
        action = self.action
        if action == NULL:
            return None
        if action == CONSTANT:
            return self.constant
        if action == EMAIL:
            return mask_email(value)
        if action == LAST_FOUR:
            return mask_last_four(value)
        if action == PARTIAL:
            return mask_partial(value)
        if action == HASH:
            return pseudonym(self.key, value)
        function = self.function
        assert function is not None
        return function(value)


def malformed() -> ObligationUnfulfillable:
    return ObligationUnfulfillable(
        "the server's rows do not have the form that it described, so that they can't be masked",
        hint="run the statement again; if it stays so, select the columns by name",
    )


def ordered(masks: Sequence[ColumnMask], columns: int) -> list[ColumnMask]:
    """By ordinal. Raises ObligationUnfulfillable for a column that is none, or is named twice."""
    found = sorted(masks, key=lambda mask: mask.ordinal)
    last = 0
    for mask in found:
        if mask.ordinal <= last or mask.ordinal > columns:
            raise ObligationUnfulfillable(f"output column {mask.ordinal} of {columns} can't be masked")
        last = mask.ordinal
    return found


def _by_struct(buffer: bytes, position: int, ordinals: list[int], starts: list[int], sizes: list[int]) -> int:
    """Where the fields to mask lie and how long they are; the end of the last one. The way of the interpreter."""
    unpack = INT32.unpack_from
    column = 1
    for index, ordinal in enumerate(ordinals):
        while column < ordinal:
            size: int = unpack(buffer, position)[0]
            if size >= 0:
                position += 4 + size
            elif size == -1:
                position += 4
            else:
                raise malformed()
            column += 1
        size = unpack(buffer, position)[0]
        if size < -1:
            raise malformed()
        starts[index] = position
        sizes[index] = size
        position += 4 + size if size > 0 else 4
        column += 1
    return position


def _by_shifts(buffer: bytes, position: int, ordinals: list[int], starts: list[int], sizes: list[int]) -> int:
    """The same as `_by_struct`, the way that compiles well."""
    column = 1
    for index in range(len(ordinals)):
        ordinal = ordinals[index]
        while True:
            size = (
                (buffer[position] << 24)
                | (buffer[position + 1] << 16)
                | (buffer[position + 2] << 8)
                | buffer[position + 3]
            )
            if size >= 0x80000000:
                if size != 0xFFFFFFFF:
                    raise malformed()
                size = -1
            column += 1
            if column > ordinal:
                break
            position += 4 + size if size > 0 else 4
        starts[index] = position
        sizes[index] = size
        position += 4 + size if size > 0 else 4
    return position


class RowRewriter:
    """Masks `masks` in rows of `columns` fields. Keeps no state between calls."""

    def __init__(self, columns: int, masks: Sequence[ColumnMask], native: bool = COMPILED) -> None:
        self.columns = columns
        self._masks = ordered(masks, columns)
        self._ordinals = [mask.ordinal for mask in self._masks]
        self._starts = [0] * len(self._masks)
        self._sizes = [0] * len(self._masks)
        self._native = native

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        """The whole DataRow messages in buffer[start:end], masked; the number of rows and of masked cells.

        Raises ObligationUnfulfillable for rows that are cut, have another number of fields, or are malformed.
        """
        if not 0 <= start <= end <= len(buffer):
            raise malformed()
        try:
            return self._rewrite(buffer, start, end)
        except (struct_error, IndexError):
            raise malformed() from None

    def _rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        out: list[bytes] = []
        starts, sizes, ordinals, columns = self._starts, self._sizes, self._ordinals, self.columns
        head = HEAD.unpack_from
        rows = cells = 0
        copied = position = start
        while position < end:
            if self._native:
                code = buffer[position]
                length = (
                    (buffer[position + 1] << 24)
                    | (buffer[position + 2] << 16)
                    | (buffer[position + 3] << 8)
                    | buffer[position + 4]
                )
                count = (buffer[position + 5] << 8) | buffer[position + 6]
                after = position + 1 + length
                if code != ROW or count != columns or length < 6 or after > end:
                    raise malformed()
                limit = _by_shifts(buffer, position + 7, ordinals, starts, sizes)
            else:
                code, length, count = head(buffer, position)
                after = position + 1 + length
                if code != ROW or count != columns or length < 6 or after > end:
                    raise malformed()
                limit = _by_struct(buffer, position + 7, ordinals, starts, sizes)
            if limit > after:
                raise malformed()
            slot = -1
            growth = 0
            for index, mask in enumerate(self._masks):
                size = sizes[index]
                if size < 0:
                    continue
                field = starts[index] + 4
                value = mask.apply(buffer[field : field + size])
                if slot < 0:
                    out.append(buffer[copied : position + 1])
                    slot = len(out)
                    out.append(b"")
                    copied = position + 5
                out.append(buffer[copied : field - 4])
                if value is None:
                    out.append(NULL_FIELD)
                    growth -= size
                else:
                    new = len(value)
                    out.append(SHORT[new] if new < 4096 else INT32.pack(new))
                    out.append(value)
                    growth += new - size
                copied = field + size
                cells += 1
            if slot >= 0:
                new = length + growth
                out[slot] = SHORT[new] if new < 4096 else INT32.pack(new)
            rows += 1
            position = after
        out.append(buffer[copied:end])
        return b"".join(out), rows, cells


def count_messages(buffer: bytes, start: int, end: int, code: int, most: int) -> tuple[int, int]:
    """How many whole messages of `code` stand at `start`, at most `most` (-1: no bound), and where they end."""
    position, found = start, 0
    unpack = INT32.unpack_from
    while found != most and position + 5 <= end and buffer[position] == code:
        length: int = unpack(buffer, position + 1)[0]
        if length < 4:
            raise malformed()
        if position + 1 + length > end:
            break
        position += 1 + length
        found += 1
    return position, found
