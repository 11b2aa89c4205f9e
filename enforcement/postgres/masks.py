"""The key of the masking engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def mask_key(folder: Path, randomness: Callable[[int], bytes]) -> bytes:
    """The key of pseudonyms in `folder`, made on first use: equal values stay equal across restarts."""
    path = folder / "mask.key"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(randomness(32))
    return path.read_bytes()
