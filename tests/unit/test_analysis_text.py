"""Texts that are refused, and what redaction leaves of those that are not."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.analysis import Analyzer, Limits, SessionState
from decision.analysis.redact import UNREADABLE, redact
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError, LimitExceeded, SyntaxRefused, TextRefused

ANALYZER = Analyzer()


def analyze(text: bytes) -> None:
    ANALYZER.analyze(text, None, SessionState())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"SELECT 1\0; DELETE FROM users", TextRefused),
        (b"SELECT '\xff'", TextRefused),
        ("SELECT '\ud800'".encode("utf-8", "surrogatepass"), TextRefused),
        (b"SELECT " + b"a" * 300_000, LimitExceeded),
        (b"SELECT " + b"+-" * 200 + b"1", LimitExceeded),
        (b"SELECT " + b"/*" * 100 + b"*/" * 100 + b"1", LimitExceeded),
        (b"SELECT " + b"a+" * 20000 + b"a", LimitExceeded),
        (b"SELECT " + b"f(" * 3000 + b"1" + b")" * 3000, AnalysisError),
        (b" UNION ".join([b"SELECT 1"] * 3000), LimitExceeded),
        (b"SELECT * FROM " + b"(SELECT * FROM " * 500 + b"t" + b") x" * 500, AnalysisError),
        (b"SELECT 1;" * 2000, LimitExceeded),
        (b"SELEC 'secret'", SyntaxRefused),
    ],
)
def test_refused(text: bytes, error: type[AnalysisError]) -> None:
    """Each is an error of the tree: no crash, no hang, nothing of the text in the message."""
    with pytest.raises(error) as raised:
        analyze(text)
    assert "secret" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize("text", [b"SELECT " + b"(" * 5000 + b"1" + b")" * 5000, b"SELECT a" + b"[1]" * 20000])
def test_long_but_flat(text: bytes) -> None:
    """What the parser makes flat is no danger."""
    analyze(text)


def test_long_comment_lines_are_fine() -> None:
    """A ruler made of dashes is a comment, not a run of operators."""
    analyze(b"-" * 400 + b"\nSELECT 1")


def test_in_lists_are_fine() -> None:
    """Thousands of values in one IN list stay within the limits."""
    analyze(b"SELECT 1 WHERE 1 IN (" + b",".join(b"%d" % n for n in range(5000)) + b")")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("SELECT 'a', 1, 1.5, b'1', x'f', E'\\n', U&'x' -- note", "SELECT $1, $2, $3, $4, $5, $6, $7"),
        ("SELECT $1, $$body$$, $tag$x$tag$", "SELECT $1, $2, $3"),
        ("select /* hidden */ t.a::int from t limit 10", "select t.a::int from t limit $1"),
        ("SET app.token = abc", "SET app.token = $1"),
        ('SET app.token TO "abc"', "SET app.token TO $1"),
        ("SET search_path = a, b", "SET search_path = a, b"),
        ("/* x */ SET app.token = abc; UPDATE t SET a = b", "SET app.token = $1; UPDATE t SET a = b"),
        ("ALTER ROLE r SET app.token TO abc", "ALTER ROLE r SET app.token TO $1"),
        ("CREATE ROLE r PASSWORD 'abc'", "CREATE ROLE r PASSWORD $1"),
        ("DO 'x'", "DO $1"),
    ],
)
def test_redacted(text: str, want: str) -> None:
    """Literals become parameters, comments go, names stay."""
    assert redact(text.encode()) == want


@given(st.binary(max_size=200))
def test_redact_survives_anything(text: bytes) -> None:
    """Any bytes give a text; unreadable ones give the fixed one."""
    assert isinstance(redact(text), str)


@given(st.text(alphabet="abcdefgh", min_size=12, max_size=20))
def test_no_literal_is_left(secret: str) -> None:
    """Neither normalized text nor document holds the literal, readable or not."""
    for text in (f"SELECT '{secret}'", f"UPDATE t SET a = $x${secret}$x$ WHERE b = E'{secret}'", f"SELECT '{secret}"):
        assert secret not in redact(text.encode())
    analysis = ANALYZER.analyze(f"SELECT * FROM t WHERE a = '{secret}' -- {secret}".encode(), None, SessionState())
    assert secret.encode() not in analysis.document
    assert secret not in repr(analysis)


def test_unreadable() -> None:
    """What does not parse is not shown at all."""
    assert redact(b"SELEC secret") == UNREADABLE


@given(st.binary(max_size=120))
def test_any_bytes(text: bytes) -> None:
    """Any bytes give an analysis or an error of the tree."""
    with contextlib.suppress(AnalysisError):
        analyze(text)


def test_cache_is_bounded() -> None:
    """The cache drops the oldest entries beyond its bytes."""
    analyzer = Analyzer(limits=Limits(cache_bytes=50_000))
    for number in range(100):
        analyzer.analyze(b"SELECT %d" % number, None, SessionState())
    assert len(analyzer._cache) < 15


@pytest.mark.parametrize("text", [b"SELECT 1 " + b"/*" * 90_000, b"SELECT 1 " + b"+-" * 80_000 + b"1"])
def test_what_the_limits_refuse_never_reaches_the_parser_for_its_text_either(text: bytes) -> None:
    """The parser takes a minute for these; a refusal keeps a fixed text."""
    started = time.process_time()
    assert redact(text) == UNREADABLE
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        (b"SET client_encoding = 'UTF8'", False),
        (b"SET standard_conforming_strings = on", False),
        (b"SET client_encoding = 'SJIS'", True),
        (b"SET standard_conforming_strings = off", True),
        (b"RESET client_encoding", True),
    ],
)
def test_only_a_lexer_setting_that_changes_something_is_flagged(text: bytes, flagged: bool) -> None:
    """Dumps and drivers set what is in force anyway."""
    (statement,) = Analyzer().analyze(text, CatalogSnapshot("app", 180000, "v1"), SessionState()).facts.statements
    assert ("lexer_setting" in statement.flags) is flagged
