"""The core's masks, made by the masking engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from decision.model.decision import StatementObligations
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.plan import plan_rows
from enforcement.masking.rows import RowRewriter
from enforcement.postgres.protocol.exchange import CopyMasker, RowMasker
from enforcement.postgres.protocol.parsing import CopyFormats, Field


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


class EngineMasks:
    """`key` makes the pseudonyms of hash masks."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def for_rows(
        self, obligations: StatementObligations, fields: tuple[Field, ...], formats: tuple[int, ...]
    ) -> RowMasker | None:
        masks = plan_rows(obligations, fields, formats, self._key)
        return RowRewriter(len(fields), masks) if masks else None

    def for_copy(
        self, obligations: StatementObligations, text: bytes, index: int, formats: CopyFormats
    ) -> CopyMasker | None:
        raise ObligationUnfulfillable("masks can't be applied to COPY")

    def clean(self, fields: dict[str, str]) -> dict[str, str]:
        return {key: fields.get(key, "") for key in ("S", "V", "C")} | {"M": "the statement failed"}
