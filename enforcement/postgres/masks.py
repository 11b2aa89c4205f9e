"""The key of the masking engine, and what it learns of each database."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from decision.model.catalog import CatalogSnapshot
from enforcement.masking.engine import MaskingEngine
from enforcement.postgres.catalogs import ReadCatalog


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


def learning(read: ReadCatalog, masks: MaskingEngine) -> ReadCatalog:
    """`read`, whose snapshots also tell `masks` of types."""

    async def reading(dsn: str, database: str) -> CatalogSnapshot:
        snapshot = await read(dsn, database)
        masks.learn(snapshot)
        return snapshot

    return reading
