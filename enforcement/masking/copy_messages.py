"""CopyData messages of COPY output: payloads out of a run of them, and into messages again. Compiled like `rows`."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from enforcement.masking.rows import INT32, malformed, read_int32

COMPILED: Final = not __file__.endswith(".py")
COPY: Final = 100  # 'd'
MESSAGE: Final = Struct("!Bi")
HEADS = [b"d" + INT32.pack(size + 4) for size in range(4096)]  # of messages with that much payload


def lines_of(buffer: bytes, start: int, end: int) -> list[bytes]:
    """The payloads of the whole CopyData messages in buffer[start:end], without the newline that each must end in: none
    if one does not. Raises ObligationUnfulfillable for what are no such messages."""
    lines: list[bytes] = []
    position, length, code = start, 0, 0
    while position < end:
        if COMPILED:
            code, length = buffer[position], read_int32(buffer, position + 1)
        else:
            code, length = MESSAGE.unpack_from(buffer, position)
        after = position + 1 + length
        if code != COPY or length < 4 or after > end:
            raise malformed()
        if length == 4 or buffer[after - 1] != 10:
            return []
        lines.append(buffer[position + 5 : after - 1])
        position = after
    return lines


def in_messages(lines: list[bytes]) -> bytes:
    """Each line, with its newline again, in a CopyData message."""
    heads, long = HEADS, len(HEADS)
    out: list[bytes] = []
    for line in lines:
        size = len(line) + 1
        if COMPILED:
            out.append(heads[size] if size < long else head_of(size))
            out.append(line)
            out.append(b"\n")
        else:
            out += (heads[size] if size < long else head_of(size), line, b"\n")
    return b"".join(out)


def head_of(size: int) -> bytes:
    """What stands before `size` bytes of payload in a CopyData message."""
    return b"d" + INT32.pack(size + 4)


def fed(feed: Callable[[bytes], bytes], buffer: bytes, start: int, end: int) -> bytes:
    """What `feed` makes of each payload of the CopyData messages in buffer[start:end], in messages of its own."""
    out: list[bytes] = []
    position = start
    while position < end:
        after = message_end(buffer, position, end)
        data = feed(buffer[position + 5 : after])
        if data:
            out.append(head_of(len(data)))
            out.append(data)
        position = after
    return b"".join(out)


def message_end(buffer: bytes, position: int, end: int) -> int:
    """Where the CopyData message at `position` ends. Raises ObligationUnfulfillable if that is behind `end`."""
    if COMPILED:
        code, length = buffer[position], read_int32(buffer, position + 1)
    else:
        code, length = MESSAGE.unpack_from(buffer, position)
    if code != COPY or length < 4 or position + 1 + length > end:
        raise malformed()
    return position + 1 + length
