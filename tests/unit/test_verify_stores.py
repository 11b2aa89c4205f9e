"""What only one kind of store has: tiles and checkpoints, offsets, files and columns, a pruned beginning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import apsw
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airlock.verification import Sources, found_in, verify
from analytics.verify_entries import Report
from decision.journal.custody import KEYS, VERIFIER, Custody
from decision.journal.merkle import Frontier
from decision.journal.tiles import CHECKPOINT, tile_path
from decision.model.errors import LogUnavailable
from ingest.kafka_export import Span, read_export, write_export
from tests.support.verify_stores import (
    CODEC,
    KEY,
    START,
    STEP,
    STRANGER,
    TOPIC,
    Stores,
    chained,
    changed,
    encoded,
    history,
    make_stores,
    payload,
    records,
    signed,
    write_journal,
    write_kafka,
    write_log,
)
from tests.support.verify_tamper import copied

LATER = START + 1_000_000 * STEP
COUNT = 600


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return make_stores(tmp_path_factory.mktemp("stores") / "data", history(COUNT))


@pytest.fixture
def stores(whole: Stores, tmp_path: Path) -> Stores:
    return copied(whole, tmp_path / "data")


def run(sources: Sources, now: int = LATER) -> dict[str, Report]:
    return {one.store: one for one in verify(sources, now, lambda _: lambda done, total: None)}


def said(report: Report) -> str:
    return "good" if report.finding is None else f"{report.finding.what} {report.finding.seq}"


# ── the log ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def flipped(path: Path, place: int = 5) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(bytes(raw))


LOG_CASES: list[tuple[str, Callable[[Stores], object], str]] = [
    ("a full tile is edited", lambda s: flipped(s.log / tile_path(0, 1), 32 * 7), "edited 264"),
    ("a partial tile is edited", lambda s: flipped(s.log / tile_path(0, 2, 88), 32 * 3), "edited 516"),
    ("a tile above is edited", lambda s: flipped(s.log / tile_path(1, 0, 2), 40), "edited 257"),
    ("a tile is missing", lambda s: (s.log / tile_path(0, 1)).unlink(), "dropped 0"),
    ("a bundle is missing", lambda s: (s.log / tile_path(None, 1)).unlink(), "dropped 257"),
    ("the last bundle is missing", lambda s: (s.log / tile_path(None, 2, 88)).unlink(), "truncated 0"),
    ("the checkpoint's root is edited", lambda s: flipped(s.log / CHECKPOINT, 30), "edited 0"),
    ("the checkpoint is missing", lambda s: (s.log / CHECKPOINT).unlink(), "truncated 0"),
    ("the checkpoint is another log's", lambda s: (s.log / CHECKPOINT).write_bytes(signed(Frontier(), STRANGER)),
     "edited 0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "want"), [case[1:] for case in LOG_CASES], ids=[case[0] for case in LOG_CASES])
def test_tampering_with_a_logs_files_is_named(change: Callable[[Stores], object], want: str, stores: Stores) -> None:
    """Which leaf, where one is concerned."""
    change(stores)
    report = run(Sources(log=stores.log, trusted=KEY.verifier))["log"]
    assert said(report) == want, report.finding


def test_a_log_signed_anew_by_a_stranger_is_not_the_trusted_one(stores: Stores) -> None:
    """By its own word it is good, but for the checkpoints among its events; for who knows the key it is not."""
    shutil.rmtree(stores.log)
    write_log(stores.log, stores.raws, STRANGER)
    finding = run(Sources(log=stores.log, trusted=KEY.verifier))["log"].finding
    assert finding is not None and "none of this log's keys" in finding.message
    assert said(run(Sources(log=stores.log))["log"]) == "edited 150"


def test_a_log_without_its_list_of_keys_needs_a_key(stores: Stores) -> None:
    """One that is given, or the published file."""
    (stores.log / KEYS).unlink()
    assert run(Sources(log=stores.log))["log"].good
    (stores.log / VERIFIER).unlink()
    assert run(Sources(log=stores.log, trusted=KEY.verifier))["log"].good
    with pytest.raises(LogUnavailable, match="nothing in"):
        run(Sources(log=stores.log))


def test_a_log_that_was_rolled_back_is_truncated(stores: Stores) -> None:
    """Its older checkpoint is rightly signed; the newer ones in the journal's events, or one that was kept, are too."""
    newest = (stores.log / CHECKPOINT).read_bytes()
    shutil.rmtree(stores.log)
    write_log(stores.log, stores.raws[:300])
    assert run(Sources(log=stores.log, trusted=KEY.verifier))["log"].good
    finding = run(Sources(log=stores.log, journal=stores.journal))["log"].finding
    assert finding is not None and (finding.what, finding.seq) == ("truncated", 450)
    assert "ends at 300, and here a checkpoint of 449" in finding.message
    assert said(run(Sources(log=stores.log, kept=newest))["log"]) == "truncated 0"


