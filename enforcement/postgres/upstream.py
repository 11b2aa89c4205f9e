"""The connection to the database: TLS by sslmode, the database's own credentials, start-up, cancel."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from scramp import ScramClient, ScramException

from decision.model.errors import AirlockError
from enforcement.config import UpstreamDatabase
from enforcement.postgres.link import Link
from enforcement.postgres.protocol import messages, parsing
from enforcement.postgres.protocol.errors import ProtocolViolation
from enforcement.postgres.protocol.messages import INT32, Back, Front
from enforcement.postgres.tls import ALPN, upstream_context

log = logging.getLogger(__name__)
SSL_REQUEST = INT32.pack(8) + INT32.pack(80877103)
Randomness = Callable[[int], bytes]


class UpstreamFailed(AirlockError):
    """The database can't be used now. `sqlstate` is the server's where it gave one."""

    code = "upstream_failed"

    def __init__(self, message: str, *, sqlstate: str = "08006", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Upstream:
    """An upstream connection that is ready. `greeting` are the ParameterStatus and notices to pass on."""

    link: Link
    greeting: bytes
    parameters: Mapping[str, str]
    process_id: int
    secret: bytes


async def dial(parts: Mapping[str, str]) -> Link:
    """Connect and, as sslmode says, start TLS. Raises OSError, ssl.SSLError, UpstreamFailed."""
    loop = asyncio.get_running_loop()
    host = parts.get("host") or parts.get("hostaddr", "127.0.0.1")
    port = int(parts.get("port", "5432"))
    if host.startswith("/"):
        _, link = await loop.create_unix_connection(Link, f"{host}/.s.PGSQL.{port}")
        return link
    _, link = await loop.create_connection(Link, parts.get("hostaddr", host), port)
    try:
        await start_tls(link, parts, host)
    except BaseException:
        link.abort()
        raise
    return link


async def start_tls(link: Link, parts: Mapping[str, str], host: str) -> None:
    mode = parts.get("sslmode", "prefer")
    if mode in ("disable", "allow"):
        return
    link.write(SSL_REQUEST)
    if await link.read_exactly(1) == b"S":
        if link.buffered:
            raise UpstreamFailed("the database sent unencrypted bytes behind its answer to SSLRequest")
        context = client_context(parts)
        context.set_alpn_protocols([ALPN])
        assert link.transport is not None
        loop = asyncio.get_running_loop()
        encrypted = await loop.start_tls(link.transport, link, context, server_hostname=host)
        assert encrypted is not None  # None is for servers whose client left during the handshake
        link.use(encrypted)
    elif mode != "prefer":
        raise UpstreamFailed(f"the database does not offer TLS, but sslmode is {mode}")


def client_context(parts: Mapping[str, str]) -> ssl.SSLContext:
    """Raises UpstreamFailed for certificate and key files that can't be used."""
    try:
        return upstream_context(parts)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or type(error).__name__
        raise UpstreamFailed(
            f"the certificate files for the database can't be used ({why})",
            hint="check sslrootcert, sslcert and sslkey of its upstream entry",
        ) from error


async def connect(
    database: UpstreamDatabase, extra: Mapping[str, str], randomness: Randomness, timeout_s: float
) -> Upstream:
    """A ready connection with the start-up parameters `extra`. Raises UpstreamFailed."""
    parts = database.parts()
    link: Link | None = None
    try:
        async with asyncio.timeout(timeout_s):
            link = await dial(parts)
            own: dict[str, str] = {name: parts[name] for name in ("application_name", "options") if name in parts}
            parameters = {"user": parts["user"], "database": parts.get("dbname", parts["user"]), **own, **extra}
            link.write(messages.startup(parameters))
            await authenticate(link, parts, randomness)
            ready = await greeted(link)
            return ready if "search_path" in ready.parameters else await asked(ready)
    except BaseException as error:
        if link is not None:
            link.abort()
        if isinstance(error, TimeoutError | OSError | ssl.SSLError | ValueError | ScramException | ProtocolViolation):
            raise unreachable(database.name, error) from error
        raise


def unreachable(name: str, error: Exception) -> UpstreamFailed:
    """What to say of a connection that came to nothing: why, where that can be said, and what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = (error.verify_message or "it is not trusted").rstrip(".")
        return UpstreamFailed(
            f"the certificate of the database {name!r} is refused: {why}",
            hint="check host, sslrootcert and sslmode of its upstream entry, and the server's certificate",
        )
    if isinstance(error, ssl.SSLError):
        return UpstreamFailed(
            f"no TLS connection to the database {name!r} ({error.reason or 'SSLError'})",
            hint="check sslrootcert, sslcert and sslkey of its upstream entry, and the server's TLS settings",
        )
    return UpstreamFailed(
        f"the database {name!r} can't be reached ({type(error).__name__})",
        hint="is it running, and is its upstream address right?",
    )


async def asked(ready: Upstream) -> Upstream:
    """With the search path of the session, which servers before version 18 don't report by themselves."""
    ready.link.write(messages.query(b"SHOW search_path"))
    path: str | None = None
    while True:
        raw = await expect(ready.link)
        if raw[0] == Back.DATA_ROW:
            path = raw[11:].decode()  # code, length, one column, its length
        elif raw[0] == Back.READY:
            break
    if path is None:
        raise UpstreamFailed("the database does not tell its search path")
    return replace(ready, parameters={**ready.parameters, "search_path": path})


