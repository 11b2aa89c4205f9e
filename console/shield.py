"""What stands before every page: who may call by which name, from which page, and what the browser is told.

- The Host header must be a name of ours: a foreign name that resolves to this machine (DNS rebinding) is refused.
- Whatever changes something must come from a page of ours (Origin) and, when signed in, bring the session's token.
- Pages carry no script or style of their own, load nothing from elsewhere, are never framed and never stored.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
HSTS = "max-age=31536000"
SAFE_METHODS = frozenset({"GET", "HEAD"})


def host_name(header: str) -> str:
    """The name in a Host header, in small letters, without its port."""
    if header.startswith("["):
        return header.partition("]")[0].lstrip("[").lower()
    return header.partition(":")[0].lower().rstrip(".")


def headers(secure: bool) -> Middleware:
    """Put the security headers on every answer, errors included."""
    added = HEADERS | ({"Strict-Transport-Security": HSTS} if secure else {})

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(added)
            raise
        if not response.prepared:
            response.headers.update(added)
        return response

    return middleware


def own_host(names: frozenset[str]) -> Middleware:
    """Refuse requests for another host than ours."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if host_name(request.headers.get("Host", "")) not in names:
            log.warning("refused a request for a foreign host name")
            raise web.HTTPMisdirectedRequest(text="this console is not called by that name; see console.hosts\n")
        return await handler(request)

    return middleware


@web.middleware
async def own_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page of somebody else makes the browser send."""
    if request.method not in SAFE_METHODS:
        wanted = f"{request.scheme}://{request.headers.get('Host', '')}"
        if request.headers.get("Origin", "") != wanted:
            raise web.HTTPForbidden(text="refused: this did not come from a page of the console\n")
    return await handler(request)
