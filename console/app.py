"""The console's application, made of its parts, and the server that listens for it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from analytics.query import QueryError
from console import access, consent, live, watching
from console.access import Approvals, Verify
from console.audit import Audit
from console.pages import TEMPLATES, environment, page
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.shield import Handler, headers, own_host, own_origin
from decision.model.ports import Clock

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
LARGEST_FORM = 64 * 1024
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ASSETS = ("console.css", "console.js", "icon.svg")


def make_app(
    settings: ConsoleSettings,
    port: Approvals,
    verify: Verify,
    audit: Audit,
    clock: Clock,
    new_token: Callable[[], str],
    *,
    host: str = "127.0.0.1",
) -> web.Application:
    """`port` answers for approvals, `verify` says who a token is, `audit` what happened; `host` is listened on."""
    secure = settings.certificate_file is not None
    names = LOOPBACK_NAMES | {host.lower()} | {name.lower() for name in settings.hosts}
    app = web.Application(
        client_max_size=LARGEST_FORM, middlewares=[headers(secure), own_host(names), own_origin, _answered]
    )
    app[access.SETTINGS] = settings
    app[access.PORT] = port
    app[access.VERIFY] = verify
    app[access.CLOCK] = clock
    app[access.SECURE] = secure
    app[access.SESSIONS] = Sessions(clock, new_token, settings.session_s, settings.max_sessions)
    app[live.AUDIT] = audit
    app[live.STREAMS] = set()
    app[TEMPLATES] = environment()
    app.add_routes(
        [
            web.get("/", access.home),
            web.get("/healthz", _healthy),
            web.get("/sign-in", access.sign_in_page),
            web.post("/sign-in", access.sign_in),
            web.post("/sign-out", access.sign_out),
            web.get("/feed", watching.feed),
            web.get("/decisions/{decision_id}", watching.decision),
            web.get("/overview", watching.overview),
            web.get("/approvals", consent.approvals),
            web.post("/approvals/{approval_id}", consent.vote),
            web.get("/changes", live.changes),
            *(web.get(f"/static/{name}", _asset(name)) for name in ASSETS),
        ]
    )
    app.on_shutdown.append(live.end_streams)
    return app


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A question that the audit store does not answer is a page that says so, not a broken one."""
    try:
        return await handler(request)
    except QueryError as error:
        log.warning("the audit store gave no answer: %s", error.code)
        me = access.signed_in(request)
        return page(
            request, "refused.html", status=503, me=me, title="The audit store gave no answer",
            message="The question took too long or could not be read.", hint="Narrow the filters, or try again.",
        )  # fmt: skip


async def _healthy(_: web.Request) -> web.StreamResponse:
    return web.Response(text="ok\n")


def _asset(name: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / name)

    return handler


class ConsoleServer:
    """`app` on a socket that listens. Raises SettingsError for a certificate that can't be used."""

    def __init__(self, app: web.Application, settings: ConsoleSettings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)

    async def start(self) -> None:
        tls = await asyncio.to_thread(self._settings.tls)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener, ssl_context=tls).start()

    async def stop(self) -> None:
        await self._runner.cleanup()
