"""The whole decision service as a workload of bench.grpc: identity, analysis, Rego, the fsynced journal.

    python -m bench.grpc --workload bench.grpc_whole:Whole

Both processes find the same signing key in the folder that BENCH_FOLDER names; each has a journal of its own there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from airlock.compose import RunningService, start_service
from airlock.issuer import DevelopmentIssuer
from airlock.settings import DatabaseSettings, Settings
from decision.clock import SystemClock
from decision.journal.settings import JournalSettings
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.facts import RelationKind
from decision.model.policy import Environment
from decision.model.ports import DecisionPort
from decision.model.principal import PrincipalKind
from decision.model.session import SessionRequest

DISTINCT_TEXTS = 100


class Whole:
    """An analyst reads customers by key, out of a hundred different texts."""

    def __init__(self) -> None:
        self._folder = Path(os.environ["BENCH_FOLDER"])
        self._issuer = DevelopmentIssuer(self._folder, SystemClock())
        self._issuer.settings()
        self.running: RunningService | None = None

    @contextlib.asynccontextmanager
    async def port(self) -> AsyncIterator[DecisionPort]:
        data_dir = Path(tempfile.mkdtemp(dir=self._folder, prefix="node-"))
        shutil.copytree(self._folder / "issuer", data_dir / "issuer")
        database = DatabaseSettings(name="shop", environment=Environment.PROD)
        journal = JournalSettings(quota_bytes=64 << 30)
        settings = Settings(data_dir=data_dir, database=(database,), journal=journal)
        self.running = running = await start_service(settings, {"shop": database.entry()}, _poisoned)
        try:
            await running.service.sync_catalog(_catalog())
            yield running.service
        finally:
            await running.close()

    def session(self) -> SessionRequest:
        return SessionRequest(self._issuer.issue("alice", groups=["analysts"]), "shop")

    def agent_session(self) -> SessionRequest:
        """An agent that acts for her: its statements are evaluated for both."""
        token = self._issuer.issue("report-bot", PrincipalKind.AGENT, on_behalf_of="alice")
        return SessionRequest(token, "shop")

    def fresh_text(self, number: int) -> bytes:
        """A text that no cache holds anything of: its normalized form is new, and so is its policy input."""
        return b"SELECT id AS a%d, email, city FROM customers WHERE id = 7" % number

    def text(self, number: int) -> bytes:
        return b"SELECT id, email, city FROM customers WHERE id = %d" % (number % DISTINCT_TEXTS)


def _poisoned(error: BaseException) -> None:
    raise SystemExit(f"the journal is poisoned: {type(error).__name__}")


def _catalog() -> CatalogSnapshot:
    columns = (
        CatalogColumn("id", 1, 23, "integer", not_null=True),
        CatalogColumn("email", 2, 25, "text", tags=("pii.email",)),
        CatalogColumn("city", 3, 25, "text"),
    )
    customers = CatalogRelation("public", "customers", 16_400, RelationKind.TABLE, columns, keys=(("id",),))
    return CatalogSnapshot("shop", 180_004, "bench", ("public",), (customers,))
