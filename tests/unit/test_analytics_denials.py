"""A refused statement is one row of `denials`, however many messages it was asked in; its events all stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analytics.query import CatalogReader
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.model.decision import PolicyEffect
from decision.model.events import Payload
from tests.support.analytics_story import DROP, chain, decided


def payloads(session: str, kinds: str) -> Iterator[tuple[str, Payload]]:
    """Refusals of one text: p a parse, b a bind, q a query; capitals are let through."""
    names = {"p": "parse", "b": "bind", "q": "query"}
    for number, letter in enumerate(kinds):
        effect = PolicyEffect.ALLOW if letter.isupper() else PolicyEffect.DENY
        made = decided(f"{session}.{number}", session, DROP, "DROP TABLE t", effect, "r")
        yield session, replace(made, message_kind=names[letter.lower()])


@pytest.mark.parametrize(
    ("kinds", "rows"),
    [
        ("pb", 1),  # what most drivers send
        ("pbpb", 2),  # and again
        ("p", 1),  # asyncpg describes first, and gets no further
        ("Pb", 1),  # a value, or an expired right, is refused only with the bind
        ("Pbb", 2),
        ("pbq", 2),
        ("qq", 2),
    ],
)
def test_a_refused_statement_is_one_denial(tmp_path: Path, kinds: str, rows: int) -> None:
    """In each of two sessions."""
    events = list(chain(iter([*payloads("s1", kinds), *payloads("s2", kinds)])))
    with AnalyticsStore(tmp_path / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.apply(events, {"journal": len(events)})
        store.publish()
    with CatalogReader(tmp_path) as reader:
        refused = sum(letter.islower() for letter in kinds)
        assert reader.ask("select count(*) from denials").rows == [(2 * rows,)]
        assert reader.ask("select count(*) from decisions where effect = 'deny'").rows == [(2 * refused,)]
