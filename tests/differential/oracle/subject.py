"""Our analysis beside a session of the oracle: the facts of each message, with the catalog that the service would have
before it and the session state that the service would have kept."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import psycopg

from decision.analysis import Analyzer, SessionState
from decision.analysis.result import Analysis
from decision.model.catalog import CatalogRelation, CatalogSnapshot
from decision.model.errors import Denied
from enforcement import catalog
from tests.differential.oracle.server import OracleServer, Outcome, schema_name

FIRST_USER_OID = 16384
BY_RELATION = re.compile(r"\s*SELECT (?:\w+\.)?(?P<column>\w*(?:oid|relid|ev_class))::int8,")


def _users_own() -> SimpleNamespace:
    """The reader's queries, without what came with the server: that part never changes."""
    queries = {name: text for name, text in vars(catalog.sql).items() if name.isupper() and isinstance(text, str)}
    for name, text in queries.items():
        found = BY_RELATION.match(text)
        if found:
            queries[name] = f"SELECT * FROM ({text}) part WHERE part.{found['column']} >= {FIRST_USER_OID}"
    return SimpleNamespace(**queries)


class CatalogSource:
    """Snapshots of one database by the product's reader, over a connection of their own, as the product reads them.

    The relations that came with the server are read once; a snapshot is their union with the users' own.
    """

    def __init__(self, dsn: str, database: str, system: tuple[CatalogRelation, ...] = ()) -> None:
        self._dsn, self._database = dsn, database
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(psycopg.AsyncConnection.connect(dsn, autocommit=True))
        self._loop.run_until_complete(self._connection.execute("SET lock_timeout = '500ms'"))
        self._queries = _users_own()
        self.system = system or tuple(r for r in self.whole().relations if r.oid < FIRST_USER_OID)
        self.snapshot = self.read()

    def whole(self) -> CatalogSnapshot:
        """All of it, as the product reads it."""
        return self._loop.run_until_complete(catalog.read_catalog(self._connection, self._database))

    def read(self) -> CatalogSnapshot:
        """The same in a fraction of the time. Raises psycopg.Error when a lock is in the way."""
        with mock.patch.object(catalog, "sql", self._queries):
            own = self._loop.run_until_complete(catalog.read_catalog(self._connection, self._database))
        self.snapshot = replace(own, relations=self.system + own.relations)
        return self.snapshot

    def close(self) -> None:
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()


class Pair:
    """A session of the server and what the analysis knows of it. `run` gives both answers to one message."""

    def __init__(self, server: OracleServer, database: str, system: tuple[CatalogRelation, ...] = (),
                 timeout_ms: int = 4000) -> None:  # fmt: skip
        self._server, self._database, self._timeout = server, database, timeout_ms
        self.source = CatalogSource(server.dsn(database), database, system)
        self.session = server.session(database, timeout_ms=timeout_ms)
        self.state = SessionState()
        self.analyzer = Analyzer()
        self._changed = False
        self.catalog_reads = 0
        self._named: CatalogSnapshot | None = None
        self._names: dict[int, tuple[str, str]] = {}

    def reconnect(self, role: str = "") -> None:
        """A new session, in the name of `role`."""
        self.session.close()
        self.session = self._server.session(self._database, role, self._timeout)
        self.state = SessionState()

    def run(self, text: str, data: str = "") -> tuple[Analysis | Denied, Outcome]:
        """The analysis of a message (or its refusal), made before the server ran it, and what the server reported.

        Raises whatever the analysis raises beyond its errors: that is a defect.
        """
        if self._changed and self.session.status == "I":
            self._refresh()
        analysis: Analysis | Denied
        try:
            analysis = self.analyzer.analyze(text.encode(), self.source.snapshot, self.state)
        except Denied as refused:
            analysis = refused
        outcome = self.session.run(text, data)
        if isinstance(analysis, Analysis):
            self.state = self.state.advance(analysis, outcome.status_before)
            kinds = {kind.value for statement in analysis.facts.statements for kind in statement.kinds}
            self._changed |= bool(kinds - {"select", "insert", "update", "delete", "session", "explain", "cursor"})
        self._changed |= bool(outcome.definitions)
        return analysis, outcome

    def _refresh(self) -> None:
        try:
            self.source.read()
            self.catalog_reads += 1
            self._changed = False
        except psycopg.Error:
            pass  # tried again before the next message

    def close(self) -> None:
        self.session.close()
        self.source.close()

    @property
    def names(self) -> dict[int, tuple[str, str]]:
        """What the snapshot before the last message calls each relation; it may have got another name by it."""
        if self._named is not self.source.snapshot:
            self._named = self.source.snapshot
            self._names = {r.oid: (schema_name(r.schema), r.name) for r in self._named.relations}
        return self._names
