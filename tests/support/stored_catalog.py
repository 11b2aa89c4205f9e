"""A catalog as a file of the repository: what the server says of a schema's own objects, the same from any server.

Object identifiers differ between servers, so they are numbered anew; of the system's own relations and functions only
those are kept that are asked for, for they are thousands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

import psycopg

from decision.model.catalog import CatalogRelation, CatalogSnapshot
from enforcement.catalog import read_catalog

FIRST_OF_USERS = 16384  # object identifiers below are the system's, the same everywhere
SYSTEM = ("pg_catalog", "information_schema", "pg_toast")


def catalog_of(dsn: str, schema: str, name: str, system: Collection[str]) -> CatalogSnapshot:
    """What the empty database at `dsn` says of itself once `schema` (SQL) ran, with these `system` objects."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(schema.encode())
        connection.execute("VACUUM ANALYZE")
    snapshot = asyncio.run(read_catalog(dsn, name))
    kept = [r for r in snapshot.relations if r.schema not in SYSTEM or r.name in system]
    functions = [f for f in snapshot.functions if f.schema not in SYSTEM or f.name in system]
    types = sorted({c.type_oid for r in kept for c in r.columns if c.type_oid >= FIRST_OF_USERS})
    numbers = {oid: FIRST_OF_USERS + number for number, oid in enumerate(types)}
    return replace(
        snapshot,
        relations=tuple(_numbered(relation, number, numbers) for number, relation in enumerate(kept, 1)),
        functions=tuple(replace(function, oid=number) for number, function in enumerate(functions, 1)),
        version="",
    )


def _numbered(relation: CatalogRelation, number: int, types: dict[int, int]) -> CatalogRelation:
    columns = tuple(
        replace(column, type_oid=types.get(column.type_oid, column.type_oid)) for column in relation.columns
    )
    return replace(relation, oid=number, columns=columns)
