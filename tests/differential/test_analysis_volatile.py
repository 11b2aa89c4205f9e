"""Every built-in function that may do more than compute is classified, on each server that is there."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.analysis.postgres import builtins
from decision.analysis.postgres.effects import _HARMLESS, EFFECTS, builtin_effects
from tests.support.servers import started

pytestmark = pytest.mark.postgres
# By declaration they only compute; by their code they reach further, so they have effects of their own.
REACHING = [
    "pg_read_file", "pg_read_binary_file", "pg_stat_file", "pg_ls_dir", "pg_ls_logdir", "pg_ls_waldir",
    "pg_ls_tmpdir", "lo_import", "lo_export", "lo_open", "loread", "lowrite", "lo_get", "lo_put", "lo_creat",
    "lo_create", "lo_unlink", "lo_from_bytea", "lo_truncate", "pg_sleep", "pg_sleep_for", "pg_sleep_until",
    "pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf", "pg_rotate_logfile", "set_config", "nextval",
    "setval", "pg_notify", "pg_logical_emit_message", "pg_switch_wal", "pg_promote", "pg_drop_replication_slot",
    "query_to_xml", "table_to_xml", "schema_to_xml", "database_to_xml", "cursor_to_xml", "ts_stat",
    "pg_hba_file_rules", "pg_ident_file_mappings", "pg_show_all_file_settings", "pg_current_logfile", "setseed",
    "pg_export_snapshot", "pg_advisory_lock", "pg_try_advisory_lock",
]  # fmt: skip
SQL = """SELECT DISTINCT p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
         WHERE pronamespace = 'pg_catalog'::regnamespace AND """


def names(dsn: str, condition: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {str(row[0]) for row in connection.execute((SQL + condition).encode()).fetchall()}


def check(dsn: str) -> None:
    every = names(dsn, "true")
    volatile = names(dsn, "provolatile = 'v'")
    unknown = every - builtins.NAMES
    # What only another version has is no built-in to the analyzer: its effects are opaque, or those that it had there.
    assert {name for name in unknown if builtin_effects(name) is not None} == set()
    named = set(EFFECTS) | _HARMLESS
    unclassified = (volatile & builtins.NAMES) - named
    assert {name for name in unclassified if not opaque(name)} == set()
    harmless = {name for name in every & builtins.NAMES if builtin_effects(name) == ()}
    assert harmless <= (every - volatile) | _HARMLESS
    assert not harmless & set(REACHING)
    assert not (set(EFFECTS) & _HARMLESS)


def opaque(name: str) -> bool:
    found = builtin_effects(name)
    return found is not None and len(found) > 0


def test_bundled_servers(postgres: BundledPostgres) -> None:
    """PostgreSQL 18: each volatile built-in has its effects, is listed as harmless, or is opaque; nothing that reaches
    files, sessions, settings or other SQL is harmless, whatever its declaration."""
    check(postgres.dsn("postgres"))


def test_volatile_ones_are_named(postgres: BundledPostgres) -> None:
    """No volatile function is left to chance: those opaque by default are triggers, handlers and upgrade helpers."""
    volatile = names(postgres.dsn("postgres"), "provolatile = 'v'")
    left = volatile - set(EFFECTS) - _HARMLESS
    machinery = names(
        postgres.dsn("postgres"),
        """(prorettype IN ('trigger'::regtype, 'event_trigger'::regtype,
        'internal'::regtype, 'index_am_handler'::regtype, 'table_am_handler'::regtype, 'language_handler'::regtype,
        'fdw_handler'::regtype, 'tsm_handler'::regtype) OR proname LIKE 'binary_upgrade_%'
        OR 'internal'::regtype = ANY (proargtypes::oid[]))""",
    )
    assert left <= machinery, sorted(left - machinery)


def test_dangerous_names_have_effects() -> None:
    """Each name on the list of functions that reach further has effects."""
    assert [name for name in REACHING if not builtin_effects(name)] == []


def test_bundled_sixteen() -> None:
    """The same of PostgreSQL 16, which the wheel brings, too."""
    with started(lambda folder: BundledPostgres(folder, version=16)) as server:
        check(server.dsn("postgres"))


def test_installed_server(installed_postgres: Path) -> None:
    """The same of the server that this machine's packages have."""
    with started(lambda folder: BundledPostgres(folder, installation=installed_postgres)) as server:
        check(server.dsn("postgres"))
