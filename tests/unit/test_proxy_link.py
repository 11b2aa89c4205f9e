"""A link: reading rests while there is a reason to, writing follows the transport, nothing read ahead is lost."""

from __future__ import annotations

import asyncio
from typing import cast

from enforcement.postgres.link import Link


class Transport:
    """Keeps what is done to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.steps: list[str] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def pause_reading(self) -> None:
        self.steps.append("pause")

    def resume_reading(self) -> None:
        self.steps.append("resume")

    def set_write_buffer_limits(self, high: int) -> None:
        self.steps.append("limits")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.steps.append("protocol")

    @property
    def asyncio(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self)


def linked() -> tuple[Link, Transport]:
    link, transport = Link(), Transport()
    link.connection_made(transport.asyncio)
    return link, transport


async def test_a_rest_ends_by_itself() -> None:
    """Reading is paused once, and goes on after the time, however many rests were asked for."""
    link, transport = linked()
    link.rest(0.001)
    link.rest(0.001)
    assert transport.steps == ["pause"]
    async with asyncio.timeout(10):
        while link.reasons:
            await asyncio.sleep(0)
    assert transport.steps == ["pause", "resume"]


async def test_a_rest_does_not_undo_another_reason() -> None:
    """A client that can't take more keeps the server waiting beyond the rest."""
    link, transport = linked()
    link.rest(0.0)
    link.pause("client")
    async with asyncio.timeout(10):
        while link.reasons != {"client"}:
            await asyncio.sleep(0)
    assert transport.steps == ["pause"]
    link.resume("client")
    assert transport.steps == ["pause", "resume"]


def test_writing_follows_the_transport() -> None:
    """Before there is a connection and after it is lost, bytes are dropped; TLS takes the place of the first one."""
    link = Link()
    link.write(b"too early")
    first, inside = Transport(), Transport()
    link.connection_made(first.asyncio)
    link.write(b"in clear")
    link.use(inside.asyncio)
    link.write(b"encrypted")
    link.connection_lost(None)
    link.write(b"too late")
    assert (first.written, inside.written) == ([b"in clear"], [b"encrypted"])


def test_what_was_read_ahead_goes_to_the_sink_first() -> None:
    """Bytes that came during set-up are the first that the session gets."""
    link, transport = linked()
    link.data_received(b"early ")
    got: list[bytes] = []
    link.attach(got.append)
    link.data_received(b"late")
    assert got == [b"early ", b"late"]
    assert "protocol" in transport.steps
