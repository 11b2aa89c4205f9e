"""What a journal has: rows with seals, a pruned beginning, what was kept of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import apsw
import pytest

from airlock.verification import Sources, found_in, verify
from decision.journal.custody import KEYS, Custody
from decision.journal.merkle import Frontier
from decision.journal.tiles import CHECKPOINT
from tests.support.verify_run import LATER, run, said
from tests.support.verify_stores import (
    KEY,
    STRANGER,
    Stores,
    chained,
    changed,
    encoded,
    history,
    make_stores,
    payload,
    signed,
    write_journal,
    write_log,
)
from tests.support.verify_tamper import copied

COUNT = 600


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return make_stores(tmp_path_factory.mktemp("stores") / "data", history(COUNT))


@pytest.fixture
def stores(whole: Stores, tmp_path: Path) -> Stores:
    return copied(whole, tmp_path / "data")


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


def test_a_journal_may_be_pruned_while_it_is_checked(stores: Stores) -> None:
    """It is read in brief transactions: what went meanwhile is no hole."""
    calls = []

    def told(done: int, total: int) -> None:
        if not calls:
            sql(stores, "UPDATE meta SET base_seq = 560, base_epoch = 2, "
                "base_hash = (SELECT seal FROM batch WHERE last_seq = 560)")  # fmt: skip
            sql(stores, "DELETE FROM batch WHERE last_seq <= 560")
        calls.append(done)

    (report,) = verify(Sources(journal=stores.journal), LATER, lambda _: told)
    assert (report.finding, report.events) == (None, 40)


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
