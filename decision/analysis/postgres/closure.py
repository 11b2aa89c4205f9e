"""What reading a relation pulls in: views' queries, row security, partitions, generated columns."""

from __future__ import annotations

from decision.analysis.catalog import CatalogIndex, Entry
from decision.analysis.flow import OPAQUE, Flow, Item, Key, Scope, Shape
from decision.analysis.postgres import made
from decision.analysis.postgres.expressions import filtered
from decision.analysis.postgres.names import Relation
from decision.analysis.postgres.parse import parse
from decision.analysis.postgres.walk import Walk, absorb, query
from decision.analysis.session import SessionState
from decision.model.errors import AnalysisError
from decision.model.facts import Access, Transform, Usage, Via

_STATE = SessionState()


_VALUES_OF_OTHERS = {
    ("pg_catalog", "pg_statistic"): ("stavalues1", "stavalues2", "stavalues3", "stavalues4", "stavalues5"),
    ("pg_catalog", "pg_statistic_ext_data"): ("stxdmcv", "stxdexpr"),
    ("pg_catalog", "pg_largeobject"): ("data",),
}  # columns that hold values of other tables


class Expansion:
    """What a catalog object pulls in: the walk over it, and its output if it has one."""

    __slots__ = ("shape", "walk")

    def __init__(self, walk: Walk, shape: Shape) -> None:
        self.walk = walk
        self.shape = shape


def new_walk(walk: Walk) -> Walk:
    """For what the catalog holds: in a plain session's state, at the cost of the statement that meets it."""
    return Walk(walk.catalog, _STATE, walk.budget.inner())


def read_relation(walk: Walk, relation: Relation, *, only_parent: bool = False) -> Shape:
    """Record the read and give the columns."""
    relation.touch(walk, Access.READ)
    if walk.state.made:
        shape = _read_entry(walk, relation, only_parent)
        return made.read(walk, relation, shape, only_parent=only_parent)
    return _read_entry(walk, relation, only_parent)


def _read_entry(walk: Walk, relation: Relation, only_parent: bool) -> Shape:
    entry = relation.entry
    if entry is None or relation.stale or walk.catalog is None:
        return relation.shape
    catalog_relation = entry.relation
    if entry.is_view:
        expansion = expand_view(walk.catalog, entry, walk)
        absorb(walk, expansion.walk, Via.VIEW)
        shape = expansion.shape
        return shape if relation.made is None else _overlaid(shape, relation.shape)
    if catalog_relation.row_security:
        absorb(walk, expand_policies(walk.catalog, entry, "select", walk).walk, Via.ROW_SECURITY)
    shape = relation.shape
    if catalog_relation.children or catalog_relation.parents:
        if not only_parent:
            for child in descendants(walk.catalog, entry):
                touch_entry(walk, child, Access.READ, Via.INHERITANCE)
        shape = _family_shape(walk.catalog, entry, shape)
    if entry.generated:
        from decision.analysis.postgres.stored import generated_flows

        shape = generated_flows(walk, walk.catalog, entry, shape)
    if entry.key in _VALUES_OF_OTHERS:
        hidden = _VALUES_OF_OTHERS[entry.key]
        shape = Shape(
            shape.names,
            [
                Flow(f.sources, f.transform, True) if n in hidden else f
                for n, f in zip(shape.names, shape.flows, strict=True)
            ],
        )
    return shape


def _overlaid(shape: Shape, made: Shape) -> Shape:
    return Shape(
        shape.names,
        [
            Flow(f.sources | made.lookup[n].sources, f.transform, f.opaque or made.lookup[n].opaque)
            if n in made.lookup
            else f
            for n, f in zip(shape.names, shape.flows, strict=True)
        ],
        shape.open,
    )


def touch_entry(walk: Walk, entry: Entry, access: Access, via: Via) -> None:
    relation = entry.relation
    walk.touch(relation.schema, relation.name, relation.kind, access, relation.oid, relation.tags, via)


def descendants(catalog: CatalogIndex, entry: Entry) -> list[Entry]:
    cached = catalog.closures.get(("children", entry.key))
    if isinstance(cached, list):
        return cached
    found: dict[tuple[str, str], Entry] = {}
    todo = list(entry.relation.children)
    while todo:
        key = todo.pop()
        child = catalog.entry(*key)
        if child is not None and key not in found:
            found[key] = child
            todo.extend(child.relation.children)
    catalog.closures[("children", entry.key)] = list(found.values())
    return list(found.values())


