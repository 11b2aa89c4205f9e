"""What an enforcement point asks for: masks for a result's rows, for COPY output, and errors without values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from decision.model.decision import StatementObligations
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.copy_binary import CopyBinaryRewriter
from enforcement.masking.copy_csv import CopyCsvRewriter
from enforcement.masking.copy_options import copy_options
from enforcement.masking.copy_text import CopyTextRewriter
from enforcement.masking.errors import clean
from enforcement.masking.plan import FieldLike, plan_copy, plan_rows
from enforcement.masking.row_calls import CallingRowRewriter
from enforcement.masking.rows import COMPILED, RowRewriter

CopyRewriter = CopyTextRewriter | CopyCsvRewriter | CopyBinaryRewriter
SHORTEST_KEY = 16


class CopyFormatsLike(Protocol):
    """A CopyOutResponse: the overall format (0 text or csv, 1 binary) and one format for each column."""

    @property
    def overall(self) -> int: ...
    @property
    def columns(self) -> tuple[int, ...]: ...


class MaskingEngine:
    """`key` makes pseudonyms (at least 16 bytes): the same for everybody whose pseudonyms are to be joined.

    `text_types` are OIDs of types beyond the built-in ones that are text in both formats, such as citext. Every method
    raises ObligationUnfulfillable, with a reason that may be shown, for what can't be fulfilled; so do `rewrite` and
    `feed` of what they return, for rows that are not as described.
    """

    def __init__(self, key: bytes, text_types: frozenset[int] = frozenset()) -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"the masking key needs at least {SHORTEST_KEY} bytes")
        self._key = key
        self._text_types = text_types

    def for_rows(
        self, obligations: StatementObligations, fields: Sequence[FieldLike], formats: Sequence[int]
    ) -> RowRewriter | CallingRowRewriter | None:
        """The rewriter of a result described by `fields`; None if nothing of it is masked.

        `formats` are the result formats of the Bind if `fields` come from the description of a prepared statement;
        empty if the formats of `fields` hold.
        """
        masks = plan_rows(obligations, fields, formats, self._key, self._text_types)
        if not masks:
            return None
        return (RowRewriter if COMPILED else CallingRowRewriter)(len(fields), masks)

    def for_copy(
        self,
        obligations: StatementObligations,
        text: bytes,
        index: int,
        formats: CopyFormatsLike,
        types: Sequence[int] = (),
    ) -> CopyRewriter | None:
        """The rewriter of the output of the COPY that is statement `index` of the message `text`; None if nothing of it
        is masked. `types`: the OIDs of the columns' types where they are known."""
        columns = len(formats.columns)
        options = copy_options(text, index)
        code = 1 if options.format == "binary" else 0
        if formats.overall != code or any(one != code for one in formats.columns):
            raise ObligationUnfulfillable("COPY's output has another format than the statement asked for")
        masks = plan_copy(obligations, columns, code, self._key, types, self._text_types)
        if not masks:
            return None
        if options.format == "binary":
            return CopyBinaryRewriter(columns, masks)
        if options.format == "csv":
            return CopyCsvRewriter(columns, masks, options.delimiter, options.null, options.header, options.quote,
                                   options.escape)  # fmt: skip
        return CopyTextRewriter(columns, masks, options.delimiter, options.null, options.header)

    def clean(self, fields: Mapping[str, str]) -> dict[str, str]:
        """An ErrorResponse's or NoticeResponse's fields without values."""
        return clean(fields)
