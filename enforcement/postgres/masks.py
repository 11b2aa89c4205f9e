"""The core's masks, made by the masking engine."""

from __future__ import annotations

from decision.model.decision import StatementObligations
from decision.model.errors import ObligationUnfulfillable
from enforcement.postgres.protocol.exchange import CopyMasker, RowMasker
from enforcement.postgres.protocol.parsing import CopyFormats, Field


class EngineMasks:
    def for_rows(
        self, obligations: StatementObligations, fields: tuple[Field, ...], formats: tuple[int, ...]
    ) -> RowMasker | None:
        raise ObligationUnfulfillable("masks can't be applied")

    def for_copy(
        self, obligations: StatementObligations, text: bytes, index: int, formats: CopyFormats
    ) -> CopyMasker | None:
        raise ObligationUnfulfillable("masks can't be applied to COPY")

    def clean(self, fields: dict[str, str]) -> dict[str, str]:
        return {key: fields.get(key, "") for key in ("S", "V", "C")} | {"M": "the statement failed"}
