"""A short round of the fuzz; `python -m tests.fuzz --minutes 10` is the long one."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decision.analysis import Analyzer, SessionState
from decision.model.errors import AnalysisError
from tests.fuzz.corpus import cases
from tests.fuzz.mutate import mutated
from tests.fuzz.session import Broken, check, play
from tests.unit.test_analysis_cases import catalog

CORPUS = cases()
ROUNDS = 150


@pytest.mark.parametrize("seed", range(8))
def test_only_errors_of_the_tree_come_out(seed: int) -> None:
    """Sessions of mutated statements end in facts or in an error of the tree; a failing one is played again by
    `python -m tests.fuzz --corpus /nowhere --seed SEED --round NUMBER`."""
    for number in range(ROUNDS):
        try:
            play(seed, number, CORPUS, catalog())
        except Exception as error:
            pytest.fail(f"seed {seed} round {number}: {error!r}")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))))
def test_nor_for_raw_bytes(texts: list[bytes]) -> None:
    """Any bytes, one message after another, keep the session's state a state."""
    analyzer, state = Analyzer(), SessionState()
    for text in texts:
        state = check(analyzer, text, None, state)


def test_the_mutations_reach_what_they_are_for() -> None:
    """A good part of the mutated texts still parse: a fuzz of syntax errors alone would see the parser only."""
    rnd = random.Random(1)
    analyzer = Analyzer()
    passed = 0
    for _ in range(400):
        text = mutated(rnd, CORPUS)
        with contextlib.suppress(AnalysisError):
            passed += bool(analyzer.analyze(text, catalog(), SessionState()).facts.statements)
    assert passed > 80


def test_the_fuzz_sees_what_is_broken() -> None:
    """An analyzer that loses a statement's kind, or raises what isn't of the tree, does not get through."""

    class Raising(Analyzer):
        def _analyze(self, *_: object) -> None:  # type: ignore[override]
            raise KeyError("x")

    with pytest.raises(KeyError):
        check(Raising(), b"SELECT 1", None, SessionState())
    with pytest.raises(Broken, match="slow"):
        play(1, 1, ["SELECT 1"], catalog(), slow_s=-1)
