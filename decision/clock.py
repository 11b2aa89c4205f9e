"""The real clock and the real source of ids, handed to the core by the composition."""

from __future__ import annotations

import os
import threading
import time


class SystemClock:
    """Wall and monotonic time of this machine (decision.model.ports.Clock)."""

    def time_unix_nano(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


_RANDOM_BYTES = 10
_BUFFERED = 256  # ids for which random bytes are fetched at once: a call of the kernel costs as much as the id


class Uuid7Source:
    """UUIDv7 (RFC 9562 §5.7): milliseconds, then a counter seeded at random (§6.2 method 1), then random bits.

    Ids of one source are strictly increasing, also within a millisecond and when the clock is set back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millis = 0
        self._counter = 0
        self._random = b""
        self._used = 0

    def new_id(self) -> str:
        with self._lock:
            if self._used == len(self._random):
                self._random, self._used = os.urandom(_RANDOM_BYTES * _BUFFERED), 0
            random = self._random[self._used : self._used + _RANDOM_BYTES]
            self._used += _RANDOM_BYTES
            millis = time.time_ns() // 1_000_000
            if millis > self._millis:
                self._millis = millis
                self._counter = int.from_bytes(random[8:], "big") & 0x3FF  # room to count up: 12 bits, top two free
            else:
                self._counter += 1
                if self._counter > 0xFFF:
                    self._millis += 1
                    self._counter = 0
            value = (self._millis << 80) | (0x7 << 76) | (self._counter << 64)
        value |= (0b10 << 62) | (int.from_bytes(random[:8], "big") & 0x3FFFFFFFFFFFFFFF)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
