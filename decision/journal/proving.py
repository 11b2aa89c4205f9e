"""Finding an event in a log's folder, and making the proof that it is there.

A leaf is found by its hash among the tiles of level 0: 32 bytes a leaf are read, the newest first, which for a million
events takes some tenths of a second and needs no index that could be wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from decision.journal.custody import KEYS, Custody
from decision.journal.merkle import HASH_BYTES, inclusion_proof, leaf_hash
from decision.journal.notes import VerifierKey
from decision.journal.proofs import TlogProof, verify_proof
from decision.journal.tiles import WIDTH, TileFolder, TileNodes
from decision.model.errors import LogUnavailable

Progress = Callable[[int, int], None]
"""Called with (leaves looked at, of how many)."""


def newest_checkpoint(folder: TileFolder) -> bytes:
    """Raises LogUnavailable before the first."""
    found = folder.checkpoint()
    if not found:
        raise LogUnavailable(
            f"the log in {folder.root} has no checkpoint yet",
            hint="start `airlock up`: it signs one some seconds after something happened; or name the log by --log",
        )
    return found


def read_custody(folder: TileFolder, trusted: VerifierKey | None = None) -> Custody:
    """The log's keys as its folder lists them. Raises NoteInvalid, LogUnavailable."""
    try:
        return Custody.parse((folder.root / KEYS).read_bytes(), trusted)
    except OSError as error:
        raise LogUnavailable(
            f"the log in {folder.root} has no list of keys ({error.strerror})", hint="name a log's folder"
        ) from None


def find_leaf(
    folder: TileFolder, size: int, raw: bytes, hint: int = -1, progress: Progress = lambda _, __: None
) -> int | None:
    """The index of the leaf `raw` in the tree of `size`; `hint` is looked at first. Raises LogDamaged."""
    wanted = leaf_hash(raw)
    if 0 <= hint < size:
        tile, place = divmod(hint, WIDTH)
        if folder.hashes(0, tile, min(WIDTH, size - tile * WIDTH))[place] == wanted:
            return hint
    for tile in range((size - 1) // WIDTH, -1, -1):
        hashes = b"".join(folder.hashes(0, tile, min(WIDTH, size - tile * WIDTH)))
        at = hashes.find(wanted)
        while at >= 0 and at % HASH_BYTES:
            at = hashes.find(wanted, at + 1)
        if at >= 0:
            return tile * WIDTH + at // HASH_BYTES
        progress(size - tile * WIDTH, size)
    return None


def find_event(
    folder: TileFolder, size: int, event_id: str, progress: Progress = lambda _, __: None
) -> tuple[int, bytes] | None:
    """(index, bytes) of the event with this id, by reading every entry, the newest first. Raises LogDamaged."""
    encoded = event_id.encode()
    if not 0 < len(encoded) < 128:
        return None
    begins = b"\x0a%c%b" % (len(encoded), encoded)  # an event's bytes begin with its id
    for bundle in range((size - 1) // WIDTH, -1, -1):
        for place, raw in enumerate(folder.entries(bundle, min(WIDTH, size - bundle * WIDTH))):
            if raw.startswith(begins):
                return bundle * WIDTH + place, raw
        progress(size - bundle * WIDTH, size)
    return None


def make_proof(folder: TileFolder, custody: Custody, checkpoint: bytes, index: int, raw: bytes) -> TlogProof:
    """The proof that `raw` is leaf `index` of the tree that `checkpoint` signs, verified. Raises LogDamaged where the
    tiles don't lead to its root, NoteInvalid, ProofInvalid."""
    size = custody.open(checkpoint).checkpoint.size
    proof = TlogProof(index, tuple(inclusion_proof(TileNodes(folder, size), index, size)), checkpoint, raw)
    verify_proof(proof, custody)
    return proof
