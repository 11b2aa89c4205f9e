"""Denials that no policy spoke: what is said of names that don't exist, where they stand, and of what is no SQL."""

from __future__ import annotations

import pytest

from decision.analysis.postgres.locate import position
from decision.analysis.postgres.parse import parse
from decision.denials import NOT_UNDERSTOOD, hint_for, message_for, missing_name
from decision.model.decision import Decision, Evaluation, PolicyEffect, RuleResult
from decision.model.errors import SyntaxRefused
from decision.model.facts import Effect, Facts, FunctionUse, Statement, Unresolved
from enforcement.postgres.protocol.denial import refusal_of


def facts(*unresolved: tuple[str, str], functions: tuple[FunctionUse, ...] = ()) -> Facts:
    statement = Statement("", "", (), unresolved=tuple(Unresolved(*one) for one in unresolved), functions=functions)
    return Facts("postgres", "", "", (statement,))


def denied(*rules: str) -> tuple[RuleResult, ...]:
    return tuple(RuleResult(rule, PolicyEffect.DENY, "", "medium", ()) for rule in rules)


RELATION = ("t", "no relation of this name in the search path")
COLUMN = ("c", "no such column here")
FOLLOWS = ("*", "the output's columns are not known")


@pytest.mark.parametrize(
    ("unresolved", "state", "message"),
    [
        ((RELATION,), "42P01", 'relation "t" does not exist'),
        ((FOLLOWS, RELATION), "42P01", 'relation "t" does not exist'),
        ((COLUMN, RELATION), "42P01", 'relation "t" does not exist'),
        ((("t", "no relation of this name in schema s"),), "42P01", 'relation "s.t" does not exist'),
        ((COLUMN,), "42703", 'column "c" does not exist'),
        ((("x.c", "no such column here"),), "42P01", 'missing FROM-clause entry for table "x"'),
    ],
)
def test_a_missing_name_is_complained_of_as_postgresql_does(
    unresolved: tuple[tuple[str, str], ...], state: str, message: str
) -> None:
    """Relations before columns, and causes before what follows from them."""
    found = missing_name(denied(NOT_UNDERSTOOD), facts(*unresolved))
    assert found is not None and (found.sqlstate, found.message) == (state, message)


def test_what_has_another_cause_is_not_called_missing() -> None:
    """A doubt beside it, or a rule beside it: then the denial says that."""
    assert missing_name(denied(NOT_UNDERSTOOD), facts(RELATION, ("x", "this form of FROM is not known"))) is None
    assert missing_name(denied(NOT_UNDERSTOOD, "guardrails.x"), facts(RELATION)) is None
    assert missing_name(denied(NOT_UNDERSTOOD), facts(FOLLOWS)) is None


def test_an_unknown_function_is_hinted_at() -> None:
    """Only one that the catalog does not hold."""
    unknown, known = FunctionUse("", "nope", (Effect.OPAQUE,)), FunctionUse("public", "f", (Effect.OPAQUE,))
    assert "no function nope" in hint_for(None, facts(functions=(unknown, known)))
    assert hint_for(None, facts(functions=(known,))) == ""


@pytest.mark.parametrize(
    ("text", "schema", "name", "how", "before"),
    [
        ("select nope.x from nope", "", "nope", {}, "select nope.x from "),
        ("select 'é' from a.t, b.t", "b", "t", {}, "select 'é' from a.t, "),
        ("select a, c.x from c", "", "x", {"column": True}, "select a, "),
        ("update t set a = 1, x = x + 1", "", "x", {"target": True}, "update t set a = 1, "),
    ],
)
def test_a_name_is_found_in_the_text(text: str, schema: str, name: str, how: dict[str, bool], before: str) -> None:
    """Where PostgreSQL puts its caret, counted in characters."""
    assert position(text, schema, name, **how) == len(before) + 1


@pytest.mark.parametrize("text", ["select 1", "selekt t", ""])
def test_a_name_that_is_not_in_the_text_has_no_place(text: str) -> None:
    """As when a view names it."""
    assert position(text, "", "t") == 0


@pytest.mark.parametrize(
    ("text", "message", "cursor", "shown"),
    [
        ("select * form t", "syntax error", 10, 'syntax error at or near "form"'),
        ("select 'é' form t", "syntax error", 17, 'syntax error at or near "t"'),
        ("select '日本' form 't'", "syntax error", 18, "syntax error"),
        ("select 1 +", "syntax error at end of input", 11, "syntax error at end of input"),
        ("select 'needle", "unterminated quoted string", 8, "unterminated quoted string"),
    ],
)
def test_what_is_no_sql_is_shown_with_its_place(text: str, message: str, cursor: int, shown: str) -> None:
    """A word of it is shown to who typed it, never a literal; the recorded message quotes nothing."""
    with pytest.raises(SyntaxRefused) as caught:
        parse(text)
    error = caught.value
    assert (error.message, error.cursor, error.shown) == (message, cursor, shown)


def test_a_rule_that_speaks_twice_is_counted_once() -> None:
    """It may hold for the agent and for its human: the message counts other rules, the detail names each once."""
    results = denied("guardrails.files", "guardrails.files", "guardrails.read_only")
    evaluation = Evaluation(PolicyEffect.DENY, results)
    assert message_for(evaluation, results[:2]) == "denied by guardrails.files: "
    assert message_for(evaluation, results).endswith(" (and 1 more)")
    detail = refusal_of(Decision("d", PolicyEffect.DENY, results=results)).detail
    assert detail == "decision d, rule guardrails.files, guardrails.read_only"
