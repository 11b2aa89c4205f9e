"""Relations by name, as the server would resolve them: temporary ones first, then the search path."""

from __future__ import annotations

from collections.abc import Sequence

from decision.analysis.catalog import Entry
from decision.analysis.effects import MadeColumn, RelationMade
from decision.analysis.flow import OPAQUE, TEMP_SCHEMA, Flow, Key, Shape, either, merge
from decision.analysis.postgres.walk import Walk
from decision.analysis.session import SNAPSHOT_PATH
from decision.model.facts import Access, RelationKind, Transform


class Relation:
    """A resolved (or not) relation: `entry` from the snapshot, `made` by this session, neither if unknown."""

    __slots__ = ("entry", "key", "kind", "made", "name", "oid", "schema", "shape", "stale", "tags")

    def __init__(self, schema: str, name: str, entry: Entry | None, made: RelationMade | None, stale: bool) -> None:
        self.schema = schema
        self.name = name
        self.entry = entry
        self.made = made
        self.stale = stale
        self.key = (schema, name)
        self.tags: tuple[str, ...] = entry.relation.tags if entry is not None else ()
        self.oid = entry.relation.oid if entry is not None else 0
        if made is not None:
            self.kind = made.kind
            self.shape = _made_shape(made, entry)
        elif entry is not None:
            self.kind = entry.kind
            self.shape = entry.shape
        else:
            self.kind = RelationKind.UNKNOWN
            self.shape = Shape((), (), is_open=True)
        if stale:
            self.shape = Shape((), (), is_open=True)

    def touch(self, walk: Walk, access: Access) -> None:
        walk.touch(self.schema, self.name, self.kind, access, self.oid, self.tags)


def _made_shape(made: RelationMade, entry: Entry | None) -> Shape:
    names, flows = [], []
    for column in made.columns:
        own: Key = (made.schema, made.name, column.name)
        names.append(column.name)
        transform = Transform.EXPRESSION if column.computed else Transform.IDENTITY
        flows.append(Flow(column.sources | {own}, transform, column.opaque))
    shape = Shape(names, flows, is_open=not made.complete)
    if entry is None:
        return shape
    # The snapshot has caught up: its columns, and still everything that flowed into them in this session.
    known = entry.shape
    return Shape(
        known.names,
        [
            merge((flow, found := shape.lookup.get(name, flow)), found.transform)
            for name, flow in zip(known.names, known.flows, strict=True)
        ],
    )


def search_paths(walk: Walk) -> list[tuple[str, ...] | None]:
    """Every search path that may be in force, with pg_catalog where it is searched; None: any."""
    if walk.paths is None:
        walk.paths = _search_paths(walk)
    return walk.paths


def _search_paths(walk: Walk) -> list[tuple[str, ...] | None]:
    assert walk.catalog is not None
    snapshot = walk.catalog.search_path()
    paths: list[tuple[str, ...] | None] = []
    for path in walk.state.search_paths or (SNAPSHOT_PATH,):
        if path is None:
            paths.append(None)
        elif path == SNAPSHOT_PATH:
            paths.append(snapshot if "pg_catalog" in snapshot else ("pg_catalog", *snapshot))
        else:
            expanded: list[str] = []
            for name in path:
                if name == "$user":
                    expanded += walk.state.roles or [n for n in snapshot if n != "pg_catalog" and n not in path]
                else:
                    expanded.append(name)
            paths.append(tuple(expanded) if "pg_catalog" in expanded else ("pg_catalog", *expanded))
    return paths


def _made(walk: Walk, schema: str, name: str) -> RelationMade | None:
    for made in walk.state.made:
        if made.name == name and made.schema == schema:
            return made
    return None


def _stale(walk: Walk, schema: str, name: str) -> bool:
    if not walk.state.altered or walk.catalog is None:
        return False
    version = walk.catalog.version
    return any(
        mark.name == name and mark.schema == schema and (mark.pending or mark.version == version)
        for mark in walk.state.altered
    )


