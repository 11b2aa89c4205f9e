"""One running session: performs what the protocol core says, and asks the decision service what the core wants to know.

All work happens in callbacks of the event loop: bytes in, then `_flush`. Tasks exist only for what has to wait:
decisions, approvals, cancel requests, catalog readings. Reading, flushing and ending stay together here, a little over
the usual length: each of them may end the session, and nothing is passed on after that.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from decision.model.errors import JournalUnavailable
from decision.model.session import SessionEnd, SessionGrant
from enforcement.config import UpstreamDatabase
from enforcement.postgres import upstream as upstreams
from enforcement.postgres.decisions import Decisions, Surroundings, Ways
from enforcement.postgres.faults import place_of
from enforcement.postgres.link import Link
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.errors import ProtocolViolation
from enforcement.postgres.protocol.startup import Startup
from enforcement.postgres.protocol.state import CancelUpstream, CloseSession, CoreLimits, HoldStarted, SyncCatalog
from enforcement.postgres.timing import TimeLimit

log = logging.getLogger(__name__)
SLICE = 128 * 1024  # bytes of rows to mask in one turn of the loop
# Once a client has been sent so many bytes since it last said something, the rest is taken in larger portions: when
# less than a full one was there, the server gets time to make more, or each of its packets of 8 KiB would cost a read,
# a write and a reader woken.
BULK = 1024 * 1024
PORTION = 64 * 1024
REST_S = 0.001


class Session:
    def __init__(
        self,
        around: Surroundings,
        database: UpstreamDatabase,
        grant: SessionGrant,
        startup: Startup,
        client: Link,
        upstream: upstreams.Upstream,
    ) -> None:
        self._around = around
        self._database = database
        self._grant = grant
        self._client = client
        self._upstream = upstream
        self._server = upstream.link
        self._core = SessionCore(
            grant.session_id,
            around.masks.of(database.name),
            limits=CoreLimits(message_bytes=around.settings.max_message_bytes),
            parameters=dict(upstream.parameters),
            intent=startup.intent,
            ticket=startup.ticket,
        )
        self._state = self._core.state
        self._now = around.clock.monotonic_ns
        around.reporter.watch(grant.session_id, self._reports_waiting)
        self._decisions = Decisions(
            around,
            grant.session_id,
            self._core,
            Ways(lambda data: client.write(data), self._step, self._service_restarted),
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog: deque[bytes] = deque()
        self._time_limit = TimeLimit(self._core, around.clock, self._step)
        self._expiry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._ended = False
        self._began_ns = around.clock.monotonic_ns()
        self._meter = around.meter
        self._bytes_in = 0
        self._answered = 0  # bytes that the server has sent since the client last sent something
        self._max_queued = around.settings.max_queued_bytes
        self._max_reports = around.settings.max_unsent_reports
        self._bytes_out = 0

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until the session is over and everything about it is recorded."""
        self._client.on_lost = lambda: self._end("client")
        self._server.on_lost = self._server_lost
        self._client.on_full = lambda full: self._server.pause("client") if full else self._server.resume("client")
        self._server.on_full = lambda full: self._client.pause("server") if full else self._client.resume("server")
        if self._grant.expires_unix:
            left = self._grant.expires_unix - self._around.clock.time_unix_nano() / 1e9
            self._expiry = self._loop.call_later(max(left, 0), self._expired)
        self._around.catalogs.watch(self._database.name, self)
        try:
            self._server.attach(self._server_data)
            self._client.attach(self._client_data)
            if self._client.lost:
                self._end("client")
            reason = await self._over
        except asyncio.CancelledError:
            reason = "shutdown"
            self._ended = True
        await self._finish(reason)

    async def _finish(self, reason: str) -> None:
        self._around.catalogs.unwatch(self._database.name, self)
        self._time_limit.cancel()
        if self._expiry is not None:
            self._expiry.cancel()
        self._decisions.close()
        for task in list(self._tasks):
            task.cancel()
        core = self._core
        core.state.now_ns = self._around.clock.monotonic_ns()
        if core.state.pending and reason != "server":
            await self._cancel_quietly()
        self._server.write(messages.TERMINATE)
        self._server.close()
        self._client.close()
        core.lost()
        reporter = self._around.reporter
        self._meter.executed(core.state.reports)
        reporter.add(self._grant.session_id, core.state.reports)
        lost = await reporter.drain(self._grant.session_id, self._around.settings.report_grace_s)
        for _ in range(lost):
            self._around.gaps.count(JournalUnavailable("an execution could not be recorded"))
        self._meter.session_over(reason, lost)
        end = SessionEnd(
            self._grant.session_id, reason, core.state.now_ns - self._began_ns, core.state.statement_count,
            self._bytes_in, self._bytes_out,
        )  # fmt: skip
        try:
            await self._around.port.close_session(end)
        except Exception as error:  # noqa: BLE001 - the session is over all the same
            log.warning("end of session not recorded: %s", type(error).__name__)

    def _end(self, reason: str) -> None:
        """From here on no input is taken, so that nothing more is forwarded."""
        if not self._over.done():
            self._ended = True
            self._over.set_result(reason)

    def fatal(self, sqlstate: str, message: str, *, reason: str, hint: str = "") -> None:
        """Tell the client why, and end."""
        self._client.write(messages.error_response(sqlstate, message, hint=hint, severity="FATAL"))
        self._end(reason)

    def _expired(self) -> None:
        self.fatal("28000", "the session's credential has expired", reason="expired", hint="sign in again")

    def _service_restarted(self) -> None:
        self.fatal("57P01", "the decision service has started anew", reason="error", hint="connect again")

    @property
    def idle(self) -> bool:
        return self._core.idle and self._core.state.status == "I"

    def _server_lost(self) -> None:
        while self._backlog:
            self._step(self._core.server_data, self._backlog.popleft())
        self._end("server")

    # ── bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _client_data(self, data: bytes) -> None:
        if self._ended:
            return
        self._bytes_in += len(data)
        self._meter.bytes_in += len(data)
        self._answered = 0
        self._state.now_ns = self._now()
        try:
            self._core.client_data(data)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong ends the session
            self._failed(error)
        if self._core.queued_bytes > self._max_queued:
            self._client.pause("queue")
        self._flush()

    def _server_data(self, data: bytes) -> None:
        if self._backlog:
            self._backlog.append(data)
            return
        if len(data) > SLICE and self._core.masking:
            view = memoryview(data)
            self._backlog.extend(bytes(view[at : at + SLICE]) for at in range(0, len(data), SLICE))
            self._server.pause("work")
            self._turn()
            return
        self._step(self._core.server_data, data)
        self._answered += len(data)
        if self._answered > BULK and len(data) < PORTION and self._state.pending:
            self._server.rest(REST_S)

    def _turn(self) -> None:
        """One slice a turn of the loop, so that masking one session's rows does not hold up the others."""
        if self._backlog and not self._ended:
            self._step(self._core.server_data, self._backlog.popleft())
        if self._backlog:
            self._loop.call_soon(self._turn)
        else:
            self._server.resume("work")

    def _step(self, work: Callable[..., None], *arguments: object) -> None:
        """Give the core one input, then perform what it wants. Whatever goes wrong ends the session."""
        if self._ended:
            return
        self._state.now_ns = self._now()
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong ends the session
            self._failed(error)
        self._flush()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, ProtocolViolation):  # a fault of ours: nothing may pass on its account
            log.error("session ended by a fault: %s", place_of(error))
            error = ProtocolViolation("internal error of the enforcement point", hint="connect again")
        state = self._state
        state.to_client.append(
            messages.error_response(error.sqlstate, error.message, hint=error.hint, severity="FATAL")
        )
        state.to_server.clear()
        state.commands.append(CloseSession("error" if error.by == "client" else "server"))

    def _flush(self) -> None:
        """Perform what the core wants."""
        state = self._state
        out = state.to_server
        if out:
            self._server.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
        out = state.to_client
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            self._bytes_out += len(data)
            self._meter.bytes_out += len(data)
            self._client.write(data)
        if state.reports:
            self._meter.executed(state.reports)
            self._reports_waiting(self._around.reporter.add(state.session_id, state.reports))
            state.reports = []
        if state.asks:
            asked, state.asks = state.asks, []
            self._decisions.ask(asked)
        if state.commands:
            commands, state.commands = state.commands, []
            for command in commands:
                self._perform(command)
        if self._client.reasons and self._core.queued_bytes <= self._max_queued:
            self._client.resume("queue")
        if state.timed:
            self._time_limit.look()

    def _perform(self, command: HoldStarted | CancelUpstream | SyncCatalog | CloseSession) -> None:
        match command:
            case HoldStarted(exchange):
                self._spawn(self._decisions.hold(exchange))
            case CancelUpstream():
                self._spawn(self._cancel_own())
            case SyncCatalog(shared):
                if shared:
                    self._around.catalogs.changed(self._database, self)
                self._spawn(self._sync_catalog())
            case CloseSession(reason):
                self._end(reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reports_waiting(self, count: int) -> None:
        if count > self._max_reports:
            self._client.pause("reports")
        elif self._client.reasons and count < self._max_reports // 2:
            self._client.resume("reports")

    # ── cancel, catalog ─────────────────────────────────────────────────────────────────────────────────────────────

    async def cancel(self) -> None:
        """A cancel request of the client: for what waits here, or for what the server runs."""
        settled: list[bool] = []
        self._step(lambda: settled.append(self._core.cancel_requested()))
        if settled != [True]:
            await self._cancel_quietly()

    async def _cancel_quietly(self) -> None:
        await upstreams.cancel_quietly(self._database, self._upstream, self._around.settings.upstream_timeout_s)

    async def _cancel_own(self) -> None:
        await self._cancel_quietly()
        self._step(self._core.cancel_finished)

    def catalog_changing(self) -> None:
        self._core.catalog_changing()

    def catalog_known(self, known: bool) -> None:
        if known:
            self._step(self._core.catalog_synced)
        else:
            self._catalog_unread()

    def _catalog_unread(self) -> None:
        self.fatal("58000", "the changed catalog could not be read", reason="error", hint="connect again")

    async def _sync_catalog(self) -> None:
        if await self._around.catalogs.renewed(self._database):
            self._step(self._core.catalog_synced)
        else:
            self._catalog_unread()
