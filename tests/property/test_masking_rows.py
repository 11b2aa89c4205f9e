"""Rewriting rows equals a slow, obvious reference, in both forms, for any rows, masks and cuts."""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.errors import ObligationUnfulfillable
from enforcement.masking import row_calls, rows
from tests.support.forms import FORMS, form

KEY = b"k" * 32
ALL = (*FORMS, "calls")  # that which is made for the interpreter
Row = list[bytes | None]


def message(row: Row) -> bytes:
    body = struct.pack("!H", len(row))
    for value in row:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return b"D" + struct.pack("!i", len(body) + 4) + body


def masked(value: bytes | None, action: str) -> bytes | None:
    """What `action` makes of a value, said once more, slowly."""
    if value is None or action == "null":
        return None
    if action == "constant":
        return b"***"
    if action == "hash":
        return hmac.new(KEY, value, "sha256").hexdigest()[:32].encode()
    if action == "call":
        return value[::-1]
    if action == "last_four":
        kept = [c for c in value.decode("utf-8", "replace") if c.isascii() and c.isalnum()]
        whole = len(kept) >= 8 and all(c < 128 for c in value)
        return b"****" + ("".join(kept[-4:]).encode() if whole else b"")
    text = value.strip(b" ").decode("utf-8", "replace")
    if action == "partial":
        return (text[0] + "***" + text[-1]).encode() if len(text) >= 6 else b"***"
    local, at, domain = text.partition("@")
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-'")
    if not (local and at) or set(local + domain) - allowed or len(local) > 64:
        return b"***"
    label, dot, rest = domain.partition(".")
    if not (label and dot) or len(label) > 64 or len(rest) > 191:
        return b"***"
    return f"{local[0] if len(local) >= 3 else ''}***@{domain}".encode()


@dataclass
class Case:
    rows: list[Row]
    columns: int
    actions: dict[int, str]


ACTIONS = {"null": 0, "constant": 1, "email": 2, "last_four": 3, "partial": 4, "hash": 5, "call": 6}
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "replace")),
    st.from_regex(rb"[a-z.]{1,6}@[a-z]{1,4}\.[a-z@]{2,3} ?", fullmatch=True),
    st.from_regex(rb"[0-9 -]{4,24}", fullmatch=True),
    st.sampled_from(
        [b"ann@b.c\ndan@e.f", b"ann@b.c\n", b"@", b"ann@", b"ann@b", b"ann@.c", b"ann@b@c.d", b"bob@example.com"]
    ),
    st.builds(
        lambda a, b, c: b"l" * a + b"@" + b"d" * b + b"." + b"r" * c,
        st.integers(0, 66),
        st.integers(0, 66),
        st.sampled_from([0, 3, 190, 191, 192]),
    ),
    st.integers(4080, 4110).map(lambda size: b"x" * size),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    columns = draw(st.integers(0, 7))
    rows = draw(st.lists(st.lists(VALUES, min_size=columns, max_size=columns), max_size=6))
    chosen = st.dictionaries(st.integers(1, columns), st.sampled_from(sorted(ACTIONS)), max_size=columns)
    return Case(rows, columns, draw(chosen) if columns else {})


def rewriter(kind: str, case: Case):  # type: ignore[no-untyped-def]
    module = rows if kind == "calls" else form("enforcement.masking.rows", kind)
    masks = [
        module.ColumnMask(ordinal, ACTIONS[action], b"***" if action == "constant" else b"",
                          KEY if action == "hash" else b"", (lambda v: v[::-1]) if action == "call" else None)
        for ordinal, action in case.actions.items()
    ]  # fmt: skip
    make = row_calls.CallingRowRewriter if kind == "calls" else module.RowRewriter
    return make(case.columns, masks)


def expected(case: Case) -> bytes:
    return b"".join(
        message([masked(v, case.actions[n]) if n in case.actions else v for n, v in enumerate(row, 1)])
        for row in case.rows
    )


@pytest.mark.parametrize("kind", ALL)
@given(case=cases(), before=st.binary(max_size=9), after=st.binary(max_size=9))
@settings(deadline=None, max_examples=150)
def test_equals_the_reference(kind: str, case: Case, before: bytes, after: bytes) -> None:
    """Masked fields are what the method says, everything else is byte-identical, and the counts are right."""
    buffer = before + b"".join(map(message, case.rows)) + after
    out, rows, cells = rewriter(kind, case).rewrite(buffer, len(before), len(buffer) - len(after))
    assert out == expected(case)
    assert rows == len(case.rows)
    assert cells == sum(row[n - 1] is not None for row in case.rows for n in case.actions)


@pytest.mark.parametrize("kind", ALL)
@given(case=cases(), cut=st.integers(0, 6))
@settings(deadline=None, max_examples=100)
def test_any_split_between_rows_gives_the_same(kind: str, case: Case, cut: int) -> None:
    """A result that comes in two runs is masked like one."""
    one = rewriter(kind, case)
    first = b"".join(map(message, case.rows[:cut]))
    rest = b"".join(map(message, case.rows[cut:]))
    assert one.rewrite(first, 0, len(first))[0] + one.rewrite(rest, 0, len(rest))[0] == expected(case)


