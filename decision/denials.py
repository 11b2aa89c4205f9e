"""Denials that no policy spoke: what can't be understood, identified, evaluated or carried. Pure.

Each error of the tree becomes a rule of the package `airlock`, so that denials by policy and by construction are found
in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass

from decision.analysis.postgres.locate import position
from decision.model.decision import Evaluation, PolicyEffect, RuleResult
from decision.model.errors import AirlockError, AnalysisError, IdentityError, PolicyError, SyntaxRefused
from decision.model.errors import LimitExceeded as _LimitExceeded
from decision.model.facts import Access, Effect, Facts, Statement

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
    shown: str = ""  # what who asked is told instead, and nobody else: it may quote their text

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
APPROVALS_AWAY = BuiltinDenial(
    "approvals_away",
    "approvals can't be confirmed while the event stream is away",
    "try again in a moment; statements that need no approval go on",
    controls=("NIST:AC-3", "NIST:SI-17"),
)
APPROVAL_UNCONFIRMED = BuiltinDenial(
    "approval_unconfirmed",
    "the use of the approval did not come back from the event stream in time, so the statement was not run; the"
    " approval is spent all the same",
    "run the statement again once the event stream is back, to ask for a new approval",
    controls=("NIST:AC-3", "NIST:SI-17"),
)
APPROVAL_USED = BuiltinDenial(
    "approval_used",
    "the approval was used elsewhere a moment before",
    "run the statement again to ask for a new approval",
    controls=("NIST:AC-3",),
)
APPROVAL_EXPIRED = BuiltinDenial(
    "approval_expired",
    "the approval expired before it could be used",
    "run the statement again to ask for a new approval",
    controls=("NIST:AC-3",),
)
OUTDATED = BuiltinDenial(
    "outdated",
    "the policy or the database's catalog changed while the approval's use was confirmed; the approval is spent all"
    " the same",
    "run the statement again to ask for a new approval",
    controls=("NIST:AC-3", "NIST:SI-17"),
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
        error.shown if isinstance(error, SyntaxRefused) else "",
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
    others = len({result.rule for result in speaking}) - 1
    more = f" (and {others} more)" if others else ""
    return f"{verb} by {first.rule}: {first.message}{more}"


NOT_UNDERSTOOD = "airlock.not_understood"


@dataclass(frozen=True, slots=True)
class Missing:
    """A name that does not exist, as PostgreSQL itself complains of it. `schema` and `name` are what to look for in the
    text, to say where it stands; `target`: among the columns that are written."""

    sqlstate: str
    message: str
    schema: str = ""
    name: str = ""
    column: bool = False
    target: bool = False


LOCATED_BYTES = 16 * 1024
# Follows from another complaint of the same statement.
_CONSEQUENCES = ("the output's columns are not known", "the columns of this value are not known")
_STALE = "what was made a moment ago by another session is known after some seconds"


def missing_name(results: tuple[RuleResult, ...], facts: Facts) -> Missing | None:
    """What PostgreSQL itself would complain of first, where a statement is denied for nothing but names that don't
    exist. Tools look for these states; a typing error should read like one."""
    denying = {result.rule for result in results if result.effect is PolicyEffect.DENY}
    if denying != {NOT_UNDERSTOOD}:
        return None
    found: Missing | None = None
    for statement in facts.statements:
        for one in statement.unresolved:
            if one.why.startswith(_CONSEQUENCES):
                continue
            complaint = _missing(one.what, one.why, statement)
            if complaint is None:
                return None
            if found is None or (found.column and not complaint.column):  # relations are looked up before columns
                found = complaint
    return found


def _missing(what: str, why: str, statement: Statement) -> Missing | None:
    if why.startswith("no relation of this name"):
        _, _, schema = why.partition(" in schema ")
        shown = f"{schema}.{what}" if schema else what
        return Missing("42P01", f'relation "{shown}" does not exist', schema, what)
    if why == "no such relation here":
        return Missing("42P01", f'missing FROM-clause entry for table "{what}"', name=what, column=True)
    if why == "no such column here":
        table, dot, _ = what.partition(".")
        if dot:
            return Missing("42P01", f'missing FROM-clause entry for table "{table}"', name=what, column=True)
        return Missing("42703", f'column "{what}" does not exist', name=what, column=True)
    if why == "no such column in the target":
        written = next((one.name for one in statement.relations if Access.WRITE in one.access), "")
        return Missing("42703", f'column "{what}" of relation "{written}" does not exist', "", what, True, True)
    if why.startswith("no cursor of this name"):
        return Missing("34000", "the cursor does not exist: none of this name was declared in this session")
    if why.startswith("no statement of this name"):
        return Missing("26000", "the prepared statement does not exist: none of this name was prepared in this session")
    return None


def place_of(complaint: Missing, text: bytes) -> int:
    """The 1-based character position that PostgreSQL would put its caret under; 0 where that can't be said."""
    if not complaint.name or len(text) > LOCATED_BYTES:
        return 0
    decoded = text.decode("utf-8", "replace")
    return position(decoded, complaint.schema, complaint.name, column=complaint.column, target=complaint.target)


def hint_for(complaint: Missing | None, facts: Facts) -> str:
    """What may be behind a denial that policy does not tell: a name that nothing in the database bears."""
    if complaint is not None:
        return _STALE if complaint.sqlstate == "42P01" and not complaint.column else ""
    unknown = {
        one.name
        for statement in facts.statements
        for one in statement.functions
        if one.name and not one.schema and Effect.OPAQUE in one.effects
    }
    if not unknown:
        return ""
    return f"the catalog of this database holds no function {', '.join(sorted(unknown))}; {_STALE}"
