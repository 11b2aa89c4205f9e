"""One round of the fuzz: a session of a few messages, and what must hold whatever they say."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from decision.analysis import Analyzer, Limits, SessionState
from decision.analysis.redact import UNREADABLE, redact
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError
from tests.fuzz.mutate import mutated

SLOW_S = 2.0  # of CPU, for a message of at most 20 KB and what it is made into


@dataclass(frozen=True)
class Broken(Exception):
    """What must hold does not."""

    what: str
    text: bytes

    def __str__(self) -> str:
        return f"{self.what}: {self.text!r}"


def check(analyzer: Analyzer, text: bytes, catalog: CatalogSnapshot | None, state: SessionState) -> SessionState:
    """The state after `text`. Raises Broken; any error that is not of the tree comes out as it is."""
    shown = redact(text)
    try:
        analysis = analyzer.analyze(text, catalog, state)
    except AnalysisError as error:
        if not error.message:
            raise Broken("an error without words", text) from None
        return state
    document = orjson.loads(analysis.document)
    _hold(orjson.dumps(document, option=orjson.OPT_SORT_KEYS) == analysis.document, "the document is canonical", text)
    _hold(shown in (analysis.normalized_text, UNREADABLE), "both ways to redact agree", text)
    _hold(len(analysis.effects) == len(analysis.facts.statements), "effects belong to statements", text)
    for statement in analysis.facts.statements:
        _hold(bool(statement.kinds), "a statement has a kind", text)
        _hold(statement.location + statement.length <= len(text), "a statement lies within its text", text)
    again = analyzer.analyze(text, catalog, state)
    _hold(again.document == analysis.document, "the same text gives the same facts", text)
    return state.advance(analysis, "I").advance(analysis, "T")


def _hold(condition: bool, what: str, text: bytes) -> None:
    if not condition:
        raise Broken(what, text)


def play(
    seed: int, number: int, corpus: Sequence[str], catalog: CatalogSnapshot, slow_s: float = SLOW_S
) -> list[bytes]:
    """The round `number` of `seed`: the same two give the same messages. Raises what `check` raises; Broken for a
    message that took too long."""
    rnd = random.Random(f"{seed}:{number}")
    analyzer = Analyzer(limits=Limits(cached_text_bytes=rnd.choice((0, 16 * 1024))))
    seen = rnd.choice((catalog, catalog, None))
    state = SessionState()
    texts: list[bytes] = []
    for _ in range(rnd.randint(1, 6)):
        texts.append(mutated(rnd, corpus))
        started = time.process_time()
        try:
            state = check(analyzer, texts[-1], seen, state)
        except Exception as error:
            error.add_note(repr(texts[-1]))
            raise
        if time.process_time() - started > slow_s:
            raise Broken("too slow", texts[-1])
    return texts
