"""main.rego against the reference of the combination, on generated voices."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import pytest
import regorus
from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.decision import Evaluation
from decision.model.errors import PolicyUndefined
from decision.policy.bundle import INDEX_PATH, load_bundle
from decision.policy.combine import combine
from decision.policy.embedded import evaluate_with
from decision.policy.evaluation import decode_evaluation, evaluation_of
from tests.support.policy import REGO

# The voices come with the members of the chain, instead of from policies.
STUB = """package airlock.index
voice := {effect: {entry | some entry in object.get(input.principal.voice, effect, [])} |
	some effect in ["allow", "deny", "hold", "mask", "limit", "advice"]
}
"""

_rule = st.sampled_from(["a.one", "a.two", "b.one"])
_said = {
    "message": st.sampled_from(["m", "n"]),
    "severity": st.sampled_from(["low", "medium", "high", "critical"]),
    "controls": st.sampled_from([[], ["NIST:AC-3"]]),
}
_deny = st.fixed_dictionaries({"rule": _rule, **_said})
_allow = st.fixed_dictionaries(
    {"rule": _rule, **_said}, optional={"statement": st.integers(0, 3), "incomplete": st.booleans()}
)
_hold = st.fixed_dictionaries(
    {
        "rule": _rule,
        **_said,
        "approvers": st.sampled_from([["dba"], ["dba", "owners"]]),
        "quorum": st.integers(1, 3),
        "expires_s": st.just(60),
        "wait_s": st.just(0),
        "auto": st.just(""),
    }
)
_method = st.sampled_from(["email", "last_four", "partial", "hash", "full", "null"])
_tag = st.sampled_from(["pii", "pii.email", "secret"])
_mask = st.one_of(
    st.fixed_dictionaries(
        {"rule": _rule, "method": _method, "tag": _tag}, optional={"except_tags": st.just(["pii.email"])}
    ),
    st.fixed_dictionaries(
        {"rule": _rule, "method": _method, "schema": st.just("s"), "table": st.just("t"),
         "column": st.sampled_from(["c", "d"])}
    ),
)  # fmt: skip
_limit = st.fixed_dictionaries(
    {"rule": _rule},
    optional={"rows": st.integers(0, 9), "bytes": st.integers(0, 9), "timeout_ms": st.integers(1, 9),
              "read_only": st.booleans()},
)  # fmt: skip


def _some(entries: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(entries, max_size=most)


_voice = st.fixed_dictionaries(
    {
        "allow": _some(_allow, 4),
        "deny": st.one_of(st.just([]), st.just([]), _some(_deny, 2)),
        "hold": st.one_of(st.just([]), _some(_hold, 2)),
        "mask": _some(_mask, 4),
        "limit": _some(_limit, 2),
        "advice": _some(st.sampled_from(["look", "listen"]), 2),
    }
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    voices = draw(st.lists(_voice, min_size=1, max_size=3))
    nested = draw(st.sampled_from([[], [], [], [{"kind": "human"}]]))
    behind = [{"voice": voice, "on_behalf_of": nested} for voice in voices[1:]]
    phase = draw(st.sampled_from(["statement", "statement", "statement", "session", "approval"]))
    approved = draw(st.lists(_rule, max_size=2))
    document: dict[str, Any] = {
        "phase": phase,
        "principal": {"voice": voices[0], "on_behalf_of": behind},
        "context": {"approval": {"rules": approved}} if approved else {},
    }
    if phase == "statement":
        count = draw(st.integers(0, 3))
        complete = draw(st.sampled_from([True, True, False]))
        statements = [{"unresolved": []} for _ in range(count)]
        document["statement"] = {"complete": complete, "statements": statements}
    return document, voices


@cache
def engine() -> regorus.Engine:
    """Kept to the end: it must end in the thread that it began in, and the test's garbage may be found in another."""
    made = regorus.Engine()
    (main,) = [source for path, source in load_bundle(REGO).modules if path == "airlock/main.rego"]
    made.add_policy("main.rego", main)
    made.add_policy(INDEX_PATH, STUB)
    return made


def _completed(reference: dict[str, Any], rego: Evaluation) -> Evaluation:
    """The reference names the default denial's rule only; its texts are main.rego's."""
    texts = {result.rule: result for result in rego.results}
    for result in reference["results"]:
        if "message" not in result:
            said = texts[result["rule"]]
            result.update(message=said.message, severity=said.severity, controls=list(said.controls))
    return evaluation_of(reference, "r")


@settings(max_examples=600, deadline=None)
@given(documents())
def test_main_rego_combines_as_the_reference_does(drawn: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    """Effect, results, masks, limits, advice and holds are equal."""
    document, voices = drawn
    output = evaluate_with(engine(), orjson.dumps(document))
    try:
        found = decode_evaluation(output, "r")
    except PolicyUndefined as error:
        pytest.fail(f"main.rego's output is refused: {error.message}")
    assert found == _completed(combine(document, voices), found)
