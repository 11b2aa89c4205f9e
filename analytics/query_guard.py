"""What may be asked: one statement that reads, looked at as DuckDB's own parser sees it.

The connection is locked down without this (analytics.query); the guard refuses what a locked connection would still
run: functions that act on the process (logs, external resources, sequences) or that run SQL from a string past this
look. Table functions are listed by what is allowed, as each new version of DuckDB brings more of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import duckdb
import orjson

from decision.model.errors import AirlockError

TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns", "duckdb_databases", "duckdb_functions", "duckdb_indexes", "duckdb_keywords", "duckdb_memory",
        "duckdb_schemas", "duckdb_settings", "duckdb_tables", "duckdb_types", "duckdb_views", "generate_series",
        "histogram", "histogram_values", "icu_calendar_names", "json_each", "json_tree", "parquet_file_metadata",
        "parquet_metadata", "parquet_scan", "parquet_schema", "pg_timezone_names", "pragma_database_size",
        "pragma_show", "pragma_storage_info", "pragma_table_info", "pragma_version", "range", "read_parquet", "repeat",
        "repeat_row", "summary", "unnest",
    }
)  # fmt: skip
"""Of these those that read files read the published segments only: the connection refuses every other path."""

FORBIDDEN_FUNCTIONS = frozenset(
    {
        "currval", "getenv", "getvariable", "json_execute_serialized_sql", "nextval", "setseed", "setval", "sleep_ms",
        "write_log",
    }
)  # fmt: skip

_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_EXPLAIN = re.compile(r"explain\s+(?:analyze\s+)?", re.IGNORECASE)
_ONLY = "ask with SELECT, DESCRIBE, SHOW TABLES, SUMMARIZE or EXPLAIN"


class QueryError(AirlockError):
    """A question that can't be answered; the message says why, the hint what to do."""

    code = "query_error"


class QueryRefused(QueryError):
    """It would do something other than read."""

    code = "query_refused"


def check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raises QueryRefused when `sql` is anything but one statement that reads, duckdb.Error when it can't be parsed.
    `connection` is used for its parser."""
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise QueryRefused("one question at a time", hint="give one SELECT, without anything after its `;`")
    kind = _kind(statements[0])
    if kind not in _READS:
        name = "that" if kind is None else kind.name
        raise QueryRefused(f"{name} is not allowed: the audit store can only be read", hint=_ONLY)
    if kind is duckdb.StatementType.EXPLAIN:
        sql = _explained(sql)
    _check_tree(connection, sql)


def _kind(statement: duckdb.Statement) -> duckdb.StatementType | None:
    try:
        return statement.type
    except ValueError:  # a kind that the Python module has no name for
        return None


def _explained(sql: str) -> str:
    """What is explained: EXPLAIN ANALYZE runs it, so only what may be asked may be explained."""
    start = _EXPLAIN.match(sql.strip())
    if start is None:
        raise QueryRefused(
            "EXPLAIN is not allowed with options or behind a comment: it can only be read",
            hint="EXPLAIN [ANALYZE] SELECT …",
        )
    return sql.strip()[start.end() :]


def _check_tree(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    rows = connection.execute("SELECT json_serialize_sql(?, skip_null := true, skip_empty := true)", [sql]).fetchall()
    tree = orjson.loads(rows[0][0])
    if tree.get("error") or len(tree.get("statements", ())) != 1:
        raise QueryRefused("that is not allowed: the audit store can only be read", hint=_ONLY)
    for node in _nodes(tree):
        kind, name = node.get("type"), str(node.get("function_name", "")).lower()
        if isinstance(kind, str) and kind.endswith("_QUERY_NODE"):
            raise QueryRefused("a part of it writes: the audit store can only be read", hint=_ONLY)
        if name in FORBIDDEN_FUNCTIONS:
            raise QueryRefused(f"the function {name} is not allowed: it does more than read", hint=_ONLY)
        if kind == "TABLE_FUNCTION":
            function = node.get("function")
            called = str(function.get("function_name", "") if isinstance(function, dict) else "").lower()
            if called not in TABLE_FUNCTIONS:
                raise QueryRefused(
                    f"the table function {called} is not allowed: only the audit store can be read",
                    hint=f"allowed are {', '.join(sorted(TABLE_FUNCTIONS))}",
                )


def _nodes(tree: object) -> Iterator[dict[str, object]]:
    """Every object in the tree, without recursion: how deep a question is nested is its author's choice."""
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
