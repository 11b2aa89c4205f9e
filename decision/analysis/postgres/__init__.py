"""PostgreSQL statements to facts, over libpg_query's tree."""

from __future__ import annotations

from decision.analysis.postgres import (
    alterations,
    calls,
    ddl,
    dml,
    formats,
    implicit,
    machinery,
    maintenance,
    operators,
    prepared,
    privileges,
    settings,
    statements,
    stored_code,
    tables,
    utility,
)

__all__ = [
    "alterations",
    "calls",
    "ddl",
    "dml",
    "formats",
    "implicit",
    "machinery",
    "maintenance",
    "operators",
    "prepared",
    "privileges",
    "settings",
    "statements",
    "stored_code",
    "tables",
    "utility",
]