@pytest.mark.parametrize("kind", ALL)
@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=4, max_size=30),
    action=st.sampled_from(["null", "constant", "email", "last_four", "partial", "hash"]),
)
@settings(deadline=None, max_examples=200)
def test_no_clear_value_leaves(kind: str, secret: str, action: str) -> None:
    """A masked value of four or more characters is nowhere in the output, unless its mask is what it already was."""
    value = secret.encode()
    case = Case([[b"1", value, b"2"]], 3, {2: action})
    row = message(case.rows[0])
    out = rewriter(kind, case).rewrite(row, 0, len(row))[0]
    assert value not in out or set(secret) <= {"*"}


@pytest.mark.parametrize("kind", ALL)
@given(case=cases().filter(lambda c: bool(c.rows and c.actions)), place=st.integers(0, 10**6), byte=st.integers(0, 255))
@settings(deadline=None, max_examples=200)
def test_a_damaged_row_raises_or_stays_masked(kind: str, case: Case, place: int, byte: int) -> None:
    """Whatever byte of a row is changed: an error of ours, never another exception."""
    buffer = bytearray(b"".join(map(message, case.rows)))
    buffer[place % len(buffer)] = byte
    one = rewriter(kind, case)
    try:
        one.rewrite(bytes(buffer), 0, len(buffer))
    except ObligationUnfulfillable as error:
        assert "rows" in error.message


@given(
    case=cases().filter(lambda c: bool(c.rows and c.actions)), place=st.integers(0, 10**6), byte=st.integers(0, 255),
    cut=st.integers(0, 3),
)  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_all_forms_agree_about_damage(case: Case, place: int, byte: int, cut: int) -> None:
    """The same bytes, or an error, from each of them."""
    buffer = bytearray(b"".join(map(message, case.rows)))
    buffer[place % len(buffer)] = byte
    found = set()
    for kind in ALL:
        try:
            found.add(rewriter(kind, case).rewrite(bytes(buffer), 0, len(buffer) - cut))
        except ObligationUnfulfillable:
            found.add(None)
    assert len(found) == 1


def test_runs_without_mail_addresses_are_masked_all_the_same() -> None:
    """However many runs were taken for addresses in vain."""
    case = Case([[b"bob@example.com"], [b"not@this one"]], 1, {1: "email"})
    buffer = b"".join(map(message, case.rows))
    one = rewriter("calls", case)
    assert {one.rewrite(buffer, 0, len(buffer))[0] for _ in range(2 * row_calls.HOPE)} == {expected(case)}


DAMAGE = {
    "another number of columns": lambda row: row[:6] + bytes([row[6] + 1]) + row[7:],
    "cut short": lambda row: row[:-1],
    "a length below -1": lambda row: row[:7] + struct.pack("!i", -2) + row[11:],
    "a field beyond its row": lambda row: row[:7] + struct.pack("!i", len(row)) + row[11:],
    "a length below its header": lambda row: b"D" + struct.pack("!i", 3) + row[5:],
    "another message": lambda row: b"C" + row[1:],
    "nothing but a code": lambda row: b"D",
}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_malformed_row_is_refused(kind: str, damage: str) -> None:
    """What does not have the described shape can't be masked."""
    case = Case([], 2, {2: "constant"})
    row = DAMAGE[damage](message([b"abc", b"defg"]))
    with pytest.raises(ObligationUnfulfillable):
        rewriter(kind, case).rewrite(row, 0, len(row))


@pytest.mark.parametrize("kind", FORMS)
@given(
    rows=st.lists(st.binary(max_size=9), max_size=8),
    most=st.integers(-1, 9),
    cut=st.integers(0, 8),
    tail=st.sampled_from([b"", b"C\x00\x00\x00\x05x"]),
)
@settings(deadline=None)
def test_counting_stops_at_the_bound_or_the_last_whole_row(
    kind: str, rows: list[bytes], most: int, cut: int, tail: bytes
) -> None:
    """Rows that need no mask are counted up to a limit, and never in part."""
    messages = [message([value]) for value in rows]
    whole = len(rows) if most < 0 else min(most, len(rows))
    buffer = b"".join(messages) + tail
    assert form("enforcement.masking.rows", kind).count_messages(buffer, 0, len(buffer), 68, most) == (
        sum(map(len, messages[:whole])), whole,
    )  # fmt: skip
    if rows and cut < len(messages[-1]):
        short = b"".join(messages[:-1]) + messages[-1][:cut]
        assert form("enforcement.masking.rows", kind).count_messages(short, 0, len(short), 68, -1)[1] == len(rows) - 1


@pytest.mark.parametrize("kind", FORMS)
def test_a_mask_that_lacks_what_it_needs_is_refused(kind: str) -> None:
    """No key, no function, an ordinal out of range or twice: an error when it is made, not when rows pass."""
    module = form("enforcement.masking.rows", kind)
    for arguments in ((1, module.HASH), (1, module.CALL), (1, 7), (1, -1)):
        with pytest.raises(ObligationUnfulfillable):
            module.ColumnMask(*arguments)
    for ordinals in ((0,), (3,), (1, 1)):
        with pytest.raises(ObligationUnfulfillable):
            module.RowRewriter(2, [module.ColumnMask(one, module.NULL) for one in ordinals])
