"""The sequencer: each event one leaf, one order, one history; a checkpoint when there is something new."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from decision.journal.checkpoint_tail import CheckpointTail
from decision.journal.custody import KEYS, VERIFIER, Custody
from decision.journal.log_keys import KEY_FILE, load_keys, save_keys
from decision.journal.log_settings import LogSettings
from decision.journal.merkle import Frontier, leaf_hash
from decision.journal.notes import VerifierKey
from decision.journal.tiles import TileFolder
from decision.model.errors import LogDamaged, LogUnavailable, SettingsError
from decision.model.events import CheckpointSigned
from ingest.sequencer import Sequencer, is_checkpoint
from ingest.sequencer_publisher import ALONE
from tests.support.analytics_story import CODEC, chain, story
from tests.support.tlog import AT_ONCE, Ticking, counted, leaves, published, sequencer

EVENTS = story(100)


def root(count: int) -> bytes:
    frontier = Frontier()
    frontier.extend_data([event.raw for event in EVENTS[:count]])
    return frontier.root()


def custody(data_dir: Path) -> Custody:
    return Custody.parse((data_dir / "log" / KEYS).read_bytes())


def test_a_checkpoint_covers_every_event_in_its_order(tmp_path: Path) -> None:
    """The root is that of the events' exact bytes, the entries are those bytes, the verifier key is published."""
    (data,) = published(tmp_path, [EVENTS])
    opened = custody(tmp_path).open(data)
    assert (opened.checkpoint.size, opened.checkpoint.root) == (700, root(700))
    folder = TileFolder(tmp_path / "log")
    assert folder.checkpoint() == data
    assert [raw for bundle in folder.read_entries(700) for raw in bundle] == [event.raw for event in EVENTS]
    verifier = VerifierKey.parse((tmp_path / "log" / VERIFIER).read_text())
    assert Custody.of(verifier).open(data) == opened


def test_an_event_taken_again_is_no_second_leaf(tmp_path: Path) -> None:
    """Within a batch, in a later one, out of order, and after a restart."""
    log = sequencer(tmp_path)
    log.take(leaves([*EVENTS[:50], *EVENTS[:50]]), {"a": 50})
    log.take(leaves([*EVENTS[60:100], *EVENTS[40:60]]), {"a": 100})
    log.publish()
    log.close()
    again = sequencer(tmp_path)
    assert again.take(leaves(EVENTS[:101]), {"a": 101}) == 1
    assert (again.size, again.duplicates) == (101, 100)
    again.close()


