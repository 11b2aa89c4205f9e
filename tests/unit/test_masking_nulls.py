"""NULL in what is computed of masked values: whether there is one would tell the value."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack

import pytest

from decision.model.decision import MaskMethod, OutputMask, StatementObligations
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.engine import MaskingEngine
from enforcement.masking.plan import plan_rows
from enforcement.masking.row_calls import CallingRowRewriter
from enforcement.masking.rows import RowRewriter

KEY = bytes(range(32))
TEXT, INT4, BOOL, JSONB, COMPOSITE = 25, 23, 16, 3802, 16_500


@dataclass(frozen=True)
class Column:
    type_oid: int
    format: int = 0
    table_oid: int = 0
    number: int = 0


@dataclass(frozen=True)
class Formats:
    overall: int
    columns: tuple[int, ...]


def obligations(*masks: OutputMask) -> StatementObligations:
    return StatementObligations(0, output_count=2, masks=masks)


def row(*values: bytes | None) -> bytes:
    fields = b"".join(b"\xff\xff\xff\xff" if one is None else pack("!I", len(one)) + one for one in values)
    return b"D" + pack("!IH", 6 + len(fields), len(values)) + fields


@pytest.mark.parametrize("rewriter", [RowRewriter, CallingRowRewriter])
@pytest.mark.parametrize("code", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("type_oid", [TEXT, INT4, BOOL, JSONB, COMPOSITE])
@pytest.mark.parametrize("ordinals", [(2,), (1, 2)], ids=["one column", "two columns"])
def test_a_null_of_a_computed_column_leaves_as_a_value_does(
    rewriter: type[RowRewriter] | type[CallingRowRewriter], code: int, type_oid: int, ordinals: tuple[int, ...]
) -> None:
    """In rows of text and binary format, whatever the type."""
    wanted = obligations(*(OutputMask(one, MaskMethod.FULL, "r", covers_null=True) for one in ordinals))
    found = rewriter(2, plan_rows(wanted, [Column(TEXT, code), Column(type_oid, code)], (), KEY))
    value, null = row(b"a", b"x" * 4), row(b"a", None)
    masked, rows, _ = found.rewrite(value + null + value, 0, len(value + null + value))
    size = len(masked) // 3
    assert rows == 3
    assert masked[:size] == masked[size : 2 * size] == masked[2 * size :]


@pytest.mark.parametrize("rewriter", [RowRewriter, CallingRowRewriter])
@pytest.mark.parametrize("method", MaskMethod)
def test_a_column_itself_may_be_null(
    rewriter: type[RowRewriter] | type[CallingRowRewriter], method: MaskMethod
) -> None:
    """Where nothing was computed its NULLs stay, under every method."""
    found = rewriter(2, plan_rows(obligations(OutputMask(2, method, "r")), [Column(TEXT), Column(TEXT)], (), KEY))
    assert found.rewrite(row(b"a", None), 0, len(row(b"a", None)))[0] == row(b"a", None)


@pytest.mark.parametrize("rewriter", [RowRewriter, CallingRowRewriter])
@pytest.mark.parametrize("method", [one for one in MaskMethod if one is not MaskMethod.NULL])
def test_no_method_lets_a_null_through(
    rewriter: type[RowRewriter] | type[CallingRowRewriter], method: MaskMethod
) -> None:
    """A bundle that masks computed values otherwise than in full gets a value of its method's shape."""
    mask = OutputMask(2, method, "r", covers_null=True)
    found = rewriter(2, plan_rows(obligations(mask), [Column(TEXT), Column(TEXT)], (), KEY))
    masked, _, cells = found.rewrite(row(b"a", None), 0, len(row(b"a", None)))
    assert b"\xff\xff\xff\xff" not in masked
    assert cells == 1


BINARY = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPIES = [
    ("text", 0, b"1\tvalue\n", b"1\t\\N\n"),
    ("text, null ''", 0, b"1\tvalue\n", b"1\t\n"),
    ("csv", 0, b"1,value\n", b"1,\n"),
    ("csv, null 'x'", 0, b"1,value\n", b"1,x\n"),
    ("csv, quote ''''", 0, b"1,'value'\n", b"1,\n"),
]


@pytest.mark.parametrize(("options", "code", "value", "null"), COPIES)
def test_copy_does_not_tell_either(options: str, code: int, value: bytes, null: bytes) -> None:
    """In text and csv, whatever stands for NULL."""
    mask = obligations(OutputMask(2, MaskMethod.FULL, "r", covers_null=True))
    text = f"COPY (SELECT id, left(email, 1) FROM c) TO STDOUT (FORMAT {options})".encode()
    found = MaskingEngine(KEY).for_copy(mask, text, 0, Formats(code, (code, code)))
    assert found is not None
    sent = b"".join(b"d" + pack("!I", len(one) + 4) + one for one in (value, null))
    masked, rows, cells = found.rewrite(sent, 0, len(sent))
    assert (rows, cells) == (2, 2)
    assert masked[: len(masked) // 2] == masked[len(masked) // 2 :]


@pytest.mark.parametrize("whole", [True, False], ids=["a message a row", "rows across messages"])
def test_binary_copy_does_not_tell_either(whole: bool) -> None:
    """A known type gets its constant, however the rows come."""
    mask = obligations(OutputMask(2, MaskMethod.FULL, "r", covers_null=True))
    engine = MaskingEngine(KEY)
    found = engine.for_copy(mask, b"COPY c TO STDOUT (FORMAT binary)", 0, Formats(1, (1, 1)))
    assert found is not None
    value, null = row(b"1", b"abcd")[5:], row(b"1", None)[5:]
    parts = (
        [BINARY, value, null, value, b"\xff\xff"]
        if whole
        else [BINARY + value + null[:5], null[5:] + value, b"\xff\xff"]
    )
    sent = b"".join(b"d" + pack("!I", len(one) + 4) + one for one in parts)
    masked, rows, _ = found.rewrite(sent, 0, len(sent))
    assert rows == 3
    assert b"abcd" not in masked


def test_a_function_of_a_value_has_none_for_null() -> None:
    """A pseudonym of a number: NULL stays what it is, and nothing breaks."""
    mask = OutputMask(2, MaskMethod.HASH, "r", covers_null=True)
    found = RowRewriter(2, plan_rows(obligations(mask), [Column(TEXT), Column(20)], (), KEY))
    assert found.rewrite(row(b"a", None), 0, len(row(b"a", None)))[0] == row(b"a", None)


def test_a_broken_length_is_still_refused() -> None:
    """Only -1 is NULL."""
    mask = OutputMask(2, MaskMethod.FULL, "r", covers_null=True)
    broken = row(b"a", None).replace(b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe")
    for made in (RowRewriter, CallingRowRewriter):
        with pytest.raises(ObligationUnfulfillable):
            made(2, plan_rows(obligations(mask), [Column(TEXT), Column(TEXT)], (), KEY)).rewrite(broken, 0, len(broken))
