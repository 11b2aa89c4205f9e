"""Obligations and RowDescription together: either says mask, the stronger wins, a mismatch lets nothing out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from decision.model.decision import ColumnGuard, MaskMethod, OutputMask, StatementObligations
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking import rows
from enforcement.masking.engine import MaskingEngine
from enforcement.masking.methods import column_mask, scan_mask
from enforcement.masking.numbers import numeric_text
from enforcement.masking.plan import plan_copy, plan_rows

KEY = b"0123456789abcdef"
TEXT, INT4, INT8, JSON, XML, NUMERIC, CITEXT = 25, 23, 20, 114, 142, 1700, 90001


@dataclass(frozen=True)
class Column:
    type_oid: int = TEXT
    table_oid: int = 0
    number: int = 0
    format: int = 0


def obligations(**given: Any) -> StatementObligations:
    return StatementObligations(0, **given)


def plan(one: StatementObligations, *fields: Column, formats: tuple[int, ...] = ()) -> dict[int, int]:
    """Ordinal to action."""
    return {mask.ordinal: mask.action for mask in plan_rows(one, fields, formats, KEY)}


def test_lineage_alone_masks() -> None:
    """An expression has no table in RowDescription."""
    one = obligations(output_count=2, masks=(OutputMask(2, MaskMethod.EMAIL, "r"),))
    assert plan(one, Column(), Column()) == {2: rows.EMAIL}


def test_row_description_alone_masks() -> None:
    """A guarded column is masked even where lineage did not see it."""
    one = obligations(output_count=2, guards=(ColumnGuard(7, 3, MaskMethod.PARTIAL),), tables=(7,))
    assert plan(one, Column(table_oid=7, number=3), Column(table_oid=7, number=4)) == {1: rows.PARTIAL}


@pytest.mark.parametrize(("lineage", "guard", "wanted"), [
    (MaskMethod.EMAIL, MaskMethod.NULL, rows.NULL),
    (MaskMethod.NULL, MaskMethod.EMAIL, rows.NULL),
    (MaskMethod.PARTIAL, MaskMethod.HASH, rows.HASH),
])  # fmt: skip
def test_the_stronger_method_wins(lineage: MaskMethod, guard: MaskMethod, wanted: int) -> None:
    """Whichever source it comes from."""
    masks, guards = (OutputMask(1, lineage, "r"),), (ColumnGuard(7, 3, guard),)
    one = obligations(output_count=1, masks=masks, guards=guards, tables=(7,))
    assert plan(one, Column(table_oid=7, number=3)) == {1: wanted}


def test_of_two_masks_for_one_column_the_stronger_wins() -> None:
    """Lineage may name a column twice."""
    both = (OutputMask(1, MaskMethod.FULL, "a"), OutputMask(1, MaskMethod.EMAIL, "b"))
    assert plan(obligations(output_count=1, masks=both), Column()) == {1: rows.CONSTANT}


MASK = (OutputMask(1, MaskMethod.FULL, "r"),)
REFUSED = {
    "more columns than foreseen": (obligations(output_count=1, masks=MASK), (Column(), Column()), ()),
    "fewer columns than foreseen": (obligations(output_count=2, masks=MASK), (Column(),), ()),
    "columns where none were foreseen": (obligations(guards=(ColumnGuard(7, 3, MaskMethod.FULL),)), (Column(),), ()),
    "a table that nobody named": (obligations(output_count=1, masks=MASK, tables=(7,)), (Column(table_oid=8),), ()),
    "an ordinal out of range": (obligations(output_count=1, masks=(OutputMask(2, MaskMethod.FULL, "r"),)),
        (Column(),), ()),
    "ordinal zero": (obligations(output_count=1, masks=(OutputMask(0, MaskMethod.FULL, "r"),)), (Column(),), ()),
    "a scan out of range": (obligations(output_count=1, scan_text=(2,)), (Column(),), ()),
    "another number of formats": (obligations(output_count=1, masks=MASK), (Column(),), (0, 1)),
    "an unknown format": (obligations(output_count=1, masks=MASK), (Column(),), (2,)),
}  # fmt: skip


@pytest.mark.parametrize("note", REFUSED)
def test_what_does_not_fit_together_is_refused(note: str) -> None:
    """Two pictures of the result that differ: nothing leaves."""
    one, fields, formats = REFUSED[note]
    with pytest.raises(ObligationUnfulfillable):
        plan(one, *fields, formats=formats)


def test_tables_without_a_snapshot_are_guarded_by_lineage_alone() -> None:
    """A temporary table's OID is in no snapshot."""
    one = obligations(output_count=1, masks=MASK, other_tables=True)
    assert plan(one, Column(table_oid=99, number=1)) == {1: rows.CONSTANT}


def test_a_statement_without_rows_needs_no_masks() -> None:
    """An INSERT into a guarded table is described by no columns."""
    assert plan(obligations(guards=(ColumnGuard(7, 3, MaskMethod.FULL),), tables=(7,))) == {}


@pytest.mark.parametrize(("formats", "length"), [((), 1), ((1,), 4), ((0, 1), 4), ((1, 0), 1)])
def test_the_binds_formats_hold(formats: tuple[int, ...], length: int) -> None:
    """None: as described; one: for all; else one each."""
    one = obligations(output_count=2, masks=(OutputMask(2, MaskMethod.FULL, "r"),))
    (mask,) = plan_rows(one, (Column(), Column(INT4)), formats, KEY)
    assert len(mask.constant) == length


def test_opaque_text_is_scanned_and_opaque_documents_are_closed() -> None:
    """What can't be scanned safely becomes a constant; plain numbers and dates pass."""
    fields = (Column(TEXT), Column(JSON), Column(INT4), Column(1082), Column(90000), Column(INT8))
    found = plan(obligations(output_count=6, scan_text=(1, 2, 3, 4, 5, 6)), *fields)
    assert found == {1: rows.CALL, 2: rows.CONSTANT, 5: rows.NULL, 6: rows.CALL}


