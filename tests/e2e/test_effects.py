"""The evasion cases through the real proxy against a real PostgreSQL: each to exactly the end that was written down.

`tests/cases/effects` says for each case of `tests/cases/postgres.jsonl` who sends it, the effect (`refused`: the
protocol forbids it, so that nobody is asked), one of the rules that must say so (`rules`), the server's SQLSTATE where
what is allowed ends in an error of its own (`server`), and `twin`: the harmless statement that looks like it and must
work for the same principal. `library_effects.jsonl` has more of the kind, with their own SQL, for each category of
the policy library.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.effects import CLEAR, Seen, load, perform

SQL = {case["id"]: case["sql"] for case in load("postgres.jsonl")}
EVASIONS = [{**case, "sql": SQL[case["id"]]} for case in load("effects/postgres_effects.jsonl")]
EFFECTS = [*EVASIONS, *load("effects/library_effects.jsonl")]


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    return perform(EFFECTS)


def test_every_case_has_an_effect_and_a_twin() -> None:
    """One, and no more."""
    assert sorted(case["id"] for case in EVASIONS) == sorted(SQL)
    assert all(case["twin"] for case in EFFECTS)


@pytest.mark.parametrize("case", EFFECTS, ids=lambda case: str(case["id"]))
def test_a_case_comes_to_its_end(seen: dict[str, Seen], case: dict[str, Any]) -> None:
    """The decision is the one written down, by the rule written down; refused, it leaves the database as it was."""
    found = seen[f"case-{case['id']}"]
    assert found.effect == case["effect"], (found.rules, found.text[:500])
    assert CLEAR.findall(found.text) == []
    if case["effect"] == "allow":
        assert found.states == [case["server"]] if "server" in case else found.states == [], found.text[:500]
        return
    assert found.unchanged
    assert found.states != []
    assert case["effect"] == "refused" or set(case["rules"]) & found.rules, found.rules


@pytest.mark.parametrize("case", EFFECTS, ids=lambda case: str(case["id"]))
def test_its_innocent_twin_works(seen: dict[str, Seen], case: dict[str, Any]) -> None:
    """For the same principal, without an error, and it changes nothing either."""
    found = seen[f"twin-{case['id']}"]
    assert (found.effect, found.states) == ("allow", []), (found.rules, found.text[:500])
    assert found.unchanged
    assert CLEAR.findall(found.text) == []
