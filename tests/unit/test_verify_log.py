"""What a log's folder alone has: tiles, entries, keys and signed heads, older and newer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from airlock.verification import Sources
from decision.journal.custody import KEYS, VERIFIER
from decision.journal.merkle import Frontier
from decision.journal.tiles import CHECKPOINT, tile_path
from decision.model.errors import LogUnavailable
from tests.support.verify_run import run, said
from tests.support.verify_stores import (
    CODEC,
    KEY,
    STRANGER,
    Stores,
    encoded,
    history,
    make_stores,
    payload,
    signed,
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
