"""What decides and what enforces stay small: libraries of the audit store and of exports are not loaded there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airlock.metrics_ingest import FOLDER
from analytics import store

HEAVY = ("duckdb", "pyarrow", "kafka", "faust", "aiokafka", "opentelemetry", "ocsf", "cloudevents", "pyiceberg")


@pytest.mark.parametrize("command", ["serve", "proxy", "up"])
def test_a_command_does_not_load_what_others_need(command: str) -> None:
    """DuckDB and Arrow alone take 50 MB and a third of a second."""
    code = f"import sys, airlock.commands.{command}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("service", ["relay", "sequencer"])
def test_a_service_does_not_load_the_audit_store(service: str) -> None:
    """Each decision service keeps a relay. And DuckDB's binding, where threads are left at the end, complains."""
    code = (
        f"import sys; from airlock.main import run; run(['ingest', {service!r}, '--config', '/nowhere/airlock.toml'])\n"
        "print(*[name for name in ('duckdb', 'pyarrow', 'faust', 'pyiceberg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [] and "airlock.toml" in done.stderr


def test_the_audit_store_is_where_its_numbers_are_looked_for() -> None:
    """The name stands twice, so that it need not be imported."""
    assert FOLDER == store.FOLDER
