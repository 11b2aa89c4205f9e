"""What policy answers: the effects of single rules, obligations, and the combined decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from decision.model.record import record


class PolicyEffect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    HOLD = "hold"


class MaskMethod(StrEnum):
    """How a value is masked, weakest to strongest as `strength` orders them."""

    EMAIL = "email"
    LAST_FOUR = "last_four"
    PARTIAL = "partial"
    HASH = "hash"
    FULL = "full"
    NULL = "null"

    @property
    def strength(self) -> int:
        return _STRENGTHS[self]


_STRENGTHS = {method: strength for strength, method in enumerate(MaskMethod)}


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule that spoke. `rule` is its id (`guardrails.drop_critical`), `controls` what it serves (`SOC2:CC6.1`)."""

    rule: str
    effect: PolicyEffect
    message: str
    severity: str = "medium"  # low medium high critical
    controls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldTerms:
    """What a hold asks for: who may approve (groups), how many, how long a grant lasts, how long a client waits."""

    rule: str
    approvers: tuple[str, ...]
    quorum: int = 1
    expires_s: int = 3600
    wait_s: int = 0
    auto: str = ""


@dataclass(frozen=True, slots=True)
class OutputMask:
    """Mask output column `ordinal` (1-based) of the statement.

    `covers_null`: NULL too leaves as what a value leaves as. What is computed of a masked value may be NULL or not by
    that value (`nullif(left(email, 1), 'a')`); whether the column itself is NULL is no secret.
    """

    ordinal: int
    method: MaskMethod
    rule: str
    covers_null: bool = False


@dataclass(frozen=True, slots=True)
class ColumnGuard:
    """A base column that must not leave in clear: if RowDescription names (table_oid, number), mask it."""

    table_oid: int
    number: int
    method: MaskMethod


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one execution; None where none applies."""

    rows: int | None = None
    bytes: int | None = None
    timeout_ms: int | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class StatementObligations:
    """What the enforcement point must fulfil for the statement at `index` of the message, or deny.

    `output_count` is the number of columns analysis expects; RowDescription with another number denies (None: the
    statement returns no rows by analysis, or its shape needs no check because nothing is masked).
    `guards` cover every masked column of every relation that the statement touches; `tables` are all the OIDs of those
    relations: with anything masked, a RowDescription naming another table denies, unless `other_tables` (the statement
    reads tables that no snapshot holds, such as temporary ones: lineage alone guards those). `scan_text`: opaque text
    output must be scanned or closed.
    """

    index: int
    output_count: int | None = None
    masks: tuple[OutputMask, ...] = ()
    guards: tuple[ColumnGuard, ...] = ()
    tables: tuple[int, ...] = ()
    scan_text: tuple[int, ...] = ()
    other_tables: bool = False


@record
class Decision:
    """The combined answer to one message.

    `effect`: deny beats hold beats allow, no allow means deny. `message` and `hint` are for the person; `results` has
    every rule that spoke, strongest first. `holds` are unmet hold terms, `approval_id` the request they made.
    `tracks` and `catalog_changing` tell the enforcement point what it must know to track and report; `catalog_shared`:
    what changes is seen by other sessions, too.
    """

    decision_id: str
    effect: PolicyEffect
    message: str = ""
    hint: str = ""
    results: tuple[RuleResult, ...] = ()
    statements: tuple[StatementObligations, ...] = ()
    limits: Limits = Limits()
    advice: tuple[str, ...] = ()
    holds: tuple[HoldTerms, ...] = ()
    approval_id: str = ""
    policy_revision: str = ""
    catalog_changing: bool = False
    tracks: tuple[str, ...] = ()  # normalized command kinds per statement, for logs and metrics
    sqlstate: str = "42501"  # what a denial is answered with; 42601 where the text does not parse
    cursor: int = 0  # 1-based character position of a syntax error, 0 for none
    wait_s: int = 0  # how long a client may be kept waiting for the hold's approval
    catalog_shared: bool = False

    @property
    def allowed(self) -> bool:
        return self.effect is PolicyEffect.ALLOW


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a policy engine returns for one input, before obligations are resolved to columns of the output.

    `masks` name a tag (`pii.email`) or a column and the method; combination has already been done by main.rego.
    """

    effect: PolicyEffect
    results: tuple[RuleResult, ...] = ()
    masks: tuple[MaskRule, ...] = ()
    limits: Limits = Limits()
    advice: tuple[str, ...] = ()
    holds: tuple[HoldTerms, ...] = ()
    policy_revision: str = ""


@dataclass(frozen=True, slots=True)
class MaskRule:
    """A policy's wish to mask: either every column with `tag`, or one column (`schema`, `table`, `column`).

    `except_tags`: more special tags below `tag` which have a rule of their own, so that this one is not for them.
    """

    rule: str
    method: MaskMethod
    tag: str = ""
    schema: str = ""
    table: str = ""
    column: str = ""
    except_tags: tuple[str, ...] = ()
