"""COPY output in any chunks, in both forms: only the masked fields change, and what is no such output raises."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.errors import ObligationUnfulfillable
from enforcement.masking import rows
from tests.support.forms import FORMS, form

Row = list[bytes | None]
VALUE = st.one_of(st.none(), st.text(st.sampled_from("ab@.\"'\\,;\t\n\r|* äN"), max_size=8).map(str.encode))
TABLE = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(VALUE, min_size=n, max_size=n), min_size=1, max_size=5))
TEXT = {8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 92: "\\\\"}


def as_text(value: bytes | None, delimiter: bytes) -> bytes:
    if value is None:
        return b"\\N"
    codes = {delimiter[0]: b"\\" + delimiter, **{code: text.encode() for code, text in TEXT.items()}}
    return b"".join(codes.get(code, bytes([code])) for code in value)


def as_csv(value: bytes | None, delimiter: bytes, quote: bytes, escape: bytes, always: bool) -> bytes:
    """As PostgreSQL writes it, with the empty null string."""
    if value is None:
        return b""
    if not always and value and not any(bytes([c]) in (delimiter, quote, escape, b"\n", b"\r") for c in value):
        return value
    return quote + b"".join(escape + bytes([c]) if bytes([c]) in (quote, escape) else bytes([c]) for c in value) + quote


def as_tuple(row: Row) -> bytes:
    fields = (struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in row)
    return struct.pack("!h", len(row)) + b"".join(fields)


def fed(rewriter: Any, data: bytes, cuts: list[int]) -> bytes:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [rewriter.feed(data[a:b]) for a, b in itertools.pairwise(places)]
    return b"".join([*pieces, rewriter.finish()])


def reverse(value: bytes) -> bytes:
    return value.decode()[::-1].encode()


def masks(columns: int, action: str) -> list[rows.ColumnMask]:
    """Of the last column: `reverse` shows that values are read and written rightly, whatever stands in them."""
    if action == "null":
        return [rows.ColumnMask(columns, rows.NULL)]
    return [rows.ColumnMask(columns, rows.CALL, function=reverse)]


def changed(row: Row, action: str) -> Row:
    last = row[-1]
    return [*row[:-1], None if last is None or action == "null" else reverse(last)]


CUTS = st.lists(st.integers(0, 10_000), max_size=6)
ACTION = st.sampled_from(["null", "reverse"])


@pytest.mark.parametrize("kind", FORMS)
@given(
    table=TABLE, cuts=CUTS, action=ACTION, delimiter=st.sampled_from([b"\t", b"|", b"*", b"@"]), header=st.booleans()
)
@settings(deadline=None, max_examples=150)
def test_text(kind: str, table: list[Row], cuts: list[int], action: str, delimiter: bytes, header: bool) -> None:
    """Text format: escapes, any delimiter, a header."""
    columns = len(table[0])

    def write(written: list[Row]) -> bytes:
        lines = [delimiter.join(as_text(v, delimiter) for v in row) + b"\n" for row in written]
        return (b"header" + b"\n" if header else b"") + b"".join(lines)

    rewriter = form("enforcement.masking.copy_text", kind).CopyTextRewriter(
        columns, masks(columns, action), delimiter, b"\\N", header
    )
    assert fed(rewriter, write(table), cuts) == write([changed(row, action) for row in table])
    assert rewriter.rows == len(table)
    assert rewriter.masked_cells == sum(row[-1] is not None for row in table)


DIALECTS = [(b",", b'"', b'"'), (b";", b"'", b"\\"), (b"|", b"*", b"@"), (b"\t", b'"', b"'")]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("dialect", DIALECTS)
@given(table=TABLE, cuts=CUTS, action=ACTION, header=st.booleans(), force=st.booleans())
@settings(deadline=None, max_examples=100)
def test_csv(
    kind: str, dialect: tuple[bytes, bytes, bytes], table: list[Row], cuts: list[int], action: str, header: bool,
    force: bool,
) -> None:  # fmt: skip
    """csv format: quoted fields over several lines, any delimiter, quote and escape, a header, forced quotes."""
    columns = len(table[0])
    delimiter, quote, escape = dialect

    def write(written: list[Row], masked: bool) -> bytes:
        out = quote + b"a\nheader" + quote + b"\n" if header else b""
        for row in written:
            fields = [as_csv(v, *dialect, force) for v in row[:-1]]
            out += delimiter.join([*fields, as_csv(row[-1], *dialect, force or masked)]) + b"\n"
        return out

    make = form("enforcement.masking.copy_csv", kind).CopyCsvRewriter
    rewriter = make(columns, masks(columns, action), delimiter, b"", header, quote, escape)
    wanted = write([changed(row, action) for row in table], True)
    assert fed(rewriter, write(table, False), cuts) == wanted
    assert rewriter.rows == len(table)


@pytest.mark.parametrize("kind", FORMS)
@given(table=TABLE, cuts=CUTS, action=ACTION, extension=st.binary(max_size=5))
@settings(deadline=None, max_examples=150)
def test_binary(kind: str, table: list[Row], cuts: list[int], action: str, extension: bytes) -> None:
    """Binary format: header with extension, tuples, trailer."""
    columns = len(table[0])

    def write(written: list[Row]) -> bytes:
        head = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!II", 0, len(extension)) + extension
        return head + b"".join(map(as_tuple, written)) + b"\xff\xff"

    rewriter = form("enforcement.masking.copy_binary", kind).CopyBinaryRewriter(columns, masks(columns, action))
    assert fed(rewriter, write(table), cuts) == write([changed(row, action) for row in table])
    assert rewriter.masked_cells == sum(row[-1] is not None for row in table)


def text(kind: str) -> Any:
    return form("enforcement.masking.copy_text", kind).CopyTextRewriter(2, masks(2, "null"))


def comma(kind: str) -> Any:
    return form("enforcement.masking.copy_csv", kind).CopyCsvRewriter(2, masks(2, "null"))


def binary(kind: str) -> Any:
    return form("enforcement.masking.copy_binary", kind).CopyBinaryRewriter(2, masks(2, "null"))


HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
WRONG: dict[str, tuple[Callable[[str], Any], bytes]] = {
    "text: too few fields": (text, b"a\n"),
    "text: too many fields": (text, b"a\tb\tc\n"),
    "text: escaped delimiter": (text, b"a\\\tb\n"),
    "text: ends in a backslash": (text, b"a\tb\\\n"),
    "text: no end": (text, b"a\tb"),
    "csv: too few fields": (comma, b"a\n"),
    "csv: too many fields": (comma, b"a,b,c\n"),
    "csv: a quote inside": (comma, b'a,b"c"\n'),
    "csv: text behind a quote": (comma, b'"a"b,c\n'),
    "csv: no closing quote": (comma, b'a,"b\n'),
    "csv: no end": (comma, b"a,b"),
    "binary: no signature": (binary, b"PGCOPX" + HEAD[6:]),
    "binary: flags": (binary, HEAD[:11] + b"\x00\x01\x00\x00" + bytes(4)),
    "binary: huge extension": (binary, HEAD[:15] + b"\x7f\xff\xff\xff"),
    "binary: too many fields": (binary, HEAD + as_tuple([b"a", b"b", b"c"])),
    "binary: length below -1": (binary, HEAD + b"\x00\x02" + struct.pack("!ii", -2, -1)),
    "binary: data behind the trailer": (binary, HEAD + b"\xff\xffx"),
    "binary: no trailer": (binary, HEAD + as_tuple([b"a", b"b"])),
    "binary: cut tuple": (binary, HEAD + as_tuple([b"a", b"b"])[:-1]),
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("note", WRONG)
def test_what_no_server_writes_is_refused(kind: str, note: str) -> None:
    """At the latest at the end."""
    make, data = WRONG[note]
    with pytest.raises(ObligationUnfulfillable):
        fed(make(kind), data, [])
    with pytest.raises(ObligationUnfulfillable):
        fed(make(kind), data, list(range(len(data))))


@pytest.mark.parametrize("kind", FORMS)
@given(data=st.binary(max_size=60), which=st.sampled_from([text, comma, binary]))
@settings(deadline=None, max_examples=300)
def test_any_bytes_give_rows_or_an_error_of_ours(kind: str, data: bytes, which: Callable[[str], Any]) -> None:
    """Never another exception."""
    rewriter = which(kind)
    try:
        rewriter.feed(HEAD + data if which is binary else data)
        rewriter.finish()
    except ObligationUnfulfillable as error:
        assert error.message
