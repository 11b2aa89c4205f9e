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
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise SettingsError(
                f"{path} is not a key of {KEY_BYTES} bytes",
                hint="restore it from your backup: without it, old digests can't be matched any more",
            ) from None
        return key
    key = os.urandom(KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
