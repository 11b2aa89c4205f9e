"""The log's private keys: `<data-dir>/keys/log.key`, which only its owner may read.

    until 1793491200              seconds since 1970, when this generation stops to sign (older generations only)
    PRIVATE+KEY+…                 one line for each of its keys

    PRIVATE+KEY+…                 the newest generation: after an empty line, without an end

A single line as Go's note package makes one is such a file, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from decision.journal.algorithms import ED25519, SEED_BYTES
from decision.journal.notes import SignerKey, new_key
from decision.journal.tile_writer import sync_folder
from decision.model.errors import NoteInvalid, SettingsError

KEY_FILE = Path("keys") / "log.key"
"""Under a data folder."""

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class KeyGeneration:
    """`until_s`: seconds since 1970; 0 for no end."""

    keys: tuple[SignerKey, ...]
    until_s: int = 0

    @property
    def ed25519(self) -> SignerKey:
        return next(key for key in self.keys if key.algorithm == ED25519)

    def signs_at(self, time_s: int) -> bool:
        return not self.until_s or time_s < self.until_s


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Generations of private keys, oldest first."""

    generations: tuple[KeyGeneration, ...]

    @property
    def newest(self) -> KeyGeneration:
        return self.generations[-1]

    @property
    def origin(self) -> str:
        return self.newest.ed25519.name

    def signers(self, time_s: int) -> tuple[SignerKey, ...]:
        """Who signs now, the newest first."""
        return tuple(key for one in reversed(self.generations) if one.signs_at(time_s) for key in one.keys)

    def rotated(self, overlap_s: int, time_s: int, random: Random) -> LogKeys:
        """With a new generation of the same algorithms; what signed until now goes on for `overlap_s`. Of those whose
        time is over only the last is kept: it may still have to endorse."""
        kept = [one for one in self.generations[:-1] if one.signs_at(time_s)] or list(self.generations[:-1][-1:])
        until = max(1, time_s + overlap_s)
        ended = tuple(replace(one, until_s=min(one.until_s or until, until)) for one in (*kept, self.newest))
        made = make_keys(self.origin, [key.algorithm for key in self.newest.keys], random)
        return LogKeys((*ended, made))

    def encode(self) -> str:
        """Secret."""
        blocks = []
        for one in self.generations:
            lines = [f"until {one.until_s}"] if one.until_s else []
            blocks.append("".join(f"{line}\n" for line in (*lines, *(key.encode() for key in one.keys))))
        return "\n".join(blocks)

    @classmethod
    def parse(cls, text: str) -> LogKeys:
        """Raises NoteInvalid."""
        found = []
        for block in text.strip().split("\n\n"):
            lines = [line.strip() for line in block.splitlines() if line.strip()]
            ends = [line.removeprefix("until ") for line in lines if line.startswith("until ")]
            if len(ends) > 1 or not all(end.isdecimal() for end in ends):
                raise NoteInvalid("an end of a generation is not a number of seconds")
            keys = tuple(SignerKey.parse(line) for line in lines if not line.startswith("until "))
            if sum(key.algorithm == ED25519 for key in keys) != 1:
                raise NoteInvalid("a generation needs one Ed25519 key")
            found.append(KeyGeneration(keys, int(ends[0]) if ends else 0))
        if len({key.name for one in found for key in one.keys}) != 1:
            raise NoteInvalid("the keys of one log have one name")
        return cls(tuple(found))


def make_keys(origin: str, algorithms: Sequence[int], random: Random) -> KeyGeneration:
    """Raises NoteInvalid for an origin that can't be a key's name."""
    return KeyGeneration(tuple(new_key(origin, random(SEED_BYTES), one) for one in algorithms))


def load_keys(path: Path, origin: str = "") -> LogKeys:
    """Raises SettingsError when there are none, they can't be read, or are those of another log than `origin`."""
    try:
        keys = LogKeys.parse(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no log key {path}", hint="it is made when the log begins") from None
    except (OSError, ValueError, NoteInvalid) as error:
        said = error.message if isinstance(error, NoteInvalid) else type(error).__name__
        raise SettingsError(f"{path} can't be read: {said}", hint="restore it from your backup") from None
    if origin and keys.origin != origin:
        raise SettingsError(
            f"{path} holds the key of the log {keys.origin}, not {origin}",
            hint="a log keeps its name: take log.origin back, or begin in a new data folder",
        )
    return keys


def load_or_make_keys(path: Path, origin: str, algorithms: Sequence[int], random: Random) -> LogKeys:
    """`load_keys`, after making the first ones where there is no file. Without an origin one is made up."""
    if not path.exists():
        made = make_keys(origin or f"airlock.local/{random(8).hex()}", algorithms, random)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_keys(path, LogKeys((made,)))
    return load_keys(path, origin)


def save_keys(path: Path, keys: LogKeys) -> None:
    """Atomically, readable by the owner alone."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(keys.encode())
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
    sync_folder(path.parent)
