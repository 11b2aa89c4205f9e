"""Denials that no policy spoke: what can't be understood, identified, evaluated or carried. Pure.

Each error of the tree becomes a rule of the package `airlock`, so that denials by policy and by construction are found
in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass

from decision.model.decision import Evaluation, PolicyEffect, RuleResult
from decision.model.errors import AirlockError, AnalysisError, IdentityError, PolicyError, SyntaxRefused
from decision.model.errors import LimitExceeded as _LimitExceeded
from decision.model.facts import Facts

# NIST SP 800-53 AC-3 access enforcement, AC-4 information flow, IA-2 identification, SI-10 input validation,
# SC-5 denial of service, SI-17 fail-safe procedures.
_CONTROLS: tuple[tuple[type[AirlockError], tuple[str, ...]], ...] = (
    (_LimitExceeded, ("NIST:SC-5", "NIST:SI-17")),
    (AnalysisError, ("NIST:SI-10", "NIST:SI-17")),
    (IdentityError, ("NIST:IA-2", "NIST:SI-17")),
    (PolicyError, ("NIST:AC-3", "NIST:SI-17")),
)

INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class BuiltinDenial:
    """Why something was denied without policy: `code` is stable, `message` and `hint` are for the person."""

    code: str
    message: str
    hint: str = ""
    severity: str = "medium"
    controls: tuple[str, ...] = ("NIST:SI-17",)
    sqlstate: str = "42501"
    cursor: int = 0

    @property
    def result(self) -> RuleResult:
        return RuleResult(f"airlock.{self.code}", PolicyEffect.DENY, self.message, self.severity, self.controls)

    def evaluation(self, policy_revision: str) -> Evaluation:
        return Evaluation(PolicyEffect.DENY, (self.result,), policy_revision=policy_revision)


FUNCTION_CALL = BuiltinDenial(
    "function_call",
    "the function call protocol bypasses SQL and is not supported",
    "call the function by a SELECT statement",
    "high",
)
CATALOG_UNKNOWN = BuiltinDenial(
    "catalog_unknown",
    "the database's catalog has not been read yet, so the statement can't be resolved",
    "try again in a moment; if it stays, see the enforcement point's log",
)
SESSION_EXPIRED = BuiltinDenial(
    "session_expired",
    "your credential has expired and with it this session",
    "get a new token and connect again",
    controls=("NIST:IA-2", "NIST:AC-12"),
)
REPLICATION = BuiltinDenial(
    "replication",
    "replication connections bypass SQL policy and are not supported",
    "replicate from the database directly, with an account made for it",
    "high",
)
INTERNAL = BuiltinDenial(
    INTERNAL_ERROR,
    "the statement could not be decided because of an internal error",
    "report it with the decision's id; the service's log names the place",
    "high",
)


def from_error(error: AirlockError) -> BuiltinDenial:
    """The denial that an error of the tree becomes."""
    controls = next((found for kind, found in _CONTROLS if isinstance(error, kind)), ("NIST:SI-17",))
    syntax = isinstance(error, SyntaxRefused)
    return BuiltinDenial(
        error.code,
        error.message,
        error.hint,
        "low" if syntax else "medium",
        controls,
        "42601" if syntax else "42501",
        error.cursor if isinstance(error, SyntaxRefused) else 0,
    )


_SEVERITIES = {"critical": 0, "high": 1, "medium": 2, "low": 3}


def speaking_results(evaluation: Evaluation) -> tuple[RuleResult, ...]:
    """The results in the order a person should read them: those with the decision's effect first, worst first."""
    return tuple(
        sorted(
            evaluation.results,
            key=lambda r: (r.effect is not evaluation.effect, _SEVERITIES.get(r.severity, 9), r.rule),
        )
    )


def message_for(evaluation: Evaluation, results: tuple[RuleResult, ...]) -> str:
    """One sentence that names the rule. Empty for allow."""
    if evaluation.effect is PolicyEffect.ALLOW:
        return ""
    speaking = [result for result in results if result.effect is evaluation.effect]
    if not speaking:
        return "denied: no policy allows this statement"
    first = speaking[0]
    verb = "denied" if evaluation.effect is PolicyEffect.DENY else "held"
    more = f" (and {len(speaking) - 1} more)" if len(speaking) > 1 else ""
    return f"{verb} by {first.rule}: {first.message}{more}"


NOT_UNDERSTOOD = "airlock.not_understood"

_MISSING = (
    ("no relation of this name", "42P01"),
    ("no such relation here", "42P01"),
    ("no such column", "42703"),
)


def missing_name(results: tuple[RuleResult, ...], facts: Facts) -> tuple[str, str] | None:
    """What PostgreSQL itself would complain of: SQLSTATE and a message, where a statement is denied for nothing but
    names that don't exist. Tools look for these states; a typing error should read like one."""
    denying = {result.rule for result in results if result.effect is PolicyEffect.DENY}
    if denying != {NOT_UNDERSTOOD}:
        return None
    found: tuple[str, str] | None = None
    for statement in facts.statements:
        for one in statement.unresolved:
            state = next((state for why, state in _MISSING if one.why.startswith(why)), None)
            if state is None:
                return None
            found = found or (state, f'denied by {NOT_UNDERSTOOD}: "{one.what}": {one.why}')
    return found
