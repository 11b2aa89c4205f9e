"""What an answer is made of before it is given to anybody: everything that follows from the facts and the evaluation
alone. Pure.

Two messages with the same facts under the same evaluation differ in their ids, digests and values only, so the rest is
worked out once. An evaluation that the engine shares is one object: it is compared by identity and kept alive here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from decision.analysis import Analysis
from decision.denials import NOT_UNDERSTOOD, Missing, hint_for, message_for, missing_name, speaking_results
from decision.model.decision import Evaluation, PolicyEffect, RuleResult, StatementObligations
from decision.model.events import MaskedColumn
from decision.model.facts import Access, Facts, Kind, Statement
from decision.obligations import TEMPORARY, TagIndex, resolve

_CATALOG_CHANGING = frozenset({Kind.DDL, Kind.DCL, Kind.DO, Kind.CALL})


@dataclass(frozen=True, slots=True)
class Template:
    """The fields of Decision that bear these names; `message` (as recorded) and `masked` are the event's. `missing`:
    the name that is complained of instead, to who asked. `written` is for the judge: what of the event follows from
    this and the kind of message, encoded."""

    results: tuple[RuleResult, ...]
    message: str
    sqlstate: str
    hint: str
    statements: tuple[StatementObligations, ...]
    catalog_changing: bool
    catalog_shared: bool
    tracks: tuple[str, ...]
    masked: tuple[MaskedColumn, ...]
    missing: Missing | None = None
    written: dict[str, tuple[bytes, bytes]] = field(default_factory=dict, compare=False, repr=False)


def template(facts: Facts, index: TagIndex, evaluation: Evaluation) -> Template:
    results = speaking_results(evaluation)
    missing, message, hint = missing_name(results, facts), message_for(evaluation, results), ""
    if missing is not None:
        message = f"denied by {NOT_UNDERSTOOD}: {missing.message}"
    if evaluation.effect is PolicyEffect.DENY:
        hint = hint_for(missing, facts)
    elif evaluation.effect is PolicyEffect.HOLD:
        hint = " ".join(evaluation.advice)
    obligations: tuple[StatementObligations, ...] = ()
    if evaluation.effect is PolicyEffect.ALLOW:
        obligations = resolve(facts, index, evaluation.masks)
    kinds = {kind for statement in facts.statements for kind in statement.kinds}
    return Template(
        results=results,
        message=message,
        sqlstate="42501" if missing is None else missing.sqlstate,
        hint=hint,
        statements=obligations,
        catalog_changing=bool(kinds & _CATALOG_CHANGING),
        catalog_shared=any(map(changes_for_all, facts.statements)),
        tracks=tuple("+".join(kind.value for kind in statement.kinds) for statement in facts.statements),
        masked=masked_columns(facts, obligations),
        missing=missing,
    )


def changes_for_all(statement: Statement) -> bool:
    """Whether it may change the catalog for other sessions: all but a change of temporary relations alone."""
    kinds = _CATALOG_CHANGING.intersection(statement.kinds)
    if kinds != {Kind.DDL}:
        return bool(kinds)
    changed = [relation for relation in statement.relations if Access.DDL in relation.access]
    return not changed or any(relation.schema != TEMPORARY for relation in changed)


def masked_columns(facts: Facts, obligations: tuple[StatementObligations, ...]) -> tuple[MaskedColumn, ...]:
    """The masks by the columns' names, for the audit."""
    masked: list[MaskedColumn] = []
    for obligation in obligations:
        names = {output.ordinal: output.name for output in facts.statements[obligation.index].output}
        for mask in obligation.masks:
            masked.append(
                MaskedColumn(obligation.index, mask.ordinal, names.get(mask.ordinal, ""), mask.method.value, mask.rule)
            )
    return tuple(masked)


class TemplateCache:
    """Templates by what they follow from: the facts' document (which names its catalog version) and the evaluation."""

    def __init__(self, entries: int = 2_048, max_document_bytes: int = 16_384) -> None:
        self._entries = entries
        self._max_document_bytes = max_document_bytes
        self._held: dict[tuple[bytes, int], tuple[Evaluation, Template]] = {}

    def of(self, analysis: Analysis, index: TagIndex, evaluation: Evaluation) -> Template:
        """`template`, remembered."""
        key = (analysis.document, id(evaluation))
        found = self._held.get(key)
        if found is not None and found[0] is evaluation:
            return found[1]
        made = template(analysis.facts, index, evaluation)
        if len(analysis.document) <= self._max_document_bytes:
            if len(self._held) >= self._entries:
                del self._held[next(iter(self._held))]
            self._held[key] = (evaluation, made)
        return made
