"""The enforcement point: accepts clients, settles encryption, signs them in, connects upstream, runs sessions."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable

from decision.model.errors import AirlockError, Denied, IdentityError, JournalUnavailable, ServiceUnavailable
from decision.model.metrics import Sample
from decision.model.ports import Clock, DecisionPort, PromptDecisions
from decision.model.session import ClientInfo, SessionEnd, SessionGrant, SessionRequest
from enforcement.config import EnforcementSettings
from enforcement.masking.engine import MaskingEngine
from enforcement.meter import Level, PointMeter
from enforcement.postgres import upstream as upstreams
from enforcement.postgres.cancel import CancelKeys
from enforcement.postgres.catalogs import Catalogs, ReadCatalog
from enforcement.postgres.decisions import Surroundings
from enforcement.postgres.faults import place_of
from enforcement.postgres.gaps import Gaps
from enforcement.postgres.greeting import Greeter, ask_password
from enforcement.postgres.link import Link
from enforcement.postgres.masks import learning, mask_key
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.errors import StartupRefused
from enforcement.postgres.protocol.startup import NEWEST_MINOR, CancelRequest, EncryptionRequest, Startup
from enforcement.postgres.reporter import Reporter
from enforcement.postgres.session import Session
from enforcement.postgres.tls import server_context
from enforcement.postgres.upstream import Randomness, Upstream, UpstreamFailed

log = logging.getLogger(__name__)


class PostgresEnforcementPoint:
    """`start()`, then `address`; `stop(grace)` lets running statements end. Nothing global: several may live in one
    process."""

    def __init__(
        self,
        settings: EnforcementSettings,
        port: DecisionPort,
        clock: Clock,
        randomness: Randomness,
        *,
        read_catalog: ReadCatalog,
        masks: MaskingEngine | None = None,
    ) -> None:
        self._settings = settings
        self._port = port
        self._clock = clock
        self._randomness = randomness
        self._keys = CancelKeys(settings.worker_id, randomness)
        self._reporter = Reporter(port)
        self._meter = PointMeter(
            (
                Level("proxy_sessions_open", "Sessions that are open now.", lambda: len(self._sessions)),
                Level("proxy_connections_open", "Connections that are open now.", lambda: len(self._connections)),
                Level("proxy_unreported", "Denials given alone that are not reported yet.", lambda: self._gaps.denials),
                Level("proxy_reports_waiting", "Executions not recorded yet.", lambda: self._reporter.waiting),
            )
        )
        self._gaps = Gaps(port, settings.name, clock, self._meter)
        masks = masks or MaskingEngine(mask_key(settings.data_dir, randomness))
        self._catalogs = Catalogs(port, learning(read_catalog, masks), settings.catalog_poll_s)
        prompt = port if isinstance(port, PromptDecisions) else None
        self._around = Surroundings(
            settings, port, clock, masks, self._gaps, self._catalogs, self._reporter, prompt, self._meter
        )
        self._socket: socket.socket | None = None
        self._acceptor: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._sessions: set[Session] = set()
        self._context: ssl.SSLContext | None = None

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Listen. Raises OSError (address in use …) or SettingsError (certificate)."""
        self._context = server_context(self._settings, self._clock)
        host = self._settings.listen_host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, self._settings.listen_port), family=family, backlog=512)
        self._socket.setblocking(False)
        self._acceptor = asyncio.get_running_loop().create_task(self._accept())

    @property
    def address(self) -> tuple[str, int]:
        assert self._socket is not None, "not started"
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def samples(self) -> Iterable[Sample]:
        """See decision.model.metrics."""
        return self._meter.samples()

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    @property
    def unrecorded_denials(self) -> int:
        """Denials given while nobody could record them, not yet reported."""
        return self._gaps.denials

    async def stop(self, grace: float = 5.0) -> None:
        """Refuse new clients, end idle sessions at once and busy ones after at most `grace` seconds."""
        if self._acceptor is not None:
            self._acceptor.cancel()
        if self._socket is not None:
            self._socket.close()
        deadline = self._clock.monotonic_ns() + int(grace * 1e9)
        while self._sessions and self._clock.monotonic_ns() < deadline:
            for session in list(self._sessions):
                if session.idle:
                    session.fatal("57P01", "Airlock is shutting down", reason="shutdown", hint="connect again")
            await asyncio.sleep(0.02)
        for session in list(self._sessions):
            session.fatal("57P01", "Airlock is shutting down", reason="shutdown", hint="connect again")
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=self._settings.report_grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._reporter.close()
        await self._catalogs.close()
        await self._gaps.close()

    # ── one connection ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _accept(self) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(self._socket)
            except OSError as error:
                log.warning("accept failed: %s", type(error).__name__)
                await asyncio.sleep(0.1)
                continue
            if len(self._connections) >= 2 * self._settings.max_connections:
                self._meter.turned_away += 1
                accepted.close()  # too many that have not even signed in
                continue
            self._meter.connections += 1
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setblocking(False)
            task = loop.create_task(self._connection(accepted, str(peer[0]), int(peer[1])))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _connection(self, accepted: socket.socket, host: str, port: int) -> None:
        greeter = Greeter(self._settings, self._context)
        link: Link | None = None
        try:
            async with asyncio.timeout(self._settings.login_timeout_s):
                link, first = await greeter.greet(accepted, host)
                if isinstance(first, CancelRequest):
                    await self._cancel(first)
                    return
                assert not isinstance(first, EncryptionRequest)
                session = await self._sign_in(link, first, f"{host}:{port}")
            if session is not None:
                await self._run(session)
        except (StartupRefused, UpstreamFailed) as error:
            self._meter.failures["upstream" if isinstance(error, UpstreamFailed) else "refused"] += 1
            self._refuse(link, error.sqlstate, error)
        except Denied as error:
            self._meter.failures["denied"] += 1
            self._refuse(link, sqlstate_of(error), error)
        except (TimeoutError, OSError, ssl.SSLError, ValueError) as error:
            self._meter.failures["network"] += 1
            log.info("connection from %s ended during sign-in: %s", host, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - one fault must not end the other connections
            self._meter.failures["fault"] += 1
            log.error("connection from %s failed: %s", host, place_of(error))
        finally:
            if link is not None:
                link.close()
            else:
                accepted.close()

    def _refuse(self, link: Link | None, sqlstate: str, error: AirlockError) -> None:
        if link is not None:
            link.write(messages.error_response(sqlstate, error.message, hint=error.hint, severity="FATAL"))

    async def _cancel(self, request: CancelRequest) -> None:
        self._meter.cancels += 1
        session = self._keys.find(request.process_id, request.secret)
        if session is not None:
            await session.cancel()

    async def _run(self, session: tuple[Session, Callable[[], None]]) -> None:
        running, give_up_key = session
        self._meter.sessions += 1
        self._sessions.add(running)
        try:
            await running.run()
        finally:
            self._sessions.discard(running)
            give_up_key()

    # ── signing in ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _sign_in(self, link: Link, startup: Startup, address: str) -> tuple[Session, Callable[[], None]] | None:
        if len(self._sessions) >= self._settings.max_connections:
            raise StartupRefused("53300", "too many connections", hint="try again later, or raise max_connections")
        if startup.negotiate:
            link.write(messages.negotiate_protocol_version(startup.minor, startup.unrecognised))
        credential = await ask_password(link)
        request = SessionRequest(
            credential=credential,
            database=startup.database,
            user=startup.user,
            client=ClientInfo(address, startup.application, f"postgres/3.{startup.minor}", link.tls_version),
            enforcement_point=self._settings.name,
            intent=startup.intent,
            ticket=startup.ticket,
            replication=startup.replication,
        )
        grant = await self._guarded(self._port.open_session(request))
        try:
            return await self._open(link, startup, grant)
        except BaseException:
            await self._port.close_session(SessionEnd(grant.session_id, "error"))
            raise

    async def _open(self, link: Link, startup: Startup, grant: SessionGrant) -> tuple[Session, Callable[[], None]]:
        database = self._settings.database(grant.database)
        if startup.replication:
            raise StartupRefused("0A000", "replication connections are not allowed through Airlock")
        if database is None:
            raise StartupRefused("3D000", f"no upstream is known for database {grant.database!r}")
        try:
            await self._catalogs.ensure(database)
        except Denied:
            raise
        except Exception as error:
            raise UpstreamFailed(
                f"the catalog of {database.name!r} can't be read ({type(error).__name__})",
                hint="is the database running, and may its upstream user read the catalog?",
            ) from error
        extra = {
            **startup.forwarded, "client_encoding": "UTF8", "airlock.intent": startup.intent,
            "airlock.ticket": startup.ticket, **dict(grant.upstream_parameters),
        }  # fmt: skip
        if grant.db_role and grant.db_role != database.parts()["user"]:
            extra["role"] = grant.db_role
        upstream = await upstreams.connect(database, extra, self._randomness, self._settings.upstream_timeout_s)
        if link.lost:
            upstream.link.abort()
            raise ConnectionResetError("the client left during sign-in")
        session = Session(self._around, database, grant, startup, link, upstream)
        return session, self._welcome(link, session, upstream, startup)

    def _welcome(self, link: Link, session: Session, upstream: Upstream, startup: Startup) -> Callable[[], None]:
        process_id, secret, give_up = self._keys.issue(session, long=startup.minor >= NEWEST_MINOR)
        link.write(
            b"".join(
                (
                    messages.AUTHENTICATION_OK,
                    upstream.greeting,
                    messages.backend_key_data(process_id, secret),
                    messages.ready_for_query("I"),
                )
            )
        )
        return give_up

    async def _guarded(self, opening: Awaitable[SessionGrant]) -> SessionGrant:
        try:
            async with asyncio.timeout(self._settings.decision_timeout_s):
                return await opening
        except (JournalUnavailable, ServiceUnavailable) as error:
            self._gaps.count(error)
            if isinstance(error, ServiceUnavailable):
                self._catalogs.forget()
            raise
        except Denied:
            raise
        except Exception as error:
            self._gaps.count(error)
            log.error("no session: %s", place_of(error))
            raise ServiceUnavailable("the decision service is unavailable", hint="try again later") from error


def sqlstate_of(error: Denied) -> str:
    if isinstance(error, IdentityError):
        return "28P01"
    if isinstance(error, JournalUnavailable | ServiceUnavailable):
        return "57P03"
    return "28000"
