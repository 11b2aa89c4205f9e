"""A decision to its rows: the answer, its rules, and what each statement does and touches. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.project.document import MessageFacts, StatementFacts, message_facts
from analytics.project.rows import (
    ColumnAccessRow,
    ColumnChangeRow,
    DecisionRow,
    DecisionRuleRow,
    MaskedColumnRow,
    Pairs,
    Row,
    StatementRow,
    TableAccessRow,
)
from analytics.project.who import who
from decision.model.decision import RuleResult
from decision.model.events import PinnedValue, StatementDecided

_SEVERITIES = ("low", "medium", "high", "critical")
_WRITTEN = "written"


def decided(time: int, event: StatementDecided) -> list[Row]:
    """Every row of a decision. Raises ProjectionError for a policy input that is not as the contract says."""
    facts = message_facts(event.input_json)
    speaking = [result for result in event.results if result.effect is event.effect]
    speaking.sort(key=lambda result: -_severity(result))
    rows: list[Row] = [_decision(time, event, facts, speaking)]
    for result in event.results:
        rows.append(
            DecisionRuleRow(
                time,
                event.decision_id,
                result.rule,
                result.effect.value,
                result.message,
                result.severity,
                result.controls,
            )
        )
    if facts is None or not facts.statements:
        rows.append(_not_understood(time, event, understood=facts is not None))
    else:
        for index, statement in enumerate(facts.statements):
            rows.extend(_statement(time, event.decision_id, index, statement))
    rows.extend(_masked(time, event, facts))
    rows.extend(changes(time, event.decision_id, event.pinned, facts))
    return rows


def _severity(result: RuleResult) -> int:
    return _SEVERITIES.index(result.severity) if result.severity in _SEVERITIES else -1


def _decision(
    time: int, event: StatementDecided, facts: MessageFacts | None, speaking: list[RuleResult]
) -> DecisionRow:
    limits, client = event.limits, event.client
    return DecisionRow(
        time, event.decision_id, event.session_id, *who(event.principal), event.database, event.environment,
        event.effect.value, tuple(dict.fromkeys(result.rule for result in speaking)),
        speaking[0].severity if speaking else "", event.message, event.statement_text,
        ("unknown",) if facts is None else facts.kinds, () if facts is None else facts.tables,
        tuple(masked.name for masked in event.masked), event.intent, event.ticket, event.policy_revision, event.engine,
        event.error_code, event.approval_id, event.message_kind, event.parse_decision_id,
        0 if facts is None else len(facts.statements), facts is not None and facts.complete,
        limits.rows, limits.bytes, limits.timeout_ms, limits.read_only,
        event.statement_digest.hex(), event.parameters_digest.hex(),
        "" if facts is None else facts.catalog_version, event.latency_ns / 1000,
        client.address, client.application, client.tls, event.enforcement_point,
    )  # fmt: skip


def _not_understood(time: int, event: StatementDecided, *, understood: bool) -> StatementRow:
    """The row of a message without facts, so that whatever anyone tried to run stands in `statements`."""
    return StatementRow(
        time, event.decision_id, 0, event.statement_text, "", () if understood else ("unknown",), (), (), (), (),
        (event.error_code,) if event.error_code else (), understood, None, None, (), None, 0,
    )  # fmt: skip


def _statement(time: int, decision_id: str, index: int, facts: StatementFacts) -> list[Row]:
    """A row's columns that follow from the facts are made once for a statement that is repeated."""
    head = (time, decision_id, index)
    statement, relations, columns = _parts(facts)
    rows: list[Row] = [StatementRow._make(head + statement)]
    for relation in relations:
        rows.append(TableAccessRow._make(head + relation))
    for column in columns:
        rows.append(ColumnAccessRow._make(head + column))
    return rows


Part = tuple[object, ...]
Parts = tuple[Part, tuple[Part, ...], tuple[Part, ...]]
_PARTS: dict[int, tuple[StatementFacts, Parts]] = {}
_MOST = 1024


def _parts(facts: StatementFacts) -> Parts:
    """The columns after `statement_index` of the statement's row, of its relations' and of its columns', by object."""
    found = _PARTS.get(id(facts))
    if found is None or found[0] is not facts:
        if len(_PARTS) >= _MOST:
            _PARTS.clear()
        statement = (
            facts.text, facts.fingerprint, facts.kinds, facts.operations, facts.tables, facts.functions, facts.flags,
            facts.unresolved, facts.complete, facts.has_where, facts.always_true, facts.pinned, facts.row_limit,
            facts.parameters,
        )  # fmt: skip
        relations = tuple(
            (r.schema, r.name, r.kind, access, r.via, r.tags) for r in facts.relations for access in r.access
        )
        columns = tuple((c.schema, c.table, c.column, usage, c.tags) for c in facts.columns for usage in c.usage)
        found = _PARTS[id(facts)] = (facts, (statement, relations, columns))
    return found[1]


def _masked(time: int, event: StatementDecided, facts: MessageFacts | None) -> list[Row]:
    rows: list[Row] = []
    for masked in event.masked:
        output = None
        if facts is not None and masked.statement_index < len(facts.statements):
            output = facts.statements[masked.statement_index].output.get(masked.ordinal)
        rows.append(
            MaskedColumnRow(
                time,
                event.decision_id,
                masked.statement_index,
                masked.ordinal,
                masked.name,
                masked.method,
                masked.rule,
                () if output is None else output.sources,
                () if output is None else output.tags,
            )
        )
    return rows


def writes(pinned: Sequence[PinnedValue], facts: MessageFacts | None) -> bool:
    """Whether `changes` has rows to make."""
    return (facts is not None and facts.writes) or any(value.role == _WRITTEN for value in pinned)


def changes(time: int, decision_id: str, pinned: Sequence[PinnedValue], facts: MessageFacts | None) -> list[Row]:
    """One row for each written column and each value that is known for it."""
    if not writes(pinned, facts):
        return []
    keys: dict[tuple[int, str, str], list[tuple[str, str]]] = {}
    macs: dict[tuple[int, str, str, str], dict[str, None]] = {}
    for value in pinned:
        if value.role == _WRITTEN:
            found = macs.setdefault(_place(value), {})
            if value.mac:
                found[value.mac.hex()] = None
        else:
            keys.setdefault(_place(value)[:3], []).append((value.column, value.mac.hex()))
    tags: dict[tuple[int, str, str, str], tuple[str, ...]] = {}
    for index, statement in enumerate(facts.statements if facts is not None else ()):
        for column in statement.columns:
            if "write" in column.usage:
                place = (index, column.schema, column.table, column.column)
                tags[place] = column.tags
                macs.setdefault(place, {})
    rows: list[Row] = []
    for place, found in macs.items():
        row_keys: Pairs = tuple(sorted(dict(keys.get(place[:3], [])).items()))
        for mac in found or (None,):
            rows.append(ColumnChangeRow(time, decision_id, *place, mac, row_keys, tags.get(place, ())))
    return rows


def _place(value: PinnedValue) -> tuple[int, str, str, str]:
    return (value.statement_index, value.schema, value.table, value.column)
