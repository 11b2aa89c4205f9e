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


_BUFFERED = 256  # ids for which random bytes are fetched at once: a call of the kernel costs as much as the id
_DIGITS = 20  # of hexadecimal, taken for each: 16 stand in the id, the others seed the counter
_VARIANTS = "89ab"  # the variant's two bits 10, then two random ones


class Uuid7Source:
    """UUIDv7 (RFC 9562 §5.7): milliseconds, then a counter seeded at random (§6.2 method 1), then random bits.

    Ids of one source are strictly increasing, also within a millisecond and when the clock is set back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millis = 0
        self._counter = 0
        self._begun = ""
        self._random = ""
        self._used = 0

    def new_id(self) -> str:
        with self._lock:
            used = self._used
            if used == len(self._random):
                self._random, used = os.urandom(_DIGITS // 2 * _BUFFERED).hex(), 0
            random = self._random
            self._used = used + _DIGITS
            millis = time.time_ns() // 1_000_000
            if millis > self._millis:
                self._begin(millis)
                self._counter = int(random[used + 16 : used + 20], 16) & 0x3FF  # room to count up: 12 bits, top free
            else:
                self._counter += 1
                if self._counter > 0xFFF:
                    self._begin(self._millis + 1)
                    self._counter = 0
            begun, counter = self._begun, self._counter
        variant = _VARIANTS[int(random[used], 16) & 3]
        return f"{begun}{counter:03x}-{variant}{random[used + 1 : used + 4]}-{random[used + 4 : used + 16]}"

    def _begin(self, millis: int) -> None:
        self._millis = millis
        text = f"{millis:012x}"
        self._begun = f"{text[:8]}-{text[8:]}-7"
