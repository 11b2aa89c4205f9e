"""The tables that analysts read are what the events make: whoever changes a row alone is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from airlock.main import run
from airlock.verification import Sources
from tests.support.analytics_story import story
from tests.support.verify_run import run as verified
from tests.support.verify_stores import write_parquet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "analytics", [event.raw for event in story(100)])
    return tmp_path / "analytics"


def segment(folder: Path, table: str) -> Path:
    return sorted((folder / "segments" / table).rglob("*.parquet"))[0]


def without_first(table: pa.Table) -> pa.Table:
    return table.slice(1)


def twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(3, 1)])


def allowed(table: pa.Table) -> pa.Table:
    """Denials become permissions."""
    effects = pc.if_else(pc.equal(table["effect"], "deny"), "allow", table["effect"])
    return table.set_column(table.schema.get_field_index("effect"), "effect", effects.cast(table["effect"].type))


def test_untouched_tables_are_what_the_events_make(folder: Path) -> None:
    """All of them, segments and newest rows."""
    found = verified(Sources(parquet=folder, rows=True))
    assert found["tables"].good and found["tables"].events > found["parquet"].events == 700
    assert run(["verify", "--parquet", str(folder), "--rows"]) == 0


@pytest.mark.parametrize(
    ("table", "change", "want"),
    [
        ("decisions", allowed, "edited"),
        ("decisions", without_first, "dropped"),
        ("table_access", twice, "inserted"),
        ("executions", without_first, "dropped"),
    ],
)
def test_a_row_that_was_changed_alone_is_named(
    table: str, change: Callable[[pa.Table], pa.Table], want: str, folder: Path
) -> None:
    """The bytes of all events are right, so the chain finds nothing."""
    path = segment(folder, table)
    made = change(pq.read_table(path))
    path.chmod(0o644)
    pq.write_table(made, path)
    found = verified(Sources(parquet=folder, rows=True))
    finding = found["tables"].finding
    assert found["parquet"].good
    assert finding is not None and finding.what == want and finding.where.startswith(f"table {table}, time ")
    assert run(["verify", "--parquet", str(folder), "--rows"]) == 1


def test_a_column_of_the_events_table_that_was_changed_is_named(folder: Path) -> None:
    """Of those beside the bytes that place no event: who, when, what."""
    path = segment(folder, "events")
    table = pq.read_table(path)
    sources = pa.array(["somebody else"] * table.num_rows, table["source"].type)
    path.chmod(0o644)
    pq.write_table(table.set_column(table.schema.get_field_index("source"), "source", sources), path)
    found = verified(Sources(parquet=folder, rows=True))
    assert found["parquet"].good and found["tables"].finding is not None
    assert found["tables"].finding.where.startswith("table events, ")
