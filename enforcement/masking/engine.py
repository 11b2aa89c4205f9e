"""What an enforcement point asks for: masks for a result's rows, for COPY output, and errors without values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from decision.model.catalog import CatalogSnapshot
from decision.model.decision import StatementObligations
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.copy_binary import CopyBinaryRewriter
from enforcement.masking.copy_csv import CopyCsvRewriter
from enforcement.masking.copy_options import copy_statement
from enforcement.masking.copy_text import CopyTextRewriter
from enforcement.masking.errors import clean
from enforcement.masking.known import KnownTypes, known_types
from enforcement.masking.plan import FieldLike, plan_copy, plan_rows
from enforcement.masking.row_calls import CallingRowRewriter
from enforcement.masking.rows import COMPILED, RowRewriter

CopyRewriter = CopyTextRewriter | CopyCsvRewriter | CopyBinaryRewriter
SHORTEST_KEY = 16
NOTHING = KnownTypes()


class CopyFormatsLike(Protocol):
    """A CopyOutResponse: the overall format (0 text or csv, 1 binary) and one format for each column."""

    @property
    def overall(self) -> int: ...
    @property
    def columns(self) -> tuple[int, ...]: ...


class DatabaseMasks:
    """What one session asks for. Every method raises ObligationUnfulfillable, with a reason that may be shown, for what
    can't be fulfilled; so does `rewrite` of what they return, for rows that are not as described."""

    def __init__(self, key: bytes, database: str, known: dict[str, KnownTypes]) -> None:
        self._key = key
        self._database = database
        self._known = known

    def _types(self) -> KnownTypes:
        return self._known.get(self._database, NOTHING)

    def for_rows(
        self, obligations: StatementObligations, fields: Sequence[FieldLike], formats: Sequence[int]
    ) -> RowRewriter | CallingRowRewriter | None:
        """The rewriter of a result described by `fields`; None if nothing of it is masked.

        `formats` are the result formats of the Bind if `fields` come from the description of a prepared statement;
        empty if the formats of `fields` hold.
        """
        masks = plan_rows(obligations, fields, formats, self._key, self._types().text_types)
        if not masks:
            return None
        return (RowRewriter if COMPILED else CallingRowRewriter)(len(fields), masks)

    def for_copy(
        self, obligations: StatementObligations, text: bytes, index: int, formats: CopyFormatsLike
    ) -> CopyRewriter | None:
        """The rewriter of the output of the COPY that is statement `index` of the message `text`; None if nothing of it
        is masked. The types of a table's columns are those of the catalog; of a query's they are not known."""
        columns = len(formats.columns)
        options, source = copy_statement(text, index)
        code = 1 if options.format == "binary" else 0
        if formats.overall != code or any(one != code for one in formats.columns):
            raise ObligationUnfulfillable("COPY's output has another format than the statement asked for")
        known = self._types()
        types = known.copied(source, obligations.tables, columns)
        masks = plan_copy(obligations, columns, code, self._key, types, known.text_types)
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


class MaskingEngine(DatabaseMasks):
    """`key` makes pseudonyms (at least 16 bytes): the same for everybody whose pseudonyms are to be joined.

    By itself it knows of types what a server says of them; `of` a database also what was learned from its catalog.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"the masking key needs at least {SHORTEST_KEY} bytes")
        super().__init__(key, "", {})

    def learn(self, snapshot: CatalogSnapshot) -> None:
        """Hold masks in the snapshot's database to the types that it tells of."""
        self._known[snapshot.database] = known_types(snapshot)

    def of(self, database: str) -> DatabaseMasks:
        """The masks in `database`, with what is known of it at the time of each result."""
        return DatabaseMasks(self._key, database, self._known)
