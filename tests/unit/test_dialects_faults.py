"""A defect of the dialects' analysis denies, names its place, quotes nothing, and is told from a refusal."""

from __future__ import annotations

import pytest

from decision.analysis import Analyzer, SessionState
from decision.analysis.dialects import message
from decision.denials import from_error
from decision.model.errors import AnalysisError, AnalysisFault, LimitExceeded


def broken(*_: object) -> None:
    raise KeyError("hunter2")


def test_a_defect_is_a_fault_that_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class and place are in the message, its words (which may be the statement's) are not."""
    monkeypatch.setattr(message, "statement", broken)
    with pytest.raises(AnalysisFault) as caught:
        Analyzer("mysql").analyze(b"SELECT 'hunter2'", None, SessionState())
    assert isinstance(caught.value, AnalysisError)
    assert f"KeyError at {__name__}:14" in caught.value.message
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__suppress_context__
    assert from_error(caught.value).code == "analysis_fault"


def test_a_parser_that_tries_every_way_is_stopped() -> None:
    """Thirty JOINs without ON would take it 2**30 tries; the same with ON are read."""
    with pytest.raises(LimitExceeded, match="takes the parser too long"):
        Analyzer("mysql").analyze(b"SELECT 1 FROM a" + b" JOIN b" * 30, None, SessionState())
    joined = b"".join(b" JOIN b b%d ON 1 = 1" % number for number in range(30))
    assert Analyzer("mysql").analyze(b"SELECT 1 FROM a" + joined, None, SessionState()).facts.statements


def test_places_count_bytes_and_values_their_statement() -> None:
    """A statement's place in the message is in bytes, also behind letters of more than one."""
    text = "SELECT 'äöü'; UPDATE users SET name = '€' WHERE id = 1".encode()
    first, second = Analyzer("sqlite").analyze(text, None, SessionState()).facts.statements
    assert (first.location, first.length) == (0, len("SELECT 'äöü'".encode()))
    assert text[second.location : second.location + second.length].startswith(b"UPDATE users")
