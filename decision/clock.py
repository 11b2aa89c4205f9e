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
_DIGITS = 16  # of hexadecimal, taken for each
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # bits 10, then two random ones
_COUNTERS = [f"{counter:03x}-" for counter in range(0x1000)]


class Uuid7Source:
    """UUIDv7 (RFC 9562 §5.7): milliseconds, then a counter seeded at random (§6.2 method 1), then random bits.

    Ids of one source are strictly increasing, also within a millisecond and when the clock is set back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millis = 0
        self._counter = 0
        self._begun = ""
        self._ends: list[str] = []

    def new_id(self) -> str:
        with self._lock:
            if not self._ends:
                self._ends = _random_ends()
            end = self._ends.pop()
            millis = time.time_ns() // 1_000_000
            if millis > self._millis:
                self._begin(millis)
                self._counter = int(end[-3:], 16) & 0x3FF  # room to count up: 12 bits, the top two free
            elif self._counter == 0xFFF:
                self._begin(self._millis + 1)
                self._counter = 0
            else:
                self._counter += 1
            return self._begun + _COUNTERS[self._counter] + end

    def _begin(self, millis: int) -> None:
        self._millis = millis
        text = f"{millis:012x}"
        self._begun = f"{text[:8]}-{text[8:]}-7"


def _random_ends() -> list[str]:
    digits = os.urandom(_DIGITS // 2 * _BUFFERED).hex()
    starts = range(0, len(digits), _DIGITS)
    return [f"{_VARIANTS[digits[n]]}{digits[n + 1 : n + 4]}-{digits[n + 4 : n + 16]}" for n in starts]