def test_an_event_that_comes_again_with_other_bytes_is_a_leaf_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two histories of one producer: neither hides the other, in one batch or later; each again is no leaf again."""
    other = [replace(event, raw=event.raw + b"\x00") for event in EVENTS]
    log = sequencer(tmp_path)
    assert log.take(leaves([*EVENTS[:300], other[7], EVENTS[7], other[7]]), {}) == 301
    log.publish()
    log.close()
    log = sequencer(tmp_path)
    assert log.take(leaves([*EVENTS[:10], other[7], other[299], other[299], EVENTS[300]]), {}) == 2
    log.publish()
    found = [raw for bundle in TileFolder(tmp_path / "log").read_entries(log.size) for raw in bundle]
    log.close()
    assert found == [event.raw for event in [*EVENTS[:300], other[7], other[299], EVENTS[300]]]
    assert caplog.text.count("came again with other bytes") == 2
    assert "event 8 of p1, epoch 1, came again" in caplog.text


def test_far_back_an_event_that_comes_again_is_taken_for_the_same(tmp_path: Path) -> None:
    """Looking through millions of leaves for each repetition would stop the log."""
    log = sequencer(tmp_path)
    log.take(leaves(EVENTS), {})
    hashes = [leaf_hash(event.raw) for event in EVENTS]
    assert log._writer.unknown([*hashes, bytes(32)], 10_000) == {bytes(32)}
    assert log._writer.unknown([hashes[0], bytes(32)], 256) == set()
    log.close()


def test_what_was_not_committed_is_forgotten_and_taken_again(tmp_path: Path) -> None:
    """The next sequencer stands where state.json says, whatever tiles lie beyond."""
    log = sequencer(tmp_path)
    log.take(leaves(EVENTS[:300]), {"a": 300})
    log.publish()
    log.take(leaves(EVENTS[300:]), {"a": 700})
    log.close()
    assert (tmp_path / "log/tile/0/001").exists()
    again = sequencer(tmp_path)
    assert (again.size, dict(again.positions)) == (300, {"a": 300})
    assert not (tmp_path / "log/tile/0/001").exists()
    assert again.take(leaves(EVENTS[300:]), {"a": 700}) == 400
    data = again.publish()
    assert data is not None and custody(tmp_path).open(data).checkpoint.root == root(700)
    again.close()


def test_a_checkpoint_is_due_when_the_interval_is_over_and_something_is_new(tmp_path: Path) -> None:
    """The first one at once; then after the interval; never without anything new."""
    clock = Ticking()
    settings = LogSettings(interval_s=10)
    key = tmp_path / "log.key"
    log = Sequencer(tmp_path / "log", key, "a", settings, clock, counted, ALONE)
    assert not log.due()
    log.take(leaves(EVENTS[:10]), {})
    assert log.due()
    log.publish()
    log.take(leaves(EVENTS[10:20]), {})
    assert not log.due()
    clock.now_s += 10
    assert log.due()
    log.publish()
    clock.now_s += 100
    assert not log.due() and not log.pending
    log.close()


def signed_events() -> Iterator[tuple[str, CheckpointSigned]]:
    yield "log", CheckpointSigned("log.example/test", 5, bytes(32), "note")


def test_a_checkpoint_event_alone_brings_forth_no_checkpoint(tmp_path: Path) -> None:
    """It is a leaf, and is covered with the next event that is something new."""
    log = sequencer(tmp_path)
    (event,) = chain(signed_events(), "log-1")
    assert is_checkpoint(event.raw) and not any(is_checkpoint(other.raw) for other in EVENTS[:7])
    log.take(leaves([event]), {})
    assert log.size == 1 and not log.pending
    log.take(leaves(EVENTS[:1]), {})
    assert log.pending
    log.close()


def test_bytes_that_are_no_event_are_no_checkpoint() -> None:
    """Nothing, and the beginning of something."""
    assert not is_checkpoint(b"") and not is_checkpoint(b"\x0a") and not is_checkpoint(b"\x0a\xff" + bytes(300))


def test_only_one_writes_a_log(tmp_path: Path) -> None:
    """The second is told so, and may when the first is gone."""
    first = sequencer(tmp_path)
    with pytest.raises(LogUnavailable, match="another process writes the log"):
        sequencer(tmp_path)
    first.close()
    sequencer(tmp_path).close()


def test_a_folder_restored_from_an_old_copy_signs_no_second_history(tmp_path: Path) -> None:
    """An old or missing state beside a newer checkpoint, exchanged tiles, another source: each is refused."""
    published(tmp_path, [EVENTS[:300]])
    log = tmp_path / "log"
    old = (log / "state.json").read_bytes()
    published(tmp_path, [EVENTS[300:]])
    newest = (log / "state.json").read_bytes()

    def refused(match: str, data_dir: Path = tmp_path, source: str = "journal") -> None:
        with pytest.raises(LogDamaged, match=match):
            sequencer(data_dir, source=source)

    (log / "state.json").write_bytes(old)
    refused("a checkpoint of 700 leaves was published, and state.json knows 300")
    (log / "state.json").unlink()
    refused("state.json is missing")
    (log / "state.json").write_text("{}")
    refused("can't be read")
    (log / "state.json").write_bytes(newest)
    refused("not log.example/test of another journal", source="another journal")
    shutil.copytree(tmp_path, tmp_path / "copy")
    raw = json.loads(newest)
    (log / "state.json").write_text(json.dumps({**raw, "root": "00" * 32}))
    refused("the tiles are not those of the tree of 700")


def test_a_log_whose_own_key_is_lost_does_not_go_on_with_another(tmp_path: Path) -> None:
    """A fresh key is not endorsed by anybody."""
    published(tmp_path, [EVENTS[:300]])
    (tmp_path / KEY_FILE).unlink()
    settings = AT_ONCE.model_copy(update={"origin": "log.example/test"})
    with pytest.raises(SettingsError, match="does not hold the key that the log was signed with"):
        Sequencer(tmp_path / "log", tmp_path / KEY_FILE, "journal", settings, Ticking(), lambda n: b"x" * n, ALONE)


def test_a_key_rotated_while_the_log_runs_is_endorsed_and_both_sign(tmp_path: Path) -> None:
    """From the next checkpoint on; after the overlap the new one signs alone; who trusts the old one follows."""
    clock = Ticking()
    key = tmp_path / KEY_FILE
    log = Sequencer(tmp_path / "log", key, "a", AT_ONCE, clock, counted, ALONE)
    log.take(leaves(EVENTS[:100]), {})
    log.publish()
    old = custody(tmp_path).newest.ed25519
    save_keys(key, load_keys(key).rotated(1_000, clock.now_s, lambda n: b"r" * n))
    log.take(leaves(EVENTS[100:200]), {})
    both = log.publish()
    clock.now_s += 2_000
    log.take(leaves(EVENTS[200:300]), {})
    alone = log.publish()
    log.close()
    assert both is not None and alone is not None
    trusted = Custody.parse((tmp_path / "log" / KEYS).read_bytes(), old)
    assert [one.from_size for one in trusted.generations] == [0, 100]
    assert len(trusted.open(both).signed) == 2
    assert [one.key for one in trusted.open(alone).signed] == [trusted.newest.ed25519]
    assert Custody.of(old).open(both)
    assert VerifierKey.parse((tmp_path / "log" / VERIFIER).read_text()) == trusted.newest.ed25519


def test_a_log_signs_with_every_algorithm_of_its_settings(tmp_path: Path) -> None:
    """Ed25519 for everybody, ML-DSA-44 beside it."""
    settings = LogSettings(origin="log.example/pq", algorithms=("ed25519", "ml-dsa-44"))
    log = sequencer(tmp_path, settings)
    log.take(leaves(EVENTS[:3]), {})
    data = log.publish()
    log.close()
    assert data is not None
    opened = custody(tmp_path).open(data)
    assert len(opened.signed) == 2 and len(opened.note.signatures) == 2


def test_a_published_checkpoint_is_recorded_once(tmp_path: Path) -> None:
    """Also by a tail that begins anew; the newest of several counts."""
    folder = tmp_path / "log"
    tail = CheckpointTail(folder)
    assert tail.poll() is None
    published(tmp_path, [EVENTS[:10], EVENTS[10:20]])
    signed = tail.poll()
    assert signed is not None and signed.tree_size == 20 and signed.root_hash == root(20)
    assert tail.poll() == signed
    tail.recorded(signed)
    assert tail.poll() is None and CheckpointTail(folder).poll() is None
    published(tmp_path, [EVENTS[20:30]])
    later = tail.poll()
    assert later is not None and later.tree_size == 30
    (folder / "checkpoint").write_text("nonsense")
    assert tail.poll() is None


def test_the_numbers_of_a_sequencer_tell_its_tree(tmp_path: Path) -> None:
    """Events taken and published, checkpoints, duplicates."""
    log = sequencer(tmp_path)
    log.take(leaves(EVENTS[:20]), {})
    log.publish()
    log.take(leaves(EVENTS[10:30]), {})
    found = {one.name: one.value for one in log.samples()}
    assert (found["sequencer_events"], found["sequencer_published_events"]) == (30, 20)
    assert (found["sequencer_checkpoints"], found["sequencer_duplicates"]) == (1, 10)
    log.close()


def test_an_event_too_long_to_be_a_leaf_stops_the_log(tmp_path: Path) -> None:
    """The codec never makes one; what does must be seen, not cut."""
    log = sequencer(tmp_path)
    with pytest.raises(ValueError, match="a leaf of 65536 bytes"):
        log.take([replace_raw(number) for number in range(256)], {})
    log.close()


def replace_raw(number: int):  # type: ignore[no-untyped-def]
    (leaf,) = leaves([replace(EVENTS[number], raw=bytes(65_536))])
    return leaf


def test_an_events_place_is_read_from_its_bytes() -> None:
    """What a leaf says of itself is what the codec reads."""
    assert [CODEC.place_of(leaf.raw)[:3] for leaf in leaves(EVENTS[:9])] == [leaf[:3] for leaf in leaves(EVENTS[:9])]
