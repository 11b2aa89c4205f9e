"""One stored batch: events one after the other, each with its length in 4 bytes before it."""

from __future__ import annotations

from collections.abc import Sequence

_PREFIX = 4


def pack(raws: Sequence[bytes]) -> bytes:
    return b"".join([part for raw in raws for part in (len(raw).to_bytes(_PREFIX, "big"), raw)])


def unpack(frames: bytes, skip: int = 0) -> list[bytes]:
    """The events after the first `skip`. Raises ValueError where the lengths do not add up."""
    raws: list[bytes] = []
    position, end = 0, len(frames)
    while position < end:
        start = position + _PREFIX
        position = start + int.from_bytes(frames[position:start], "big")
        if position > end or start > end:
            raise ValueError("the batch's lengths do not add up")
        if skip:
            skip -= 1
        else:
            raws.append(frames[start:position])
    return raws
