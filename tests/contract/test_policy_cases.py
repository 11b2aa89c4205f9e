"""The conformance suite: what every engine must say to tests/cases/policy, in exactly the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from decision.clock import SystemClock
from decision.model.decision import Evaluation, PolicyEffect
from decision.model.policy import Phase
from decision.model.ports import PolicyEngine
from decision.policy.bundle import load_bundle
from decision.policy.embedded import EmbeddedEngine
from decision.policy.opa import OpaEngine
from decision.policy.reload import BundleReloader
from tests.support.opa import opa_server
from tests.support.policy import CASES, REGO, changed, document

ALL: list[dict[str, Any]] = [case for path in sorted(CASES.glob("*.yaml")) for case in yaml.safe_load(path.read_text())]


CATEGORIES = {
    "server files", "server programs", "session kill", "settings", "replication slots", "large objects", "dblink",
    "extension load", "privilege changes", "lock bombs", "unbounded reads", "inference", "several statements",
    "dynamic SQL",
}  # fmt: skip


def input_of(case: dict[str, Any]) -> bytes:
    made = document(
        case.get("sql"),
        case["principal"],
        case["environment"],
        phase=Phase(case.get("phase", "statement")),
        approved=tuple(case.get("approved", ())),
    )
    return changed(made, case.get("change", {}))


def said(evaluation: Evaluation, want: dict[str, Any]) -> dict[str, Any]:
    """What of the evaluation the case speaks of."""
    rules = sorted({result.rule for result in evaluation.results if result.effect is not PolicyEffect.ALLOW})
    found: dict[str, Any] = {"effect": evaluation.effect.value}
    if rules:
        found["rules"] = rules
    if evaluation.limits.rows is not None:
        found["rows"] = evaluation.limits.rows
    if evaluation.holds:
        found["holds"] = [terms.rule for terms in evaluation.holds]
    if "masks" in want:
        weakest_first = sorted(evaluation.masks, key=lambda mask: mask.method.strength)
        found["masks"] = {mask.tag: mask.method.value for mask in weakest_first}
    return found


@pytest.fixture(scope="module")
def opa_url(opa_binary: Path) -> Any:
    with opa_server(opa_binary) as server:
        yield server.url


@pytest_asyncio.fixture(params=["embedded", pytest.param("opa", marks=pytest.mark.opa)])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[PolicyEngine]:
    clock = SystemClock()
    made: EmbeddedEngine | OpaEngine
    if request.param == "embedded":
        made = EmbeddedEngine(clock)
    else:
        made = OpaEngine(request.getfixturevalue("opa_url"), clock, timeout_s=10)
    await BundleReloader(REGO, made).load()
    yield made
    await made.close()


def test_notes_are_unique() -> None:
    """A failing case is found by its note."""
    notes = [case["note"] for case in ALL]
    assert len(notes) > 300
    assert sorted(notes) == sorted(set(notes))


def test_every_category_of_evasions_has_refusals_and_innocent_twins() -> None:
    """As many of the one as of the other; a twin's only rule may be the approval that every schema change needs."""
    evasions = yaml.safe_load((CASES / "evasions.yaml").read_text())
    assert {case["category"] for case in evasions} == CATEGORIES
    for category in CATEGORIES:
        mine = [case for case in evasions if case["category"] == category]
        refused = [case["want"]["effect"] for case in mine if case["evasion"]]
        assert len(refused) >= 2
        assert "deny" in refused and "allow" not in refused
        twins = [case["want"] for case in mine if not case["evasion"]]
        assert len(twins) == len(refused)
        assert all(twin.get("rules", ["approvals.schema_change"]) == ["approvals.schema_change"] for twin in twins)


@pytest.mark.parametrize("topic", sorted(path.stem for path in CASES.glob("*.yaml")))
async def test_engine_decides_every_case_as_wanted(engine: PolicyEngine, topic: str) -> None:
    """Effect, rules that speak, holds, masks and row limit are those of the case; the revision is the bundle's."""
    revision = load_bundle(REGO).revision
    wrong = []
    for case in yaml.safe_load((CASES / f"{topic}.yaml").read_text()):
        evaluation = await engine.evaluate(input_of(case))
        found = said(evaluation, case["want"])
        if found != case["want"] or evaluation.policy_revision != revision:
            wrong.append((case["note"], case["want"], found))
    assert wrong == []


async def test_every_message_names_a_way_out(engine: PolicyEngine) -> None:
    """What a denied person reads says what is refused and what to do."""
    for case in ALL:
        if case["want"]["effect"] == "allow":
            continue
        evaluation = await engine.evaluate(input_of(case))
        for result in evaluation.results:
            if result.effect is not PolicyEffect.ALLOW:
                assert result.controls, result
                assert ";" in result.message or " need" in result.message, result
                assert not result.message.endswith("."), result
