"""The Merkle tree over events: RFC 6962 §2.1 (the same tree as RFC 9162 §2.1), SHA-256. Pure.

    MTH({})      = SHA-256("")
    MTH({d})     = SHA-256(0x00 ‖ d)
    MTH(D[0:n])  = SHA-256(0x01 ‖ MTH(D[0:k]) ‖ MTH(D[k:n])),  k the largest power of two below n

A node is named by its level and index: node (l, i) is the root over the leaves i·2^l to (i+1)·2^l - 1. Such a complete
node never changes once its leaves are there, which is why it can be stored. Everything else (the root, both proofs) is
made from complete nodes, by `NodeReader`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from decision.model.errors import ProofInvalid

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_PROOF = 63
"""Hashes in a proof at most: what a tree of 2^63 leaves needs."""

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\x01" + left + right).digest()


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes (or over any nodes of one level, the last ones of which may be incomplete)."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        odd = [level[-1]] if len(level) & 1 else []
        pairs = iter(level)
        level = [_sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)] + odd
    return level[0]


class Frontier:
    """The right edge of a growing tree: the roots of its largest complete subtrees, from the left.

    As many hashes as the size has one bits. `peaks` given with `size` goes on where another frontier stood.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self._size = size
        self._peaks = list(peaks)
        if size < 0 or len(self._peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has no {len(self._peaks)} peaks")

    @property
    def size(self) -> int:
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves by their hashes, in order."""
        peaks, size, sha256 = self._peaks, self._size, _sha256
        for node in leaves:
            rest = size
            while rest & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                rest >>= 1
            peaks.append(node)
            size += 1
        self._size = size

    def extend_data(self, entries: Iterable[bytes]) -> None:
        """Add leaves by their contents, in order."""
        sha256 = _sha256
        self.extend([sha256(b"\x00" + data).digest() for data in entries])

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node


class NodeReader(Protocol):
    """Where the complete nodes of a tree are read."""

    def node(self, level: int, index: int) -> bytes:
        """The hash of the complete node (level, index). Raises LogDamaged when it is not there."""
        ...


def root_of(reader: NodeReader, size: int) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return subtree(reader, 0, size)


def peaks_of(reader: NodeReader, size: int) -> list[bytes]:
    """What `Frontier(size, …)` begins with."""
    found, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append(reader.node(level, start >> level))
            start += 1 << level
    return found


def subtree(reader: NodeReader, start: int, end: int) -> bytes:
    """MTH(D[start:end]), where `start` is a multiple of the largest power of two below `end - start`."""
    if start == end:
        return EMPTY_ROOT
    width = end - start
    level = (width - 1).bit_length()
    if width == 1 << level:
        return reader.node(level, start >> level)
    middle = start + (1 << (level - 1))
    return node_hash(reader.node(level - 1, start >> (level - 1)), subtree(reader, middle, end))


def inclusion_proof(reader: NodeReader, index: int, size: int) -> list[bytes]:
    """PATH(index, D[0:size]) of RFC 6962 §2.1.1, from the leaf's sibling up. Raises ValueError for no such leaf."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree(reader, middle, end))
            end = middle
        else:
            path.append(subtree(reader, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_proof(reader: NodeReader, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[0:new]) of RFC 6962 §2.1.2; empty where nothing was added, or nothing was there.

    Raises ValueError for a tree that does not come before the other.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not extend one of {old}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old < end:  # the old tree ends within D[start:end]
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree(reader, middle, end))
            end = middle
        else:
            path.append(subtree(reader, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(subtree(reader, start, end))
    path.reverse()
    return path


def _split(width: int) -> int:
    """The largest power of two below `width` (which is at least 2)."""
    return 1 << ((width - 1).bit_length() - 1)


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that `proof` leads to from the leaf's hash (RFC 9162 §2.1.3.2). Raises ProofInvalid where its form is
    not that of a proof for this leaf and size: whoever compares the root must not have to ask about the form."""
    if not 0 <= index < size:
        raise ProofInvalid(f"a tree of {size} leaves has no leaf {index}")
    _check_hashes((leaf, *proof))
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the inclusion proof has more hashes than the tree has levels")
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the inclusion proof has fewer hashes than the tree has levels")
    return node


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofInvalid unless the leaf of this hash is number `index` of the tree (size, root)."""
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise ProofInvalid(f"the inclusion proof of leaf {index} does not lead to the root of the tree of {size}")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofInvalid unless the tree (new_size, new_root) begins with the tree (old_size, old_root).

    RFC 9162 §2.1.4.2. An empty old tree is no statement about the new one, so there is nothing to prove: refused, as
    is any hash beyond those that are needed.
    """
    if not 0 < old_size <= new_size:
        raise ProofInvalid(f"there is no consistency proof from a tree of {old_size} to a tree of {new_size}")
    _check_hashes((old_root, new_root, *proof))
    if old_size == new_size:
        if proof:
            raise ProofInvalid("the consistency proof of two trees of one size is not empty")
        if old_root != new_root:
            raise ProofInvalid(f"two different trees of {old_size} leaves")
        return
    hashes = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not hashes:
        raise ProofInvalid("the consistency proof is empty")
    found_old, found_new = _consistency_roots(old_size, new_size, hashes)
    if found_old != old_root:
        raise ProofInvalid(f"the consistency proof does not lead to the root of the tree of {old_size}")
    if found_new != new_root:
        raise ProofInvalid(f"the consistency proof does not lead to the root of the tree of {new_size}")


def _consistency_roots(old_size: int, new_size: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """(old root, new root) that the hashes lead to."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofInvalid("the consistency proof has more hashes than the tree has levels")
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the consistency proof has fewer hashes than the tree has levels")
    return old, new


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofInvalid(f"a hash is not {HASH_BYTES} bytes long")


class HeldNodes:
    """A NodeReader over leaf hashes in memory, for trees that fit there."""

    def __init__(self, leaves: Sequence[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        self.extend(leaves)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves by their hashes."""
        self._levels[0].extend(leaves)
        below = self._levels[0]
        for level in range(1, len(below).bit_length()):
            if level == len(self._levels):
                self._levels.append([])
            here = self._levels[level]
            for index in range(len(here), len(below) // 2):
                here.append(node_hash(below[2 * index], below[2 * index + 1]))
            below = here

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def node(self, level: int, index: int) -> bytes:
        return self._levels[level][index]
