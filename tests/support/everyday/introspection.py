"""What database browsers, BI tools, dashboards and drivers ask, in our own words (tests/cases/everyday/*.sql), after
the documentation of information_schema, pg_catalog and the tools' features. A blank line ends a statement.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

CASES = Path(__file__).parents[2] / "cases" / "everyday"


def _ask(dsn: str, name: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for text in (CASES / f"{name}.sql").read_text().split("\n\n"):
            if not text.startswith("--"):
                connection.execute(text.encode())


def bi(dsn: str) -> None:
    """Schema synchronisation, field values, questions."""
    _ask(dsn, "bi")


def browser(dsn: str) -> None:
    """The tree of objects, their properties and the data grid."""
    _ask(dsn, "browser")


def dashboard(dsn: str) -> None:
    """Panels and variables of dashboards."""
    _ask(dsn, "dashboard")


def type_loader(dsn: str) -> None:
    """The types that a driver loads when it connects."""
    _ask(dsn, "type_loader")
