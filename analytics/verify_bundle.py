"""An evidence bundle, checked by itself: its events against its tiles, its tiles against its signed root."""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from analytics.evidence_bundle import EVENTS, INDEX_BYTES, LENGTH_BYTES, MANIFEST, tiles_for
from analytics.verify_entries import Entries, Progress, Report, choose, named
from analytics.verify_ledger import Ledger
from analytics.verify_log import custody_of
from decision.journal.codec import EventCodec
from decision.journal.custody import KEYS, VERIFIER, Opened
from decision.journal.merkle import leaf_hash, root_of, tree_root
from decision.journal.notes import VerifierKey
from decision.journal.tiles import CHECKPOINT, HEIGHT, WIDTH, TileFolder, TileNodes, parse_tile_path
from decision.journal.trust import TrustPolicy
from decision.journal.verify_core import Finding, Place, Tampering
from decision.journal.verify_tree import Bundle, compared
from decision.model.errors import LogDamaged, LogUnavailable, NoteInvalid

_SMALL = 1_000_000
_TILE = WIDTH * 32
_CHUNK = 1 << 20
_MAX_EVENT = 65_535


class _Cut(Exception):
    """The events end in the middle, or are none."""


@dataclass(slots=True)
class _Seen:
    first: int = 0
    count: int = 0
    finding: Finding | None = None


def check_bundle(
    ledger: Ledger,
    path: Path,
    codec: EventCodec,
    trusted: VerifierKey | None = None,
    progress: Progress | None = None,
    policy: TrustPolicy | None = None,
) -> Report:
    """Raises LogUnavailable where `path` can't be read at all, NoteInvalid where its checkpoint does not have the
    cosignatures that `policy` demands."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise LogUnavailable(f"{path} can't be read: {error.strerror}", hint="name the bundle's file") from error
    except zipfile.BadZipFile as error:
        return Report("bundle", str(path), finding=Finding(Tampering.EDITED, f"it is no zip file any more: {error}"))
    with archive, tempfile.TemporaryDirectory(prefix="airlock-bundle-") as temporary:
        try:
            folder = Path(temporary)
            _extract(archive, folder)
            return _check(ledger, path, archive, folder, codec, trusted, progress, policy)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            finding = Finding(Tampering.EDITED, f"a part of the zip file can't be read: {error}")
            return Report("bundle", str(path), finding=finding)


def _extract(archive: zipfile.ZipFile, folder: Path) -> None:
    """The small files that we know, and no others: names and sizes in the archive are somebody's word."""
    for info in archive.infolist():
        place = parse_tile_path(info.filename)
        tile = place is not None and place[0] is not None and info.file_size <= _TILE
        if tile or (info.filename in (CHECKPOINT, KEYS, VERIFIER) and info.file_size <= _SMALL):
            target = folder / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(info))


def _check(
    ledger: Ledger, path: Path, archive: zipfile.ZipFile, folder: Path, codec: EventCodec,
    trusted: VerifierKey | None, progress: Progress | None, policy: TrustPolicy | None,
) -> Report:  # fmt: skip
    tiles = TileFolder(folder)
    try:
        opened = custody_of(folder, trusted, policy).open(tiles.checkpoint())
    except (NoteInvalid, LogUnavailable) as error:
        return Report("bundle", str(path), finding=Finding(Tampering.EDITED, error.message).at(CHECKPOINT))
    if policy is not None:
        policy.check(opened.note)
    entries, seen = Entries(ledger, "bundle", codec), _Seen()
    try:
        with archive.open(MANIFEST) as file:
            said = json.loads(file.read(_SMALL))
        first, count = int(said["first_leaf"]), int(said["events"])
    except (KeyError, ValueError, TypeError):
        return Report("bundle", str(path), finding=Finding(Tampering.EDITED, "its manifest can't be read").at(MANIFEST))
    _read(archive, entries, tiles, opened.checkpoint.size, seen, lambda: progress and progress(seen.count, count))
    end = min(seen.first + seen.count, opened.checkpoint.size)
    in_tiles = _tiles_lead_up(tiles, opened, seen.first, end) if seen.first < end else None
    checked = ledger.check("bundle", anchored=False)
    ends = None
    if (seen.first, seen.count) != (first, count):
        message = f"{seen.count} events from leaf {seen.first} on, where the manifest says {count} from {first} on"
        ends = Finding(Tampering.TRUNCATED, message, place=Place(0, seen.first + seen.count))
    chain, _ = choose(checked, entries.unreadable, ())
    forked = chain if chain is not None and chain.what is Tampering.FORKED else None
    finding = in_tiles or forked or seen.finding or chain or ends
    if finding is not None:
        finding = named(finding, codec, partial(_fetch, archive), _words)
    trust = (
        "the key that you trust"
        if trusted is not None or policy is not None
        else "its own word: give --verifier to trust nobody"
    )
    notes = (
        f"leaves {seen.first} to {seen.first + seen.count - 1} of {opened.checkpoint.size}, without a hole",
        f"signed by {opened.signed[0].key.name}, {trust}",
    )
    report = Report("bundle", str(path), checked.events, checked.copies, checked.producers, finding=finding,
                    notes=notes, words=_words)  # fmt: skip
    return replace(report, vouched=checked.events if finding is None else 0)


