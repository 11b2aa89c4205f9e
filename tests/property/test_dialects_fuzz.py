"""Whatever the text, the analysis of a dialect answers or refuses, and never lets a broken text pass as harmless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision.analysis import Analyzer, SessionState
from decision.analysis.dialects import DIALECTS
from decision.model.errors import AnalysisError, AnalysisFault

FOLDER = Path(__file__).parents[1] / "cases" / "analysis" / "dialects"
SEEDS = [
    json.loads(line)["sql"] for file in sorted(FOLDER.glob("*.jsonl")) for line in file.read_text().splitlines()
]  # fmt: skip
PARTS = (
    "'", '"', "`", "[", "]", "(", ")", ";", "--", "/*", "*/", "#", "\\", "$$", "@", ",", ".", "\n", "\r", "é", "\u00a0",
    " SELECT ", " FROM ", " UNION ", " DELETE FROM users ", " AS ", " INTO ", " 1 ", " * ", "q'[", "]'", "r'", "/*!",
)  # fmt: skip
ANALYZERS = {dialect: Analyzer(dialect) for dialect in DIALECTS}


def told(dialect: str, text: bytes) -> bool:
    """Whether it is answered; raises whatever isn't of the error tree."""
    try:
        facts = ANALYZERS[dialect].analyze(text, None, SessionState()).facts
    except AnalysisFault:
        raise
    except AnalysisError:
        return False
    return facts.complete


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_cases_are_answered_or_refused(dialect: str, data: st.DataObject) -> None:
    """Cuts, joins and insertions of what lexers trip over raise nothing but the error tree's."""
    text = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        match data.draw(st.integers(0, 2)):
            case 0:
                text = text[:place] + data.draw(st.sampled_from(PARTS)) + text[place:]
            case 1:
                text = text[:place] + text[place + data.draw(st.integers(1, 9)) :]
            case _:
                text = text[:place] + " " + data.draw(st.sampled_from(SEEDS))
    told(dialect, text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=80))
def test_raw_bytes_are_answered_or_refused(dialect: str, raw: bytes) -> None:
    """Nothing but the error tree's errors."""
    told(dialect, raw)
    told(dialect, b"SELECT " + raw)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "text", ["SELECT 'x", 'SELECT "x', "SELECT 1 /* x", "SELECT (1", "SELECT 1 FROM", "SELECT \u00a01"]
)
def test_broken_texts_are_no_complete_statement(dialect: str, text: str) -> None:
    """What isn't closed or finished never counts as understood."""
    assert not told(dialect, text.encode())
