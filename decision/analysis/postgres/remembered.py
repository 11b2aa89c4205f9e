"""What a statement, and whatever it sets off, puts into relations: it travels on with them in this session."""

from __future__ import annotations

from decision.analysis.effects import ColumnsFilled, MadeColumn, RelationMade
from decision.analysis.flow import Flow, Key, merge
from decision.analysis.postgres.names import Relation, at
from decision.analysis.postgres.walk import Walk


def remember(walk: Walk, first: int) -> None:
    """What flowed into relations, by the statement or by what it set off, travels on with them."""
    if len(walk.assigned) == first:
        return
    into: dict[tuple[str, str], list[tuple[str, Flow]]] = {}
    for (schema, table, name), flow in walk.assigned[first:]:
        if flow.sources or flow.opaque:
            into.setdefault((schema, table), []).append((name, flow))
    for target, flows in into.items():
        relation = at(walk, *target)
        if relation is not None and relation.made is not None:
            generated = [column.name for column in relation.made.columns if column.opaque and column.computed]
            flows += [(name, merge([flow for _, flow in flows])) for name in generated]
            columns = tuple([MadeColumn.of(name, flow) for name, flow in flows])
            walk.effects.append(ColumnsFilled(*target, columns))
        elif relation is not None:
            _remember_tags(walk, relation, flows)


def _remember_tags(walk: Walk, relation: Relation, flows: list[tuple[str, Flow]]) -> None:
    """A tagged value written into a table of the catalog stays tagged for the rest of this session."""
    if relation.entry is None or walk.catalog is None:
        return
    moved: dict[str, frozenset[Key]] = {}
    for name, flow in flows:
        own = (*relation.key, name)
        tagged = frozenset(source for source in flow.sources if walk.catalog.tags_of(source) and source != own)
        if tagged:
            moved[name] = moved.get(name, frozenset()) | tagged
    if moved:
        columns = tuple(MadeColumn(name, moved.get(name, frozenset())) for name in relation.entry.shape.names)
        walk.effects.append(RelationMade(relation.schema, relation.name, relation.kind, columns))
