"""Signing and publishing a tree head: keys and their custody, witnesses, time stamps, then the swap of `checkpoint`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from decision.journal.checkpoints import Checkpoint
from decision.journal.custody import KEYS, VERIFIER, Custody, Generation
from decision.journal.log_keys import LogKeys, Random, load_keys, load_or_make_keys
from decision.journal.log_settings import LogSettings
from decision.journal.merkle import NodeReader
from decision.journal.notes import Note, Signature, sign_note
from decision.journal.tile_writer import DurableFolder
from decision.journal.tiles import CHECKPOINT, TileFolder
from decision.model.errors import SettingsError
from decision.model.ports import Clock

log = logging.getLogger(__name__)

NANO = 1_000_000_000


class Witnesses(Protocol):
    """Who cosigns. Implemented by decision.journal.witness.WitnessClient."""

    def cosign(self, note: Note, checkpoint: Checkpoint, nodes: NodeReader) -> Sequence[Signature]:
        """The cosignatures that were got in time, verified. Never raises: a witness that is away is logged."""
        ...

    def close(self) -> None: ...


class Stamper(Protocol):
    """Who stamps the time. Implemented by decision.journal.timestamps.Timestamper."""

    def stamp(self, files: DurableFolder, size: int, checkpoint: bytes) -> None:
        """Keep the stamp beside the log. Never raises: an authority that is away is logged."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outside:
    """Whom the log asks beside itself."""

    witnesses: Witnesses | None = None
    stamper: Stamper | None = None

    def close(self) -> None:
        for one in (self.witnesses, self.stamper):
            if one is not None:
                one.close()


ALONE = Outside()


class Publisher:
    """Publishes the heads of one tree. `published` is the newest published size."""

    def __init__(
        self, files: DurableFolder, key_file: Path, settings: LogSettings, clock: Clock, random: Random,
        outside: Outside = ALONE,
    ) -> None:  # fmt: skip
        """Raises SettingsError for keys that are not this log's, NoteInvalid for a folder that contradicts them."""
        self._files = files
        self._key_file = key_file
        self._settings = settings
        self._clock = clock
        self._outside = outside
        self._keys = load_or_make_keys(key_file, settings.origin, settings.algorithm_numbers, random)
        self._stat = key_file.stat()
        self.custody = self._read_custody()
        newest = TileFolder(files.root).checkpoint()
        self.newest: Checkpoint | None = self.custody.open(newest).checkpoint if newest else None
        self.cosignatures = 0
        self.refused = 0
        self._endorse()

    @property
    def origin(self) -> str:
        return self._keys.origin

    @property
    def published(self) -> int:
        return self.newest.size if self.newest is not None else 0

    def publish(self, size: int, root: bytes, nodes: NodeReader, number: int) -> bytes | None:
        """Sign and publish the head of a tree that is durable: the checkpoint, the `number`-th. None where too few
        witnesses cosigned. Raises OSError, SettingsError."""
        self._reload()
        checkpoint = Checkpoint(self.origin, size, root)
        time_s = self._clock.time_unix_nano() // NANO
        note = sign_note(checkpoint.text(), self._keys.signers(time_s), time_s)
        cosigned: Sequence[Signature] = ()
        if self._outside.witnesses is not None:
            cosigned = self._outside.witnesses.cosign(note, checkpoint, nodes)
        self.cosignatures = len({one.name for one in cosigned})
        if self.cosignatures < self._settings.witness_quorum:
            self.refused += 1
            log.error(
                "the checkpoint of %d is not published: %d of %d witnesses cosigned",
                size, self.cosignatures, self._settings.witness_quorum,
            )  # fmt: skip
            return None
        data = Note(note.text, (*note.signatures, *cosigned)).encode()
        self.custody.open(data)  # what readers would refuse is not published
        self._files.replace(CHECKPOINT, data)
        self.newest = checkpoint
        if self._outside.stamper is not None and number % self._settings.timestamp_every == 0:
            self._outside.stamper.stamp(self._files, size, data)
        return data

    def _reload(self) -> None:
        """Take keys that were rotated meanwhile."""
        found = self._key_file.stat()
        if (found.st_mtime_ns, found.st_ino) != (self._stat.st_mtime_ns, self._stat.st_ino):
            self._keys, self._stat = load_keys(self._key_file, self.origin), found
            self._endorse()

    def _read_custody(self) -> Custody:
        path = self._files.root / KEYS
        if not path.exists():
            first = self._keys.generations[0]
            return Custody(self._keys.origin, (Generation(tuple(key.verifier for key in first.keys)),))
        return Custody.parse(path.read_bytes())

    def _endorse(self) -> None:
        """Have keys.json end with our newest generation, each one that is new endorsed by the one before it."""
        self.custody = extended(self.custody, self._keys, self.published, self._key_file)
        listed = self.custody.encode()
        path = self._files.root / KEYS
        if not path.exists() or path.read_bytes() != listed:
            self._files.write(KEYS, listed)
            verifiers = "".join(f"{key.encode()}\n" for key in self.custody.newest.verifiers)
            self._files.write(VERIFIER, verifiers.encode())
            self._files.sync()


def extended(custody: Custody, keys: LogKeys, size: int, key_file: Path) -> Custody:
    """With every generation of `keys` after the newest that `custody` knows. Raises SettingsError where it knows none:
    then these are not the keys that the log was signed with."""
    known = custody.newest.ed25519
    places = [n for n, one in enumerate(keys.generations) if one.ed25519.verifier == known]
    if keys.origin != custody.origin or not places:
        raise SettingsError(
            f"{key_file} does not hold the key that the log was signed with last, {known.encode()}",
            hint="restore the key from your backup: without it this log can't go on",
        )
    for older, newer in zip(keys.generations[places[0] :], keys.generations[places[0] + 1 :], strict=False):
        custody = custody.endorse(older.ed25519, newer.keys, size)
    return custody