def _read(
    archive: zipfile.ZipFile, entries: Entries, tiles: TileFolder, size: int, seen: _Seen, told: Callable[[], object]
) -> None:
    """All events into `entries`, each held against its tile."""
    try:
        with archive.open(EVENTS) as file:
            for bundle in _bundles(file, seen):
                _take(entries, bundle, tiles, size, seen)
                told()
    except KeyError:
        seen.finding = Finding(Tampering.TRUNCATED, "the bundle holds no events")
    except _Cut as error:
        seen.finding = seen.finding or Finding(Tampering.TRUNCATED, str(error), place=Place(0, seen.first + seen.count))
    entries.flush()


def _fetch(archive: zipfile.ZipFile, place: Place) -> bytes | None:
    with contextlib.suppress(_Cut), archive.open(EVENTS) as file:
        for bundle in _bundles(file, _Seen()):
            if bundle.first <= place.spot < bundle.first + len(bundle.entries):
                return bundle.entries[place.spot - bundle.first]
    return None


def _words(place: Place) -> str:
    return f"leaf {place.spot}"


def _bundles(file: IO[bytes], seen: _Seen) -> Iterator[Bundle]:
    """The events in the portions of the log's tiles. Raises _Cut."""
    head = file.read(INDEX_BYTES)
    if len(head) < INDEX_BYTES:
        raise _Cut("the bundle's events are cut")
    seen.first = leaf = int.from_bytes(head, "big")
    if leaf >= 1 << 62:
        raise _Cut("the first leaf's number is none")
    held, raws = b"", list[bytes]()
    while True:
        more = file.read(_CHUNK)
        held += more
        at = 0
        while len(held) - at >= LENGTH_BYTES:
            end = at + LENGTH_BYTES + int.from_bytes(held[at : at + LENGTH_BYTES], "big")
            if end - at - LENGTH_BYTES > _MAX_EVENT:
                yield Bundle(leaf, raws)
                raise _Cut("an event has no possible length")
            if end > len(held):
                break
            raws.append(held[at + LENGTH_BYTES : end])
            at = end
            if (leaf + len(raws)) % WIDTH == 0:
                yield Bundle(leaf, raws)
                leaf, raws = leaf + len(raws), []
        held = held[at:]
        if not more:
            break
    if raws:
        yield Bundle(leaf, raws)
    if held:
        raise _Cut("the bundle's events end in the middle")


def _take(entries: Entries, bundle: Bundle, tiles: TileFolder, size: int, seen: _Seen) -> None:
    first, count = bundle.first, len(bundle.entries)
    seen.count += count
    entries.take(bundle.entries, 0, range(first, first + count))
    if seen.finding is not None or not count:
        return
    index, start = divmod(first, WIDTH)
    width = min(WIDTH, size - index * WIDTH)
    try:
        stored = tiles.hashes(0, index, width)[start:] if width > start else []
    except LogDamaged as error:
        seen.finding = Finding(Tampering.EDITED, error.message, place=Place(0, first))
        return
    leaves = [leaf_hash(raw) for raw in bundle.entries]
    if leaves != stored[:count]:
        seen.finding = compared(bundle, leaves, stored)


def _tiles_lead_up(tiles: TileFolder, opened: Opened, first: int, end: int) -> Finding | None:
    """Whether every tile above these leaves is what its parent says, up to the signed root."""
    size, root = opened.checkpoint.size, opened.checkpoint.root
    try:
        if root_of(TileNodes(tiles, size), size) != root:
            return Finding(Tampering.EDITED, "the tiles at the tree's edge do not lead to the signed root")
        for level, index, width in sorted(tiles_for(first, end, size), reverse=True):
            hashes = tiles.hashes(level, index, width)
            if width < WIDTH or size >> HEIGHT * (level + 1) <= index:
                continue  # the edge, which the root was made from
            parent, place = divmod(index, WIDTH)
            above = min(WIDTH, (size >> HEIGHT * (level + 1)) - parent * WIDTH)
            if tree_root(hashes) != tiles.hashes(level + 1, parent, above)[place]:
                leaf = index << HEIGHT * (level + 1)
                return Finding(Tampering.EDITED, "a tile is not what its parent says", place=Place(0, max(leaf, first)))
    except LogDamaged as error:
        return Finding(Tampering.EDITED, error.message)
    return None
