"""A catalog snapshot prepared for look-ups, with what is derived from it once: column flows, the shapes of views."""

from __future__ import annotations

from decision.analysis.flow import OPAQUE, Flow, Key, Shape
from decision.model.catalog import CatalogFunction, CatalogRelation, CatalogSnapshot
from decision.model.facts import RelationKind, Transform

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
VIEWS = (RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW)


class Entry:
    """A relation of the snapshot. `shape` are its own columns, each the flow of itself."""

    __slots__ = ("generated", "is_view", "key", "kind", "not_null", "relation", "shape", "tags")

    def __init__(self, relation: CatalogRelation) -> None:
        self.relation = relation
        self.key = (relation.schema, relation.name)
        self.kind = relation.kind
        self.is_view = bool(relation.definition)
        names = [column.name for column in relation.columns]
        flows = [Flow(frozenset({(relation.schema, relation.name, name)}), Transform.IDENTITY) for name in names]
        self.shape = Shape(names, flows)
        self.not_null = frozenset(column.name for column in relation.columns if column.not_null)
        self.generated = any(column.generated and column.expression for column in relation.columns)
        self.tags: dict[str, tuple[str, ...]] = {c.name: c.tags for c in relation.columns if c.tags}

    def system_column(self, name: str) -> Flow | None:
        if name in SYSTEM_COLUMNS:
            return Flow(frozenset({(*self.key, name)}), Transform.IDENTITY)
        return None


class CatalogIndex:
    """One a snapshot version. Fills itself as statements ask; safe to share between statements of one thread."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self.snapshot = snapshot
        self.version = snapshot.version
        self._relations = {(r.schema, r.name): r for r in snapshot.relations}
        self._entries: dict[tuple[str, str], Entry] = {}
        self.schemas_of: dict[str, list[str]] = {}
        for relation in snapshot.relations:
            self.schemas_of.setdefault(relation.name, []).append(relation.schema)
        self.functions: dict[str, list[CatalogFunction]] = {}
        for function in snapshot.functions:
            self.functions.setdefault(function.name, []).append(function)
        self.referenced: dict[tuple[str, str], list[tuple[CatalogRelation, int]]] = {}
        for relation in snapshot.relations:
            for number, constraint in enumerate(relation.foreign_keys):
                target = (constraint.target_schema, constraint.target_table)
                self.referenced.setdefault(target, []).append((relation, number))
        self.tags: dict[Key, tuple[str, ...]] = {
            (r.schema, r.name, column.name): column.tags
            for r in snapshot.relations
            for column in r.columns
            if column.tags
        }
        self._indexes: dict[tuple[str, str], str] | None = None  # (schema, index) to the table's name, once asked for
        self.plain: dict[tuple[str, str], object] = {}  # names as a fresh session means them (postgres.names)
        self.closures: dict[object, object] = {}  # what views, triggers, functions pull in (decision.analysis.postgres)

    def entry(self, schema: str, name: str) -> Entry | None:
        found = self._entries.get((schema, name))
        if found is None:
            relation = self._relations.get((schema, name))
            if relation is None:
                return None
            found = self._entries[(schema, name)] = Entry(relation)
        return found

    def index(self, schema: str, name: str, paths: list[tuple[str, ...] | None]) -> tuple[str, str] | None:
        """The (schema, table) that the index of this name is on."""
        if self._indexes is None:
            self._indexes = {(r.schema, index.name): r.name for r in self.snapshot.relations for index in r.indexes}
        places = [schema] if schema else [place for path in paths for place in path or ()]
        for place in places:
            table = self._indexes.get((place, name))
            if table is not None:
                return place, table
        return None

    def tags_of(self, key: Key) -> tuple[str, ...]:
        return self.tags.get(key, ())

    def search_path(self) -> tuple[str, ...]:
        return self.snapshot.search_path


def unknown_shape() -> Shape:
    """Columns that nobody knows."""
    return Shape((), (), is_open=True)


__all__ = ["OPAQUE", "VIEWS", "CatalogIndex", "Entry", "unknown_shape"]
