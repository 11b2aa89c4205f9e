"""The limits of one message, to the last unit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from decision.analysis import Analyzer, Limits, SessionState
from decision.analysis.limits import EXPANSION, Budget, check_runs, check_text, check_tokens
from decision.analysis.postgres.canonical import MAX_DEPTH, Canonical
from decision.analysis.postgres.parse import Node, parse
from decision.model.errors import LimitExceeded, TextRefused


def test_a_text_may_have_as_many_bytes_as_the_limit_says() -> None:
    """Not one more; bytes are counted, not characters."""
    assert check_text("ü".encode(), Limits(text_bytes=2)) == "ü"
    with pytest.raises(LimitExceeded, match="has 3 bytes, the limit is 2"):
        check_text("üa".encode(), Limits(text_bytes=2))


def test_what_is_no_text_is_refused() -> None:
    """A NUL, and what is not UTF-8, with its place."""
    with pytest.raises(TextRefused, match="NUL"):
        check_text(b"a\0", Limits())
    with pytest.raises(TextRefused, match="at byte 1"):
        check_text(b"a\xff", Limits())


def test_operators_in_a_row_are_counted_beyond_what_is_quick() -> None:
    """As many as the limit says pass, not one more; dashes alone are a comment; a shorter run is never looked at."""
    limits = Limits(operator_run=300)
    check_runs("+-" * 150, limits)
    check_runs("-" * 301, limits)
    check_runs("+-" * 99, Limits(operator_run=1))
    with pytest.raises(LimitExceeded, match="more than 300 operator characters"):
        check_runs("+-" * 150 + "+", limits)
    for sign in "-+*/<>=~!@#%^&|`?":
        with pytest.raises(LimitExceeded):
            check_runs(("+" + sign) * 151, limits)


def test_comments_may_nest_as_deep_as_the_limit_says() -> None:
    """Not deeper; one that ends gives its level back, and an end without a beginning gives none."""
    limits = Limits(comment_depth=3)
    check_runs("/*" * 3 + "*/" * 3 + "/*" * 3, limits)
    with pytest.raises(LimitExceeded, match="nest deeper than 3"):
        check_runs("/*" * 4, limits)
    with pytest.raises(LimitExceeded):
        check_runs("*/" * 5 + "/*" * 4, limits)


def test_tokens_are_counted() -> None:
    """As many as the limit says pass."""
    check_tokens(5, Limits(tokens=5))
    with pytest.raises(LimitExceeded, match="has 6 tokens, the limit is 5"):
        check_tokens(6, Limits(tokens=5))


def test_statements_are_counted() -> None:
    """As many as the limit says pass."""
    analyzer = Analyzer(limits=Limits(statements=2))
    assert len(analyzer.analyze(b"SELECT 1; SELECT 2", None, SessionState()).facts.statements) == 2
    with pytest.raises(LimitExceeded, match="more than 2 statements"):
        analyzer.analyze(b"SELECT 1; SELECT 2; SELECT 3", None, SessionState())


def test_work_is_the_messages_whatever_it_is_spent_on() -> None:
    """What the catalog brings costs the same message; once all is used up, it is said to be spent."""
    budget = Budget(Limits(work=EXPANSION + 10))
    inner = budget.inner()
    inner.charge(10)
    assert not budget.spent
    with pytest.raises(LimitExceeded, match="units of work"):
        inner.charge(1)
    assert budget.spent
    assert inner.spent


def test_depth_columns_and_ctes_are_counted() -> None:
    """As many as the limit says pass; levels that are left are given back; an inner depth is its own."""
    budget = Budget(Limits(depth=2, columns=3, ctes=4))
    budget.enter()
    budget.enter()
    budget.leave()
    budget.enter()
    with pytest.raises(LimitExceeded, match="deeper than 2 levels"):
        budget.enter()
    budget.inner(depth=5).enter(5)
    with pytest.raises(LimitExceeded, match="deeper than 5 levels"):
        budget.inner(depth=5).enter(6)
    budget.columns(3)
    with pytest.raises(LimitExceeded, match="more than 3 columns"):
        budget.columns(4)
    budget.add_ctes(2)
    budget.add_ctes(2)
    with pytest.raises(LimitExceeded, match="more than 4 common table expressions"):
        budget.add_ctes(1)


@pytest.mark.parametrize(
    "nested",
    [
        lambda levels: "a" + " + 1" * (levels - 1),
        lambda levels: "lower(" * (levels - 1) + "a" + ")" * (levels - 1),
        lambda levels: "(" * (levels - 1) + "a" + " IS NULL)" * (levels - 1),
    ],
    ids=["operators", "calls", "tests"],
)
def test_expressions_are_compared_as_deep_as_the_limit_says(nested: Callable[[int], str]) -> None:
    """One level deeper nothing is known of them; a form that has been made gives its levels back."""
    forms = Canonical(lambda _: None)

    def node(levels: int) -> Node:
        found: Node = parse(f"SELECT {nested(levels)}")[0]["stmt"]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]
        return found

    assert forms.form(node(MAX_DEPTH)) is not None
    assert forms.form(node(MAX_DEPTH + 1)) is None
    assert forms.form(node(MAX_DEPTH)) is not None


def test_a_text_inside_another_is_looked_at_before_it_is_parsed() -> None:
    """Runs of operators and comments in a body are as bounded as those of a message."""
    limits = Limits()
    with pytest.raises(LimitExceeded, match="nest deeper"):
        parse("SELECT 1 " + "/*" * (limits.comment_depth + 1) + "*/" * (limits.comment_depth + 1))
    with pytest.raises(LimitExceeded, match="operator characters"):
        parse("SELECT 1 " + "+-" * limits.operator_run + " 1")
