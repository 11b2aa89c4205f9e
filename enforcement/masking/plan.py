"""From obligations and what the server says of the columns to the masks of each column.

Two sources say that a column is sensitive: the lineage of the analysis (by ordinal), and the server's own
description (table OID and column number). Either is enough; where both speak the stronger method wins. Where the two
pictures do not fit together (another number of columns, a table that the decision did not know) nothing may leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from decision.model.decision import MaskMethod, StatementObligations
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.methods import column_mask, scan_mask
from enforcement.masking.rows import ColumnMask
from enforcement.masking.types import UNKNOWN

HINT = "name the columns and tables directly, or ask who runs the policy"


class FieldLike(Protocol):
    """One column of a RowDescription; `table_oid` and `number` are 0 where it is no column of a table."""

    @property
    def table_oid(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def type_oid(self) -> int: ...
    @property
    def format(self) -> int: ...


def effective_formats(fields: Sequence[FieldLike], formats: Sequence[int]) -> tuple[int, ...]:
    """The format of each column: `formats` as a Bind gave them (none: as described; one: for all; else one each)."""
    if not formats:
        return tuple(field.format for field in fields)
    if len(formats) == 1:
        return tuple(formats) * len(fields)
    if len(formats) != len(fields):
        raise ObligationUnfulfillable(f"{len(formats)} result formats were asked for {len(fields)} columns")
    return tuple(formats)


def covered(obligations: StatementObligations) -> frozenset[int]:
    """The ordinals of the columns whose NULLs are masked, too."""
    return frozenset(mask.ordinal for mask in obligations.masks if mask.covers_null)


def column_methods(obligations: StatementObligations, columns: int) -> dict[int, MaskMethod]:
    """The method by ordinal, from lineage. Raises ObligationUnfulfillable if the result has not the expected shape."""
    if obligations.output_count is None:
        if columns:
            raise ObligationUnfulfillable("the statement returns columns that the decision did not foresee", hint=HINT)
    elif obligations.output_count != columns:
        raise ObligationUnfulfillable(
            f"the statement returns {columns} columns where the decision foresaw {obligations.output_count}", hint=HINT
        )
    found: dict[int, MaskMethod] = {}
    for mask in obligations.masks:
        _strengthen(found, mask.ordinal, mask.method)
    for ordinal in (*found, *obligations.scan_text):
        if not 1 <= ordinal <= columns:
            raise ObligationUnfulfillable(
                f"output column {ordinal} is to be masked, but there are {columns}", hint=HINT
            )
    return found


def _strengthen(found: dict[int, MaskMethod], ordinal: int, method: MaskMethod) -> None:
    present = found.get(ordinal)
    if present is None or present.strength < method.strength:
        found[ordinal] = method


def plan_rows(
    obligations: StatementObligations,
    fields: Sequence[FieldLike],
    formats: Sequence[int],
    key: bytes,
    text_types: frozenset[int] = frozenset(),
) -> tuple[ColumnMask, ...]:
    """The masks of a result described by `fields`, in order; empty if nothing of it is masked.

    Raises ObligationUnfulfillable with a reason for the client.
    """
    codes = effective_formats(fields, formats)
    methods = column_methods(obligations, len(fields))
    guards = {(guard.table_oid, guard.number): guard.method for guard in obligations.guards}
    known = frozenset(obligations.tables)
    for ordinal, field in enumerate(fields, 1):
        if not field.table_oid:
            continue
        if field.table_oid not in known and not obligations.other_tables:
            raise ObligationUnfulfillable(
                f"output column {ordinal} comes from a table that the decision did not know", hint=HINT
            )
        guard = guards.get((field.table_oid, field.number))
        if guard is not None:
            _strengthen(methods, ordinal, guard)
    scanned, covering = frozenset(obligations.scan_text), covered(obligations)
    masks: list[ColumnMask] = []
    for ordinal, (field, code) in enumerate(zip(fields, codes, strict=True), 1):
        method = methods.get(ordinal)
        if method is not None:
            masks.append(column_mask(ordinal, method, field.type_oid, code, key, text_types))
            if ordinal in covering:
                masks[-1].cover_null()
        elif ordinal in scanned:
            found = scan_mask(ordinal, field.type_oid, code, text_types)
            if found is not None:
                masks.append(found)
    return tuple(masks)


def plan_copy(
    obligations: StatementObligations,
    columns: int,
    code: int,
    key: bytes,
    types: Sequence[int] = (),
    text_types: frozenset[int] = frozenset(),
) -> tuple[ColumnMask, ...]:
    """The masks of COPY output of `columns` columns, all in format `code`; `types` are the columns' types if known.

    COPY describes no tables: lineage alone says what is masked. `types` come from a catalog that may have changed, so
    that no column of unknown origin passes for its type. Raises ObligationUnfulfillable.
    """
    if types and len(types) != columns:
        raise ObligationUnfulfillable("COPY returns other columns than the decision foresaw", hint=HINT)
    methods = column_methods(obligations, columns)
    scanned, covering = frozenset(obligations.scan_text), covered(obligations)
    masks: list[ColumnMask] = []
    for ordinal in range(1, columns + 1):
        method = methods.get(ordinal)
        if method is not None:
            masks.append(column_mask(ordinal, method, types[ordinal - 1] if types else UNKNOWN, code, key, text_types))
            if ordinal in covering:
                masks[-1].cover_null()
        elif ordinal in scanned:
            found = scan_mask(ordinal, UNKNOWN, code, text_types)
            if found is not None:
                masks.append(found)
    return tuple(masks)
