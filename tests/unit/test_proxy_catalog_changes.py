"""A catalog that another session has changed: what waits, and what was decided too early."""

from __future__ import annotations

import asyncio

import pytest

from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, PolicyEffect
from decision.model.facts import Access, Kind, RelationKind, RelationUse, Statement
from decision.template import changes_for_all
from enforcement.config import UpstreamDatabase
from enforcement.masking.engine import MaskingEngine
from enforcement.postgres.catalogs import Catalogs
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.messages import Back, message
from enforcement.postgres.protocol.state import SyncCatalog
from tests.clients.port import FakePort

ALLOWED = Decision("d", PolicyEffect.ALLOW)
ASKED = messages.query(b"SELECT category FROM changing")


def core() -> SessionCore:
    return SessionCore("s", MaskingEngine(bytes(32)))


def test_nothing_is_asked_while_a_change_is_not_read() -> None:
    """A statement that comes meanwhile is asked about once all changes were read."""
    one = core()
    one.catalog_changing()
    one.catalog_changing()
    one.client_data(ASKED)
    one.catalog_synced()
    assert one.state.asks == []
    one.catalog_synced()
    assert [exchange.text for exchange in one.state.asks] == [b"SELECT category FROM changing"]
    one.decided(one.state.asks.pop(), ALLOWED)
    assert one.state.to_server == [ASKED]


def test_what_was_asked_before_the_change_does_not_run() -> None:
    """The answer may be about something else than would run: the client is told to run it again."""
    one = core()
    one.client_data(ASKED)
    one.catalog_changing()
    one.decided(one.state.asks.pop(), ALLOWED)
    assert b"changing" not in b"".join(one.state.to_server)
    one.server_data(messages.error_response("42601", "syntax") + messages.ready_for_query("I"))
    assert b"C40001" in b"".join(one.state.to_client)


@pytest.mark.parametrize("shared", [True, False])
def test_only_a_shared_change_is_told_to_the_others(shared: bool) -> None:
    """The session itself waits for either."""
    one = core()
    one.client_data(messages.query(b"CREATE VIEW x AS SELECT 1"))
    changing = Decision("d", PolicyEffect.ALLOW, catalog_changing=True, catalog_shared=shared)
    one.decided(one.state.asks.pop(), changing)
    one.server_data(message(Back.COMMAND_COMPLETE, b"CREATE VIEW\0") + messages.ready_for_query("I"))
    assert one.state.commands == [SyncCatalog(shared)]
    assert one.state.catalog_syncing == 1


def changing(schema: str, *kinds: Kind) -> Statement:
    relation = RelationUse(schema, "t", RelationKind.TABLE, (Access.DDL,))
    return Statement("f", "", kinds, relations=(relation,) if schema else ())


def test_a_temporary_relation_is_nobody_elses_business() -> None:
    """Everything else that may change the catalog is."""
    assert not changes_for_all(changing("pg_temp", Kind.DDL))
    assert not changes_for_all(changing("public", Kind.SELECT))
    for statement in (
        changing("public", Kind.DDL),
        changing("", Kind.DDL),
        changing("pg_temp", Kind.DDL, Kind.DO),
        changing("", Kind.DCL),
        changing("", Kind.CALL),
    ):
        assert changes_for_all(statement)


class Watcher:
    def __init__(self) -> None:
        self.told: list[bool | str] = []

    def catalog_changing(self) -> None:
        self.told.append("changing")

    def catalog_known(self, known: bool) -> None:
        self.told.append(known)


@pytest.mark.parametrize("readable", [True, False])
async def test_everybody_but_who_changed_it_is_told(readable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once that it changed, later that it was read, or that it could not be; who comes meanwhile as well."""
    monkeypatch.setattr("enforcement.postgres.catalogs.TRIES", 1)

    async def read(dsn: str, name: str) -> CatalogSnapshot:
        if not readable:
            raise OSError
        return CatalogSnapshot(name, 180_000, "v1")

    catalogs = Catalogs(FakePort(), read, 60)
    database = UpstreamDatabase(name="shop", upstream="postgresql://me:secret@localhost/shop")
    changer, other, elsewhere, late, gone = (Watcher() for _ in range(5))
    for one in (changer, other, gone):
        catalogs.watch("shop", one)
    catalogs.watch("another", elsewhere)
    catalogs.changed(database, changer)
    assert other.told == gone.told == ["changing"]
    catalogs.watch("shop", late)
    catalogs.unwatch("shop", gone)
    async with asyncio.timeout(10):
        while len(other.told) < 2:
            await asyncio.sleep(0.01)
    assert other.told == late.told == ["changing", readable]
    assert changer.told == elsewhere.told == []
    assert gone.told == ["changing"]
    after = Watcher()
    catalogs.watch("shop", after)
    assert after.told == []
    await catalogs.close()
