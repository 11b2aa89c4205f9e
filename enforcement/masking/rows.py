"""Masks in DataRow messages. The hot module: plain typed Python, compiled by mypyc.

A result passes as runs of whole DataRow messages ('D', int32 length, int16 count, then per field an int32 length, -1
for NULL, and the value). Only masked fields are rebuilt; everything between them is copied in slices as large as
possible, across rows where nothing changes. What does not have the described shape raises: a row that can't be
understood can't be masked.

`RowRewriter` is made to be compiled; `row_calls` has what is used instead of it where nothing is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from decision.model.errors import ObligationUnfulfillable

INT32 = Struct("!i")
HEAD = Struct("!BiH")
MESSAGE = Struct("!Bi")
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
LOCAL: Final = 64  # the most characters of a local part, of a domain's first label, and of its rest
LABEL: Final = 64
REST: Final = 191
MAILBOX: Final = rb"[A-Za-z0-9._%+'-]{1,64}+@[A-Za-z0-9_%+'-]{1,64}+\.[A-Za-z0-9._%+'-]{0,191}+"
ADDRESS: Final = re.compile(MAILBOX)
KINDS: Final = bytes({64: 2, 46: 3}.get(code, 1 if code in ALNUM + b"_%+-'" else 0) for code in range(256))
PUNCTUATION: Final = bytes(set(range(128)) - set(ALNUM))
LEAST_PARTIAL: Final = 6
LEAST_LAST_FOUR: Final = 8


def int32(number: int) -> bytes:
    """`number` (not negative) as four bytes."""
    return SHORT[number] if number < 4096 else INT32.pack(number)


def at_sign(value: bytes) -> int:
    """Where the @ of a mail address stands; -1 if `value` is none. The compiled way; the interpreted is ADDRESS."""
    at = dot = -1
    for index in range(len(value)):
        kind = KINDS[value[index]]
        if kind == 0 or (kind == 2 and at >= 0):
            return -1
        if kind == 2:
            at = index
        elif kind == 3 and at >= 0 and dot < 0:
            dot = index
    end = len(value)
    fits = 0 < at <= LOCAL and 0 < dot - at - 1 <= LABEL and end - dot - 1 <= REST
    return at if fits else -1


def mask_email(value: bytes) -> bytes:
    """`alice@example.com` to `a***@example.com`; a local part under 3 shows nothing; what is no address is `***`."""
    if COMPILED:
        at = at_sign(value)
    else:
        at = value.find(b"@") if ADDRESS.fullmatch(value) else -1
    if at < 0:
        bare = value.strip(b" ")
        return mask_email(bare) if len(bare) < len(value) else FULL_TEXT
    return value[:1] + b"***" + value[at:] if at >= 3 else b"***" + value[at:]


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


class Pseudonyms:
    """HMAC-SHA-256 under one key: equal values stay equal, so joins and GROUP BY still work.

    The key's two blocks are hashed once; each value starts from copies of that, in a third of the time.
    """

    def __init__(self, key: bytes) -> None:
        if not key:
            raise ObligationUnfulfillable("masking by hash needs a key")
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\x00")
        self._inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in block]))
        self._outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in block]))

    def digest(self, value: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(value)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def text(self, value: bytes) -> bytes:
        """The first half of the digest as 32 hexadecimal digits."""
        return self.digest(value)[:16].hex().encode("ascii")


class ColumnMask:
    """How one column is masked. `ordinal` is 1-based; `constant`, `key`, `function` serve the actions that use them.

    `for_null` is what leaves instead of NULL; None, unless `cover_null` was called, for NULL.
    """

    def __init__(
        self,
        ordinal: int,
        action: int,
        constant: bytes = b"",
        key: bytes = b"",
        function: Callable[[bytes], bytes | None] | None = None,
    ) -> None:
        if action < NULL or action > CALL or (action == CALL) != (function is not None):
            raise ObligationUnfulfillable("a mask lacks what its method needs")
        self.ordinal = ordinal
        self.action = action
        self.constant = constant
        self.function = function
        if action == HASH:
            self.function = Pseudonyms(key).text
        elif action in (EMAIL, LAST_FOUR, PARTIAL):
            self.function = (mask_email, mask_last_four, mask_partial)[action - EMAIL]
        self.written = NULL_FIELD if action == NULL else int32(len(constant)) + constant
        self.for_null: bytes | None = None

    def cover_null(self) -> None:
        """From now on NULL can't be told from a value, as far as the action goes: a function of a value (CALL) has
        none for NULL."""
        if self.action in (CONSTANT, EMAIL, LAST_FOUR, PARTIAL, HASH):
            self.for_null = self.apply(b"")

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


class RowRewriter:
    """Masks `masks` in rows of `columns` fields by plain arithmetic. Keeps no state between calls."""

    def __init__(self, columns: int, masks: Sequence[ColumnMask]) -> None:
        self.columns = columns
        self._masks = ordered(masks, columns)
        before = [0] + [mask.ordinal for mask in self._masks]
        # For each mask: the fields to skip before it.
        self._skips = [mask.ordinal - last - 1 for mask, last in zip(self._masks, before, strict=False)]

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        """The whole DataRow messages in buffer[start:end], masked; the number of rows and of masked cells.

        Raises ObligationUnfulfillable for rows that are cut, have another number of fields, or are malformed.
        """
        if not 0 <= start <= end <= len(buffer):
            raise malformed()
        try:
            return self._rewrite(buffer, start, end)
        except IndexError:
            raise malformed() from None

    def _rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        out: list[bytes] = []
        masks, skips, columns = self._masks, self._skips, self.columns
        rows = cells = 0
        copied = position = start
        while position < end:
            length = read_int32(buffer, position + 1)
            after = position + 1 + length
            count = (buffer[position + 5] << 8) | buffer[position + 6]
            if buffer[position] != ROW or count != columns or length < 6 or after > end:
                raise malformed()
            field = position + 7
            slot = -1
            growth = 0
            for index in range(len(masks)):
                for _ in range(skips[index]):
                    field = behind(field + 4, read_int32(buffer, field))
                size = read_int32(buffer, field)
                field += 4
                stop = behind(field, size)
                mask = masks[index]
                instead = mask.for_null if size < 0 else None
                if size < 0 and instead is None:
                    continue
                if slot < 0:
                    out.append(buffer[copied : position + 1])
                    slot = len(out)
                    out.append(b"")
                    copied = position + 5
                out.append(buffer[copied : field - 4])
                copied = stop
                if instead is not None:
                    out.append(int32(len(instead)))
                    out.append(instead)
                    growth += len(instead)
                elif mask.action <= CONSTANT:
                    out.append(mask.written)
                    growth += len(mask.written) - 4 - size
                else:
                    value = mask.apply(buffer[field:stop])
                    if value is None:
                        out.append(NULL_FIELD)
                        growth -= size
                    else:
                        out.append(int32(len(value)))
                        out.append(value)
                        growth += len(value) - size
                cells += 1
                field = stop
            if field > after:
                raise malformed()
            if slot >= 0:
                out[slot] = int32(length + growth)
            rows += 1
            position = after
        out.append(buffer[copied:end])
        return b"".join(out), rows, cells


def read_int32(buffer: bytes, position: int) -> int:
    """Signed, big-endian."""
    number = (
        (buffer[position] << 24) | (buffer[position + 1] << 16) | (buffer[position + 2] << 8) | buffer[position + 3]
    )
    return number - 0x100000000 if number >= 0x80000000 else number


def behind(begin: int, size: int) -> int:
    """Where a value of `size` bytes ends that begins at `begin`; -1 is NULL. Raises ObligationUnfulfillable below."""
    if size < -1:
        raise malformed()
    return begin + size if size > 0 else begin


def count_messages(buffer: bytes, start: int, end: int, code: int, most: int) -> tuple[int, int]:
    """How many whole messages of `code` stand at `start`, at most `most` (-1: no bound), and where they end."""
    if COMPILED:
        return _count_by_arithmetic(buffer, start, end, code, most)
    head = MESSAGE.unpack_from
    position, found, last, length = start, 0, end - 5, 0
    while position <= last:
        got: int
        got, length = head(buffer, position)
        if got != code or found == most:
            break
        if length < 4:
            raise malformed()
        position += length + 1
        found += 1
    if position > end:  # the last one is not whole
        return position - length - 1, found - 1
    return position, found


def _count_by_arithmetic(buffer: bytes, start: int, end: int, code: int, most: int) -> tuple[int, int]:
    position, found = start, 0
    while found != most and position + 5 <= end and buffer[position] == code:
        length = read_int32(buffer, position + 1)
        if length < 4:
            raise malformed()
        if position + 1 + length > end:
            break
        position += 1 + length
        found += 1
    return position, found
