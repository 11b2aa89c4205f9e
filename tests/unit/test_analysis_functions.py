"""Function bodies read with what the catalog says of the function: its parameters' names, its own settings."""

from __future__ import annotations

import pytest

from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogColumn, CatalogFunction, CatalogRelation, CatalogSnapshot
from decision.model.facts import Effect, RelationKind, Statement

ASSIGNING = "BEGIN who := who + 1; result := (SELECT secret FROM vault WHERE id = who); END"


def _relation(schema: str, name: str) -> CatalogRelation:
    columns = (CatalogColumn("id", 1, 23, "integer"), CatalogColumn("secret", 2, 25, "text"))
    return CatalogRelation(schema, name, 0, RelationKind.TABLE, columns)


def _analyse(function: CatalogFunction, state: SessionState | None = None) -> Statement:
    relations = (_relation("public", "vault"), _relation("hidden", "vault"))
    catalog = CatalogSnapshot("app", 180000, repr(function), relations=relations, functions=(function,))
    facts = Analyzer().analyze(b"SELECT f(1)", catalog, state or SessionState()).facts
    return facts.statements[0]


def _function(body: str, language: str = "sql", **more: tuple[object, ...]) -> CatalogFunction:
    return CatalogFunction("public", "f", 1, ("integer",), "text", language, "stable", body=body, **more)  # type: ignore[arg-type]


def _touched(statement: Statement) -> set[tuple[str, str]]:
    return {(relation.schema, relation.name) for relation in statement.relations}


def test_assigning_to_a_parameter_is_read() -> None:
    """A PL/pgSQL body that assigns to its parameters, output ones too, is followed, not opaque."""
    statement = _analyse(_function(ASSIGNING, "plpgsql", argument_names=("who", "result")))
    assert not statement.output[0].opaque
    assert ("public", "vault", "secret") in {(s.schema, s.table, s.column) for s in statement.output[0].sources}


def test_unknown_parameters_stay_opaque() -> None:
    """Without the names, an assignment to one can't be read, and is said to be opaque."""
    statement = _analyse(_function(ASSIGNING, "plpgsql"))
    assert statement.output[0].opaque


def test_a_parameters_name_can_not_end_the_text() -> None:
    """A name with quotes in it is a name."""
    statement = _analyse(_function('BEGIN "a""b" := 1; END', "plpgsql", argument_names=('a"b',)))
    assert not statement.output[0].opaque


@pytest.mark.parametrize("state", [SessionState(), SessionState(search_paths=(("public",),))])
def test_own_search_path(state: SessionState) -> None:
    """Names in a body mean what the function's own search path makes of them, whatever the session's is."""
    function = _function("SELECT secret FROM vault", configuration=(("search_path", "hidden, public"),))
    assert _touched(_analyse(function, state)) == {("hidden", "vault")}
    assert _touched(_analyse(_function("SELECT secret FROM vault"), state)) == {("public", "vault")}


@pytest.mark.parametrize("setting", [("search_path", '"$user", public'), ("standard_conforming_strings", "off")])
def test_settings_that_make_a_body_unknown(setting: tuple[str, str]) -> None:
    """A path that depends on who runs it, or another lexer, makes the function opaque."""
    statement = _analyse(_function("SELECT secret FROM vault", configuration=(setting,)))
    assert Effect.OPAQUE in statement.functions[0].effects
    assert statement.output[0].opaque


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE made (a, b, c) AS SELECT id FROM vault",
        "CREATE MATERIALIZED VIEW made (a, b) AS SELECT * FROM missing",
        "CREATE VIEW made (a, b) AS SELECT * FROM missing",
        "CREATE TABLE made (a) AS EXECUTE missing",
    ],
)
def test_more_names_than_columns(text: str) -> None:
    """A relation made with more column names than are known is analysed; the columns in excess may hold anything."""
    catalog = CatalogSnapshot("app", 180000, "v", relations=(_relation("public", "vault"),))
    analyzer = Analyzer()
    analysis = analyzer.analyze(text.encode(), catalog, SessionState())
    state = SessionState().advance(analysis, "I")
    assert state.made[0].columns[-1].opaque
    read = analyzer.analyze(b"SELECT a FROM made", catalog, state).facts.statements[0]
    assert ("made", "a") in {(use.table, use.column) for use in read.columns}
