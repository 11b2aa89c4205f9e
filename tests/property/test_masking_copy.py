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


def fed(rewriter: Any, data: bytes, cuts: list[int], runs: bool = False) -> bytes:
    """What leaves for `data` in pieces: as payloads one by one, or as runs of messages."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    if runs:
        return b"".join(b"".join(payloads(one)) for one in rewritten(rewriter, pieces, [3, 1])) + rewriter.finish()
    return b"".join([*map(rewriter.feed, pieces), rewriter.finish()])


def copy_data(payload: bytes) -> bytes:
    return b"d" + struct.pack("!i", len(payload) + 4) + payload


def rewritten(rewriter: Any, pieces: list[bytes], sizes: list[int]) -> list[bytes]:
    """What leaves for `pieces`, each a message, in runs of `sizes` by turns; something else stands around each run."""
    found = []
    size = itertools.cycle(sizes)
    while pieces:
        count = next(size)
        run, pieces = b"".join(map(copy_data, pieces[:count])), pieces[count:]
        found.append(rewriter.rewrite(b"d\x00" + run + b"d\x00\x00", 2, 2 + len(run))[0])
    return found


def payloads(messages: bytes) -> list[bytes]:
    found = []
    while messages:
        assert messages[:1] == b"d"
        end = 1 + struct.unpack_from("!i", messages, 1)[0]
        found.append(messages[5:end])
        messages = messages[end:]
    return found


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
@pytest.mark.parametrize("runs", [False, True])
@given(
    table=TABLE, cuts=CUTS, action=ACTION, delimiter=st.sampled_from([b"\t", b"|", b"*", b"@"]), header=st.booleans()
)
@settings(deadline=None, max_examples=150)
def test_text(
    kind: str, runs: bool, table: list[Row], cuts: list[int], action: str, delimiter: bytes, header: bool
) -> None:
    """Text format: escapes, any delimiter, a header."""
    columns = len(table[0])

    def write(written: list[Row]) -> bytes:
        lines = [delimiter.join(as_text(v, delimiter) for v in row) + b"\n" for row in written]
        return (b"header" + b"\n" if header else b"") + b"".join(lines)

    rewriter = form("enforcement.masking.copy_text", kind).CopyTextRewriter(
        columns, masks(columns, action), delimiter, b"\\N", header
    )
    assert fed(rewriter, write(table), cuts, runs) == write([changed(row, action) for row in table])
    assert rewriter.rows == len(table)
    assert rewriter.masked_cells == sum(row[-1] is not None for row in table)


DIALECTS = [(b",", b'"', b'"'), (b";", b"'", b"\\"), (b"|", b"*", b"@"), (b"\t", b'"', b"'")]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
@given(table=TABLE, cuts=CUTS, action=ACTION, header=st.booleans(), force=st.booleans())
@settings(deadline=None, max_examples=100)
def test_csv(
    kind: str, runs: bool, dialect: tuple[bytes, bytes, bytes], table: list[Row], cuts: list[int], action: str,
    header: bool, force: bool,
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
    assert fed(rewriter, write(table, False), cuts, runs) == wanted
    assert rewriter.rows == len(table)


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("runs", [False, True])
@given(table=TABLE, cuts=CUTS, action=ACTION, extension=st.binary(max_size=5))
@settings(deadline=None, max_examples=150)
def test_binary(kind: str, runs: bool, table: list[Row], cuts: list[int], action: str, extension: bytes) -> None:
    """Binary format: header with extension, tuples, trailer."""
    columns = len(table[0])

    def write(written: list[Row]) -> bytes:
        head = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!II", 0, len(extension)) + extension
        return head + b"".join(map(as_tuple, written)) + b"\xff\xff"

    rewriter = form("enforcement.masking.copy_binary", kind).CopyBinaryRewriter(columns, masks(columns, action))
    assert fed(rewriter, write(table), cuts, runs) == write([changed(row, action) for row in table])
    assert rewriter.masked_cells == sum(row[-1] is not None for row in table)


def in_rows(form_: str, table: list[Row], masked: bool, force: bool) -> list[bytes]:
    """The payloads that a server sends for `table`: one a row, and binary's header and trailer."""
    if form_ == "binary":
        return [HEAD + as_tuple(table[0]), *map(as_tuple, table[1:]), b"\xff\xff"]
    if form_ == "text":
        return [b"\t".join(as_text(v, b"\t") for v in row) + b"\n" for row in table]
    return [
        b",".join([*(as_csv(v, b",", b'"', b'"', force) for v in row[:-1]),
                   as_csv(row[-1], b",", b'"', b'"', force or masked)]) + b"\n"
        for row in table
    ]  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("form_", ["text", "csv", "binary"])
