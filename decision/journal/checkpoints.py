"""Checkpoints: what a log says of its tree (C2SP tlog-checkpoint). Pure; `notes` signs them.

origin         the log's name
size           the number of leaves, decimal
root           base64
…              extension lines, which we neither write nor refuse
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from decision.journal.encoding import base64_text, parse_base64
from decision.journal.merkle import HASH_BYTES
from decision.model.errors import NoteInvalid

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head. `origin` is not empty; `root` is RFC 6962's MTH of the first `size` leaves."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The note's text, with its last newline."""
        lines = (self.origin, str(self.size), base64_text(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """The tree head in a note's text. Raises NoteInvalid for anything but the one way to write it."""
    if not text.endswith("\n"):
        raise NoteInvalid("a checkpoint's last line does not end")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteInvalid("a checkpoint needs an origin, a size and a root, and no empty line")
    if any(_CONTROL.search(line) for line in lines):
        raise NoteInvalid("a checkpoint holds a control character")
    return Checkpoint(lines[0], parse_decimal(lines[1], "a checkpoint's size"), parse_hash(lines[2]), tuple(lines[3:]))


def parse_decimal(text: str, what: str) -> int:
    """A number below 2^63 in the one way to write it. Raises NoteInvalid."""
    if _DECIMAL.fullmatch(text) is None or int(text) >= 1 << 63:
        raise NoteInvalid(f"{what} is no decimal number")
    return int(text)


def parse_hash(text: str) -> bytes:
    """A SHA-256 hash in base64. Raises NoteInvalid."""
    found = parse_base64(text)
    if len(found) != HASH_BYTES:
        raise NoteInvalid(f"a hash of {len(found)} bytes where {HASH_BYTES} must stand")
    return found
