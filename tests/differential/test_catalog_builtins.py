"""The analyzer's table of built-in functions holds what the server's catalog says."""

from __future__ import annotations

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.analysis.postgres import builtins

pytestmark = pytest.mark.postgres


def test_names(postgres: BundledPostgres) -> None:
    """Names, volatility, aggregates and window functions are the server's, none missing, none made up."""
    query = """SELECT proname, bool_or(provolatile = 'v'), bool_or(prokind = 'a'), bool_or(prokind = 'w')
               FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY 1"""
    with psycopg.connect(postgres.dsn("postgres")) as connection:
        rows = connection.execute(query).fetchall()
    assert {row[0] for row in rows} == builtins.NAMES
    assert {row[0] for row in rows if row[1]} == builtins.VOLATILE
    assert {row[0] for row in rows if row[2]} == builtins.AGGREGATES
    assert {row[0] for row in rows if row[3]} == builtins.WINDOW


def test_columns(postgres: BundledPostgres) -> None:
    """Functions with OUT parameters give the columns that the table lists."""
    query = """SELECT proname, array_agg(DISTINCT (SELECT string_agg(name, ' ' ORDER BY i)
                 FROM unnest(proargnames, proargmodes) WITH ORDINALITY u(name, mode, i) WHERE mode IN ('o','b','t')))
               FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
                 AND proargmodes && '{o,b,t}'::"char"[] GROUP BY 1"""
    with psycopg.connect(postgres.dsn("postgres")) as connection:
        rows = connection.execute(query).fetchall()
    assert {name: {tuple(c.split()) for c in columns} for name, columns in rows} == {
        name: {columns} for name, columns in builtins.COLUMNS.items()
    }