def test_a_log_must_go_on_from_the_checkpoint_that_was_kept(stores: Stores) -> None:
    """One of the same tree is fine; one of another history, rightly signed, is a fork."""
    frontier = Frontier()
    frontier.extend_data(stores.raws[:200])
    assert run(Sources(log=stores.log, kept=signed(frontier)))["log"].good
    frontier.extend_data([b"another event"])
    assert said(run(Sources(log=stores.log, kept=signed(frontier)))["log"]) == "forked 0"


def test_a_rewritten_log_that_the_journal_remembers_is_named_at_the_first_checkpoint(stores: Stores) -> None:
    """All of it anew, checkpoints among the events too, signed with the real key: the journal has older signatures."""
    other = history(COUNT)
    raws = [*other[:99], encoded(100, payload(77), "p1", 1, 100, CODEC.place_of(other[99])[3]), *other[100:]]
    shutil.rmtree(stores.log)
    write_log(stores.log, raws)
    found = run(Sources(log=stores.log, journal=stores.journal, trusted=KEY.verifier))
    assert said(found["log"]) == "edited 100"


def test_no_log_is_no_good_log(tmp_path: Path) -> None:
    """An error with a way out, not a finding."""
    with pytest.raises(LogUnavailable, match="no log"):
        run(Sources(log=tmp_path))


# ── Kafka ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_hole_in_the_offsets_is_named_with_its_event(stores: Stores) -> None:
    """A record that was deleted leaves both."""
    found = records(stores.raws)
    gone = found.pop(100)
    write_kafka(stores.export, found)
    finding = run(Sources(export=stores.export))["kafka"].finding
    assert finding is not None and finding.what == "dropped"
    assert finding.seq == CODEC.place_of(gone.value or b"")[2]
    assert finding.where == f"partition {gone.partition}, offset {gone.offset}"


def test_a_topic_whose_beginning_was_deleted_is_not_whole(stores: Stores) -> None:
    """Retention on the events topic is a loss."""
    found = [record for record in records(stores.raws) if record.partition or record.offset >= 10]
    spans = {TOPIC: {0: Span(10, 10), 1: Span(0, 0), 2: Span(0, 0)}}
    for record in found:
        span = spans[TOPIC][record.partition]
        spans[TOPIC][record.partition] = Span(span.begin, record.offset + 1)
    with stores.export.open("wb") as file:
        write_export(file, spans, found)
    assert said(run(Sources(export=stores.export))["kafka"]).startswith("dropped")


def test_a_record_without_a_value_is_named(stores: Stores) -> None:
    """A tombstone is no event."""
    found = records(stores.raws)
    seq = CODEC.place_of(found[50].value or b"")[2]
    found[50] = found[50]._replace(value=None)
    write_kafka(stores.export, found)
    finding = run(Sources(export=stores.export))["kafka"].finding
    assert finding is not None and (finding.what, finding.seq) == ("edited", seq)


@pytest.mark.parametrize("keep", [0, 10, 60, 200, 20_000, -1])
def test_a_cut_export_is_truncated(keep: int, stores: Stores) -> None:
    """Wherever it ends; its header says what it should hold."""
    stores.export.write_bytes(stores.export.read_bytes()[:keep])
    finding = run(Sources(export=stores.export))["kafka"].finding
    assert finding is not None and finding.what == ("edited" if 0 <= keep < 100 else "truncated")


def test_events_delivered_again_are_counted(stores: Stores) -> None:
    """At least once: a relay that was killed sends a part again."""
    found = records(stores.raws)
    last = [record for record in found if record.partition == 2]
    again = [one._replace(offset=last[-1].offset + 1 + n) for n, one in enumerate(last[-20:])]
    write_kafka(stores.export, [*found, *again])
    report = run(Sources(log=stores.log, export=stores.export))["kafka"]
    assert (report.finding, report.events, report.copies, report.vouched) == (None, COUNT, 20, COUNT)


