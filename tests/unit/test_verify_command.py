"""`airlock verify` and `airlock evidence`: what a person sees, and the exit status."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airlock.main import run
from decision.journal.algorithms import COSIGNATURE
from decision.journal.merkle import Frontier, inclusion_proof, leaf_hash
from decision.journal.notes import new_key, parse_note
from decision.journal.proofs import TlogProof
from decision.journal.tiles import CHECKPOINT, TileFolder, TileNodes
from tests.support.verify_stores import KEY, START, STEP, STRANGER, Stores, history, make_stores, signed
from tests.support.verify_tamper import copied, tamper

COUNT = 300


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return make_stores(tmp_path_factory.mktemp("stores") / "data", history(COUNT))


@pytest.fixture
def stores(whole: Stores, tmp_path: Path) -> Stores:
    return copied(whole, tmp_path / "data")


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_data_folder_is_checked_as_a_whole(whole: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    """Every store in it, with counts, and what speaks for the key."""
    assert run(["verify", "--data-dir", str(whole.root)]) == 0
    said = capsys.readouterr().out
    assert "300 events verified, none changed, missing or added" in said
    assert "by the log's own word" in said and "hash " in said
    assert run(["verify", "--data-dir", str(whole.root), "--verifier", KEY.verifier.encode(), "--format", "json"]) == 0
    found = rows(capsys)
    assert [(row["store"], row["events"], row["vouched"], row["result"]) for row in found] == [
        ("log", 300, 0, "good"), ("journal", 300, 300, "good"), ("parquet", 300, 300, "good"),
    ]  # fmt: skip
    assert "the key that you trust" in found[0]["notes"][0]


@pytest.mark.parametrize("store", ["journal", "log"])
def test_tampering_is_an_error_that_names_the_event(
    store: str, stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 1; as JSON every field of it."""
    tamper(stores, store, "edit", 200)
    assert run(["verify", f"--{store}", str(stores.root / store)]) == 1
    told = capsys.readouterr()
    assert f"error: {store}: edited: event 200 of 'p1' (epoch 1), id event-200" in told.err
    assert "none changed" not in told.out
    assert run(["verify", f"--{store}", str(stores.root / store), "--format", "json"]) == 1
    (row,) = rows(capsys)
    assert (row["result"], row["producer_id"], row["seq"], row["event_id"]) == ("edited", "p1", 200, "event-200")


