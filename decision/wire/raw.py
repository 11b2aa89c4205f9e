"""Protobuf's wire format by hand, where a message is put together from parts that are encoded already.

What stands in front of a value is its tag: the field's number times eight plus 0 for a varint, 2 for sized bytes.
"""

from __future__ import annotations

_ONE = [bytes((low,)) for low in range(0x80)]
MORE = [bytes((0x80 | (two & 0x7F), 0x80 | (two >> 7))) for two in range(0x4000)]
_TWO = [bytes((0x80 | (two & 0x7F), two >> 7)) for two in range(0x4000)]


def varint(number: int) -> bytes:
    """Of an int64. Raises ValueError for what it can't hold."""
    if number < 0x80:
        if number >= 0:
            return _ONE[number]
        if number < -(1 << 63):
            raise ValueError(f"{number} is no int64")
        number += 1 << 64
    elif number >= 1 << 63:
        raise ValueError(f"{number} is no int64")
    return unsigned(number)


def unsigned(number: int) -> bytes:
    """Of what is known to be neither negative nor too large."""
    if number < 0x80:
        return _ONE[number]
    if number < 0x4000:
        return _TWO[number]
    return MORE[number & 0x3FFF] + unsigned(number >> 14)


def sized(tag: bytes, value: bytes) -> bytes:
    """A field of length-delimited type; nothing for an empty value."""
    length = len(value)
    if length < 0x80:
        return b"%b%c%b" % (tag, length, value) if length else b""
    return b"%b%b%b" % (tag, unsigned(length), value)


def place(producer_id: str, epoch: int) -> bytes:
    """The chain's fields that stay the same for as long as the journal is open."""
    return sized(b"\x2a", producer_id.encode()) + (b"\x30" + varint(epoch) if epoch else b"")


def seal(before: bytes, place: bytes, seq: int, prev_hash: bytes, after: bytes) -> bytes:
    """An event's bytes from its halves and its place in the chain."""
    return b"%b%b\x38%b\x42%c%b%b" % (before, place, unsigned(seq), len(prev_hash), prev_hash, after)
