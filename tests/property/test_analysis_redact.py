"""Redaction: no literal outlives it, wherever the grammar takes one and however it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pglast import parser

from decision.analysis import Analyzer, Limits, SessionState
from decision.analysis.redact import UNREADABLE, join, pieces, plain, redact
from decision.model.facts import Facts

ANALYZER = Analyzer(limits=Limits(cached_text_bytes=0))

# {s} stands for the secret: letters that no keyword or name in the forms holds four in a row of, or digits; {l} stands
# for a constant.
FORMS: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "cases/analysis/redact.json").read_text())
TEXTS, NUMBERS, STATEMENTS = FORMS["texts"], FORMS["numbers"], FORMS["statements"]
CONSTANTS = TEXTS + FORMS["constants"]
OF_TEXTS, OF_STRINGS = FORMS["statements_of_texts"], FORMS["statements_of_strings"]
OF_NUMBERS = FORMS["statements_of_numbers"]

words = st.text("zqxj", min_size=6, max_size=14).filter(lambda word: not word.startswith("x"))
digits = st.text("01", min_size=7, max_size=12).map(lambda text: "1" + text)


def _of(templates: list[str], forms: list[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda template, chosen: _fill(template, chosen),
        st.sampled_from(templates), st.lists(st.sampled_from(forms), min_size=3, max_size=3),
    )  # fmt: skip


def _fill(template: str, forms: list[str]) -> str:
    for form in forms:
        template = template.replace("{l}", form, 1)
    return template.replace("{l}", "1")


def _cases() -> st.SearchStrategy[tuple[str, str, str]]:
    """A statement with {s} in it, and two secrets to stand there."""
    with_words = st.one_of(_of(STATEMENTS, CONSTANTS), _of(OF_TEXTS, TEXTS), st.sampled_from(OF_STRINGS))
    with_digits = st.one_of(_of(STATEMENTS, NUMBERS), st.sampled_from(OF_NUMBERS))
    return st.one_of(st.tuples(with_words, words, words), st.tuples(with_digits, digits, digits))


def fragments(secret: str) -> set[str]:
    return {secret[start : start + 4] for start in range(len(secret) - 3)}


def _spans(facts: Facts, text: str) -> list[str]:
    raw = text.encode()
    return [raw[s.location : s.location + s.length].decode() for s in facts.statements]


@settings(max_examples=600, deadline=None)
@given(_cases())
def test_no_part_of_a_literal_outlives_redaction(case: tuple[str, str, str]) -> None:
    """Four characters of it are in no text kept; other literals give the same text; the fingerprint is the parser's."""
    template, secret, other = case
    text, twin = template.replace("{s}", secret), template.replace("{s}", other)
    shown = redact(text.encode())
    if shown == UNREADABLE:
        with pytest.raises(parser.ParseError):
            parser.parse_sql_json(text)
        return
    analysis = ANALYZER.analyze(text.encode(), None, SessionState())
    texts = [shown, analysis.normalized_text, *(s.normalized_text for s in analysis.facts.statements)]
    assert not [part for part in fragments(secret) for one in texts if part in one]
    if redact(twin.encode()) != UNREADABLE:
        assert redact(twin.encode()) == shown
    for statement, span in zip(analysis.facts.statements, _spans(analysis.facts, text), strict=True):
        assert statement.fingerprint == parser.fingerprint(span)


@settings(max_examples=400, deadline=None)
@given(_cases(), st.floats(0, 1))
def test_nor_does_a_part_of_a_statement_that_was_cut_off(case: tuple[str, str, str], share: float) -> None:
    """What is left of a statement, readable or not, shows nothing of its literals."""
    template, secret, _ = case
    text = template.replace("{s}", secret)
    shown = redact(text[: int(len(text) * share)].encode())
    assert not [part for part in fragments(secret) if part in shown]


@pytest.mark.parametrize("template", [*STATEMENTS, *OF_TEXTS, *OF_STRINGS, *OF_NUMBERS])
def test_every_form_is_a_statement(template: str) -> None:
    """The forms above parse: a form that no parser takes would test nothing."""
    parser.parse_sql_json(template.replace("{l}", "'zq'").replace("{s}", "zq" if template not in OF_NUMBERS else "10"))


@pytest.mark.parametrize("form", [*CONSTANTS, *NUMBERS])
def test_every_constant_is_one(form: str) -> None:
    """The constants above parse where they can stand."""
    parser.parse_sql_json("SELECT " + form.replace("{s}", "zqzq" if form in CONSTANTS else "10"))


SOUP = (
    "alter", "create", "function", "to", "-- it's\n", "--", "--\r",
    "a", "B", "x", "E", "N", "U", "u", "_a1", "select", "FROM", "coalesce", "count", "set", "'a'", "''", "'", "''''",
    "'a\\'", "\"a\"", "\"\"", "\"", "1", "10", "1.5", "1.", ".5", "1e5", "0x1F", "1_0", "$1", "$12", "$", "$$", "$a$",
    "(", ")", "[", "]", ",", ".", "..", ";", ":", "::", ":=", "=>", "=", "<", ">", "<=", ">=", "<>", "!=", "!", "->",
    "->>", "||", "|", "+", "-", "--", "*", "/", "/*", "*/", "%", "&", "&&", "@", "#", "~", "?", "^", "`", "\\",
    "\u00e9", "\n", "\t", "\u000b", "\u001f", "\u0085", "\u2028", "\ufeff", "{", "}",
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SOUP), st.sampled_from(("", "", " ", "\n"))), max_size=12))
def test_the_plain_reading_is_postgresqls(parts: list[tuple[str, str]]) -> None:
    """What the expression for plain statements reads, PostgreSQL's lexer reads in the same way."""
    text = "".join(part + blank for part, blank in parts)
    found = plain(text)
    if found is not None:
        kept = pieces(text)
        assert found == join(kept[:-1] if kept and kept[-1][1] == "ASCII_59" else kept)
