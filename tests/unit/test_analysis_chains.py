"""Views and functions of a catalog that use each other: what they pull in is bounded by the message's work."""

from __future__ import annotations

import contextlib

import pytest

from decision.analysis import Analyzer, Limits, SessionState
from decision.model.catalog import CatalogColumn, CatalogFunction, CatalogRelation, CatalogSnapshot
from decision.model.errors import LimitExceeded
from decision.model.facts import RelationKind


def functions(levels: int) -> CatalogSnapshot:
    """f0 calls f1 twice, f1 calls f2 twice, …"""
    made = [
        CatalogFunction(
            "public", f"f{n}", 100 + n, ("int4",), "int4", "sql", "stable", argument_names=("a",),
            body=f"SELECT public.f{n + 1}(1) + public.f{n + 1}(2)" if n < levels - 1 else "SELECT 1",
        )
        for n in range(levels)
    ]  # fmt: skip
    return CatalogSnapshot("app", 180000, f"functions {levels}", functions=tuple(made))


def views(levels: int) -> CatalogSnapshot:
    """v0 joins v1 with itself, v1 joins v2 with itself, …"""
    columns = (CatalogColumn("c", 1, 25, "text"), CatalogColumn("d", 2, 25, "text"))
    made = [
        CatalogRelation(
            "public", f"v{n}", 100 + n, RelationKind.VIEW, columns,
            definition=f"SELECT a.c, b.c AS d FROM public.v{n + 1} a, public.v{n + 1} b" if n < levels - 1
            else "SELECT 1 AS c, 2 AS d",
        )
        for n in range(levels)
    ]  # fmt: skip
    return CatalogSnapshot("app", 180000, f"views {levels}", relations=tuple(made))


MOVED = SessionState(search_paths=(("app", "public"),))  # names in bodies may mean other things: nothing is shared


@pytest.mark.parametrize("state", [SessionState(), MOVED], ids=["plain", "search path moved"])
@pytest.mark.parametrize(
    ("catalog", "text"), [(functions(40), b"SELECT public.f0(1)"), (views(40), b"SELECT * FROM public.v0")]
)
def test_what_doubles_at_each_level_ends(catalog: CatalogSnapshot, text: bytes, state: SessionState) -> None:
    """Forty levels, a million millions of uses, end within the work of a message: in facts or a denial."""
    with contextlib.suppress(LimitExceeded):
        Analyzer(limits=Limits(work=20_000)).analyze(text, catalog, state)


@pytest.mark.parametrize(
    ("catalog", "text", "reached"),
    [(functions(6), b"SELECT public.f0(1)", "f5"), (views(6), b"SELECT * FROM public.v0", "v5")],
)
def test_what_is_used_twice_at_few_levels_is_followed(catalog: CatalogSnapshot, text: bytes, reached: str) -> None:
    """Six levels are read to the end."""
    (statement,) = Analyzer().analyze(text, catalog, SessionState()).facts.statements
    assert reached in {f.name for f in statement.functions} | {r.name for r in statement.relations}
    assert not statement.unresolved


def test_work_that_is_used_up_leaves_nothing_behind() -> None:
    """A message that ended within a function leaves the function as it is for the next message."""
    catalog = functions(6)
    analyzer = Analyzer(limits=Limits(work=300))
    with pytest.raises(LimitExceeded):
        analyzer.analyze(b"SELECT public.f0(1)", catalog, SessionState())
    analyzer.limits = Limits()
    (statement,) = analyzer.analyze(b"SELECT public.f0(1)", catalog, SessionState()).facts.statements
    assert "f5" in {f.name for f in statement.functions}
    assert not statement.unresolved
    assert not [f for f in statement.functions if "opaque" in f.effects]