def test_named_stores_are_held_against_each_other(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    """A journal whose end was cut off is good alone."""
    tamper(stores, "journal", "truncate", 290)
    assert run(["verify", "--journal", str(stores.journal)]) == 0
    arguments = ["verify", "--journal", str(stores.journal), "--log", str(stores.log), "--kafka-export"]
    assert run([*arguments, str(stores.export)]) == 1
    assert "journal: truncated: event 290 of 'p1'" in capsys.readouterr().err


def test_the_key_can_be_given_in_a_file(whole: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `airlock log verifier` writes it; another key is not this log's."""
    key = tmp_path / "log.vkey"
    key.write_text(KEY.verifier.encode() + "\n")
    assert run(["verify", "--log", str(whole.log), "--verifier", str(key)]) == 0
    key.write_text(STRANGER.verifier.encode() + "\n")
    assert run(["verify", "--log", str(whole.log), "--verifier", str(key)]) == 1
    assert "none of this log's keys" in capsys.readouterr().err
    assert run(["verify", "--log", str(whole.log), "--verifier", "nonsense"]) == 1


def test_a_checkpoint_that_was_kept_binds_the_log(
    whole: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older one of the same tree; not one of another."""
    frontier, kept = Frontier(), tmp_path / "kept"
    frontier.extend_data(whole.raws[:77])
    kept.write_bytes(signed(frontier))
    assert run(["verify", "--log", str(whole.log), "--checkpoint", str(kept)]) == 0
    frontier.extend_data([b"x"])
    kept.write_bytes(signed(frontier))
    assert run(["verify", "--log", str(whole.log), "--checkpoint", str(kept)]) == 1
    assert "forked: its first 78 leaves" in capsys.readouterr().err


def test_a_proof_is_checked_with_its_event_inside_or_beside(
    whole: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And shows the event that it is of; with other bytes it proves nothing."""
    raw, nodes = whole.raws[41], TileNodes(TileFolder(whole.log), COUNT)
    proof = TlogProof(41, tuple(inclusion_proof(nodes, 41, COUNT)), (whole.log / CHECKPOINT).read_bytes(), raw)
    file, event = tmp_path / "p.tlog-proof", tmp_path / "p.event"
    file.write_bytes(proof.encode())
    event.write_bytes(raw)
    key = KEY.verifier.encode()
    assert run(["verify", "--proof", str(file), "--verifier", key, "--format", "json"]) == 0
    (row,) = rows(capsys)
    assert (row["event_id"], row["seq"], row["leaf"], row["signed_by"]) == ("event-42", 42, 41, key)
    assert run(["verify", "--proof", str(file), "--event", str(event), "--data-dir", str(whole.root)]) == 0
    assert "the key is the one that" in capsys.readouterr().out
    event.write_bytes(whole.raws[40])
    assert run(["verify", "--proof", str(file), "--event", str(event), "--verifier", key]) == 1
    assert "does not lead to the root" in capsys.readouterr().err
    assert leaf_hash(raw) != leaf_hash(whole.raws[40])
    assert run(["verify", "--event", str(event)]) == 2


def test_a_policy_says_whom_to_believe(stores: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log that it names, and a quorum of its witnesses."""
    witness = new_key("witness.example/w", bytes(range(2, 34)), COSIGNATURE)
    policy = tmp_path / "policy"
    policy.write_text(f"log {KEY.verifier.encode()}\nwitness w {witness.verifier.encode()}\nquorum w\n")
    arguments = ["verify", "--log", str(stores.log), "--policy", str(policy)]
    assert run(arguments) == 1
    assert "cosigned by nobody, which is no quorum" in capsys.readouterr().err
    checkpoint = stores.log / CHECKPOINT
    text = parse_note(checkpoint.read_bytes()).text
    checkpoint.write_bytes(checkpoint.read_bytes() + witness.sign(text, 1_790_000_000).line().encode())
    assert run(arguments) == 0
    assert "cosigned by witness.example/w" in capsys.readouterr().out
    policy.write_text(f"log {STRANGER.verifier.encode()}\nquorum none\n")
    assert run(arguments) == 1
    assert "none of the policy's logs" in capsys.readouterr().err


def when(number: int) -> str:
    return datetime.fromtimestamp((START + number * STEP) // 1_000_000_000, UTC).isoformat()


def test_a_bundle_is_written_and_checked(whole: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The events of some time, provable by themselves; the same again, byte for byte."""
    file, again = tmp_path / "b.zip", tmp_path / "again.zip"
    arguments = ["evidence", "bundle", "--data-dir", str(whole.root), "--from", when(100), "--to", when(150), "-o"]
    assert run([*arguments, str(file)]) == 0
    assert "50 events, leaves 99 to 148 of 300" in capsys.readouterr().out
    assert run(["verify", "--bundle", str(file), "--verifier", KEY.verifier.encode()]) == 0
    assert "leaves 99 to 148 of 300, without a hole" in capsys.readouterr().out
    assert run([*arguments, str(again)]) == 0
    assert again.read_bytes() == file.read_bytes()
    assert run(["verify", "--bundle", str(file), "--verifier", STRANGER.verifier.encode()]) == 1


@pytest.mark.parametrize(
    ("span", "status", "says"),
    [
        (["--from", "2020-01-01", "--to", "2020-01-02"], 1, "no event of that time"),
        (["--from", "yesterday"], 2, "is no time"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], 2, "later than --from"),
    ],
)
def test_a_bundle_of_nothing_is_refused(
    span: list[str], status: int, says: str, whole: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is wrong with the times."""
    arguments = ["evidence", "bundle", "--data-dir", str(whole.root), *span, "-o", str(tmp_path / "b.zip")]
    assert run(arguments) == status
    assert says in capsys.readouterr().err


def test_nothing_to_verify_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Never a good result of nothing."""
    assert run(["verify", "--data-dir", str(tmp_path)]) == 1
    assert "there is nothing to verify" in capsys.readouterr().err
    for option in ("--journal", "--log", "--parquet"):
        assert run(["verify", option, str(tmp_path)]) == 1
    for option in ("--kafka-export", "--bundle", "--proof"):
        assert run(["verify", option, str(tmp_path / "none")]) == 2
