"""The console over a real decision service and a real audit store, as browsers call it."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from analytics.store import FOLDER, AnalyticsStore
from console.app import make_app
from console.audit import Audit
from console.settings import ConsoleSettings
from decision.clock import SystemClock, Uuid7Source
from decision.identity.settings import IdentitySettings
from decision.identity.verifier import TokenVerifier
from decision.model.decision import Decision
from decision.model.session import DecideRequest, SessionRequest
from ingest.local import LocalRunner
from tests.support.service import SetClock, Stand, stand

HELD = "ALTER TABLE t ADD COLUMN extra int"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass
class Pages:
    """`client` keeps cookies and follows redirects only where asked to."""

    stand: Stand
    app: web.Application
    client: TestClient[Any, Any]
    data_dir: Path

    @property
    def origin(self) -> str:
        return str(self.client.make_url("/")).rstrip("/")

    async def get(self, path: str) -> tuple[int, str]:
        async with self.client.get(path, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> ClientResponse:
        sent = {"Origin": self.origin, **headers}
        answer = await self.client.post(path, data=fields, headers=sent, allow_redirects=False)
        await answer.read()
        return answer

    async def sign_in(self, name: str, *groups: str) -> ClientResponse:
        return await self.post("/sign-in", {"token": self.stand.human(name, *groups)})

    async def csrf(self) -> str:
        found = CSRF.search((await self.get("/approvals"))[1])
        assert found is not None
        return html.unescape(found[1])

    async def ask(self, credential: str, text: str, intent: str = "") -> Decision:
        """Decide `text` in a session of its own."""
        service = self.stand.service
        session = await service.open_session(SessionRequest(credential, "shop", intent=intent))
        return await service.decide(DecideRequest(session.session_id, text.encode()))

    async def held(self, name: str = "alice", intent: str = "") -> str:
        """The id of the approval that a new request of `name` waits for."""
        return (await self.ask(self.stand.human(name), HELD, intent)).approval_id

    def publish(self) -> None:
        """Fold what was journaled into the audit store, as the projection does."""
        with AnalyticsStore(self.data_dir / FOLDER, SystemClock(), Uuid7Source()) as store:
            LocalRunner(store, self.stand.journal, SystemClock()).run(lambda _: True)


@asynccontextmanager
async def pages(folder: Path, clock: SetClock, settings: ConsoleSettings | None = None) -> AsyncIterator[Pages]:
    async with stand(folder, clock) as it:
        audit = Audit(folder)
        verifier = TokenVerifier(IdentitySettings(issuers=(it.issuer.settings(),)), clock)
        app = make_app(
            settings or ConsoleSettings(), it.service, verifier.verify, audit, clock, lambda: secrets.token_urlsafe(32)
        )
        async with TestClient(TestServer(app)) as client:
            yield Pages(it, app, client, folder)
        await audit.close()
