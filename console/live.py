"""The signal that something is new, as server-sent events: it says that, never what, so it shows nothing to anybody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from console.access import SESSIONS, somebody
from console.audit import Audit
from console.shield import HEADERS

AUDIT = web.AppKey("audit", Audit)
STREAMS: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("streams")
POLL_S = 0.25
HEARTBEAT_S = 15.0
MOST_STREAMS = 200


async def changes(request: web.Request) -> web.StreamResponse:
    """`changed` whenever the audit store was published anew, until the browser leaves or its session ends."""
    me = somebody(request)
    streams = request.app[STREAMS]
    if len(streams) >= MOST_STREAMS:
        raise web.HTTPServiceUnavailable(text="too many pages are open; this one does not refresh by itself\n")
    task = asyncio.current_task()
    assert task is not None
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    audit = request.app[AUDIT]
    streams.add(task)
    try:
        with contextlib.suppress(ConnectionResetError):
            await response.write(b"retry: 2000\n\n")
            await _signal(response, audit, lambda: request.app[SESSIONS].find(me.session_id) is not None)
    finally:
        streams.discard(task)
    return response


async def _signal(response: web.StreamResponse, audit: Audit, goes_on: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    seen, last = audit.state(), loop.time()
    while goes_on():
        await asyncio.sleep(POLL_S)
        state = audit.state()
        if state != seen:
            seen, last = state, loop.time()
            await response.write(b"event: changed\ndata: 1\n\n")
        elif loop.time() - last > HEARTBEAT_S:
            last = loop.time()
            await response.write(b": still here\n\n")


async def end_streams(app: web.Application) -> None:
    """Shutting down does not wait for pages that are open."""
    streams = app[STREAMS]
    for task in tuple(streams):
        task.cancel()
