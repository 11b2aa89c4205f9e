"""Everything that an audit store shows, for comparing two of them row by row."""

from __future__ import annotations

from pathlib import Path

from analytics import ddl
from analytics.catalog import CATALOG
from analytics.query import CatalogReader
from analytics.store import FOLDER

_NEWEST = """SELECT * FROM fact.alert_events
QUALIFY row_number() OVER (PARTITION BY alert_id ORDER BY observed DESC, time DESC) = 1"""
"""Alerts are told again as they grow, how often depends on the batches: the last word of each counts."""


def all_rows(data_dir: Path) -> dict[str, list[str]]:
    """The rows of every fact, in an order of their own, and what was taken."""
    assert (data_dir / FOLDER / CATALOG).is_file()
    with CatalogReader(data_dir) as reader:
        found = {
            name: sorted(repr(row) for row in reader.ask(f"SELECT * FROM fact.{name}", limit=1_000_000).rows)
            for name in ddl.facts()
        }
        found["alert_events"] = sorted(repr(row) for row in reader.ask(_NEWEST, limit=1_000_000).rows)
        found["coverage"] = sorted(repr(row) for row in reader.ask("SELECT * FROM meta.coverage").rows)
    return found
