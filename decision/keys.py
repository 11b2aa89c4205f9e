"""Secret keys in files that only their owner may read."""

from __future__ import annotations

import os
from pathlib import Path

from decision.digest import KEY_BYTES
from decision.model.errors import SettingsError


def load_or_make_key(path: Path) -> bytes:
    """The key in `path`, made (mode 0600) if there is none. Raises SettingsError for a file that is no such key."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _checked(path, path.read_bytes())
    key = os.urandom(KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def load_key(path: Path, setting: str) -> bytes:
    """The key in the file that `setting` names. Raises SettingsError where there is none: one that was made in its
    place would match nothing."""
    try:
        return _checked(path, path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"{setting}: {path} can't be read ({error.strerror})",
            hint=f"make it once (head -c {KEY_BYTES} /dev/urandom > FILE) and give each decision service that same one",
        ) from None


def _checked(path: Path, key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"{path} is not a key of {KEY_BYTES} bytes",
            hint="restore it from your backup: without it, old digests can't be matched any more",
        )
    return key
