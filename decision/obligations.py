"""From what policy wishes (mask this tag) to what the enforcement point can fulfil (mask output column 3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from decision.model.catalog import CatalogRelation, CatalogSnapshot
from decision.model.decision import ColumnGuard, MaskMethod, MaskRule, OutputMask, StatementObligations
from decision.model.facts import ColumnName, Facts, OutputColumn, RelationKind, Statement

Names = tuple[str, str]
MAX_GUARDS = 4_096  # relations under one set of rules whose guards are kept


class TagIndex:
    """A snapshot prepared for look-ups by name; one a snapshot."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self.version = snapshot.version
        self.relations: Mapping[Names, CatalogRelation] = {(r.schema, r.name): r for r in snapshot.relations}
        self._guards: dict[tuple[int, int], tuple[Sequence[MaskRule], tuple[ColumnGuard, ...]]] = {}

    def guards(self, relation: CatalogRelation, rules: Sequence[MaskRule]) -> tuple[ColumnGuard, ...]:
        """`column_guards` of one of the snapshot's relations, remembered for rules that are one shared object."""
        key = (id(relation), id(rules))  # both are kept alive here
        found = self._guards.get(key)
        if found is None or found[0] is not rules:
            if len(self._guards) >= MAX_GUARDS:
                self._guards.clear()
            found = self._guards[key] = (rules, column_guards((relation,), rules))
        return found[1]


def tag_matches(tag: str, wanted: str) -> bool:
    """`pii` covers `pii` and `pii.email`; `pii.email` covers itself alone."""
    return tag == wanted or tag.startswith(wanted + ".")


def _wants(rule: MaskRule, tags: Iterable[str]) -> bool:
    """Whether the rule is for one of these tags, and not left to a rule of that tag's own."""
    return rule.tag != "" and any(
        tag_matches(tag, rule.tag) and not any(tag_matches(tag, special) for special in rule.except_tags)
        for tag in tags
    )


def _stronger(current: OutputMask | None, rule: MaskRule, ordinal: int) -> OutputMask:
    if current is not None and current.method.strength >= rule.method.strength:
        return current
    return OutputMask(ordinal, rule.method, rule.rule)


def _names_column(rule: MaskRule, source: ColumnName) -> bool:
    return rule.column != "" and (rule.schema, rule.table, rule.column) == (source.schema, source.table, source.column)


def _applies(rule: MaskRule, output: OutputColumn) -> bool:
    return _wants(rule, output.tags) or any(_names_column(rule, source) for source in output.sources)


def output_masks(outputs: Iterable[OutputColumn], rules: Sequence[MaskRule]) -> tuple[OutputMask, ...]:
    """The strongest mask for each output column that a rule applies to."""
    chosen: dict[int, OutputMask] = {}
    by_name = [rule for rule in rules if rule.column]
    for output in outputs:
        for rule in rules if output.tags else by_name:
            if _applies(rule, output):
                chosen[output.ordinal] = _stronger(chosen.get(output.ordinal), rule, output.ordinal)
    return tuple(chosen[ordinal] for ordinal in sorted(chosen))


def column_guards(relations: Iterable[CatalogRelation], rules: Sequence[MaskRule]) -> tuple[ColumnGuard, ...]:
    """Every column of the relations that a rule masks, as RowDescription would name it."""
    guards: list[ColumnGuard] = []
    by_name = any(rule.column for rule in rules)
    for relation in relations:
        for column in relation.columns:
            if not column.tags and not by_name:
                continue
            name = ColumnName(relation.schema, relation.name, column.name)
            methods: list[MaskMethod] = [
                rule.method for rule in rules if _names_column(rule, name) or _wants(rule, column.tags)
            ]
            if methods:
                strongest = max(methods, key=lambda method: method.strength)
                guards.append(ColumnGuard(relation.oid, column.number, strongest))
    return tuple(guards)


def resolve(facts: Facts, index: TagIndex | None, rules: Sequence[MaskRule]) -> tuple[StatementObligations, ...]:
    """The obligations of each statement; empty when nothing is masked for this principal."""
    if not rules:
        return ()
    return tuple(_statement(number, statement, index, rules) for number, statement in enumerate(facts.statements))


def _statement(
    number: int, statement: Statement, index: TagIndex | None, rules: Sequence[MaskRule]
) -> StatementObligations:
    relations = [] if index is None else _known_relations(statement, index)
    guards = column_guards([*relations, *([] if index is None else _origins(statement, index))], rules)
    masks = output_masks(statement.output, rules)
    masked = {mask.ordinal for mask in masks}
    opaque = tuple(output.ordinal for output in statement.output if output.opaque and output.ordinal not in masked)
    checked = bool(masks or guards or opaque)
    return StatementObligations(
        index=number,
        output_count=len(statement.output) if checked and statement.returns_rows else None,
        masks=masks,
        guards=guards,
        tables=tuple(sorted({relation.oid for relation in relations})),
        scan_text=opaque,
        other_tables=len(relations) < len(statement.relations),
    )


def _known_relations(statement: Statement, index: TagIndex) -> list[CatalogRelation]:
    found = []
    for use in statement.relations:
        relation = index.relations.get((use.schema, use.name))
        if relation is not None and use.kind is not RelationKind.TEMPORARY:
            found.append(relation)
    return found


def _origins(statement: Statement, index: TagIndex) -> list[CatalogRelation]:
    """Where tagged values come from by way of a temporary table: an error's text may quote them."""
    read = {(use.schema, use.name) for use in statement.relations if use.kind is not RelationKind.TEMPORARY}
    names = dict.fromkeys((use.schema, use.table) for use in statement.columns if use.tags)
    return [index.relations[name] for name in names if name not in read and name in index.relations]
