"""tests/cases/analysis/redacted.jsonl: what is left of a text once its literals and comments are gone."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path

import pytest

from decision.analysis import Analyzer, SessionState
from decision.analysis.redact import UNREADABLE, plain, redact

FILE = Path(__file__).parents[1] / "cases" / "analysis" / "redacted.jsonl"
CASES: list[dict[str, str]] = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=itemgetter("note"))
def test_redacted(case: dict[str, str]) -> None:
    """It is the text wanted, whichever way it is read, and the analysis says the same."""
    text, want = case["text"], case["want"]
    assert redact(text.encode()) == want
    assert want == UNREADABLE or plain(text) in (None, want)
    if want != UNREADABLE:
        analysis = Analyzer().analyze(text.encode(), None, SessionState())
        assert analysis.normalized_text == want
        parts = [statement.normalized_text for statement in analysis.facts.statements]
        assert "; ".join(parts) == want.rstrip(";") or "ATOMIC" in text


def test_plain_texts_are_read_without_the_parser() -> None:
    """What has only plain words, numbers, strings and signs is read by one expression; settings and others aren't."""
    read = {case["note"] for case in CASES if plain(case["text"]) is not None}
    assert {
        "numbers and strings become parameters, in order", "numbering goes on from the text's own parameters",
        "operators stand apart", "casts, dots and brackets stand close", "names stay as they are written",
        "the only statement's semicolon goes",
    } <= read  # fmt: skip
    assert not {note for note in read if "setting" in note or "dollar" in note or "script" in note}