def test_an_event_on_its_way_is_no_finding(stores: Stores, tmp_path: Path) -> None:
    """One partition was read a moment before the other: the hole is seconds old, and said."""
    raws, head = [], bytes(32)
    for seq in range(1, 101):
        draft = replace(CODEC.decode(encoded(seq, payload(seq), "p1", 1, seq, head))[0], time_unix_nano=START + seq)
        raws.append(CODEC.encode(draft, "p1", 1, seq, head))
        head = chained(raws[-1])
    kept = [raw for raw in raws if CODEC.place_of(raw)[2] != 97]
    write_kafka(stores.export, records(kept))
    report = run(Sources(export=stores.export))["kafka"]
    assert report.good and report.notes == ("1 holes of the last minute: their events are on their way",)


def test_an_export_reads_as_it_was_written(stores: Stores) -> None:
    """Every record, with keys and nulls."""
    found = records(stores.raws)
    found[3] = found[3]._replace(key=None)
    write_kafka(stores.export, found)
    with stores.export.open("rb") as file:
        export = read_export(file)
        assert list(export.records) == found
    assert export.total == COUNT


# ── Parquet ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── the journal ─────────────────────────────────────────────────────────────────────────────────────────────────────


def sql(stores: Stores, statement: str) -> None:
    db = apsw.Connection(str(stores.journal / "journal.db"))
    db.execute(statement)
    db.close()


JOURNAL_CASES = [
    ("DELETE FROM batch WHERE last_seq = 7", "dropped 1"),
    ("DELETE FROM batch WHERE last_seq = 70", "dropped 64"),
    ("DELETE FROM batch WHERE last_seq > 300", "good"),
    ("UPDATE batch SET seal = zeroblob(32) WHERE last_seq = 70", "edited 70"),
    ("UPDATE batch SET epoch = 9 WHERE last_seq = 70", "edited 70"),
    ("UPDATE batch SET first_seq = 63 WHERE last_seq = 70", "edited 70"),
    ("UPDATE batch SET frames = substr(frames, 1, 20) WHERE last_seq = 70", "edited 64"),
    ("UPDATE batch SET frames = (SELECT frames FROM batch WHERE last_seq = 7) WHERE last_seq = 70", "dropped 64"),
    ("UPDATE meta SET producer_id = 'q'", "inserted 1"),
    ("UPDATE meta SET base_hash = randomblob(32)", "edited 1"),
    ("UPDATE meta SET format = 7", "edited 0"),
    ("DELETE FROM meta", "edited 0"),
    ("DROP TABLE batch", "edited 0"),
]


@pytest.mark.parametrize(("statement", "want"), JOURNAL_CASES)
def test_tampering_with_a_journals_rows_is_named(statement: str, want: str, stores: Stores) -> None:
    """Row by row, as SQL can; against the log nothing passes."""
    sql(stores, statement)
    report = run(Sources(journal=stores.journal))["journal"]
    assert said(report) == want, report.finding
    if want == "good":
        assert said(run(Sources(journal=stores.journal, log=stores.log))["journal"]) == "truncated 295"


def test_rows_that_changed_places_are_reordered(stores: Stores) -> None:
    """All events are there, in another order."""
    sql(stores, "CREATE TABLE old AS SELECT * FROM batch WHERE last_seq IN (70, 77)")
    sql(stores, "UPDATE batch SET frames = (SELECT frames FROM old WHERE old.last_seq = 147 - batch.last_seq) "
        "WHERE last_seq IN (70, 77)")  # fmt: skip
    assert said(run(Sources(journal=stores.journal))["journal"]) == "reordered 64"


@pytest.mark.parametrize("with_log", [False, True])
def test_a_pruned_journal_goes_on_from_what_the_log_has(with_log: bool, stores: Stores) -> None:
    """The pruned part is verified from the log's tiles, and that the rest continues it."""
    sql(stores, "UPDATE meta SET base_seq = 280, base_epoch = 1, "
        "base_hash = (SELECT seal FROM batch WHERE last_seq = 280)")  # fmt: skip
    sql(stores, "DELETE FROM batch WHERE last_seq <= 280")
    sources = Sources(journal=stores.journal, parquet=stores.parquet, log=stores.log if with_log else None)
    found = run(sources)
    assert found["journal"].good and found["journal"].events == 320
    assert found["parquet"].good and found["parquet"].vouched == (COUNT if with_log else 320)
    assert "pruned up to event 280" in found["journal"].notes


