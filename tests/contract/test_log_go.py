"""Go's own packages (golang.org/x/mod/sumdb) verify what we publish, and refuse what was changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from airlock.commands.prove import prove
from decision.journal.custody import VERIFIER
from decision.journal.encoding import base64_text
from decision.journal.merkle import consistency_proof, inclusion_proof
from decision.journal.tiles import TileFolder, TileNodes, pack_entries
from tests.support.analytics_story import story
from tests.support.tlog import go_program, output, published, refusal

pytestmark = pytest.mark.golang
EVENTS = story(200)
SIZES = (1, 255, 256, 700, 1_400)


@pytest.fixture(scope="module")
def program(go: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go_program(go, tmp_path_factory.mktemp("tlog"))


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A data folder with a log, and its checkpoints."""
    data_dir = tmp_path_factory.mktemp("grown")
    places = (0, *SIZES)
    return data_dir, published(data_dir, [EVENTS[a:b] for a, b in zip(places, SIZES, strict=False)])


def verifier(data_dir: Path) -> str:
    return (data_dir / "log" / VERIFIER).read_text().strip()


def test_go_reads_every_checkpoint_and_finds_it_consistent_with_the_newest(
    program: Path, grown: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    """The proofs that Go makes from our tiles are ours, hash for hash."""
    data_dir, checkpoints = grown
    log = data_dir / "log"
    nodes = TileNodes(TileFolder(log), SIZES[-1])
    for size, data in zip(SIZES, checkpoints, strict=True):
        older = tmp_path / str(size)
        older.write_bytes(data)
        assert output(program, "checkpoint", verifier(data_dir), older)[0].split()[1] == str(size)
        found = output(program, "consistency", verifier(data_dir), log, older)
        assert found == [base64_text(one) for one in consistency_proof(nodes, size, SIZES[-1])]


def test_go_finds_every_tile_and_entry_to_be_of_the_signed_tree(program: Path, grown: tuple[Path, list[bytes]]) -> None:
    """It makes the tree from the entries and compares each tile."""
    data_dir, _ = grown
    assert output(program, "tiles", verifier(data_dir), data_dir / "log") == [str(SIZES[-1])]


@pytest.mark.parametrize("index", [0, 255, 256, 1_023, 1_399])
def test_go_makes_the_same_inclusion_proof(program: Path, grown: tuple[Path, list[bytes]], index: int) -> None:
    """From our tiles, for the first leaf, at the borders of tiles, for the last."""
    data_dir, _ = grown
    own = inclusion_proof(TileNodes(TileFolder(data_dir / "log"), SIZES[-1]), index, SIZES[-1])
    found = output(program, "prove", verifier(data_dir), data_dir / "log", index)
    assert found == [base64_text(one) for one in own]


@pytest.mark.parametrize("options", [[], ["--separate"]], ids=["inside", "beside"])
def test_go_verifies_a_proof_that_airlock_prove_wrote(
    program: Path, grown: tuple[Path, list[bytes]], tmp_path: Path, options: list[str]
) -> None:
    """With the event inside the proof or beside it; another event is refused."""
    data_dir, _ = grown
    proof = tmp_path / "one.tlog-proof"
    event = EVENTS[777]
    done = CliRunner().invoke(prove, [event.draft.id, "--data-dir", str(data_dir), "-o", str(proof), *options])
    assert done.exit_code == 0, done.output
    beside = [tmp_path / "one.event"] if options else []
    assert output(program, "proof", verifier(data_dir), proof, *beside) == ["777 1400"]
    other = tmp_path / "other"
    other.write_bytes(EVENTS[778].raw)
    assert "invalid transparency proof" in refusal(program, "proof", verifier(data_dir), proof, other)


@pytest.fixture
def copied(grown: tuple[Path, list[bytes]], tmp_path: Path) -> Iterator[Path]:
    """The same log again, to be changed."""
    places = (0, *SIZES)
    published(tmp_path, [EVENTS[a:b] for a, b in zip(places, SIZES, strict=False)])
    yield tmp_path


def test_go_refuses_what_was_changed(program: Path, copied: Path) -> None:
    """An entry, a tile, a checkpoint: the refusal is Go's own, so our readers need not be believed."""
    log, key = copied / "log", verifier(copied)
    bundle = log / "tile/entries/001"
    whole = bundle.read_bytes()
    bundle.write_bytes(pack_entries([b"edited", *TileFolder(log).entries(1)[1:]]))
    assert "root" in refusal(program, "tiles", key, log)
    bundle.write_bytes(whole)
    tile = log / "tile/0/001"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    assert "differs" in refusal(program, "tiles", key, log)
    checkpoint = log / "checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n1400\n", b"\n1401\n"))
    assert "invalid signature" in refusal(program, "checkpoint", key, checkpoint)
