"""MySQL, MariaDB, SQLite, SQL Server, Snowflake, BigQuery, DuckDB and Oracle: the same Facts, through sqlglot.

The data's way: `lexical` (two lexers must agree) → `rewrites` and `commands` (forms known by their tokens) → sqlglot
→ `guards` (does the tree hold what the text holds?) → `statements` (an allow-list of roots) → `queries`, `sources`,
`expressions`, `writes` → `record`, from which the `Statement` is made. Anything not surely understood is unresolved.
"""

from __future__ import annotations

DIALECTS = ("bigquery", "duckdb", "mariadb", "mysql", "oracle", "snowflake", "sqlite", "tsql")
