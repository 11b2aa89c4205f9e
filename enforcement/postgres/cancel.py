"""Our own cancel keys: a client never learns the server's. The process id carries the worker, so that workers behind
one port can tell whose key it is."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Protocol

from enforcement.postgres.upstream import Randomness

SHORT, LONG = 4, 32  # bytes of secret: protocol 3.0 knows four only
SESSION_BITS = 22


class Cancellable(Protocol):
    async def cancel(self) -> None: ...


class CancelKeys:
    """Keys of the sessions of one worker (0 to 255)."""

    def __init__(self, worker_id: int, randomness: Randomness) -> None:
        self._worker_id = worker_id
        self._randomness = randomness
        self._sessions: dict[int, tuple[bytes, Cancellable]] = {}
        self._next = 0

    def issue(self, session: Cancellable, *, long: bool) -> tuple[int, bytes, Callable[[], None]]:
        """Process id, secret, and how to give the key up."""
        while True:
            self._next = (self._next + 1) % (1 << SESSION_BITS)
            process_id = (self._worker_id << SESSION_BITS) | self._next
            if self._next and process_id not in self._sessions:
                break
        secret = self._randomness(LONG if long else SHORT)
        self._sessions[process_id] = (secret, session)
        return process_id, secret, lambda: self._sessions.pop(process_id, None) and None

    def worker_of(self, process_id: int) -> int:
        return process_id >> SESSION_BITS

    def find(self, process_id: int, secret: bytes) -> Cancellable | None:
        known = self._sessions.get(process_id)
        if known is None or not hmac.compare_digest(known[0], secret):
            return None
        return known[1]
