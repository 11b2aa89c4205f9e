"""A catalog snapshot in parts: one header, then chunks small enough for any message limit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from decision.model.catalog import (
    CatalogCast,
    CatalogDomain,
    CatalogFunction,
    CatalogOperator,
    CatalogRelation,
    CatalogSnapshot,
    EventTrigger,
)
from decision.model.errors import LimitExceeded, TextRefused
from decision.wire.gen import catalog_pb2, decision_pb2
from decision.wire.mapping import WireMismatch, mapping

RELATION = mapping(CatalogRelation, catalog_pb2.CatalogRelation)
FUNCTION = mapping(CatalogFunction, catalog_pb2.CatalogFunction)
OPERATOR = mapping(CatalogOperator, catalog_pb2.CatalogOperator)
CAST = mapping(CatalogCast, catalog_pb2.CatalogCast)
DOMAIN = mapping(CatalogDomain, catalog_pb2.CatalogDomain)
EVENT_TRIGGER = mapping(EventTrigger, catalog_pb2.EventTrigger)

CHUNK_BYTES = 256 * 1024
MAX_SNAPSHOT_BYTES = 256 * 1024 * 1024
_OVERHEAD = 8  # tag and length of one element, rounded up


def parts(snapshot: CatalogSnapshot, chunk_bytes: int = CHUNK_BYTES) -> Iterator[decision_pb2.SyncCatalogRequest]:
    """The messages of `snapshot`, made one at a time. A chunk is over `chunk_bytes` only where one relation is."""
    yield decision_pb2.SyncCatalogRequest(
        header=catalog_pb2.CatalogHeader(
            database=snapshot.database,
            server_version=snapshot.server_version,
            version=snapshot.version,
            search_path=snapshot.search_path,
            extensions=snapshot.extensions,
            relation_count=len(snapshot.relations),
            function_count=len(snapshot.functions),
            operators=[OPERATOR.encode(item) for item in snapshot.operators],
            casts=[CAST.encode(item) for item in snapshot.casts],
            domains=[DOMAIN.encode(item) for item in snapshot.domains],
            event_triggers=[EVENT_TRIGGER.encode(item) for item in snapshot.event_triggers],
        )
    )
    chunk = catalog_pb2.CatalogChunk()
    size = 0
    relations = (("relations", RELATION.encode(item)) for item in snapshot.relations)
    functions = (("functions", FUNCTION.encode(item)) for item in snapshot.functions)
    for field, message in chain(relations, functions):
        added = message.ByteSize() + _OVERHEAD
        if size and size + added > chunk_bytes:
            yield decision_pb2.SyncCatalogRequest(chunk=chunk)
            chunk = catalog_pb2.CatalogChunk()
            size = 0
        getattr(chunk, field).append(message)
        size += added
    if size:
        yield decision_pb2.SyncCatalogRequest(chunk=chunk)


class SnapshotAssembler:
    """Takes the parts in order and gives the snapshot, or refuses: nothing half a catalog is ever used."""

    def __init__(self, max_bytes: int = MAX_SNAPSHOT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._header: catalog_pb2.CatalogHeader | None = None
        self._relations: list[CatalogRelation] = []
        self._functions: list[CatalogFunction] = []

    def add(self, part: decision_pb2.SyncCatalogRequest) -> None:
        """Raises TextRefused for a part out of order or not understood, LimitExceeded for too large a snapshot."""
        self._bytes += part.ByteSize()
        if self._bytes > self._max_bytes:
            raise LimitExceeded(f"the catalog snapshot is over {self._max_bytes} bytes")
        kind = part.WhichOneof("part")
        if (kind == "header") != (self._header is None):
            raise TextRefused("a catalog snapshot is one header, then chunks")
        if kind == "header":
            self._header = part.header
            return
        try:
            self._relations += [RELATION.decode(item) for item in part.chunk.relations]
            self._functions += [FUNCTION.decode(item) for item in part.chunk.functions]
        except WireMismatch as error:
            raise TextRefused(f"the catalog snapshot is of a newer version: {error}") from error

    def snapshot(self) -> CatalogSnapshot:
        """Raises TextRefused for a stream that was cut."""
        header = self._header
        if (
            header is None
            or header.relation_count != len(self._relations)
            or header.function_count != len(self._functions)
        ):
            raise TextRefused("the catalog snapshot is incomplete", hint="send it again")
        return CatalogSnapshot(
            database=header.database,
            server_version=header.server_version,
            version=header.version,
            search_path=tuple(header.search_path),
            relations=tuple(self._relations),
            functions=tuple(self._functions),
            extensions=tuple(header.extensions),
            operators=tuple(OPERATOR.decode(item) for item in header.operators),
            casts=tuple(CAST.decode(item) for item in header.casts),
            domains=tuple(DOMAIN.decode(item) for item in header.domains),
            event_triggers=tuple(EVENT_TRIGGER.decode(item) for item in header.event_triggers),
        )
