"""An evidence bundle: the events of some time, and all that it takes to prove them without us, as one zip file.

    README.md        how to check it, with Airlock, with Go's own packages, or by hand
    verify.go        the program for the second of these
    manifest.json    what was asked for; nothing in it needs to be believed
    events.frames    the number of the first leaf (8 bytes), then each event with its length (4 bytes) before it
    checkpoint       the signed tree head
    keys.json, verifier.txt    the log's keys
    tile/…           the hash tiles that lead from these leaves to the root (C2SP tlog-tiles)

The leaves are those from the first to the last event in the time asked for, without a hole: between them nothing can be
left out. Events that lie between, in the log's order, and are of a little earlier or later are therefore there, too.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from analytics.verify_entries import Progress
from decision.journal.custody import KEYS, VERIFIER, Custody
from decision.journal.tiles import CHECKPOINT, HEIGHT, WIDTH, TileFolder, tile_path, tiles_of
from decision.model.errors import LogUnavailable
from decision.wire.gen import events_pb2 as pb

FORMAT = "airlock-evidence/1"
EVENTS, MANIFEST, README, PROGRAM = "events.frames", "manifest.json", "README.md", "verify.go"
INDEX_BYTES, LENGTH_BYTES = 8, 4
_DOS_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The leaves `first` to before `end` of the tree of `size`."""

    first: int
    end: int
    size: int

    @property
    def events(self) -> int:
        return self.end - self.first


def write_bundle(
    path: Path, log: Path, custody: Custody, since_ns: int, until_ns: int, progress: Progress = lambda done, total: None
) -> Bundle:
    """Write the events of `since_ns` to before `until_ns` (nanoseconds since 1970) from the log's folder to `path`.

    Raises NoteInvalid, LogDamaged, LogUnavailable where there is no such event under the checkpoint, OSError.
    """
    folder = TileFolder(log)
    checkpoint = folder.checkpoint()
    if not checkpoint:
        raise LogUnavailable(f"there is no log in {log}", hint="name the folder that holds its checkpoint")
    size = custody.open(checkpoint).checkpoint.size
    found = _leaves(folder, size, since_ns, until_ns, progress)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in (README, PROGRAM):
            _add(archive, name, files("analytics").joinpath("evidence", name).read_bytes())
        _add(archive, MANIFEST, _manifest(found, custody, since_ns, until_ns))
        _add(archive, CHECKPOINT, checkpoint)
        for name in (KEYS, VERIFIER):
            if (log / name).exists():
                _add(archive, name, (log / name).read_bytes())
        for level, index, width in tiles_for(found.first, found.end, size):
            _add(archive, tile_path(level, index, width), b"".join(folder.hashes(level, index, width)))
        with archive.open(zipfile.ZipInfo(EVENTS, _DOS_EPOCH), "w", force_zip64=True) as file:
            file.write(found.first.to_bytes(INDEX_BYTES, "big"))
            for raws in _entries(folder, found):
                file.write(b"".join(part for raw in raws for part in (len(raw).to_bytes(LENGTH_BYTES, "big"), raw)))
    return found


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Under a fixed date: the same events make the same file."""
    info = zipfile.ZipInfo(name, _DOS_EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def _manifest(found: Bundle, custody: Custody, since_ns: int, until_ns: int) -> bytes:
    def when(nanos: int) -> str:
        return datetime.fromtimestamp(nanos // 1_000_000_000, UTC).isoformat()

    said = {
        "format": FORMAT, "log": custody.origin, "tree_size": found.size, "first_leaf": found.first,
        "last_leaf": found.end - 1, "events": found.events, "from": when(since_ns), "to": when(until_ns),
    }  # fmt: skip
    return (json.dumps(said, indent=2) + "\n").encode()


def _leaves(folder: TileFolder, size: int, since_ns: int, until_ns: int, progress: Progress) -> Bundle:
    """From the first to the last leaf of that time."""
    first, end, seen = -1, 0, 0
    for raws in folder.read_entries(size):
        for index, raw in enumerate(raws, seen):
            if since_ns <= pb.AuditEvent.FromString(raw).time_unix_nano < until_ns:
                first, end = (index if first < 0 else first), index + 1
        seen += len(raws)
        progress(seen, size)
    if first < 0:
        raise LogUnavailable(
            f"the log has no event of that time among the {size} that its checkpoint covers",
            hint="times are in UTC unless you say otherwise; the newest events are covered within seconds",
        )
    return Bundle(first, end, size)


def _entries(folder: TileFolder, found: Bundle) -> Iterator[list[bytes]]:
    left = found.events
    for raws in folder.read_entries(found.size, found.first):
        yield raws[:left]
        left -= len(raws[:left])
        if not left:
            return


def tiles_for(first: int, end: int, size: int) -> Iterable[tuple[int, int, int]]:
    """(level, index, width) of the tiles that lead from the leaves `first` to before `end` to the root of `size`."""
    for level, full, width in tiles_of(size):
        low, high = first >> HEIGHT * (level + 1), (end - 1) >> HEIGHT * (level + 1)
        for index in range(low, min(high + 1, full)):
            yield level, index, WIDTH
        if width:
            yield level, full, width
