"""What writing a relation sets off: triggers, rules, foreign keys, row security, the relations behind a view."""

from __future__ import annotations

from collections.abc import Iterable

from decision.analysis.catalog import CatalogIndex, Entry
from decision.analysis.flow import Key, Shape
from decision.analysis.postgres import attached, made
from decision.analysis.postgres.closure import (
    Expansion,
    descendants,
    expand_policies,
    expand_view,
    new_walk,
    touch_entry,
)
from decision.analysis.postgres.names import Relation
from decision.analysis.postgres.parse import parse
from decision.analysis.postgres.walk import Walk, absorb
from decision.model.catalog import CatalogRelation, ForeignKey
from decision.model.errors import AnalysisError
from decision.model.facts import Access, Kind, RelationKind, Transform, Usage, Via


def write_relation(
    walk: Walk, relation: Relation, events: Iterable[str], columns: Iterable[str] = (), *, only_parent: bool = False
) -> None:
    """Record the write and all that it sets off. `events`: insert update delete truncate."""
    relation.touch(walk, Access.WRITE)
    written = tuple(columns)
    entry = relation.entry
    known = entry is not None and not relation.stale
    if walk.catalog is not None and (walk.state.made or walk.state.attached):
        for event in events:
            _session(walk, relation, event, written, only_parent)
            if not known:
                attached.set_off(walk, relation.key, event, written)
    if entry is None or relation.stale or walk.catalog is None:
        return
    for event in events:
        entry_event(walk, entry, event, written, only_parent)


def _session(walk: Walk, relation: Relation, event: str, columns: tuple[str, ...], only_parent: bool) -> None:
    """What the session's own relations bring: those behind a view, and what a partition has from its table."""
    for base, names in made.written(walk, relation, event, columns, only_parent=only_parent):
        if base.entry is not None:
            entry_event(walk, base.entry, event, names)
        else:
            attached.set_off(walk, base.key, event, names)
    if relation.made is None or walk.catalog is None:
        return
    for key in attached.ancestors(walk, relation.key):
        parent = walk.catalog.entry(*key)
        if parent is not None and parent.kind is RelationKind.PARTITIONED:
            _triggers(walk, parent.relation, event)
            _foreign_keys(walk, parent, event, columns)


def entry_event(walk: Walk, entry: Entry, event: str, columns: tuple[str, ...], only_parent: bool = False) -> None:
    """A relation of the catalog is written in this way."""
    marker = ("write", entry.key, event, columns)
    if marker in walk.expanding or walk.catalog is None:
        return
    walk.budget.charge(5)
    walk.expanding.add(marker)
    relation = entry.relation
    if event in ("insert", "update") and not entry.is_view:
        from decision.analysis.postgres.stored import written_row

        written_row(walk, entry)
        _probed(walk, entry, columns)
    _triggers(walk, relation, event)
    replaced = _rules(walk, relation, event)
    if entry.is_view and not replaced:
        _through_view(walk, entry, event, columns)
    if relation.row_security:
        absorb(walk, expand_policies(walk.catalog, entry, event, walk).walk, Via.ROW_SECURITY)
    _foreign_keys(walk, entry, event, columns)
    if not only_parent:
        for child in [walk.catalog.entry(*key) for key in relation.children]:
            if child is not None:
                touch_entry(walk, child, Access.WRITE, Via.INHERITANCE)
                entry_event(walk, child, event, columns)
    if walk.state.attached:
        attached.set_off(walk, entry.key, event, columns)
    walk.expanding.discard(marker)


def _probed(walk: Walk, entry: Entry, columns: tuple[str, ...]) -> None:
    """A unique key or a foreign one answers whether a value is there: an oracle on the columns that it holds."""
    assert walk.catalog is not None
    written = set(columns)
    for key in entry.relation.keys:
        for name in written.intersection(key):
            walk.use_key((*entry.key, name), Usage.CHECK)
    for constraint in entry.relation.foreign_keys:
        if written.intersection(constraint.columns):
            for name in constraint.target_columns:
                walk.use_key((constraint.target_schema, constraint.target_table, name), Usage.CHECK)


def _triggers(walk: Walk, relation: CatalogRelation, event: str) -> None:
    from decision.analysis.postgres.embedded import call_body

    assert walk.catalog is not None
    for trigger in relation.triggers:
        if not trigger.enabled or event not in trigger.events:
            continue
        found = [
            function
            for function in walk.catalog.functions.get(trigger.function_name, ())
            if function.schema == trigger.function_schema
        ]
        before = walk.via
        walk.via = Via.TRIGGER
        for function in found:
            effects, _ = call_body(walk, function)
            walk.functions.setdefault((function.schema, function.name), effects)
        if not found and trigger.function_schema != "pg_catalog":
            walk.unresolved(trigger.function_name, "the trigger's function is not in the catalog snapshot")
        walk.via = before


