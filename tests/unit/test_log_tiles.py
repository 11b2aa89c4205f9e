"""The log's folder: C2SP's paths and files, written once, whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from decision.journal.merkle import HeldNodes, leaf_hash, root_of
from decision.journal.tile_writer import DurableFolder, TileWriter
from decision.journal.tiles import (
    TileFolder,
    TileNodes,
    check_bundle,
    pack_entries,
    parse_tile_path,
    tile_path,
    tiles_of,
    unpack_entries,
)
from decision.model.errors import LogDamaged

ENTRIES = [f"event {number}".encode() * (number % 7) for number in range(70_000)]


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ((0, 0, 256), "tile/0/000"),
        ((0, 1_234_067, 256), "tile/0/x001/x234/067"),
        ((63, 999, 1), "tile/63/999.p/1"),
        ((None, 1_000, 255), "tile/entries/x001/000.p/255"),
    ],
)
def test_a_tile_is_named_as_the_specification_says(place: tuple[int | None, int, int], path: str) -> None:
    """Three digits in each part, x before all but the last; and back."""
    assert tile_path(*place) == path
    assert parse_tile_path(path) == place


@pytest.mark.parametrize(
    "path",
    ["tile/64/000", "tile/0/00", "tile/0/x000/000", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256",
     "tile/0/000.p/01", "tile/data/000", "checkpoint", "tile/0/000.p/300"],
)  # fmt: skip
def test_what_is_no_path_of_a_tile_is_none(path: str) -> None:
    """There is one way to write it."""
    assert parse_tile_path(path) is None


def test_a_tree_has_the_tiles_of_the_specification() -> None:
    """70,000 leaves: 273 full tiles and one of 112; one full tile and one of 17; one of 1."""
    assert list(tiles_of(70_000)) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(tiles_of(256)) == [(0, 1, 0), (1, 0, 1)]
    assert list(tiles_of(0)) == []


def test_a_bundle_gives_its_entries_back() -> None:
    """Also empty and largest ones; a larger one is refused, as is a bundle that was cut."""
    entries = [b"", b"a", b"b" * 65_535]
    assert unpack_entries(pack_entries(entries)) == entries
    with pytest.raises(ValueError, match="65536 bytes"):
        pack_entries([b"c" * 65_536])
    for cut in (1, 3, 100):
        with pytest.raises(ValueError, match="do not add up"):
            unpack_entries(pack_entries(entries)[:-cut])
    with pytest.raises(ValueError, match="do not add up"):
        unpack_entries(b"\x00")


def filled(folder: Path, count: int, *steps: int) -> TileWriter:
    writer = TileWriter(DurableFolder(folder))
    start = 0
    for end in (*steps, count):
        writer.append(ENTRIES[start:end])
        writer.flush()
        start = end
    return writer


def test_the_folder_of_a_large_tree_holds_exactly_its_tiles_and_all_of_it_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tile of 70,000 leaves, every node, every entry; opened again it goes on with the same root."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a thousand of them say nothing here
    writer = filled(tmp_path, 70_000)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    wanted = set()
    for level, full, width in tiles_of(70_000):
        for kind in (level, None) if level == 0 else (level,):
            wanted.update(tile_path(kind, number) for number in range(full))
            wanted.add(tile_path(kind, full, width))
    assert files == wanted
    held = HeldNodes([leaf_hash(one) for one in ENTRIES])
    nodes = TileNodes(TileFolder(tmp_path), 70_000)
    for level, index in ((0, 69_999), (3, 8_000), (8, 272), (11, 33), (16, 0)):
        assert nodes.node(level, index) == held.node(level, index)
    assert root_of(nodes, 70_000) == root_of(held, 70_000) == writer.root()
    assert [one for bundle in TileFolder(tmp_path).read_entries(70_000) for one in bundle] == ENTRIES
    assert TileWriter(DurableFolder(tmp_path), 70_000).root() == writer.root()


@pytest.mark.parametrize("sizes", [(1, 2, 255, 256, 257), (300, 512, 513), (255, 700)])
def test_a_tree_grown_in_steps_is_the_tree_made_at_once(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    """And after each step another writer that goes on from it has the same root."""
    held = HeldNodes([leaf_hash(one) for one in ENTRIES[: max(sizes)]])
    start = 0
    for size in sizes:
        writer = TileWriter(DurableFolder(tmp_path), start)
        writer.append(ENTRIES[start:size])
        writer.flush()
        assert writer.root() == root_of(held, size) == root_of(TileNodes(TileFolder(tmp_path), size), size)
        start = size


def test_old_partial_tiles_serve_old_checkpoints_until_the_full_one_is_there(tmp_path: Path) -> None:
    """Each published size keeps its partial tile; with the full tile they go, and it serves those sizes."""
    writer = filled(tmp_path, 200, 10, 100)
    assert {path.name for path in (tmp_path / "tile/0/000.p").iterdir()} == {"10", "100", "200"}
    old = root_of(TileNodes(TileFolder(tmp_path), 100), 100)
    writer.append(ENTRIES[200:600])
    writer.flush()
    writer.drop_partial(200, 600)
    assert not (tmp_path / "tile/0/000.p").exists() and not (tmp_path / "tile/entries/000.p").exists()
    assert root_of(TileNodes(TileFolder(tmp_path), 100), 100) == old
    assert TileFolder(tmp_path).entries(0, 100) == ENTRIES[:100]


def test_what_lies_beyond_the_kept_size_is_removed_at_opening(tmp_path: Path) -> None:
    """Full and partial tiles of a tree that was never published, and what an interrupted write has left."""
    filled(tmp_path, 900, 300)
    (tmp_path / ".staging" / "left").write_bytes(b"over")
    writer = TileWriter(DurableFolder(tmp_path), 300)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"}
    other = [b"other " + one for one in ENTRIES[300:900]]
    writer.append(other)
    writer.flush()
    assert TileFolder(tmp_path).entry(899, 900) == other[-1]


def test_a_damaged_tile_is_named_with_its_first_leaf(tmp_path: Path) -> None:
    """Missing, cut, or with another entry than its hash says."""
    filled(tmp_path, 600)
    folder = TileFolder(tmp_path)
    bundle, tile = tmp_path / "tile/entries/001", tmp_path / "tile/0/001"
    tile.write_bytes(tile.read_bytes()[:-32])
    with pytest.raises(LogDamaged, match="tile/0/001 of the log holds 8160 bytes") as damaged:
        folder.hashes(0, 1)
    assert damaged.value.index == 256
    bundle.write_bytes(bundle.read_bytes()[:-1])
    with pytest.raises(LogDamaged, match="tile/entries/001 of the log is not whole"):
        folder.entries(1)
    bundle.unlink()
    with pytest.raises(LogDamaged, match="tile/entries/001 of the log is missing"):
        list(folder.read_entries(600))
    (tmp_path / "tile/entries/000").write_bytes(pack_entries(ENTRIES[:255]))
    with pytest.raises(LogDamaged, match="holds 255 entries of 256") as damaged:
        folder.entry(3, 600)
    assert damaged.value.index == 255
    with pytest.raises(LogDamaged, match="leaf 512 is not the one") as damaged:
        check_bundle(folder.hashes(0, 2, 88), [b"edited", *folder.entries(2, 88)[1:]], 512)
    assert damaged.value.index == 512


def test_a_writer_does_not_go_on_from_entries_that_are_not_those_of_its_tiles(tmp_path: Path) -> None:
    """The newest, partial bundle is compared with its hashes."""
    filled(tmp_path, 300)
    bundle = tmp_path / "tile/entries/001.p/44"
    bundle.write_bytes(pack_entries([b"edited", *unpack_entries(bundle.read_bytes())[1:]]))
    with pytest.raises(LogDamaged, match="newest entries") as damaged:
        TileWriter(DurableFolder(tmp_path), 300)
    assert damaged.value.index == 256


def test_a_node_beyond_the_tree_is_none(tmp_path: Path) -> None:
    """A reader never takes what a checkpoint does not cover."""
    filled(tmp_path, 300)
    with pytest.raises(LogDamaged, match="no complete node 1 at level 8"):
        TileNodes(TileFolder(tmp_path), 300).node(8, 1)
