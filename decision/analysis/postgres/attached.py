"""What this session attached to relations, in effect for its later statements: foreign keys, rules, triggers.

The catalog snapshot may not hold them yet, and never holds those of temporary relations.
"""

from __future__ import annotations

from decision.analysis.effects import IndexMade, ReferenceMade, RuleMade, TriggerMade
from decision.analysis.flow import OPAQUE, Flow, merge
from decision.analysis.postgres.finish import shape_of
from decision.analysis.postgres.names import Relation, at
from decision.analysis.postgres.walk import Walk
from decision.model.catalog import ForeignKey
from decision.model.facts import Access, Kind, RelationKind, Statement, Usage, Via

Name = tuple[str, str]
NO_ACTION = ("no_action", "restrict")


def ancestors(walk: Walk, bottom: Name) -> list[Name]:
    """The relations that this one is a partition or child of, of the session and of the catalog."""
    made = {(each.schema, each.name): each.parents for each in walk.state.made}
    found: dict[Name, None] = {}
    todo = [bottom]
    while todo:
        child = todo.pop()
        entry = walk.catalog.entry(*child) if walk.catalog is not None else None
        for parent in (*made.get(child, ()), *(entry.relation.parents if entry is not None else ())):
            if parent not in found:
                found[parent] = None
                todo.append(parent)
    return list(found)


def parts(walk: Walk, top: Name) -> list[Name]:
    """The partitions and children of a relation, of the session and of the catalog."""
    found: dict[Name, None] = {}
    todo = [top]
    while todo:
        parent = todo.pop()
        entry = walk.catalog.entry(*parent) if walk.catalog is not None else None
        made = [(each.schema, each.name) for each in walk.state.made if parent in each.parents]
        for child in (*(entry.relation.children if entry is not None else ()), *made):
            if child not in found and child != top:
                found[child] = None
                todo.append(child)
    return list(found)


def set_off(walk: Walk, key: Name, event: str, columns: tuple[str, ...]) -> None:
    """A row of the relation is written, or all of them: what the session attached to it, runs."""
    marker = ("write", "session", key, event)
    if marker in walk.expanding:
        return
    walk.budget.charge(5)
    walk.expanding.add(marker)
    members = list(dict.fromkeys([key, *ancestors(walk, key), *parts(walk, key)]))
    for each in walk.state.attached:
        if isinstance(each, ReferenceMade):
            _reference(walk, members, each, event, columns)
        elif isinstance(each, IndexMade) or (each.schema, each.name) not in members:
            continue
        elif isinstance(each, RuleMade):
            if each.event == event:
                _rule(walk, key, each.behind)
        elif event in each.events:
            _trigger(walk, key, each)
    walk.expanding.discard(marker)


def answers_itself(walk: Walk, key: Name) -> bool:
    """Whether a rule of this session may answer in the relation's stead."""
    return any(isinstance(each, RuleMade) and (each.schema, each.name) == key for each in walk.state.attached)


def _touch(walk: Walk, key: Name, access: Access, via: Via) -> Relation | None:
    found = at(walk, *key)
    if found is None:
        walk.touch(*key, RelationKind.UNKNOWN, access, via=via)
    else:
        walk.touch(found.schema, found.name, found.kind, access, found.oid, found.tags, via)
    return found


def _reference(walk: Walk, members: list[Name], made: ReferenceMade, event: str, columns: tuple[str, ...]) -> None:
    constraint = made.constraint
    target = (constraint.target_schema, constraint.target_table)
    if (made.schema, made.name) in members and (
        event == "insert" or (event == "update" and _concerns(columns, constraint.columns))
    ):
        for end in (target, *parts(walk, target)):
            _touch(walk, end, Access.READ, Via.FOREIGN_KEY)
        for name in constraint.target_columns:
            walk.use_key((*target, name), Usage.CHECK)
    if target in members and event in ("delete", "update", "truncate"):
        _referenced(walk, made, constraint, event, columns)


def _concerns(columns: tuple[str, ...], of: tuple[str, ...]) -> bool:
    return not of or not columns or not set(columns).isdisjoint(of)


def _referenced(walk: Walk, made: ReferenceMade, constraint: ForeignKey, event: str, columns: tuple[str, ...]) -> None:
    if event == "update" and not _concerns(columns, constraint.target_columns):
        return
    child = (made.schema, made.name)
    if event == "truncate":
        if "cascade" in walk.flags:
            _written(walk, child, "truncate", ())
        return
    action = constraint.on_delete if event == "delete" else constraint.on_update
    if action in NO_ACTION:
        _touch(walk, child, Access.READ, Via.FOREIGN_KEY)
    elif action == "cascade" and event == "delete":
        _written(walk, child, "delete", ())
    else:
        for name in constraint.columns:
            walk.use_key((*child, name), Usage.WRITE)
        _written(walk, child, "update", constraint.columns)


def _written(walk: Walk, key: Name, event: str, columns: tuple[str, ...]) -> None:
    from decision.analysis.postgres.writes import entry_event

    found = _touch(walk, key, Access.WRITE, Via.FOREIGN_KEY)
    if found is not None and found.entry is not None:
        entry_event(walk, found.entry, event, columns)
    else:
        set_off(walk, key, event, columns)


def _rule(walk: Walk, key: Name, known: Statement) -> None:
    """A rule's actions; what the statement put into the row may flow into whatever they write."""
    carried = _carried(walk, key, Flow(frozenset((c.schema, c.table, c.column) for c in known.columns)))
    if known.output:
        walk.answers.append(shape_of(known))
    for relation in known.relations:
        via = relation.via if relation.via is not Via.DIRECT else Via.RULE
        target = (relation.schema, relation.name)
        for access in relation.access:
            walk.touch(*target, relation.kind, access, relation.oid, relation.tags, via)
        if Access.WRITE in relation.access:
            _fill(walk, target, carried)
            for kind in known.kinds:
                set_off(walk, target, kind.value, ())
    for column in known.columns:
        walk.columns.setdefault((column.schema, column.table, column.column), set()).update(column.usage)
    for function in known.functions:
        walk.functions.setdefault((function.schema, function.name), function.effects)
    for kind in known.kinds:
        if kind is not Kind.SELECT:
            walk.kind(kind)
    walk.flags.update(known.flags)
    walk.unresolved_.update(dict.fromkeys(known.unresolved))


def _trigger(walk: Walk, key: Name, made: TriggerMade) -> None:
    """A trigger's function; one that runs before the row is written may put what it reads into any column of it."""
    from decision.analysis.postgres.calls import resolve_call

    before, walk.via = walk.via, Via.TRIGGER
    _, flows = resolve_call(walk, made.function_schema, made.function_name, [])
    walk.via = before
    if not made.after:
        _fill(walk, key, _carried(walk, key, merge(flows)))


def _carried(walk: Walk, key: Name, own: Flow) -> Flow:
    """All that this statement put into the relation, and what the code reads."""
    given = [flow for name, flow in walk.assigned if name[:2] == key]
    return merge([own, *given, *([OPAQUE] if own.opaque else [])])


def _fill(walk: Walk, key: Name, flow: Flow) -> None:
    """The columns of a relation hold this, too."""
    if not flow.sources and not flow.opaque:
        return
    found = at(walk, *key)
    for name in found.shape.names if found is not None else ():
        walk.assigned.append(((*key, name), flow))
