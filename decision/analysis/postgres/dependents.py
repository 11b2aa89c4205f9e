"""What goes with a relation that is dropped with CASCADE: views over it, keys referring to it, policies reading it."""

from __future__ import annotations

from decision.analysis.catalog import CatalogIndex, Entry
from decision.analysis.postgres.closure import expand_policies, expand_view
from decision.analysis.postgres.names import Relation
from decision.analysis.postgres.walk import Walk
from decision.model.facts import Access, Via

_SYSTEM = ("pg_catalog", "information_schema")
_COMMANDS = ("select", "insert", "update", "delete")


def dependents(walk: Walk, relation: Relation) -> None:
    """Name the relations whose definitions change with this one's end."""
    for made in walk.state.made:
        if made.behind is not None and relation.key in [(each.schema, each.name) for each in made.behind.relations]:
            walk.touch(made.schema, made.name, made.kind, Access.DDL, via=Via.VIEW)
    if walk.catalog is None or relation.entry is None or relation.stale:
        return
    for known, _ in walk.catalog.referenced.get(relation.key, ()):
        walk.touch(known.schema, known.name, known.kind, Access.DDL, known.oid, known.tags, Via.FOREIGN_KEY)
    for known in walk.catalog.snapshot.relations:
        if known.schema in _SYSTEM or not (known.definition or known.row_policies):
            continue
        entry = walk.catalog.entry(known.schema, known.name)
        if entry is not None and entry.key != relation.key and _reads(walk, walk.catalog, entry, relation.key):
            via = Via.VIEW if known.definition else Via.ROW_SECURITY
            walk.touch(known.schema, known.name, known.kind, Access.DDL, known.oid, known.tags, via)


def _reads(walk: Walk, catalog: CatalogIndex, entry: Entry, key: tuple[str, str]) -> bool:
    if entry.is_view:
        found = [expand_view(catalog, entry, walk)]
    else:
        found = [expand_policies(catalog, entry, command, walk) for command in _COMMANDS]
    return any(name[:2] == key for expansion in found for name in expansion.walk.relations)