@pytest.mark.parametrize(("type_oid", "code", "value", "out"), [
    (INT8, 0, b"4111111111111111", b"0"),
    (INT8, 1, (4111111111111111).to_bytes(8, "big"), bytes(8)),
    (INT8, 1, (4711).to_bytes(8, "big"), (4711).to_bytes(8, "big")),
    (NUMERIC, 0, b"12.5", b"12.5"),
    (NUMERIC, 1, bytes.fromhex("0004000300000000") + b"".join(n.to_bytes(2, "big") for n in (4111, 1111, 1111, 1111)),
     bytes(8)),
])  # fmt: skip
def test_an_opaque_number_that_is_a_card_does_not_leave(type_oid: int, code: int, value: bytes, out: bytes) -> None:
    """In text and in binary."""
    mask = scan_mask(1, type_oid, code)
    assert mask is not None
    assert mask.apply(value) == out


@pytest.mark.parametrize(("value", "out"), [
    ("0000000000000000", b"0"), ("00010000000000000005", b"5"), ("0002000040000002000c1388", b"-12.50"),
    ("0001ffff000000020064", b"0.01"), ("00010001000000000001", b"10000"), ("0000c000c0000000", b"NaN"),
])  # fmt: skip
def test_binary_numerics_are_read(value: str, out: bytes) -> None:
    """Digits to the base 10000, weight, sign, scale."""
    assert numeric_text(bytes.fromhex(value)) == out


def test_types_that_are_text_in_this_database_can_be_named() -> None:
    """citext has another OID in every database; not named, it is closed."""
    assert column_mask(1, MaskMethod.EMAIL, CITEXT, 1, KEY).action == rows.NULL
    assert column_mask(1, MaskMethod.EMAIL, CITEXT, 1, KEY, frozenset({CITEXT})).action == rows.EMAIL


def test_xml_becomes_a_small_document() -> None:
    """This server is built without xml, so the constant is fixed here."""
    assert [column_mask(1, MaskMethod.FULL, XML, code, KEY).apply(b"<a/>") for code in (0, 1)] == [b"<masked/>"] * 2


@pytest.mark.parametrize("value", [b"no number", b"\\xzz", b"\\9"])
def test_a_value_that_is_none_of_its_type_becomes_null(value: bytes) -> None:
    """A pseudonym can't be made of it, and it must not stop the result."""
    assert column_mask(1, MaskMethod.HASH, 17, 0, KEY).apply(b"\\xzz") is None
    assert column_mask(1, MaskMethod.HASH, 2950, 0, KEY).apply(value) is None


def test_copy_is_masked_by_lineage() -> None:
    """COPY output names no tables and, in text, no types."""
    one = obligations(output_count=2, masks=(OutputMask(2, MaskMethod.EMAIL, "r"),))
    assert [(mask.ordinal, mask.action) for mask in plan_copy(one, 2, 0, KEY)] == [(2, rows.EMAIL)]
    assert [mask.action for mask in plan_copy(one, 2, 1, KEY)] == [rows.NULL]
    assert [mask.action for mask in plan_copy(one, 2, 1, KEY, (INT4, INT4))] == [rows.CONSTANT]
    with pytest.raises(ObligationUnfulfillable):
        plan_copy(one, 3, 0, KEY)
    with pytest.raises(ObligationUnfulfillable):
        plan_copy(one, 2, 0, KEY, (TEXT,))


def test_a_short_key_is_refused() -> None:
    """A pseudonym under a guessable key is the value."""
    with pytest.raises(ValueError, match="16 bytes"):
        MaskingEngine(b"short")


@dataclass(frozen=True)
class Formats:
    overall: int
    columns: tuple[int, ...]


COPIES = {
    "COPY t TO STDOUT (FORMAT text, DELIMITER 'ä')": "one ASCII character",
    "COPY t TO STDOUT (FORMAT xml)": "unknown format",
    "COPY t TO STDOUT (FORMAT csv, NEWLINE 'x')": "option 'newline'",
    "COPY t TO STDOUT (FORMAT csv, FORMAT text)": "given twice",
    "COPY t TO STDOUT (HEADER match)": "not understood",
    "COPY t TO STDOUT (ENCODING 'big5')": "UTF-8",
    "COPY t TO '/tmp/x'": "file or program",
    "COPY t TO PROGRAM 'cat'": "file or program",
    "COPY t FROM STDIN": "file or program",
    "SELECT 1": "no COPY",
    "COPY t TO": "no COPY",
    "COPY t TO STDOUT (FORMAT binary)": "another format",
    "COPY t TO STDOUT (QUOTE '\"')": "option 'quote'",
}


@pytest.mark.parametrize("text", COPIES)
def test_copy_options_that_are_not_understood_are_refused(text: str) -> None:
    """The reason names the option, so that the client can leave it out."""
    one = obligations(output_count=1, masks=MASK)
    with pytest.raises(ObligationUnfulfillable, match=COPIES[text]):
        MaskingEngine(KEY).for_copy(one, text.encode(), 0, Formats(0, (0,)))


def test_the_copy_of_its_own_index_counts() -> None:
    """A message may hold several statements with other options."""
    one = obligations(output_count=1, masks=MASK)
    text = b"SELECT 1; COPY t TO STDOUT (FORMAT csv); COPY t TO STDOUT"
    found = [type(MaskingEngine(KEY).for_copy(one, text, index, Formats(0, (0,)))).__name__ for index in (1, 2)]
    assert found == ["CopyCsvRewriter", "CopyTextRewriter"]