def _family_shape(catalog: CatalogIndex, entry: Entry, shape: Shape) -> Shape:
    """Columns with those of parents and children that carry tags of their own: one value, several names."""
    cached = catalog.closures.get(("family", entry.key))
    if not isinstance(cached, dict):
        family: list[Entry] = list(descendants(catalog, entry))
        todo = list(entry.relation.parents)
        while todo:
            parent = catalog.entry(*todo.pop())
            if parent is not None and parent not in family:
                family.append(parent)
                todo.extend(parent.relation.parents)
        cached = dict[str, frozenset[Key]]()
        for name in shape.names:
            keys: set[Key] = {(*member.key, name) for member in family if member.tags.get(name)}
            if keys:
                cached[name] = frozenset(keys)
        catalog.closures[("family", entry.key)] = cached
    if not cached:
        return shape
    flows = [
        Flow(flow.sources | cached.get(name, frozenset()), flow.transform, flow.opaque)
        for name, flow in zip(shape.names, shape.flows, strict=True)
    ]
    return Shape(shape.names, flows, shape.open)


def expand_view(catalog: CatalogIndex, entry: Entry, walk: Walk) -> Expansion:
    """A view's query, once a snapshot. Its columns flow from its own (they may carry tags) and from the base ones."""
    cached = catalog.closures.get(("view", entry.key))
    if isinstance(cached, Expansion):
        return cached
    inner = new_walk(walk)
    shape: Shape
    marker = ("view", entry.key)
    if marker in walk.expanding:
        inner.unresolved(entry.relation.name, "the view is defined by itself")
        return Expansion(inner, Shape(entry.shape.names, [OPAQUE] * len(entry.shape.names)))
    inner.expanding = walk.expanding | {marker}
    try:
        statements = parse(entry.relation.definition)
        found = query(inner, None, statements[0]["stmt"])
        if found.open or len(found.flows) != len(entry.shape.flows):
            raise AnalysisError("the view's columns do not fit its query")
        flows = [
            Flow(under.sources | own.sources, under.transform, under.opaque)
            for own, under in zip(entry.shape.flows, found.flows, strict=True)
        ]
        shape = Shape(entry.shape.names, flows)
    except (AnalysisError, IndexError, KeyError):
        if walk.budget.spent:
            raise
        inner.unresolved(entry.relation.name, "the view's query can't be analysed")
        shape = Shape(entry.shape.names, [Flow(f.sources, Transform.EXPRESSION, True) for f in entry.shape.flows])
    for flow in shape.flows:
        inner.use(Flow(flow.sources - _own(entry)), Usage.INNER)
    expansion = Expansion(inner, shape)
    if not walk.inside:
        catalog.closures[marker] = expansion
    return expansion


def _own(entry: Entry) -> frozenset[Key]:
    return frozenset((*entry.key, name) for name in entry.shape.names)


def expand_policies(catalog: CatalogIndex, entry: Entry, command: str, walk: Walk) -> Expansion:
    """Row security of a table for one command (select insert update delete)."""
    marker = ("policies", entry.key, command)
    cached = catalog.closures.get(marker)
    if isinstance(cached, Expansion):
        return cached
    if marker in walk.expanding:
        return Expansion(new_walk(walk), Shape((), ()))  # a policy that reads its own table: the server refuses
    inner = new_walk(walk)
    inner.expanding = walk.expanding | {marker}
    for policy in entry.relation.row_policies:
        if policy.command not in ("all", command):
            continue
        texts = [policy.using_expression, policy.check_expression]
        if command == "insert" and policy.check_expression:
            del texts[0]  # no row is looked at; what is shown of it, is read
        for text in texts:
            if text:
                _condition(inner, entry, text)
    expansion = Expansion(inner, Shape((), ()))
    if not walk.inside:
        catalog.closures[marker] = expansion
    return expansion


def _condition(walk: Walk, entry: Entry, text: str) -> None:
    scope = Scope()
    scope.items.append(Item(entry.relation.name, entry.shape, schema=entry.relation.schema, relation=entry.key))
    try:
        node = parse(f"SELECT 1 WHERE ({text}\n)")[0]["stmt"]["SelectStmt"]["whereClause"]
        filtered(walk, scope, node)
    except (AnalysisError, KeyError, IndexError):
        if walk.budget.spent:
            raise
        walk.unresolved(entry.relation.name, "a row security policy can't be analysed")


def lock_relation(walk: Walk, relation: Relation) -> None:
    """FOR UPDATE: rows of the relation are locked, and through a view those of what it reads."""
    relation.touch(walk, Access.LOCK)
    if relation.entry is None or not relation.entry.is_view or relation.stale or walk.catalog is None:
        return
    for (schema, name, _), record in expand_view(walk.catalog, relation.entry, walk).walk.relations.items():
        if Access.READ in record.access:
            walk.touch(schema, name, record.kind, Access.LOCK, record.oid, record.tags, Via.VIEW)
