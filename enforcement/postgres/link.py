"""One transport: read by awaiting while a connection is set up, by callback once the session runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from struct import Struct
from typing import cast

LENGTH = Struct("!I")
WRITE_BUFFER = 512 * 1024  # bytes that may wait for a slow peer before its source is paused
LARGEST_SETUP_MESSAGE = 64 * 1024  # bytes; tokens with many groups are long


def nowhere(data: bytes) -> None:
    """Where bytes go before there is a connection, and after."""


class Link(asyncio.Protocol):
    """Reading is paused while any reason to pause is named, so that independent reasons can't undo each other.

    `write` is the transport's own while there is a connection; what is written to a lost one is dropped.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self.on_lost: Callable[[], None] | None = None
        self.on_full: Callable[[bool], None] | None = None  # True: the write buffer is full; False: it has room
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self.reasons: set[str] = set()  # why reading is paused; changed by `pause` and `resume`
        self.write: Callable[[bytes], object] = nowhere

    # ── asyncio.Protocol ────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.use(cast(asyncio.Transport, transport))  # uvloop's is no subclass

    def use(self, transport: asyncio.Transport) -> None:
        """Write to `transport` from now on: the connection's first, then the one inside TLS."""
        self.transport = transport
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._wake()

    def eof_received(self) -> bool | None:
        return None  # close the transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.write = nowhere
        self._wake()
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        if self.on_full is not None:
            self.on_full(True)

    def resume_writing(self) -> None:
        if self.on_full is not None:
            self.on_full(False)

    # ── setting up ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read_exactly(self, count: int) -> bytes:
        """Raises ConnectionError when the peer goes before `count` bytes are there."""
        while len(self._buffer) < count:
            if self.lost:
                raise ConnectionResetError("the peer closed the connection")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def read_message(self) -> bytes:
        """One message with code and length, header included. Raises ConnectionError, ValueError when too large."""
        head = await self.read_exactly(5)
        length: int = LENGTH.unpack_from(head, 1)[0]
        if not 4 <= length <= LARGEST_SETUP_MESSAGE:
            raise ValueError("a message of impossible length during connection set-up")
        return head + await self.read_exactly(length - 4)

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def attach(self, sink: Callable[[bytes], None]) -> None:
        """From now on bytes go to `sink`; what was read beyond the set-up goes there first."""
        self.data_received = sink  # type: ignore[method-assign, assignment] # one call less for each message
        if self.transport is not None and not self.lost:
            self.transport.set_write_buffer_limits(high=WRITE_BUFFER)
            self.transport.set_protocol(self)  # transports may have kept the other method
        if self._buffer:
            rest = bytes(self._buffer)
            self._buffer.clear()
            sink(rest)

    # ── writing and pausing ─────────────────────────────────────────────────────────────────────────────────────────

    def pause(self, reason: str) -> None:
        if not self.reasons and self.transport is not None and not self.lost:
            self.transport.pause_reading()
        self.reasons.add(reason)

    def resume(self, reason: str) -> None:
        if reason in self.reasons:
            self.reasons.discard(reason)
            if not self.reasons and self.transport is not None and not self.lost:
                self.transport.resume_reading()

    def rest(self, seconds: float) -> None:
        """Read nothing for so long."""
        self.pause("rest")
        asyncio.get_running_loop().call_later(seconds, self.resume, "rest")

    def close(self) -> None:
        """Send what is buffered, then close."""
        if self.transport is not None and not self.lost:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None and not self.lost:
            self.transport.abort()

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        found = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        return found if isinstance(found, ssl.SSLObject) else None

    @property
    def tls_version(self) -> str:
        found = self.ssl_object
        return (found.version() or "") if found is not None else ""
