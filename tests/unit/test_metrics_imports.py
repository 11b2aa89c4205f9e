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


def test_the_audit_store_is_where_its_numbers_are_looked_for() -> None:
    """The name stands twice, so that it need not be imported."""
    assert FOLDER == store.FOLDER
