"""Engines' outputs are taken only if they are exactly what main.rego promises."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from decision.model.decision import MaskMethod, PolicyEffect
from decision.model.errors import PolicyUndefined
from decision.policy.evaluation import decode_evaluation

ALLOW = {"effect": "allow", "rule": "a.ok", "message": "m", "severity": "low", "controls": ["NIST:AC-3"]}
DENY = ALLOW | {"effect": "deny"}
HOLD = {"rule": "b.wait", "message": "m", "severity": "low", "controls": [], "approvers": ["dba"], "quorum": 2,
        "expires_s": 60, "wait_s": 0, "auto": ""}  # fmt: skip


def output(**changes: Any) -> bytes:
    plain: dict[str, Any] = {
        "effect": "allow", "results": [ALLOW], "masks": [], "limits": {}, "advice": [], "holds": []
    }  # fmt: skip
    return orjson.dumps(plain | changes)


def test_a_whole_output_becomes_an_evaluation() -> None:
    """Every field arrives, with the revision."""
    masks = [
        {"rule": "m", "tag": "pii", "method": "full", "except_tags": ["pii.b", "pii.a"]},
        {"rule": "m", "schema": "s", "table": "t", "column": "c", "method": "email"},
    ]
    limits = {"rows": 5.0, "bytes": 7, "timeout_ms": 9, "read_only": True}
    found = decode_evaluation(output(masks=masks, limits=limits, advice=["b", "a"]), "rev")
    assert found.effect is PolicyEffect.ALLOW
    assert [mask.method for mask in found.masks] == [MaskMethod.EMAIL, MaskMethod.FULL]
    assert found.masks[1].except_tags == ("pii.a", "pii.b")
    assert (found.limits.rows, found.limits.bytes, found.limits.timeout_ms, found.limits.read_only) == (5, 7, 9, True)
    assert (found.advice, found.policy_revision) == (("a", "b"), "rev")


def test_a_hold_carries_its_terms() -> None:
    """And a denial none, though a policy wished for one."""
    held = [ALLOW, ALLOW | {"effect": "hold", "rule": "b.wait"}]
    found = decode_evaluation(output(effect="hold", results=held, holds=[HOLD]), "r")
    assert (found.holds[0].approvers, found.holds[0].quorum) == (("dba",), 2)
    assert decode_evaluation(output(effect="deny", results=[DENY], holds=[HOLD]), "r").holds == ()


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"{}", b"null", b'"<undefined>"', b"[]", b"\xff",
        output(effect="maybe"), output(effect=None), output(extra=1), output(results={}),
        output(results=[]), output(effect="hold", holds=[]), output(effect="deny"),
        output(effect="hold", holds=[HOLD]), output(effect="hold", results=[DENY | {"effect": "hold"}], holds=[HOLD]),
        output(results=[ALLOW | {"severity": "fatal"}]), output(results=[ALLOW | {"rule": ""}]),
        output(results=[ALLOW | {"rule": 5}]), output(results=[ALLOW | {"more": 1}]), output(results=["x"]),
        output(masks=[{"rule": "m", "tag": "pii", "method": "blur"}]), output(masks=[{"rule": "m", "method": "full"}]),
        output(masks=[{"rule": "m", "tag": "pii", "method": "full", "column": "c"}]), output(masks=[5]),
        output(limits={"rows": -1}), output(limits={"rows": "5"}), output(limits={"rows": 1.5}),
        output(limits={"rows": True}), output(limits={"cpu": 5}), output(limits={"read_only": 1}), output(limits=[]),
        output(advice=[5]), output(advice="x"),
        output(effect="hold", holds=[HOLD | {"approvers": []}]), output(effect="hold", holds=[HOLD | {"quorum": 0}]),
        output(effect="hold", holds=[HOLD | {"auto": None}]), output(effect="hold", holds=[HOLD | {"more": 1}]),
    ],
)  # fmt: skip
def test_anything_else_is_undefined(broken: bytes) -> None:
    """Undefined denies; an obligation that nobody knows is never dropped."""
    with pytest.raises(PolicyUndefined):
        decode_evaluation(broken, "r")
