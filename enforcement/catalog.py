"""Reads a catalog snapshot from a PostgreSQL server, and notices cheaply that it changed.

One read-only repeatable-read transaction gives one consistent picture. System relations and views are part of it, since
statements name them. The search path is the one that a new session of this role has.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from decision.model.catalog import (
    CatalogCast,
    CatalogColumn,
    CatalogDomain,
    CatalogFunction,
    CatalogOperator,
    CatalogRelation,
    CatalogSnapshot,
    EventTrigger,
    ForeignKey,
    RelationIndex,
    RowPolicy,
    Rule,
    Trigger,
)
from decision.model.facts import RelationKind
from enforcement import catalog_sql as sql

Connection = psycopg.AsyncConnection[TupleRow]
_KINDS = {
    "r": RelationKind.TABLE,
    "v": RelationKind.VIEW,
    "m": RelationKind.MATERIALIZED_VIEW,
    "f": RelationKind.FOREIGN_TABLE,
    "p": RelationKind.PARTITIONED,
    "S": RelationKind.SEQUENCE,
}
_ACTIONS = {"a": "no_action", "r": "restrict", "c": "cascade", "n": "set_null", "d": "set_default"}
_COMMANDS = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}
_RULES = {"1": "select", "2": "update", "3": "insert", "4": "delete"}
_VOLATILITY = {"i": "immutable", "s": "stable", "v": "volatile"}
_FUNCTIONS = {"f": "function", "p": "procedure", "a": "aggregate", "w": "window"}
_METHODS = {"f": "function", "i": "inout", "b": "binary"}
_CONTEXTS = {"e": "explicit", "a": "assignment", "i": "implicit"}
_SYSTEM = ("pg_catalog", "information_schema")


async def read_catalog(source: str | Connection, database: str) -> CatalogSnapshot:
    """The snapshot of the database that `source` (DSN, or an idle connection) reaches; `database` is the name of its
    entry in the settings. Raises psycopg.Error."""
    if isinstance(source, str):
        async with await psycopg.AsyncConnection.connect(source, autocommit=True) as connection:
            return await read_catalog(connection, database)
    async with source.transaction():
        await source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        path = await _rows(source, "SELECT current_schemas(true)::text[], current_setting('server_version_num')::int4")
        await source.execute("SET LOCAL search_path = pg_catalog")
        parts = await _read(source, int(path[0][1]))
    search_path = tuple(name for name in path[0][0] if not name.startswith(("pg_temp_", "pg_toast_temp_")))
    snapshot = CatalogSnapshot(
        database=database,
        server_version=int(path[0][1]),
        version="",
        search_path=search_path,
        relations=_relations(parts),
        functions=tuple(_function(row) for row in parts["functions"]),
        extensions=tuple(str(row[0]) for row in parts["extensions"]),
        operators=tuple(CatalogOperator(*row) for row in parts["operators"]),
        casts=tuple(CatalogCast(row[0], row[1], _METHODS[row[2]], _CONTEXTS[row[3]], *row[4:])
                    for row in parts["casts"]),
        domains=tuple(CatalogDomain(row[0], row[1], row[2], tuple(row[3]), row[4]) for row in parts["domains"]),
        event_triggers=tuple(EventTrigger(row[0], row[1], row[2], row[3], tuple(row[4]))
                             for row in parts["event_triggers"]),
    )  # fmt: skip
    return replace(snapshot, version=version_of(snapshot))


def version_of(snapshot: CatalogSnapshot) -> str:
    """The digest of everything but the version itself and row counts, which change all the time."""
    stable = [replace(relation, estimated_rows=_magnitude(relation.estimated_rows)) for relation in snapshot.relations]
    content = repr((snapshot.database, snapshot.server_version, snapshot.search_path, stable, snapshot.functions,
                    snapshot.extensions, snapshot.operators, snapshot.casts, snapshot.domains,
                    snapshot.event_triggers))  # fmt: skip
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _magnitude(rows: int) -> int:
    return rows if rows <= 0 else len(str(rows))


async def catalog_fingerprint(connection: Connection) -> str:
    """A short text that differs once the catalog differs in what a snapshot holds. Raises psycopg.Error."""
    rows = await _rows(connection, sql.FINGERPRINT)
    return str(rows[0][0])


async def _rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query.replace("%%", "%").encode())
    return await cursor.fetchall()


async def _read(connection: Connection, version: int) -> dict[str, list[tuple[Any, ...]]]:
    functions = sql.FUNCTIONS.replace("{sql_body}", "pg_get_function_sqlbody(p.oid)" if version >= 140000 else "NULL")
    queries = {
        "relations": sql.RELATIONS, "columns": sql.COLUMNS, "keys": sql.KEYS, "foreign_keys": sql.FOREIGN_KEYS,
        "triggers": sql.TRIGGERS, "rules": sql.RULES, "policies": sql.POLICIES, "inheritance": sql.INHERITANCE,
        "functions": functions, "extensions": sql.EXTENSIONS, "indexes": sql.INDEXES, "checks": sql.CHECKS,
        "operators": sql.OPERATORS, "casts": sql.CASTS, "domains": sql.DOMAINS, "event_triggers": sql.EVENT_TRIGGERS,
    }  # fmt: skip
    return {name: await _rows(connection, query) for name, query in queries.items()}


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


def _relations(parts: dict[str, list[tuple[Any, ...]]]) -> tuple[CatalogRelation, ...]:
    grouped = {name: _grouped(parts[name]) for name in
               ("columns", "keys", "foreign_keys", "triggers", "rules", "policies", "indexes", "checks")}  # fmt: skip
    names = {row[0]: (row[1], row[2]) for row in parts["relations"]}
    parents: dict[int, list[tuple[str, str]]] = defaultdict(list)
    children: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for child, parent in parts["inheritance"]:
        if child in names and parent in names:
            parents[child].append(names[parent])
            children[parent].append(names[child])
    return tuple(
        CatalogRelation(
            schema=schema,
            name=name,
            oid=oid,
            kind=_kind(schema, kind, persistence),
            columns=tuple(_column(row) for row in grouped["columns"].get(oid, ())),
            definition=definition.strip().removesuffix(";"),
            keys=tuple(dict.fromkeys(tuple(row[2]) for row in grouped["keys"].get(oid, ()) if row[2])),
            foreign_keys=tuple(_foreign_key(row) for row in grouped["foreign_keys"].get(oid, ())),
            triggers=tuple(_trigger(row) for row in grouped["triggers"].get(oid, ())),
            rules=tuple(Rule(row[1], _RULES[row[2]], row[3], row[4]) for row in grouped["rules"].get(oid, ())),
            row_policies=tuple(
                RowPolicy(row[1], _COMMANDS[row[2]], row[3], row[4]) for row in grouped["policies"].get(oid, ())
            ),
            row_security=secured,
            parents=tuple(parents.get(oid, ())),
            children=tuple(children.get(oid, ())),
            estimated_rows=round(tuples) if tuples >= 0 else -1,
            indexes=tuple(RelationIndex(*row[1:]) for row in grouped["indexes"].get(oid, ())),
            checks=tuple(row[1] for row in grouped["checks"].get(oid, ())),
            foreign_server=server,
        )
        for oid, schema, name, kind, persistence, secured, tuples, _, definition, server in parts["relations"]
    )


def _kind(schema: str, kind: str, persistence: str) -> RelationKind:
    if persistence == "t":
        return RelationKind.TEMPORARY
    if schema in _SYSTEM and kind == "r":
        return RelationKind.SYSTEM
    return _KINDS[kind]


def _column(row: tuple[Any, ...]) -> CatalogColumn:
    *plain, expression = row[1:]
    return replace(CatalogColumn(*plain), expression=expression)


def _foreign_key(row: tuple[Any, ...]) -> ForeignKey:
    _, name, schema, table, on_delete, on_update, columns, target = row
    return ForeignKey(
        name, tuple(columns), schema, table, tuple(target), _ACTIONS[on_delete.strip()], _ACTIONS[on_update.strip()]
    )


def _trigger(row: tuple[Any, ...]) -> Trigger:
    _, name, bits, schema, function, enabled = row
    events = tuple(
        event for bit, event in ((4, "insert"), (8, "delete"), (16, "update"), (32, "truncate")) if bits & bit
    )
    return Trigger(name, events, schema, function, enabled, after=not (bits & 1 and bits & (2 | 64)))


def _function(row: tuple[Any, ...]) -> CatalogFunction:
    schema, name, oid, arguments, returns, language, volatility, kind, *rest = row
    definer, returns_set, body, names, settings, defaults = rest
    configuration = [setting.partition("=") for setting in settings]
    return CatalogFunction(
        schema, name, oid, tuple(arguments), returns, language, _VOLATILITY[volatility], _FUNCTIONS[kind], definer,
        returns_set, body, tuple(names), tuple([(name.lower(), value) for name, _, value in configuration]), defaults,
    )  # fmt: skip