def _rules(walk: Walk, relation: CatalogRelation, event: str) -> bool:
    """Whether a rule replaces the statement."""
    replaced = False
    for rule in relation.rules:
        if rule.event != event:
            continue
        replaced = replaced or rule.instead
        assert walk.catalog is not None
        marker = ("rule", relation.schema, relation.name, rule.name)
        expansion = walk.catalog.closures.get(marker)
        if not isinstance(expansion, Expansion):
            expansion = _expand_rule(walk, relation, rule.definition)
            walk.catalog.closures[marker] = expansion
        absorb(walk, expansion.walk, Via.RULE)
        if expansion.shape.flows or expansion.shape.open:
            walk.answers.append(expansion.shape)
        for kind in expansion.walk.kinds:
            if kind is not Kind.SELECT:
                walk.kind(kind)
    return replaced


def _expand_rule(walk: Walk, relation: CatalogRelation, definition: str) -> Expansion:
    from decision.analysis.postgres.embedded import rule_actions

    assert walk.catalog is not None
    inner = new_walk(walk)
    inner.expanding = set(walk.expanding)
    try:
        rule_actions(inner, parse(definition)[0]["stmt"]["RuleStmt"], (relation.schema, relation.name))
    except (AnalysisError, KeyError, IndexError):
        if walk.budget.spent:
            raise
        inner.unresolved(relation.name, "a rule can't be analysed")
    return Expansion(inner, inner.output or Shape((), ()))


def _through_view(walk: Walk, entry: Entry, event: str, columns: tuple[str, ...]) -> None:
    """An automatically updatable view writes its base relation; INSTEAD OF triggers are handled as triggers."""
    if any(event in trigger.events for trigger in entry.relation.triggers) or walk.catalog is None:
        return
    expansion = expand_view(walk.catalog, entry, walk)
    absorb(walk, expansion.walk, Via.VIEW)
    targets: dict[tuple[str, str], set[str]] = {}
    for name, flow in zip(expansion.shape.names, expansion.shape.flows, strict=True):
        for key in flow.sources:
            if key[:2] != entry.key and (flow.transform is Transform.IDENTITY or _generated(walk.catalog, key)):
                touched = targets.setdefault(key[:2], set())
                if name in columns or event == "delete":
                    touched.add(key[2])
    for target, written in targets.items():
        base = walk.catalog.entry(*target)
        if base is None:
            continue
        touch_entry(walk, base, Access.WRITE, Via.VIEW)
        if event != "delete":
            for column in written:
                walk.use_key((*target, column), Usage.WRITE)
        entry_event(walk, base, event, tuple(sorted(written)))


def _generated(catalog: CatalogIndex, key: Key) -> bool:
    """A generated column flows from others as well as from itself; DEFAULT may be written to it."""
    entry = catalog.entry(*key[:2])
    return entry is not None and any(column.generated and column.name == key[2] for column in entry.relation.columns)


def _foreign_keys(walk: Walk, entry: Entry, event: str, columns: tuple[str, ...]) -> None:
    assert walk.catalog is not None
    for constraint in entry.relation.foreign_keys:
        if event == "insert" or (event == "update" and set(columns) & set(constraint.columns)):
            target = walk.catalog.entry(constraint.target_schema, constraint.target_table)
            if target is not None:
                for end in (target, *descendants(walk.catalog, target)):
                    touch_entry(walk, end, Access.READ, Via.FOREIGN_KEY)
    for referencing, number in walk.catalog.referenced.get(entry.key, ()):
        constraint = referencing.foreign_keys[number]
        if event in ("delete", "update", "truncate"):
            _referenced(walk, referencing, constraint, event, columns)


def _referenced(
    walk: Walk, referencing: CatalogRelation, constraint: ForeignKey, event: str, columns: tuple[str, ...]
) -> None:
    assert walk.catalog is not None
    if event == "update" and not set(columns) & set(constraint.target_columns):
        return
    child = walk.catalog.entry(referencing.schema, referencing.name)
    if child is None:
        return
    action = {"delete": constraint.on_delete, "update": constraint.on_update}.get(event, "no_action")
    if event == "truncate":
        if "cascade" in walk.flags:
            touch_entry(walk, child, Access.WRITE, Via.FOREIGN_KEY)
            entry_event(walk, child, "truncate", ())
        return
    if action in ("no_action", "restrict"):
        touch_entry(walk, child, Access.READ, Via.FOREIGN_KEY)
        return
    touch_entry(walk, child, Access.WRITE, Via.FOREIGN_KEY)
    if action == "cascade" and event == "delete":
        entry_event(walk, child, "delete", ())
        return
    for name in constraint.columns:
        walk.use_key((referencing.schema, referencing.name, name), Usage.WRITE)
    entry_event(walk, child, "update", tuple(constraint.columns))
