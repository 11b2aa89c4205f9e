"""The schema is its own documentation, and the code's rows are the schema's columns."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from analytics import ddl
from analytics.catalog import CATALOG
from analytics.project import TABLES
from analytics.store import AnalyticsStore
from decision.clock import SystemClock, Uuid7Source

REQUIRED = {
    "sessions",
    "statements",
    "decisions",
    "executions",
    "denials",
    "masked_reads",
    "table_access",
    "column_changes",
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    with AnalyticsStore(folder, SystemClock(), Uuid7Source()) as store:
        store.publish()
    return folder / CATALOG


def test_every_fact_is_declared_as_its_rows_are() -> None:
    """The tables of facts.sql are those of the fold, column by column."""
    assert set(ddl.facts()) == set(TABLES)
    for name, row in TABLES.items():
        assert tuple(column.name for column in ddl.facts()[name].columns) == row._fields


def test_every_relation_and_column_of_the_catalog_is_documented(catalog: Path) -> None:
    """What an analyst can see says what it means, in DuckDB itself."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() "
            "WHERE NOT internal AND schema_name IN ('main', 'fact')"
        ).fetchall()
        views = dict(
            connection.execute(
                "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
            ).fetchall()
        )
    assert len(columns) > 400
    assert [column[:3] for column in columns if not column[3]] == []
    assert set(views) >= REQUIRED and all(views.values())


def test_the_documented_columns_of_a_view_are_its_columns(catalog: Path) -> None:
    """No column of a view escapes the documentation because its line was not understood."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        for name, view in ddl.views().items():
            found = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()]
            assert found == [column.name for column in view.columns], name


def test_a_denial_says_who_what_why_and_by_which_rule() -> None:
    """The first columns of `denials` answer what is asked first."""
    columns = [column.name for column in ddl.views()["denials"].columns]
    wanted = {"time", "who", "database", "statement", "rules", "message", "intent", "ticket", "policy_revision"}
    assert wanted <= set(columns[:11])
