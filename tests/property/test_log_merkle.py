"""The tree of the log is RFC 6962's: against its own vectors, another implementation, Go's, and every small change."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from decision.journal.encoding import base64_text, parse_base64
from decision.journal.merkle import (
    EMPTY_ROOT,
    Frontier,
    HeldNodes,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    peaks_of,
    root_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from decision.model.errors import ProofInvalid

LARGEST = 130
GO = json.loads((Path(__file__).parents[1] / "cases" / "tlog" / "go.json").read_text())

# RFC 6962's reference inputs, as the first certificate transparency implementation published them.
INPUTS = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@cache
def nodes() -> HeldNodes:
    return HeldNodes([leaf_hash(str(place).encode()) for place in range(LARGEST)])


@cache
def root(size: int) -> bytes:
    return root_of(nodes(), size)


def leaf(index: int) -> bytes:
    return nodes().node(0, index)


def test_the_roots_of_the_reference_inputs_are_those_of_the_rfc() -> None:
    """The empty tree's root, and that of each number of reference inputs."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT == tree_root([])
    for data, expected in zip(INPUTS, ROOTS, strict=True):
        frontier.extend_data([data])
        assert frontier.root().hex() == expected


def test_every_tree_and_its_edge_agree_with_another_implementation() -> None:
    """Root and right edge of every size, made in every way that there is."""
    oracle = InmemoryTree(algorithm="sha256")
    frontier = Frontier()
    for size in range(1, LARGEST + 1):
        oracle.append_entry(str(size - 1).encode())
        frontier.append(leaf(size - 1))
        assert oracle.get_root(size) == root(size) == frontier.root()
        assert tree_root([leaf(place) for place in range(size)]) == root(size)
        assert frontier.peaks == tuple(peaks_of(nodes(), size))
        assert Frontier(size, frontier.peaks).root() == root(size)


def test_every_inclusion_proof_verifies_and_none_for_another_leaf() -> None:
    """Each leaf of each tree; its neighbour's hash, place and size are refused."""
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = inclusion_proof(nodes(), index, size)
            verify_inclusion(leaf(index), index, size, proof, root(size))
            for wrong in ((leaf(index), index + 1, size), (leaf((index + 1) % LARGEST), index, size)):
                with pytest.raises(ProofInvalid):
                    verify_inclusion(*wrong, proof, root(size))


def test_every_consistency_proof_verifies_and_none_between_others() -> None:
    """Each pair of trees; with one of the roots exchanged it is refused."""
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = consistency_proof(nodes(), old, new)
            verify_consistency(old, root(old), new, root(new), proof)
            for wrong in ((old, EMPTY_ROOT, new, root(new)), (old, root(old), new, EMPTY_ROOT)):
                with pytest.raises(ProofInvalid):
                    verify_consistency(*wrong, proof)


@pytest.mark.parametrize("tree", GO["trees"], ids=lambda tree: str(tree["Leaves"]))
def test_proofs_are_those_that_go_makes(tree: dict[str, object]) -> None:
    """Root, inclusion and consistency proofs, hash for hash."""
    size = tree["Leaves"]
    assert isinstance(size, int)
    assert isinstance(tree["Inclusion"], dict) and isinstance(tree["Consistency"], dict)
    assert base64_text(root(size)) == tree["Root"]
    for index, path in tree["Inclusion"].items():
        assert inclusion_proof(nodes(), int(index), size) == [parse_base64(one) for one in path]
    for old, path in tree["Consistency"].items():
        assert consistency_proof(nodes(), int(old), size) == [parse_base64(one) for one in path]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_proof_that_was_changed_is_refused(data: st.DataObject) -> None:
    """A hash more, less, exchanged, or with one bit turned: of either kind of proof."""
    size = data.draw(st.integers(2, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    for proof, verify in (
        (inclusion_proof(nodes(), index, size), lambda p: verify_inclusion(leaf(index), index, size, p, root(size))),
        (consistency_proof(nodes(), old, size), lambda p: verify_consistency(old, root(old), size, root(size), p)),
    ):
        changed = list(proof)
        way = data.draw(st.sampled_from(["more", "less", "bit", "long"]))
        place = data.draw(st.integers(0, len(proof)))
        if way == "more" or not proof:
            changed.insert(place, data.draw(st.sampled_from([EMPTY_ROOT, *proof])))
        elif way == "less":
            del changed[place % len(proof)]
        elif way == "long":
            changed[place % len(proof)] += b"\x00"
        else:
            number = int.from_bytes(changed[place % len(proof)], "big") ^ 1 << data.draw(st.integers(0, 255))
            changed[place % len(proof)] = number.to_bytes(32, "big")
        with pytest.raises(ProofInvalid):
            verify(changed)


@pytest.mark.parametrize(
    ("old", "new", "proof"),
    [(0, 5, []), (0, 0, []), (6, 5, []), (-1, 5, []), (5, 5, [EMPTY_ROOT]), (4, 5, []), (3, 5, [])],
)
def test_consistency_that_can_not_be_proved_is_refused(old: int, new: int, proof: list[bytes]) -> None:
    """From nothing, backwards, with something for one and the same size, or with nothing where something is needed."""
    with pytest.raises(ProofInvalid):
        verify_consistency(old, root(max(old, 0)) if old else EMPTY_ROOT, new, root(max(new, 1)), proof)


def test_two_trees_of_one_size_are_a_fork() -> None:
    """The same size with another root is never consistent."""
    with pytest.raises(ProofInvalid, match="two different trees of 5"):
        verify_consistency(5, root(5), 5, root(6), [])


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_a_leaf_beyond_the_tree_has_no_proof(index: int, size: int) -> None:
    """Neither can one be made nor one be believed."""
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_proof(nodes(), index, size)
    with pytest.raises(ProofInvalid, match="has no leaf"):
        verify_inclusion(leaf(0), index, size, [], root(1))


def test_an_edge_that_does_not_fit_its_size_is_refused() -> None:
    """As many peaks as the size has one bits."""
    with pytest.raises(ValueError, match="no 1 peaks"):
        Frontier(3, [EMPTY_ROOT])
