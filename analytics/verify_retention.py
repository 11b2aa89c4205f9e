"""What the catalog says of expired rows, held against the ledger of expiries: a hole must not excuse itself."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import duckdb

from analytics.catalog import CATALOG
from analytics.retention import CLASS_OF
from analytics.retention_ledger import LEDGER, LedgerDamaged
from analytics.retention_ledger import Ledger as RetentionLedger
from decision.journal.verify_core import Finding, Tampering


def unlike_the_ledger(folder: Path) -> list[Finding]:
    """The catalog in `folder` says of each table since when its rows are complete; an expiry in the ledger must say so,
    and none can take days that were not over when it ran. Raises duckdb.Error for a catalog that can't be read."""
    if not (folder / CATALOG).exists():
        return []
    with duckdb.connect(str(folder / CATALOG), read_only=True) as connection:
        claims = connection.execute(
            "SELECT table_name, max(complete_since) FROM meta.retention WHERE complete_since IS NOT NULL GROUP BY ALL "
            "ORDER BY ALL"
        ).fetchall()
    where = str(folder / LEDGER)
    if not claims:
        return []  # of a ledger that can't be read nothing follows then
    try:
        book = RetentionLedger(folder).read()
    except LedgerDamaged as error:
        return [Finding(Tampering.EDITED, error.message).at(where)]
    floors = book.floors()
    found = []
    for table, since in claims:
        floor = floors.get(CLASS_OF.get(table, ""))
        if floor is None or (since != floor if table == "events" else since > floor):
            message = f"{table} before {since} are said to have expired, and no expiry says so"
            found.append(Finding(Tampering.EDITED, message).at(where))
    for run in book.runs:
        early = [day for day in run.floors.values() if day > run.time.astimezone(UTC).date()]
        if early:
            message = f"an expiry of {run.time.astimezone(UTC).date()} took the days before {max(early)}, not yet over"
            found.append(Finding(Tampering.EDITED, message).at(where))
            break
    return found
