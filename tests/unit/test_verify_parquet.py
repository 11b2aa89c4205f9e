"""What the analytics store has: files, columns beside the bytes, newest rows, expired days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airlock.verification import Sources
from tests.support.verify_run import run, said
from tests.support.verify_stores import (
    START,
    STEP,
    Stores,
    history,
    make_stores,
)
from tests.support.verify_tamper import copied

COUNT = 600


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return make_stores(tmp_path_factory.mktemp("stores") / "data", history(COUNT))


@pytest.fixture
def stores(whole: Stores, tmp_path: Path) -> Stores:
    return copied(whole, tmp_path / "data")


def segments(stores: Stores) -> list[Path]:
    return sorted((stores.parquet / "segments" / "events").rglob("*.parquet"))


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = change(pq.read_table(path))
    path.chmod(0o644)
    pq.write_table(table, path)


@pytest.mark.parametrize("column", ["producer_id", "epoch", "seq", "prev_hash", "hash"])
def test_a_column_that_says_another_event_is_named(column: str, stores: Stores) -> None:
    """The bytes are right; what analysts would join on is not."""
    path = segments(stores)[0]

    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[7] = {"producer_id": "p9", "epoch": 77, "seq": 77_777}.get(column, b"\x01" * 32)
        return table.set_column(table.schema.get_field_index(column), column, pa.array(values, table[column].type))

    wanted = pq.read_table(path)["seq"][7].as_py()
    rewrite(path, change)
    finding = run(Sources(parquet=stores.parquet))["parquet"].finding
    assert finding is not None and (finding.what, finding.seq) == ("edited", wanted)
    assert finding.where == f"{path.name}, row 7"


def test_a_missing_segment_is_named(stores: Stores) -> None:
    """The catalog lists it; its first event is the first that is missing."""
    path = segments(stores)[0]
    first = pq.read_table(path)["seq"][0].as_py()
    path.unlink()
    finding = run(Sources(parquet=stores.parquet))["parquet"].finding
    assert finding is not None and (finding.what, finding.seq, finding.where) == ("dropped", first, path.name)


def test_the_newest_rows_in_the_catalog_are_checked(stores: Stores) -> None:
    """They are in no segment yet."""
    catalog = stores.parquet / "catalog.duckdb"
    catalog.chmod(0o644)
    with duckdb.connect(str(catalog)) as connection:
        connection.execute("DELETE FROM hot.events WHERE seq = 590")
    assert said(run(Sources(parquet=stores.parquet))["parquet"]) == "dropped 590"


def test_parquet_that_lags_a_moment_is_no_finding(stores: Stores) -> None:
    """A running projection may be behind by seconds; a minute later what is missing is missing."""
    catalog = stores.parquet / "catalog.duckdb"
    catalog.chmod(0o644)
    with duckdb.connect(str(catalog)) as connection:
        connection.execute("DELETE FROM hot.events WHERE seq > 590")
    sources = Sources(log=stores.log, parquet=stores.parquet)
    assert run(sources, now=START + 592 * STEP)["parquet"].good
    assert said(run(sources)["parquet"]) == "truncated 591"


def test_a_folder_of_segments_alone_can_be_checked(stores: Stores) -> None:
    """Copied away, without the catalog and its newest rows: fewer events, the same chain."""
    report = run(Sources(log=stores.log, parquet=stores.parquet / "segments"), now=START)["parquet"]
    assert report.good and report.events == report.vouched == COUNT - 40


def test_what_has_expired_is_no_hole(stores: Stores) -> None:
    """Where the ledger of expiries says so; where only the catalog does, somebody wrote it there."""
    first = segments(stores)[0]
    days = pq.read_table(first, columns=["time"])["time"].to_pylist()
    first.unlink()
    catalog = stores.parquet / "catalog.duckdb"
    catalog.chmod(0o644)
    with duckdb.connect(str(catalog)) as connection:
        connection.execute("DELETE FROM meta.segments WHERE ends_with(path, ?)", [first.name])
        since = date.fromordinal(days[-1].date().toordinal() + 1)
        connection.execute("UPDATE meta.retention SET complete_since = ? WHERE table_name = 'events'", [since])
    report = run(Sources(log=stores.log, parquet=stores.parquet))["parquet"]
    assert report.finding is not None and "no expiry says so" in report.finding.message
    assert report.finding.what == "edited"
