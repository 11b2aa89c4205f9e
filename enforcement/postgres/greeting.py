"""The first bytes of a connection: encryption requests are consumed exactly, so that nothing can be stuffed behind.

A first byte 0x16 is a TLS handshake without a request (PostgreSQL 17's direct TLS, which must negotiate ALPN);
anything else is a startup-type packet, of which no byte more is taken from the socket than belongs to it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from enforcement.config import EnforcementSettings
from enforcement.postgres.link import Link
from enforcement.postgres.protocol import messages, parsing
from enforcement.postgres.protocol.errors import StartupRefused
from enforcement.postgres.protocol.messages import INT32, Front
from enforcement.postgres.protocol.startup import (
    LONGEST_STARTUP,
    CancelRequest,
    EncryptionRequest,
    Startup,
    read_packet,
)
from enforcement.postgres.tls import ALPN

TLS_HANDSHAKE = 0x16
MOST_REQUESTS = 2  # one SSLRequest, one GSSENCRequest

First = CancelRequest | Startup


class Greeter:
    def __init__(self, settings: EnforcementSettings, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._context = context

    async def greet(self, accepted: socket.socket, peer: str) -> tuple[Link, First]:
        """The link, encrypted if the client wants it, and its first real packet.

        Raises StartupRefused (after the client was told), OSError, ssl.SSLError.
        """
        loop = asyncio.get_running_loop()
        if await self._first_byte(accepted) == TLS_HANDSHAKE:
            link = await self._encrypted(accepted)
            tls = link.ssl_object
            if tls is None or tls.selected_alpn_protocol() != ALPN:
                link.abort()
                raise StartupRefused("08P01", "direct TLS needs the ALPN protocol postgresql")
            return link, await self._packet_inside(link)
        for _ in range(MOST_REQUESTS + 1):
            packet = await self._packet(accepted)
            try:
                first = read_packet(packet)
                if not isinstance(first, EncryptionRequest):
                    self._check_plaintext(first, peer)
            except StartupRefused as refused:
                await self._tell(accepted, refused)
                raise
            if isinstance(first, EncryptionRequest):
                if first.gss or self._context is None:
                    await loop.sock_sendall(accepted, b"N")
                    continue
                await loop.sock_sendall(accepted, b"S")
                link = await self._encrypted(accepted)
                return link, await self._packet_inside(link)
            _, link = await loop.connect_accepted_socket(Link, accepted)
            return link, first
        raise StartupRefused("08P01", "too many encryption requests")

    def _check_plaintext(self, first: First, peer: str) -> None:
        if isinstance(first, Startup) and not self._settings.plaintext_allowed(peer):
            raise StartupRefused("28000", "TLS is required", hint="connect with sslmode=require or stronger")

    async def _tell(self, accepted: socket.socket, refused: StartupRefused) -> None:
        raw = messages.error_response(refused.sqlstate, refused.message, hint=refused.hint, severity="FATAL")
        await asyncio.get_running_loop().sock_sendall(accepted, raw)

    async def _encrypted(self, accepted: socket.socket) -> Link:
        link = Link()  # uvloop returns its own TLS protocol, not ours
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: link, accepted, ssl=self._context, ssl_handshake_timeout=self._settings.login_timeout_s
        )
        return link

    async def _packet_inside(self, link: Link) -> First:
        (length,) = INT32.unpack(await link.read_exactly(4))
        check_length(length)
        try:
            first = read_packet(INT32.pack(length) + await link.read_exactly(length - 4))
            if isinstance(first, EncryptionRequest):
                raise StartupRefused("08P01", "an encryption request inside TLS")
        except StartupRefused as refused:
            link.write(messages.error_response(refused.sqlstate, refused.message, hint=refused.hint, severity="FATAL"))
            link.close()
            raise
        return first

    async def _first_byte(self, accepted: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(accepted.fileno(), lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(accepted.fileno())
        peeked = accepted.recv(1, socket.MSG_PEEK)
        if not peeked:
            raise ConnectionResetError("the client closed the connection")
        return peeked[0]

    async def _packet(self, accepted: socket.socket) -> bytes:
        head = await self._exactly(accepted, 4)
        (length,) = INT32.unpack(head)
        check_length(length)
        return head + await self._exactly(accepted, length - 4)

    async def _exactly(self, accepted: socket.socket, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < count:
            part = await loop.sock_recv(accepted, count - len(data))
            if not part:
                raise ConnectionResetError("the client closed the connection")
            data += part
        return data


def check_length(length: int) -> None:
    if not 8 <= length <= LONGEST_STARTUP:
        raise ValueError("a startup packet of impossible length")


async def ask_password(link: Link) -> str:
    link.write(messages.ASK_CLEARTEXT_PASSWORD)
    raw = await link.read_message()
    if raw[0] != Front.PASSWORD:
        raise StartupRefused("08P01", "a password message was expected")
    password, _ = parsing.string_at(raw, 5)
    try:
        return password.decode("ascii")
    except UnicodeDecodeError as error:
        raise StartupRefused("28P01", "the password is no token", hint="use: PGPASSWORD=$(airlock token …)") from error