def at(walk: Walk, schema: str, name: str) -> Relation | None:
    """The relation of exactly this schema and name."""
    if schema.startswith("pg_temp"):
        schema = TEMP_SCHEMA
    made = _made(walk, schema, name) if walk.state.made else None
    entry = walk.catalog.entry(schema, name) if walk.catalog is not None else None
    stale = _stale(walk, schema, name)
    if made is None and entry is None and not stale:
        return None
    return Relation(schema, name, entry, made, stale and (entry is not None or made is None))


def resolve(walk: Walk, schema: str, name: str) -> Relation:
    """The relation that the server would take. Doubt is recorded as unresolved, and every candidate as its shape."""
    walk.budget.charge(1)
    if walk.catalog is None:
        walk.unresolved(name, "no catalog snapshot: names are not resolved")
        return Relation(schema, name, None, None, False)
    state = walk.state
    if not (state.made or state.altered or state.overflowed or state.search_paths):
        known = walk.catalog.plain.get((schema, name))
        if isinstance(known, Relation):
            return known
        found = _resolve(walk, schema, name)
        if found.entry is not None:  # so there are never more than the snapshot's relations, by a path and by a schema
            walk.catalog.plain[(schema, name)] = found
        return found
    return _resolve(walk, schema, name)


def _resolve(walk: Walk, schema: str, name: str) -> Relation:
    assert walk.catalog is not None
    if walk.state.overflowed:
        walk.unresolved(name, "this session has made too many objects to follow; connect again")
    if schema:
        found = at(walk, schema, name)
        if found is None:
            walk.unresolved(name, f"no relation of this name in schema {schema}")
            return Relation(schema, name, None, None, False)
        return _checked(walk, found)
    candidates: dict[tuple[str, str], Relation] = {}
    temporary = at(walk, TEMP_SCHEMA, name) if walk.state.made else None
    if temporary is not None:
        candidates[temporary.key] = temporary
    for path in search_paths(walk):
        for relation in _first(walk, path, name):
            candidates[relation.key] = relation
    if not candidates:
        walk.unresolved(name, "no relation of this name in the search path")
        return Relation("", name, None, None, False)
    first, *others = candidates.values()
    if others:
        walk.unresolved(name, "the name may mean several relations after what this session did")
        for other in others:
            other.touch(walk, Access.READ)
        return first
    return _checked(walk, first)


def _first(walk: Walk, path: tuple[str, ...] | None, name: str) -> list[Relation]:
    assert walk.catalog is not None
    if path is None:  # unknown path: sound if the name is unique in the whole catalog
        schemas = list(walk.catalog.schemas_of.get(name, ()))
        schemas += [m.schema for m in walk.state.made if m.name == name and m.schema not in schemas]
        return [r for s in schemas if (r := at(walk, s, name)) is not None]
    for schema in path:
        found = at(walk, schema, name)
        if found is not None:
            return [found]
    return []


def _checked(walk: Walk, relation: Relation) -> Relation:
    if relation.stale:
        walk.unresolved(relation.name, "it was changed in this session and the catalog has not been read again yet")
    return relation


def made_columns(shape: Shape, given: Sequence[str]) -> tuple[MadeColumn, ...]:
    """The columns of a relation made from a query, the leading ones renamed. More names than columns that are known
    (EXECUTE, `*` of an unknown relation; or the server will refuse it) are columns that may hold anything."""
    names = [*given, *shape.names[len(given) :]]
    flows = [*shape.flows, *[OPAQUE] * (len(names) - len(shape.flows))]
    return tuple([MadeColumn.of(n, f) for n, f in zip(names, flows, strict=True)])


def creation_schema(walk: Walk, schema: str, persistence: str) -> str:
    """Where a new relation comes to be; empty if that can't be known."""
    if persistence == "t" or schema.startswith("pg_temp"):
        return TEMP_SCHEMA
    if schema or walk.catalog is None:
        return schema
    found = set()
    for path in search_paths(walk):
        if path is None:
            return ""
        places = [name for name in path if name != "pg_catalog"]
        found.add(places[0] if places else "")
    return found.pop() if len(found) == 1 else ""


__all__ = ["Relation", "creation_schema", "either", "made_columns", "resolve", "search_paths"]
