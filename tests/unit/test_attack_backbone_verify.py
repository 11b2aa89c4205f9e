"""Ways to have `airlock verify` call good what analysts read, without touching the bytes of an event."""

from __future__ import annotations

import tracemalloc
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from airlock.verification import Sources, verify_bundle
from analytics.evidence_bundle import MANIFEST, write_bundle
from analytics.retention_ledger import Expiry, Ledger
from analytics.verify_log import custody_of
from tests.support.analytics_story import story
from tests.support.verify_run import LATER, run, said, untold
from tests.support.verify_stores import START, history, make_stores, write_parquet


def alter(folder: Path, *statements: str) -> None:
    """The catalog's file changed by somebody who may write it."""
    path = folder / "catalog.duckdb"
    path.chmod(0o644)
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statements", "want"),
    [
        (("CREATE OR REPLACE VIEW denials AS SELECT * FROM main.decisions WHERE false",), "edited view main.denials"),
        (("DROP VIEW denials", "CREATE TABLE denials (who VARCHAR)"), "edited view main.denials"),
        (("DROP VIEW denials",), "dropped view main.denials"),
        (("CREATE VIEW decisions2 AS SELECT 1 AS one",), "inserted view main.decisions2"),
        (("CREATE MACRO count(x) AS 0",), "inserted view main.count"),
    ],
)
def test_a_view_that_hides_rows_is_named(statements: tuple[str, ...], want: str, tmp_path: Path) -> None:
    """All events and all rows are there: only the question is answered otherwise."""
    write_parquet(tmp_path, [event.raw for event in story(20)], hot=20, direct=60)
    alter(tmp_path, *statements)
    finding = run(Sources(parquet=tmp_path, rows=True))["tables"].finding
    assert finding is not None and f"{finding.what} {finding.where}" == want


def test_rows_are_not_excused_by_an_expiry_that_nobody_ran(tmp_path: Path) -> None:
    """The catalog says that a table is complete only since some later day, and its rows are gone."""
    write_parquet(tmp_path, [event.raw for event in story(20)], hot=20, direct=60)
    alter(
        tmp_path,
        "UPDATE meta.retention SET complete_since = DATE '2999-01-01' WHERE table_name = 'decisions'",
        "CREATE OR REPLACE VIEW cold.decisions AS SELECT * FROM hot.decisions",
        "DELETE FROM hot.decisions",
    )
    assert said(run(Sources(parquet=tmp_path, rows=True))["parquet"]).startswith("edited")


@pytest.mark.parametrize("day", [date(2026, 9, 22), date(2999, 1, 1)])
def test_a_forged_expiry_excuses_no_hole_within_a_day(day: date, tmp_path: Path) -> None:
    """Somebody's events are taken out, and the ledger, whose chain has no key, is written to say that they expired:
    whole days expire, none that is not over, and never a part of one."""
    stores = make_stores(tmp_path, history(400))
    for path in (stores.parquet / "segments/events").rglob("*.parquet"):
        table = pq.read_table(path)
        path.chmod(0o644)
        pq.write_table(
            table.filter(pc.invert(pc.and_(pc.greater(table["seq"], 100), pc.less(table["seq"], 110)))), path
        )
    with Ledger(stores.parquet).changing() as ledger:
        ledger.record(Expiry(datetime(2026, 9, 23, tzinfo=UTC), "nobody", {"events": day}, 1, 9, 9))
    alter(
        stores.parquet,
        f"UPDATE meta.retention SET complete_since = DATE '{day}' WHERE class = 'events'",
        "UPDATE meta.segments SET rows = 0 WHERE table_name = 'events'",
    )
    found = run(Sources(log=stores.log, parquet=stores.parquet))["parquet"]
    assert not found.good


def test_a_bundle_unpacks_no_more_than_it_may_hold(tmp_path: Path) -> None:
    """A manifest that is 64 MiB unpacked, and a file under a tile's name that is no tile: neither is read whole."""
    stores = make_stores(tmp_path, history(300))
    made, bomb = tmp_path / "bundle.zip", tmp_path / "bomb.zip"
    write_bundle(made, stores.log, custody_of(stores.log, None), START, LATER)
    with zipfile.ZipFile(made) as before, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as after:
        for info in before.infolist():
            data = before.read(info)
            after.writestr(info.filename, data + b" " * (64 << 20) if info.filename == MANIFEST else data)
        after.writestr("tile/0/x001/000", bytes(900_000))
        after.writestr("tile/../../escaped", b"x")
    assert verify_bundle(made, None, untold).good
    tracemalloc.start()
    try:
        report = verify_bundle(bomb, None, untold)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
    assert report.good, "the manifest's first megabyte says it all"
    assert not list(tmp_path.parent.glob("escaped"))
