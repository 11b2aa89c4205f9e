"""From what policy wishes (mask this tag) to what the enforcement point can fulfil (mask output column 3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from decision.model.catalog import CatalogRelation, CatalogSnapshot
from decision.model.decision import ColumnGuard, MaskRule, OutputMask, StatementObligations
from decision.model.facts import ColumnName, Facts, OutputColumn, RelationKind, Statement, Transform

Names = tuple[str, str]
MAX_GUARDS = 4_096  # relations under one set of rules whose guards are kept
MAX_WISHES = 64  # sets of rules kept prepared
TEMPORARY = "pg_temp"
MAX_TAGS = 1_024  # sets of tags under one set of rules


class TagIndex:
    """A snapshot prepared for look-ups by name; one a snapshot."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self.version = snapshot.version
        self.relations: Mapping[Names, CatalogRelation] = {(r.schema, r.name): r for r in snapshot.relations}
        self._guards: dict[tuple[int, int], tuple[Sequence[MaskRule], tuple[ColumnGuard, ...]]] = {}
        self._wishes: dict[int, Wishes] = {}

    def wishes(self, rules: Sequence[MaskRule]) -> Wishes:
        """The rules prepared, remembered for rules that are one shared object."""
        found = self._wishes.get(id(rules))
        if found is None or found.rules is not rules:
            if len(self._wishes) >= MAX_WISHES:
                self._wishes.clear()
            found = self._wishes[id(rules)] = Wishes(rules)
        return found

    def guards(self, relation: CatalogRelation, wishes: Wishes) -> tuple[ColumnGuard, ...]:
        """`column_guards` of one of the snapshot's relations, remembered for rules that are one shared object."""
        key = (id(relation), id(wishes.rules))  # both are kept alive here
        found = self._guards.get(key)
        if found is None or found[0] is not wishes.rules:
            if len(self._guards) >= MAX_GUARDS:
                self._guards.clear()
            found = self._guards[key] = (wishes.rules, column_guards(relation, wishes))
        return found[1]


class Wishes:
    """The mask rules of an evaluation, prepared: columns with equal tags are asked for once."""

    def __init__(self, rules: Sequence[MaskRule]) -> None:
        self.rules = rules
        self.by_name = [rule for rule in rules if rule.column]
        self._by_tags: dict[tuple[str, ...], tuple[MaskRule, ...]] = {}

    def of(self, tags: tuple[str, ...], names: Iterable[ColumnName]) -> Sequence[MaskRule]:
        """The rules, in their order, for a column that bears these tags or one of these names."""
        if not self.by_name:
            return self._tagged(tags) if tags else ()
        return [rule for rule in self.rules if _wants(rule, tags) or any(_names_column(rule, name) for name in names)]

    def _tagged(self, tags: tuple[str, ...]) -> tuple[MaskRule, ...]:
        found = self._by_tags.get(tags)
        if found is None:
            if len(self._by_tags) >= MAX_TAGS:
                self._by_tags.clear()
            found = self._by_tags[tags] = tuple(rule for rule in self.rules if _wants(rule, tags))
        return found


def tag_matches(tag: str, wanted: str) -> bool:
    """`pii` covers `pii` and `pii.email`; `pii.email` covers itself alone."""
    return tag == wanted or tag.startswith(wanted + ".")


def _wants(rule: MaskRule, tags: Iterable[str]) -> bool:
    """Whether the rule is for one of these tags, and not left to a rule of that tag's own."""
    return rule.tag != "" and any(
        tag_matches(tag, rule.tag) and not any(tag_matches(tag, special) for special in rule.except_tags)
        for tag in tags
    )


def _names_column(rule: MaskRule, source: ColumnName) -> bool:
    return rule.column != "" and (rule.schema, rule.table, rule.column) == (source.schema, source.table, source.column)


def _strongest(rules: Sequence[MaskRule]) -> MaskRule:
    """The first of the strongest."""
    return rules[0] if len(rules) == 1 else max(rules, key=lambda rule: rule.method.strength)


def output_masks(outputs: Iterable[OutputColumn], wishes: Wishes) -> tuple[OutputMask, ...]:
    """The strongest mask for each output column that a rule applies to."""
    chosen: dict[int, MaskRule] = {}
    made: set[int] = set()
    for output in outputs:
        rules = wishes.of(output.tags, output.sources)
        if rules:
            if computed(output):
                made.add(output.ordinal)
            strongest = _strongest(rules)
            earlier = chosen.get(output.ordinal)
            if earlier is None or earlier.method.strength < strongest.method.strength:
                chosen[output.ordinal] = strongest
    return tuple(
        OutputMask(ordinal, chosen[ordinal].method, chosen[ordinal].rule, ordinal in made) for ordinal in sorted(chosen)
    )


def computed(output: OutputColumn) -> bool:
    """Whether the output may be something else than the column itself, which what came by way of an object of the
    session may always be."""
    if output.transform is not Transform.IDENTITY or output.opaque:
        return True
    return any(source.schema == TEMPORARY for source in output.sources)


def column_guards(relation: CatalogRelation, wishes: Wishes) -> tuple[ColumnGuard, ...]:
    """Every column of the relation that a rule masks, as RowDescription would name it."""
    guards: list[ColumnGuard] = []
    for column in relation.columns:
        rules = wishes.of(column.tags, (ColumnName(relation.schema, relation.name, column.name),))
        if rules:
            guards.append(ColumnGuard(relation.oid, column.number, _strongest(rules).method))
    return tuple(guards)


def resolve(facts: Facts, index: TagIndex | None, rules: Sequence[MaskRule]) -> tuple[StatementObligations, ...]:
    """The obligations of each statement; empty when nothing is masked for this principal."""
    if not rules:
        return ()
    wishes = Wishes(rules) if index is None else index.wishes(rules)
    return tuple(_statement(number, statement, index, wishes) for number, statement in enumerate(facts.statements))


def _statement(number: int, statement: Statement, index: TagIndex | None, wishes: Wishes) -> StatementObligations:
    relations: list[CatalogRelation] = []
    guards: list[ColumnGuard] = []
    if index is not None:
        relations = _known_relations(statement, index)
        for relation in (*relations, *_origins(statement, index)):
            guards += index.guards(relation, wishes)
    masks = output_masks(statement.output, wishes)
    masked = {mask.ordinal for mask in masks}
    opaque = tuple(output.ordinal for output in statement.output if output.opaque and output.ordinal not in masked)
    checked = bool(masks or guards or opaque)
    return StatementObligations(
        index=number,
        output_count=len(statement.output) if checked and statement.returns_rows else None,
        masks=masks,
        guards=tuple(guards),
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
