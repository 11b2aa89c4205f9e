"""Signing in and out, and what a page may ask of who looks at it.

A token is pasted in; it is verified as the decision service verifies it, and by asking the decision service with it.
The browser gets an unguessable name for the session, nothing else.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from aiohttp import web

from console.pages import page
from console.sessions import Sessions, SignedIn
from console.settings import ConsoleSettings
from decision.model.errors import AirlockError, CredentialInvalid
from decision.model.ports import Clock
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import Approval

log = logging.getLogger(__name__)

Verify = Callable[[str], Awaitable[Principal]]
"""Credential to principal. Raises IdentityError."""


class Approvals(Protocol):
    """What the console asks of the decision service: this part of DecisionPort."""

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]: ...

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval: ...


PORT: web.AppKey[Approvals] = web.AppKey("port")
SESSIONS = web.AppKey("sessions", Sessions)
SETTINGS = web.AppKey("settings", ConsoleSettings)
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
VERIFY: web.AppKey[Verify] = web.AppKey("verify")
SECURE = web.AppKey("secure", bool)


def now(request: web.Request) -> datetime:
    return datetime.fromtimestamp(request.app[CLOCK].time_unix_nano() / 1e9, UTC)


def cookie_name(secure: bool) -> str:
    """Under TLS with the prefix that lets no other host or path set it."""
    return "__Host-airlock" if secure else "airlock_console"


def signed_in(request: web.Request) -> SignedIn | None:
    name = request.cookies.get(cookie_name(request.app[SECURE]), "")
    return request.app[SESSIONS].find(name)


def somebody(request: web.Request) -> SignedIn:
    """Who is signed in; else the way to the sign-in."""
    me = signed_in(request)
    if me is None:
        raise web.HTTPSeeOther("/sign-in")
    return me


async def posted(request: web.Request, me: SignedIn) -> dict[str, str]:
    """The fields of a form of ours. Refuses one without the session's token."""
    fields = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    if not hmac.compare_digest(fields.get("csrf", "").encode(), me.csrf.encode()):
        raise web.HTTPForbidden(text="refused: the form is not of this session; load the page again\n")
    return fields


async def sign_in_page(request: web.Request) -> web.StreamResponse:
    if signed_in(request) is not None:
        raise web.HTTPSeeOther("/")
    return page(request, "sign_in.html", error="", hint="")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Verify the token and open a session."""
    token = str((await request.post()).get("token", "")).strip()
    try:
        principal = await request.app[VERIFY](token)
        if principal.kind is not PrincipalKind.HUMAN:
            raise CredentialInvalid(
                f"this is the token of a principal of kind {principal.kind.value}; the console is for people",
                hint="sign in with your own token: airlock token --kind human",
            )
        await request.app[PORT].list_approvals(token)
    except AirlockError as error:
        log.info("a sign-in was refused: %s", error.code)
        return page(request, "sign_in.html", status=403, error=error.message, hint=error.hint)
    settings = request.app[SETTINGS]
    may_audit = bool(set(principal.groups) & set(settings.groups))
    session = request.app[SESSIONS].open(principal, token, may_audit)
    response = web.HTTPSeeOther("/")
    life = (session.expires_unix_nano - request.app[CLOCK].time_unix_nano()) // 1_000_000_000
    secure = request.app[SECURE]
    response.set_cookie(
        cookie_name(secure), session.session_id, httponly=True, samesite="Strict", secure=secure, path="/",
        max_age=max(1, life),
    )  # fmt: skip
    raise response


async def sign_out(request: web.Request) -> web.StreamResponse:
    me = somebody(request)
    await posted(request, me)
    request.app[SESSIONS].close(me.session_id)
    response = web.HTTPSeeOther("/sign-in")
    response.del_cookie(cookie_name(request.app[SECURE]), path="/")
    raise response


async def home(request: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther("/feed" if somebody(request).may_audit else "/approvals")


def auditor(request: web.Request) -> SignedIn:
    """Who is signed in, if they may see what everybody did; else a page that says who may."""
    me = somebody(request)
    if not me.may_audit:
        groups = ", ".join(request.app[SETTINGS].groups)
        denied = page(
            request, "refused.html", status=403, me=me,
            title="The audit trail is not yours to see",
            message=f"It shows what everybody did. Whoever looks must be in one of the groups {groups}.",
            hint="Your own requests and those that you may decide on are under Approvals.",
        )  # fmt: skip
        raise web.HTTPForbidden(text=denied.text, content_type="text/html")
    return me
