"""What the relations of this session pull in: the query behind a view, the rows that parents and children share."""

from __future__ import annotations

from decision.analysis.effects import RelationMade
from decision.analysis.flow import Flow, Key, Shape
from decision.analysis.postgres.names import Relation, at
from decision.analysis.postgres.walk import Walk
from decision.model.facts import Access, RelationKind, RelationUse, Statement, Usage, Via

Name = tuple[str, str]


def _descendants(walk: Walk, top: Name) -> list[RelationMade]:
    found: dict[Name, RelationMade] = {}
    todo = [top]
    while todo:
        parent = todo.pop()
        for made in walk.state.made:
            key = (made.schema, made.name)
            if parent in made.parents and key not in found and key != top:
                found[key] = made
                todo.append(key)
    return list(found.values())


def _ancestors(walk: Walk, bottom: Name) -> list[RelationMade]:
    known = {(made.schema, made.name): made for made in walk.state.made}
    found: dict[Name, RelationMade] = {}
    todo = [bottom]
    while todo:
        child = known.get(todo.pop())
        for parent in child.parents if child is not None else ():
            if parent not in found and parent in known:
                found[parent] = known[parent]
                todo.append(parent)
    return list(found.values())


def read(walk: Walk, relation: Relation, shape: Shape, *, only_parent: bool) -> Shape:
    """The columns with what flowed into the relation's family; the relations behind a view are read, too."""
    if relation.made is not None and relation.made.seen_through is not None:
        _behind(walk, relation.made.seen_through)
    if not any(made.parents for made in walk.state.made):
        return shape
    children = [] if only_parent else _descendants(walk, relation.key)
    for child in children:
        walk.touch(child.schema, child.name, child.kind, Access.READ, via=Via.INHERITANCE)
    held: dict[str, tuple[frozenset[Key], bool]] = {}
    for member in (*_ancestors(walk, relation.key), *children):
        for column in member.columns:
            sources, opaque = held.get(column.name, (frozenset(), False))
            own = {(member.schema, member.name, column.name)} if member in children else set()
            held[column.name] = (sources | column.sources | own, opaque or column.opaque)
    if not held:
        return shape
    flows = [
        Flow(flow.sources | held[name][0], flow.transform, flow.opaque or held[name][1]) if name in held else flow
        for name, flow in zip(shape.names, shape.flows, strict=True)
    ]
    return Shape(shape.names, flows, shape.open)


def refreshed(walk: Walk, relation: Relation) -> None:
    """A materialized view's query is run again."""
    if relation.made is not None and relation.made.behind is not None:
        _behind(walk, relation.made.behind)


def _behind(walk: Walk, known: Statement) -> None:
    for relation in known.relations:
        via = relation.via if relation.via is not Via.DIRECT else Via.VIEW
        for access in relation.access:
            walk.touch(relation.schema, relation.name, relation.kind, access, relation.oid, relation.tags, via)
        _redefined(walk, relation, known)
    for column in known.columns:
        usages = walk.columns.setdefault((column.schema, column.table, column.column), set())
        usages.update(column.usage)
        if Usage.FILTER in column.usage:
            usages.add(Usage.PROBE)  # the condition is of whoever made the view
        if Usage.PROBE in column.usage:
            walk.computed.add((column.schema, column.table, column.column))
    for function in known.functions:
        walk.functions.setdefault((function.schema, function.name), function.effects)
    walk.flags.update(known.flags)
    walk.unresolved_.update(dict.fromkeys(known.unresolved))


def _redefined(walk: Walk, relation: RelationUse, known: Statement) -> None:
    """A view behind a view may have got another query since."""
    found = at(walk, relation.schema, relation.name)
    marker = ("behind", relation.schema, relation.name)
    if found is None or found.made is None or found.made.seen_through is None or marker in walk.expanding:
        return
    now = {(each.schema, each.name) for each in found.made.seen_through.relations}
    if found.made.complete and now <= {(each.schema, each.name) for each in known.relations}:
        return
    walk.unresolved(relation.name, "the view was made again after what is built on it")
    walk.expanding.add(marker)
    _behind(walk, found.made.seen_through)
    walk.expanding.discard(marker)


def written(
    walk: Walk, relation: Relation, event: str, columns: tuple[str, ...], *, only_parent: bool
) -> list[tuple[Relation, tuple[str, ...]]]:
    """Record the writes that a write of this relation brings: of its children, of what is behind a view. The latter
    are given back with their columns: they set off more."""
    bases: list[tuple[Relation, tuple[str, ...]]] = []
    if not only_parent:
        for child in _descendants(walk, relation.key):
            walk.touch(child.schema, child.name, child.kind, Access.WRITE, via=Via.INHERITANCE)
            for name in columns:
                walk.use_key((child.schema, child.name, name), Usage.WRITE)
    behind = relation.made.seen_through if relation.made is not None else None
    if relation.made is None or behind is None or walk.catalog is None:
        return bases
    _behind(walk, behind)
    for base in behind.relations:
        if base.kind is RelationKind.SYSTEM or base.via not in (Via.DIRECT, Via.VIEW):
            continue
        walk.touch(base.schema, base.name, base.kind, Access.WRITE, base.oid, base.tags, Via.VIEW)
        found = at(walk, base.schema, base.name)
        if found is not None:
            bases.append((found, _through(walk, relation.made, found, event, columns)))
    return bases


def _through(walk: Walk, view: RelationMade, base: Relation, event: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a relation behind a view that a write of the view's `columns` changes; what was put into those
    is in these."""
    if event == "delete":
        return ()
    put = {key[2]: flow for key, flow in walk.assigned if key[:2] == (view.schema, view.name)}
    names: dict[str, None] = {}
    for column in view.columns:
        for schema, table, name in sorted(column.sources) if column.name in columns else ():
            if (schema, table) == base.key:
                names[name] = None
                walk.use_key((schema, table, name), Usage.WRITE)
                if column.name in put:
                    walk.assigned.append(((schema, table, name), put[column.name]))
    return tuple(names)