async def expect(link: Link) -> bytes:
    """The next message that is neither an error nor a notice. Raises UpstreamFailed for an error."""
    while True:
        raw = await link.read_message()
        if raw[0] == Back.ERROR:
            fields = parsing.error_fields(raw)
            sqlstate = fields.get("C", "08006")
            if sqlstate.startswith("28"):
                raise UpstreamFailed(
                    "the database refused Airlock's own credentials", sqlstate="08006", hint="check its upstream entry"
                )
            raise UpstreamFailed(f"the database refused the connection: {fields.get('M', '')}", sqlstate=sqlstate)
        if raw[0] != Back.NOTICE:
            return raw


async def authenticate(link: Link, parts: Mapping[str, str], randomness: Randomness) -> None:
    user, secret = parts["user"], parts.get("password", os.environ.get("PGPASSWORD", ""))
    while True:
        raw = await expect(link)
        if raw[0] != Back.AUTHENTICATION:
            if raw[0] == Back.NEGOTIATE:
                continue
            raise UpstreamFailed("the database does not speak PostgreSQL's protocol")
        (kind,) = INT32.unpack_from(raw, 5)
        if kind == 0:
            return
        if kind == 3:
            if not link.tls_version and not local(parts):
                raise UpstreamFailed(
                    "the database asks for a cleartext password without TLS", hint="set sslmode=require"
                )
            link.write(messages.password(secret.encode()))
        elif kind == 5:
            link.write(messages.password(md5_answer(user, secret, raw[9:13])))
        elif kind == 10:
            await scram(link, parts, secret, raw[9:], randomness)
        else:
            raise UpstreamFailed(f"the database asks for authentication method {kind}, which is not supported")


def local(parts: Mapping[str, str]) -> bool:
    host = parts.get("host", "127.0.0.1")
    return host.startswith("/") or host in ("127.0.0.1", "::1", "localhost")


def md5_answer(user: str, secret: str, salt: bytes) -> bytes:
    inner = hashlib.md5((secret + user).encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


async def scram(link: Link, parts: Mapping[str, str], secret: str, offered: bytes, randomness: Randomness) -> None:
    """SCRAM-SHA-256, bound to the TLS channel where the server offers it. Raises ScramException when it cheats."""
    names = [name.decode("ascii", "replace") for name in offered.split(b"\x00") if name]
    known = [name for name in names if name in ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")]
    if not known:
        raise UpstreamFailed("the database offers no SASL mechanism that is supported")
    tls, wish = link.ssl_object, parts.get("channel_binding", "prefer")
    offers = tls is not None and "SCRAM-SHA-256-PLUS" in known
    if wish == "require" and not offers:
        raise UpstreamFailed("the database offers no channel binding, but channel_binding is require")
    binding = ("tls-server-end-point", tls) if offers and wish != "disable" else None
    if binding is None:
        known = ["SCRAM-SHA-256"]
    client = ScramClient(known, parts["user"], secret, channel_binding=binding, c_nonce=randomness(18).hex())
    first = client.get_client_first().encode()
    body = client.mechanism_name.encode() + b"\x00" + INT32.pack(len(first)) + first
    link.write(messages.message(Front.PASSWORD, body))
    client.set_server_first(sasl_data(await expect(link), 11))
    link.write(messages.message(Front.PASSWORD, client.get_client_final().encode()))
    client.set_server_final(sasl_data(await expect(link), 12))


def sasl_data(raw: bytes, kind: int) -> str:
    if raw[0] != Back.AUTHENTICATION or INT32.unpack_from(raw, 5)[0] != kind:
        raise UpstreamFailed("the database broke off the SCRAM exchange")
    return raw[9:].decode("utf-8", "replace")


async def greeted(link: Link) -> Upstream:
    """All up to the first ReadyForQuery."""
    greeting: list[bytes] = []
    parameters: dict[str, str] = {}
    process_id, secret = 0, b""
    while True:
        raw = await expect(link)
        if raw[0] == Back.PARAMETER_STATUS:
            name, value = parsing.status_pair(raw)
            parameters[name] = value
            greeting.append(raw)
        elif raw[0] == Back.BACKEND_KEY_DATA:
            process_id, secret = INT32.unpack_from(raw, 5)[0], raw[9:]
        elif raw[0] == Back.READY:
            return Upstream(link, b"".join(greeting), parameters, process_id, secret)
        elif raw[0] != Back.NEGOTIATE:
            raise UpstreamFailed("the database sent an unexpected message during start-up")


async def cancel(database: UpstreamDatabase, upstream: Upstream, timeout_s: float) -> None:
    """Ask the server to cancel what the connection runs; returns once it has taken the request. Raises OSError,
    TimeoutError, UpstreamFailed."""
    async with asyncio.timeout(timeout_s):
        link = await dial(database.parts())
        try:
            link.write(messages.cancel_request(upstream.process_id, upstream.secret))
            while not link.lost:  # the server closes once the signal is sent
                await link.read_exactly(1)
        except ConnectionError:
            return
        finally:
            link.abort()


async def cancel_quietly(database: UpstreamDatabase, upstream: Upstream, timeout_s: float) -> None:
    """`cancel` for those that nobody could tell of a failure."""
    try:
        await cancel(database, upstream, timeout_s)
    except Exception as error:  # noqa: BLE001 - a cancel request has no answer that could tell
        log.warning("cancel request not delivered: %s", type(error).__name__)
