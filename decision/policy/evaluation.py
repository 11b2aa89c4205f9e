"""From an engine's output to an Evaluation. Pure.

The output is taken only if it is exactly what main.rego promises: any field more or less, any unknown effect, method
or obligation raises PolicyUndefined, which denies. An obligation that nobody knows is never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import orjson

from decision.model.decision import (
    Evaluation,
    HoldTerms,
    Limits,
    MaskMethod,
    MaskRule,
    PolicyEffect,
    RuleResult,
)
from decision.model.errors import PolicyUndefined

UNDEFINED = "<undefined>"

_SEVERITIES = {"critical": 0, "high": 1, "medium": 2, "low": 3}
_EFFECTS = {PolicyEffect.DENY: 0, PolicyEffect.HOLD: 1, PolicyEffect.ALLOW: 2}
_FIELDS = {"effect", "results", "masks", "limits", "advice", "holds"}
_RESULT = {"effect", "rule", "message", "severity", "controls"}
_HOLD = {"rule", "message", "severity", "controls", "approvers", "quorum", "expires_s", "wait_s", "auto"}
_LIMITS = {"rows", "bytes", "timeout_ms", "read_only"}
_TAG_MASK = {"rule", "method", "tag"}
_COLUMN_MASK = {"rule", "method", "schema", "table", "column"}


def decode_evaluation(output: bytes | str, revision: str) -> Evaluation:
    """The Evaluation in the engine's JSON `output`. Raises PolicyUndefined."""
    try:
        document: object = orjson.loads(output)
    except orjson.JSONDecodeError:
        raise PolicyUndefined("the policy's output is no JSON") from None
    return evaluation_of(document, revision)


def evaluation_of(document: object, revision: str) -> Evaluation:
    """The Evaluation in an engine's decoded output. Raises PolicyUndefined."""
    if document is None or document == UNDEFINED:
        raise PolicyUndefined("the policy gives no decision for this input", hint="airlock.decision is undefined")
    fields = _object(document, "decision", _FIELDS)
    effect = _effect(fields["effect"])
    results = sorted(
        {_result(entry) for entry in _array(fields["results"], "results")},
        key=lambda r: (_EFFECTS[r.effect], _SEVERITIES[r.severity], r.rule, r.message, r.controls),
    )
    masks = sorted({_mask(entry) for entry in _array(fields["masks"], "masks")}, key=_mask_order)
    holds = sorted({_hold(entry) for entry in _array(fields["holds"], "holds")}, key=lambda h: (h.rule, repr(h)))
    if effect is PolicyEffect.HOLD and not holds:
        raise PolicyUndefined("the policy holds without saying for whose approval")
    if effect is not PolicyEffect.ALLOW and not any(result.effect is effect for result in results):
        raise PolicyUndefined("the policy denies or holds without saying why")
    if effect is not PolicyEffect.DENY and not any(result.effect is PolicyEffect.ALLOW for result in results):
        raise PolicyUndefined("the policy allows or holds, but no rule allows")
    return Evaluation(
        effect=effect,
        results=tuple(results),
        masks=tuple(masks),
        limits=_limits(fields["limits"]),
        advice=tuple(sorted(_texts(fields["advice"], "advice"))),
        holds=tuple(holds) if effect is PolicyEffect.HOLD else (),
        policy_revision=revision,
    )


def _object(value: object, what: str, exact: set[str]) -> Mapping[str, object]:
    if not isinstance(value, dict) or value.keys() != exact:
        raise PolicyUndefined(f"the policy's output: {what} must have exactly {', '.join(sorted(exact))}")
    return cast(Mapping[str, object], value)


def _array(value: object, what: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise PolicyUndefined(f"the policy's output: {what} must be a list")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise PolicyUndefined(f"the policy's output: {what} must be a text")
    return value


def _texts(value: object, what: str) -> Iterable[str]:
    return (_text(entry, what) for entry in _array(value, what))


def _whole(value: object, what: str, least: int) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value < 1 << 62:
        raise PolicyUndefined(f"the policy's output: {what} must be a whole number from {least}")
    return value


def _effect(value: object) -> PolicyEffect:
    try:
        return PolicyEffect(_text(value, "effect"))
    except ValueError:
        raise PolicyUndefined("the policy's output: unknown effect") from None


def _method(value: object) -> MaskMethod:
    try:
        return MaskMethod(_text(value, "method"))
    except ValueError:
        raise PolicyUndefined("the policy's output: unknown mask method") from None


def _severity(value: object) -> str:
    severity = _text(value, "severity")
    if severity not in _SEVERITIES:
        raise PolicyUndefined("the policy's output: severity must be low, medium, high or critical")
    return severity


def _result(value: object) -> RuleResult:
    fields = _object(value, "a result", _RESULT)
    return RuleResult(
        rule=_text(fields["rule"], "rule"),
        effect=_effect(fields["effect"]),
        message=_text(fields["message"], "message"),
        severity=_severity(fields["severity"]),
        controls=tuple(_texts(fields["controls"], "controls")),
    )


def _hold(value: object) -> HoldTerms:
    fields = _object(value, "a hold", _HOLD)
    approvers = tuple(_texts(fields["approvers"], "approvers"))
    auto = fields["auto"]
    if not approvers:
        raise PolicyUndefined("the policy's output: a hold that nobody can approve")
    if not isinstance(auto, str):
        raise PolicyUndefined("the policy's output: auto must be a text")
    return HoldTerms(
        rule=_text(fields["rule"], "rule"),
        approvers=approvers,
        quorum=_whole(fields["quorum"], "quorum", 1),
        expires_s=_whole(fields["expires_s"], "expires_s", 1),
        wait_s=_whole(fields["wait_s"], "wait_s", 0),
        auto=auto,
    )


def _mask(value: object) -> MaskRule:
    keys = set(value) if isinstance(value, dict) else set()
    if "tag" in keys:
        fields = _object(value, "a mask", _TAG_MASK | (keys & {"except_tags"}))
        return MaskRule(
            rule=_text(fields["rule"], "rule"),
            method=_method(fields["method"]),
            tag=_text(fields["tag"], "tag"),
            except_tags=tuple(sorted(_texts(fields.get("except_tags", []), "except_tags"))),
        )
    fields = _object(value, "a mask", _COLUMN_MASK)
    return MaskRule(
        rule=_text(fields["rule"], "rule"),
        method=_method(fields["method"]),
        schema=_text(fields["schema"], "schema"),
        table=_text(fields["table"], "table"),
        column=_text(fields["column"], "column"),
    )


def _mask_order(mask: MaskRule) -> tuple[str, ...]:
    return (mask.tag, mask.schema, mask.table, mask.column, mask.method.value, mask.rule, *mask.except_tags)


def _limits(value: object) -> Limits:
    keys = set(value) if isinstance(value, dict) else set()
    fields = _object(value, "limits", keys & _LIMITS)
    if not isinstance(fields.get("read_only", False), bool):
        raise PolicyUndefined("the policy's output: read_only must be true or false")

    def bound(name: str) -> int | None:
        return _whole(fields[name], name, 0) if name in fields else None

    return Limits(bound("rows"), bound("bytes"), bound("timeout_ms"), bool(fields.get("read_only", False)))