@given(
    table=TABLE, action=ACTION, force=st.booleans(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    long=st.integers(0, 5000),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_a_row_in_a_message_stays_a_row_in_a_message(
    kind: str, form_: str, table: list[Row], action: str, force: bool, sizes: list[int], long: int
) -> None:
    """Clients count on it. Whatever the runs; the counts are of what left."""
    columns = len(table[0]) + 1
    table = [[b"x" * (long % 4099), *row] for row in table]
    make = form(f"enforcement.masking.copy_{form_}", kind)
    rewriter = getattr(make, f"Copy{form_.title()}Rewriter")(columns, masks(columns, action))
    left = rewritten(rewriter, in_rows(form_, table, False, force), sizes)
    wanted = in_rows(form_, [changed(row, action) for row in table], True, force)
    assert [payload for run in left for payload in payloads(run)] == wanted
    assert rewriter.finish() == b""
    assert rewriter.rows == len(table)
    assert rewriter.masked_cells == sum(row[-1] is not None for row in table)


MAIL = st.one_of(
    st.sampled_from(
        [b"", b"bob@example.com", b"al@x.y", b"\\", b"o'neil@example.com", b"a,b@c.d", b'"q"@x.y', b"*@*.*"]
    ),
    VALUE.map(lambda value: value or b"-"),
)


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("delimiter", [b"\t", b",", b"*", b"@"])
@given(values=st.lists(MAIL, min_size=1, max_size=6), action=st.sampled_from([1, 2, 3, 4, 5]))
@settings(deadline=None, max_examples=150)
def test_every_method_is_read_back_as_what_it_says(
    kind: str, delimiter: bytes, values: list[bytes], action: int
) -> None:
    """A mask that holds the delimiter, quotes or escapes is written so that it is read as one value."""
    constant = b"*,@\t\\\n" if action == rows.CONSTANT else b""
    mask = rows.ColumnMask(1, action, constant, b"k" * 16)
    wanted = [mask.apply(value) for value in values]
    one = form("enforcement.masking.copy_text", kind).CopyTextRewriter(1, [mask], delimiter)
    left = rewritten(one, [as_text(value, delimiter) + b"\n" for value in values], [2])
    assert [line for run in left for line in payloads(run)] == [as_text(value, delimiter) + b"\n" for value in wanted]
    two = form("enforcement.masking.copy_csv", kind).CopyCsvRewriter(1, [mask], delimiter, b"", False, b'"', b'"')
    left = rewritten(two, [as_csv(value, delimiter, b'"', b'"', False) + b"\n" for value in values], [2])
    quoted = [as_csv(value, delimiter, b'"', b'"', True) + b"\n" for value in wanted]
    assert [line for run in left for line in payloads(run)] == quoted


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
    for cuts in ([], list(range(len(data)))):
        with pytest.raises(ObligationUnfulfillable):
            fed(make(kind), data, cuts, True)


@pytest.mark.parametrize("kind", FORMS)
@given(data=st.binary(max_size=40), which=st.sampled_from(["text", "comma", "binary"]), cut=st.integers(1, 4))
@settings(deadline=None, max_examples=300)
def test_any_run_gives_messages_or_an_error_of_ours(kind: str, data: bytes, which: str, cut: int) -> None:
    """Bytes that are no whole CopyData messages raise, and never another exception."""
    make = {"text": text, "comma": comma, "binary": binary}[which]
    whole = copy_data((HEAD if which == "binary" else b"") + data)
    for buffer, end in ((data, len(data)), (whole, len(whole)), (whole, len(whole) - cut), (whole + data, len(whole))):
        try:
            payloads(make(kind).rewrite(buffer, 0, end)[0])
        except ObligationUnfulfillable as error:
            assert error.message
    with pytest.raises(ObligationUnfulfillable):
        make(kind).rewrite(whole, 0, len(whole) - cut)


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
