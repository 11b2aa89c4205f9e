"""The enforcement point as a client of the database: SCRAM bound to the TLS channel, and what it refuses to answer."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from pathlib import Path
from struct import pack, unpack

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from scramp import ScramMechanism

from enforcement.config import UpstreamDatabase
from enforcement.postgres import upstream as upstreams
from enforcement.postgres.protocol import messages
from enforcement.postgres.tls import development_certificate
from tests.clients.port import RealClock

PASSWORD = "p4ssword"


def authentication(kind: int, data: bytes = b"") -> bytes:
    return messages.message(messages.Back.AUTHENTICATION, pack("!I", kind) + data)


class Server:
    """A server that speaks TLS and offers SCRAM-SHA-256-PLUS, which PostgreSQL builds without TLS can't."""

    def __init__(self, folder: Path, binding: bytes | None = None) -> None:
        certificate, key = development_certificate(folder, RealClock())
        self.root = certificate
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
        self.binding = binding or hashlib.sha256(der).digest()
        self.mechanism = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)
            writer.write(b"S")
            await writer.drain()
            await writer.start_tls(self.context)
            (length,) = unpack("!I", await reader.readexactly(4))
            await reader.readexactly(length - 4)
            writer.write(authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
            name, _, rest = (await self.body(reader)).partition(b"\0")
            self.mechanism = name.decode()
            scram = ScramMechanism(self.mechanism)
            info = scram.make_auth_info(PASSWORD)
            server = scram.make_server(lambda user: info, channel_binding=("tls-server-end-point", self.binding))
            server.set_client_first(rest[4:].decode())
            writer.write(authentication(11, server.get_server_first().encode()))
            server.set_client_final((await self.body(reader)).decode())
            writer.write(authentication(12, server.get_server_final().encode()) + messages.AUTHENTICATION_OK)
            told = messages.parameter_status("search_path", "public")  # as PostgreSQL 18 does
            writer.write(told + messages.backend_key_data(7, b"abcd") + messages.ready_for_query("I"))
            await writer.drain()
            await reader.read()
        except Exception:
            writer.close()

    async def body(self, reader: asyncio.StreamReader) -> bytes:
        _, length = unpack("!cI", await reader.readexactly(5))
        return await reader.readexactly(length - 4)


async def attempt(server: Server) -> upstreams.Upstream:
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    dsn = f"postgresql://user:{PASSWORD}@localhost:{port}/db?sslmode=verify-full&sslrootcert={server.root}"
    try:
        ready = await upstreams.connect(UpstreamDatabase(name="x", upstream=dsn), {}, os.urandom, 10)
        ready.link.abort()
        return ready
    finally:
        listening.close()


async def test_scram_is_bound_to_the_channel(tmp_path: Path) -> None:
    """Over TLS the PLUS mechanism is used, bound to the server's certificate."""
    server = Server(tmp_path)
    assert (await attempt(server)).secret == b"abcd"
    assert server.mechanism == "SCRAM-SHA-256-PLUS"


async def test_a_channel_with_another_certificate_is_refused(tmp_path: Path) -> None:
    """A server that saw another channel than ours does not let us in, and the error holds no password."""
    with pytest.raises(upstreams.UpstreamFailed) as caught:
        await attempt(Server(tmp_path, binding=b"x" * 32))
    assert PASSWORD not in str(caught.value)


def test_md5_answer_is_postgresqls() -> None:
    """The digest that PostgreSQL's documentation describes."""
    inner = hashlib.md5(b"secretuser").hexdigest().encode()
    assert upstreams.md5_answer("user", "secret", b"salt") == b"md5" + hashlib.md5(inner + b"salt").hexdigest().encode()
