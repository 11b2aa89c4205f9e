"""Code that runs because a row is written or a definition changes: defaults, generated columns, checks, domains,
index expressions, event triggers.

Only what runs functions from outside pg_catalog is told: `nextval` behind a serial column is no news to anybody.
"""

from __future__ import annotations

from decision.analysis.catalog import CatalogIndex, Entry
from decision.analysis.flow import Flow, Item, Scope, Shape
from decision.analysis.postgres.embedded import call_body
from decision.analysis.postgres.operators import check_domain, code_of, stored_expression
from decision.analysis.postgres.walk import Walk, absorb
from decision.analysis.session import SessionState
from decision.model.errors import AnalysisError
from decision.model.facts import Effect, Kind, Via

_STATE = SessionState()
_DEFINING = frozenset({Kind.DDL, Kind.DCL})


class Stored:
    """What writing a row of a relation runs. `walk` None: nothing from outside pg_catalog."""

    __slots__ = ("walk",)

    def __init__(self, walk: Walk | None) -> None:
        self.walk = walk


def written_row(walk: Walk, entry: Entry) -> None:
    """A row of the relation is made or changed."""
    assert walk.catalog is not None
    marker = ("stored", entry.key)
    found = walk.catalog.closures.get(marker)
    if not isinstance(found, Stored):
        if marker in walk.expanding:
            return
        found = Stored(_expand(walk, walk.catalog, entry, marker))
        if not walk.inside:
            walk.catalog.closures[marker] = found
    if found.walk is not None:
        absorb(walk, found.walk, Via.FUNCTION)


def _expand(walk: Walk, catalog: CatalogIndex, entry: Entry, marker: object) -> Walk | None:
    relation = entry.relation
    texts = [column.expression for column in relation.columns if column.expression]
    texts += [*relation.checks]
    texts += [part for index in relation.indexes for part in (index.expressions, index.predicate) if part]
    domains = code_of(catalog).domains
    of_domain = [
        name for column in relation.columns if (name := column.type_name.rpartition(".")[2].strip('"')) in domains
    ]
    if not texts and not of_domain:
        return None
    inner = Walk(catalog, _STATE, walk.budget.inner())
    inner.expanding = walk.expanding | {marker}
    scope = Scope()
    scope.items.append(Item(relation.name, entry.shape, schema=relation.schema, relation=entry.key))
    for text in texts:
        stored_expression(inner, scope, text, relation.name)
    for name in dict.fromkeys(of_domain):
        check_domain(inner, name)
    own = {name: effects for name, effects in inner.functions.items() if name[0] != "pg_catalog"}
    if not own and not inner.unresolved_:
        return None
    inner.functions = own
    inner.columns = {key: usages for key, usages in inner.columns.items() if key[:2] != entry.key}
    inner.flags -= {"sequence"}
    inner.kinds.clear()
    return inner


def generated_flows(walk: Walk, catalog: CatalogIndex, entry: Entry, shape: Shape) -> Shape:
    """Generated columns hold what they are computed from."""
    marker = ("generated", entry.key)
    cached = catalog.closures.get(marker)
    if not isinstance(cached, dict):
        cached = dict[str, Flow]()
        if marker in walk.expanding:
            return shape
        scope = Scope()
        scope.items.append(Item(entry.relation.name, entry.shape, schema=entry.relation.schema, relation=entry.key))
        for column in entry.relation.columns:
            if column.generated and column.expression:
                inner = Walk(catalog, _STATE, walk.budget.inner())
                inner.expanding = walk.expanding | {marker}
                cached[column.name] = stored_expression(inner, scope, column.expression, entry.relation.name)
        if not walk.inside:
            catalog.closures[marker] = cached
    if not cached:
        return shape
    flows = [
        Flow(flow.sources | cached[name].sources, cached[name].transform, flow.opaque or cached[name].opaque)
        if name in cached
        else flow
        for name, flow in zip(shape.names, shape.flows, strict=True)
    ]
    return Shape(shape.names, flows, shape.open)


def event_triggers(walk: Walk) -> None:
    """A definition changes: the database's event triggers run. Their tags are not matched, so all of them count."""
    if walk.catalog is None or not walk.catalog.snapshot.event_triggers or _DEFINING.isdisjoint(walk.kinds):
        return
    if walk.root is not None or walk.inside:
        return
    before, walk.via = walk.via, Via.TRIGGER
    for trigger in walk.catalog.snapshot.event_triggers:
        if trigger.event == "login":
            continue
        named = walk.catalog.functions.get(trigger.function_name, ())
        found = [function for function in named if function.schema == trigger.function_schema]
        for function in found:
            try:
                effects, _ = call_body(walk, function)
            except AnalysisError:
                if walk.budget.spent:
                    raise
                effects = (Effect.OPAQUE,)
            walk.functions.setdefault((function.schema, function.name), effects)
        if not found:
            walk.functions.setdefault((trigger.function_schema, trigger.function_name), (Effect.OPAQUE,))
    walk.via = before
