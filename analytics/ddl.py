"""The SQL of the projection, read from schema/*.sql, where the text behind a column is its documentation.

`CREATE TABLE t ( -- text` and `CREATE VIEW v AS -- text` document the relation, `name TYPE, -- text` and
`expression AS name, -- text` a column; both become COMMENT ON. One file thus is names, types and documentation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import duckdb
import pyarrow as pa

from analytics.project import TABLES

_TABLE = re.compile(r"^CREATE TABLE (\w+) \( -- (.+)$")
_VIEW = re.compile(r"^CREATE VIEW (\w+) AS -- (.+)$")
_TABLE_COLUMN = re.compile(r"^  (\w+) ([A-Z, ()\[\]]+?), -- (.+)$")
_VIEW_COLUMN = re.compile(r"^  .*?(\w+), -- (.+)$")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A fact table or a view; a view's columns have no `type` here."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    sql: str = ""


def _statements(name: str) -> list[str]:
    text = files("analytics").joinpath("schema", name).read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [part.strip() for part in re.split(r";$", "\n".join(lines), flags=re.MULTILINE) if part.strip()]


def _relation(statement: str) -> Relation:
    first, *rest = statement.splitlines()
    head = _TABLE.match(first) or _VIEW.match(first)
    if head is None:
        raise ValueError(f"schema: {first!r} is no documented CREATE")
    columns = []
    for line in rest:
        if table_column := _TABLE_COLUMN.match(line) if first.startswith("CREATE TABLE") else None:
            columns.append(Column(table_column[1], table_column[2], table_column[3]))
        elif view_column := _VIEW_COLUMN.match(line) if first.startswith("CREATE VIEW") else None:
            columns.append(Column(view_column[1], "", view_column[2]))
        elif first.startswith("CREATE VIEW") and (end := re.match(r"^  END AS (\w+), -- (.+)$", line)):
            columns.append(Column(end[1], "", end[2]))
    return Relation(head[1], head[2], tuple(columns), statement)


@cache
def facts() -> dict[str, Relation]:
    """The fact tables by name, in the file's order; their columns are the fields of analytics.project's rows."""
    found = {relation.name: relation for relation in map(_relation, _statements("facts.sql"))}
    for name, row in TABLES.items():
        if tuple(column.name for column in found[name].columns) != row._fields:
            raise ValueError(f"schema: the columns of {name} are not those of {row.__name__}")
    return found


@cache
def views() -> dict[str, Relation]:
    return {relation.name: relation for relation in map(_relation, _statements("views.sql"))}


@cache
def version() -> str:
    """A digest of the facts' columns: a store with another one must be rebuilt."""
    columns = [(name, [(c.name, c.type) for c in relation.columns]) for name, relation in facts().items()]
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:16]


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def create_facts(schema: str) -> str:
    """DDL of every fact table in `schema`."""
    parts = [f"CREATE SCHEMA {schema}"]
    for name, relation in facts().items():
        columns = ", ".join(f"{column.name} {column.type}" for column in relation.columns)
        parts.append(f"CREATE TABLE {schema}.{name} ({columns})")
    return ";".join(parts)


def fact_view(name: str) -> str:
    """`fact.<name>`: the rows that travel in the catalog file itself and those of the segment files."""
    return f"CREATE VIEW fact.{name} AS SELECT * FROM cold.{name} UNION ALL SELECT * FROM hot.{name}"


def cold_view(name: str, paths: Sequence[str], catalog: str) -> str:
    """`cold.<name>`: the rows of the listed segment files. It alone changes with them: replacing a documented view
    would cost its comments, and those take longer than all else in a catalog."""
    columns = facts()[name].columns
    if paths:
        listed = ", ".join(quote(path) for path in paths)
        rows = f"{', '.join(c.name for c in columns)} FROM read_parquet([{listed}], hive_partitioning = false)"
    else:
        rows = f"{', '.join(f'NULL::{c.type} AS {c.name}' for c in columns)} WHERE false"
    return f"CREATE OR REPLACE VIEW {catalog}.cold.{name} AS SELECT {rows}"


@cache
def create_views() -> str:
    return ";".join(view.sql for view in views().values())


@cache
def create_comments() -> str:
    """COMMENT ON for every fact and view and each of their columns."""
    parts = []
    for schema, relations in (("fact", facts()), ("main", views())):
        for relation in relations.values():
            name = f"{schema}.{relation.name}"
            parts.append(f"COMMENT ON VIEW {name} IS {quote(relation.comment)}")
            parts += [f"COMMENT ON COLUMN {name}.{c.name} IS {quote(c.comment)}" for c in relation.columns]
    return ";".join(parts)


@cache
def arrow_schemas() -> dict[str, pa.Schema]:
    """The Arrow schema of each fact table, as DuckDB gives it."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(create_facts("hot"))
        return {name: connection.sql(f"FROM hot.{name}").to_arrow_table().schema for name in facts()}
