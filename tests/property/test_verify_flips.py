"""One bit flipped anywhere in a store is noticed, or changes nothing: what passes as good holds the same events."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import apsw
import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airlock.verification import Sources, verify, verify_bundle
from analytics.evidence_bundle import EVENTS, write_bundle
from analytics.verify_entries import Report
from analytics.verify_log import custody_of
from decision.journal import frames
from decision.journal.tiles import TileFolder
from decision.model.errors import AirlockError
from ingest.kafka_export import read_export
from tests.support.verify_stores import KEY, START, STEP, Stores, history, make_stores

LATER = START + 1_000_000 * STEP
COUNT = 300
TRIES = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLACE = st.floats(0, 1, exclude_max=True)
BIT = st.integers(0, 7)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    made = make_stores(tmp_path_factory.mktemp("stores") / "data", history(COUNT), hot=20)
    write_bundle(made.root / "bundle.zip", made.log, custody_of(made.log, None), START + 100 * STEP, LATER)
    return made


def flip(path: Path, place: float, bit: int) -> bytes:
    """Flip one bit; what was there before."""
    before = path.read_bytes()
    raw = bytearray(before)
    raw[int(place * len(raw))] ^= 1 << bit
    path.chmod(0o644)
    path.write_bytes(bytes(raw))
    return before


def report(sources: Sources) -> Report | None:
    """None: the store can't be read at all, which is said."""
    try:
        return verify(sources, LATER, lambda _: lambda done, total: None)[-1]
    except AirlockError:
        return None


def unharmed(found: Report | None, events: Callable[[], list[bytes]], stores: Stores) -> None:
    """Whatever is called good holds what it held."""
    if found is not None and found.finding is None:
        assert found.events == COUNT
        assert sorted(set(events())) == sorted(stores.raws)


def in_journal(folder: Path) -> list[bytes]:
    db = apsw.Connection(str(folder / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows = db.execute("SELECT frames FROM batch").fetchall()
    db.close()
    return [raw for (packed,) in rows for raw in frames.unpack(bytes(packed))]  # type: ignore[arg-type]


@TRIES
@given(PLACE, BIT)
def test_in_a_journal(stores: Stores, place: float, bit: int) -> None:
    """The database file, any byte of it: free pages may hold anything."""
    path = stores.journal / "journal.db"
    before = flip(path, place, bit)
    try:
        unharmed(report(Sources(journal=stores.journal)), lambda: in_journal(stores.journal), stores)
    finally:
        path.write_bytes(before)


def in_export(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [record.value or b"" for record in read_export(file).records]


@TRIES
@given(PLACE, BIT)
def test_in_a_kafka_export(stores: Stores, place: float, bit: int) -> None:
    """Records, lengths, offsets, keys, the header: against the log, which vouches for the newest events."""
    before = flip(stores.export, place, bit)
    try:
        found = report(Sources(log=stores.log, export=stores.export))
        unharmed(found, lambda: in_export(stores.export), stores)
    finally:
        stores.export.write_bytes(before)


def in_parquet(folder: Path) -> list[bytes]:
    files = (folder / "segments" / "events").rglob("*.parquet")
    found = [raw for path in files for raw in pq.read_table(path, columns=["raw"])["raw"].to_pylist()]
    with duckdb.connect(str(folder / "catalog.duckdb"), read_only=True) as connection:
        return found + [row[0] for row in connection.execute("SELECT raw FROM hot.events").fetchall()]


@TRIES
@given(PLACE, BIT, st.booleans())
def test_in_parquet(stores: Stores, place: float, bit: int, catalog: bool) -> None:
    """A segment of events, or the catalog with the newest rows."""
    segment = next((stores.parquet / "segments" / "events").rglob("*.parquet"))
    path = stores.parquet / "catalog.duckdb" if catalog else segment
    before = flip(path, place, bit)
    try:
        found = report(Sources(log=stores.log, parquet=stores.parquet))
        unharmed(found, lambda: in_parquet(stores.parquet), stores)
    finally:
        path.write_bytes(before)


@TRIES
@given(PLACE, BIT, st.integers(0, 1_000_000))
def test_in_a_log(stores: Stores, place: float, bit: int, which: int) -> None:
    """Any file under the log's folder: nothing but unknown signatures may change unseen."""
    files = sorted(path for path in stores.log.rglob("*") if path.is_file())
    path = files[which % len(files)]
    before = flip(path, place, bit)
    try:
        found = report(Sources(log=stores.log, trusted=KEY.verifier))
        log = TileFolder(stores.log)
        unharmed(found, lambda: [raw for raws in log.read_entries(COUNT) for raw in raws], stores)
        if path.parent.name != "log":
            assert found is not None and found.finding is not None
    finally:
        path.write_bytes(before)


def in_bundle(path: Path) -> list[bytes]:
    with zipfile.ZipFile(path) as archive:
        return frames.unpack(archive.read(EVENTS)[8:])


@TRIES
@given(PLACE, BIT)
def test_in_a_bundle(stores: Stores, place: float, bit: int) -> None:
    """The zip file, its events, tiles and everything beside."""
    path = stores.root / "bundle.zip"
    held = in_bundle(path)
    before = flip(path, place, bit)
    try:
        found = verify_bundle(path, KEY.verifier, lambda done, total: None)
        if found.finding is None:
            assert in_bundle(path) == held
    except AirlockError:
        pass
    finally:
        path.write_bytes(before)