def test_a_forged_base_contradicts_the_log(stores: Stores, tmp_path: Path) -> None:
    """A journal that begins with a history of its own, and says that the rest was pruned."""
    other = [encoded(seq, payload(seq + 1000), "p1", 1, seq, bytes(32)) for seq in (281,)]
    shutil.rmtree(stores.journal)
    write_journal(stores.journal, other)
    sql(stores, "UPDATE meta SET base_seq = 280, base_epoch = 1, base_hash = zeroblob(32)")
    assert run(Sources(journal=stores.journal))["journal"].good
    finding = run(Sources(journal=stores.journal, log=stores.log))["journal"].finding
    assert finding is not None and (finding.what, finding.seq) == ("edited", 280)


def pruned(stores: Stores, seq: int, raw: bytes) -> None:
    """Pruned up to 280, with `raw` kept as event `seq` of the pruned part."""
    sql(stores, "UPDATE meta SET base_seq = 280, base_epoch = 1, "
        "base_hash = (SELECT seal FROM batch WHERE last_seq = 280)")  # fmt: skip
    sql(stores, "DELETE FROM batch WHERE last_seq <= 280")
    sql(stores, "CREATE TABLE kept (seq INTEGER PRIMARY KEY, time_unix_nano INTEGER, hash BLOB, raw BLOB)")
    db = apsw.Connection(str(stores.journal / "journal.db"))
    db.execute("INSERT INTO kept VALUES (?, 0, ?, ?)", (seq, chained(raw), raw))
    db.close()


def test_what_was_kept_of_a_pruned_part_is_checked(stores: Stores) -> None:
    """No chain covers it: the hash beside it does, and the log, which a forger of both can't write."""
    pruned(stores, 17, stores.raws[16])
    assert run(Sources(journal=stores.journal, log=stores.log))["journal"].good
    sql(stores, "UPDATE kept SET hash = zeroblob(32)")
    assert said(run(Sources(journal=stores.journal))["journal"]) == "edited 17"
    forged = changed(stores.raws[16])
    sql(stores, f"UPDATE kept SET raw = x'{forged.hex()}', hash = x'{chained(forged).hex()}'")
    assert run(Sources(journal=stores.journal))["journal"].good
    assert said(run(Sources(journal=stores.journal, log=stores.log))["journal"]) == "edited 17"
    sql(stores, "UPDATE kept SET seq = 18")
    assert said(run(Sources(journal=stores.journal))["journal"]) == "inserted 17"


def test_a_journal_is_held_against_its_own_leaves_of_a_common_log(stores: Stores) -> None:
    """The log of several decision services has other producers' events, too."""
    other, head = [], bytes(32)
    for seq in range(1, 31):
        other.append(encoded(seq, payload(seq), "p2", 1, seq, head))
        head = chained(other[-1])
    quiet, head = [], bytes(32)
    for seq in range(1, 201):
        quiet.append(encoded(seq, payload(seq), "p1", 1, seq, head))
        head = chained(quiet[-1])
    shutil.rmtree(stores.log)
    write_log(stores.log, [raw for pair in zip(other, quiet, strict=False) for raw in pair] + quiet[30:])
    shutil.rmtree(stores.journal)
    write_journal(stores.journal, quiet)
    found = run(Sources(journal=stores.journal, log=stores.log))
    assert found["log"].producers == 2 and all(report.good for report in found.values())
    assert found["journal"].vouched == 200


def test_everything_in_a_data_folder_is_found(stores: Stores, tmp_path: Path) -> None:
    """The log, the journal, the analytics; nothing where there is nothing."""
    found = found_in(stores.root)
    assert (found.log, found.journal, found.parquet) == (stores.log, stores.journal, stores.parquet)
    assert all(report.good for report in run(found).values())
    assert found_in(tmp_path / "nothing") == Sources()


def test_a_rotated_key_still_signs_for_the_old_leaves(stores: Stores) -> None:
    """The list of keys endorses the next one; the first is trusted still."""
    frontier = Frontier()
    frontier.extend_data(stores.raws)
    custody = Custody.of(KEY.verifier).endorse(KEY, (STRANGER,), 600)
    (stores.log / KEYS).write_bytes(custody.encode())
    (stores.log / CHECKPOINT).write_bytes(signed(frontier, STRANGER))
    report = run(Sources(log=stores.log, trusted=KEY.verifier))["log"]
    assert report.good, json.dumps(str(report.finding))
