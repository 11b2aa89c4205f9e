"""What statements on definitions share: the relation whose definition changes, its family, its expressions."""

from __future__ import annotations

import re
from collections.abc import Container

from decision.analysis.effects import IndexMade, MadeColumn, ReferenceMade, RelationAltered, RelationMade
from decision.analysis.flow import Item, Scope
from decision.analysis.postgres import attached
from decision.analysis.postgres.expressions import generic
from decision.analysis.postgres.names import Relation, at, resolve, search_paths
from decision.analysis.postgres.parse import Node, option_text, qualified
from decision.analysis.postgres.walk import Walk
from decision.analysis.session import parse_search_path
from decision.model.facts import Access, ObjectName, RelationKind, Usage, Via

OBJECTS = {
    "OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized_view", "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence", "OBJECT_FOREIGN_TABLE": "foreign_table", "OBJECT_COLUMN": "column",
}  # fmt: skip


RELATIONS = frozenset(OBJECTS) - {"OBJECT_INDEX", "OBJECT_COLUMN"}


ON_TABLE = frozenset({"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_COLUMN"})


CODE = frozenset({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE", "OBJECT_OPERATOR",
                  "OBJECT_CAST", "OBJECT_TYPE", "OBJECT_DOMAIN"})  # fmt: skip


SYSTEM = ("pg_catalog", "information_schema")


def object_type(tag: str) -> str:
    return OBJECTS.get(tag) or tag.removeprefix("OBJECT_").lower()


def define(walk: Walk, body: Node, access: Access = Access.DDL, *, missing_ok: bool = False) -> Relation:
    """A named relation whose definition changes (or that is locked, maintained …)."""
    schema, name = body.get("schemaname", ""), body.get("relname", "")
    before = dict(walk.unresolved_)
    relation = resolve(walk, schema, name)
    if relation.entry is None and relation.made is None and (missing_ok or relation.stale):
        walk.unresolved_ = before  # IF EXISTS; or a name that this session gave to a relation
    relation.touch(walk, access)
    return relation


def comes_to_be(walk: Walk, schema: str, name: str, kind: RelationKind) -> None:
    """A relation is made; where the search path is not known for certain, in any of the places that it may be."""
    places = [schema] if schema else _places(walk, name)
    for place in places or [""]:
        walk.touch(place, name, kind, Access.DDL)


def _places(walk: Walk, name: str) -> list[str]:
    if walk.catalog is None:
        return []
    found: dict[str, None] = {}
    for path in search_paths(walk):
        if path is None:
            found.update(dict.fromkeys(walk.catalog.schemas_of.get(name, ())))
        else:
            found.update(dict.fromkeys([place for place in path if place != "pg_catalog"][:1]))
    return list(found)


def define_index(walk: Walk, schema: str, name: str, *, missing_ok: bool = False) -> ObjectName:
    """An index that changes, and with it the table that it is on, and the indexes of the table's partitions."""
    found = None if walk.catalog is None else walk.catalog.index(schema, name, search_paths(walk))
    tables = {found} if found is not None else set()
    for each in walk.state.attached:
        if isinstance(each, IndexMade) and each.index == name and schema in ("", each.schema):
            tables.add((each.schema, each.name))
    for place, table in sorted(tables):
        relation = define(walk, {"schemaname": place, "relname": table})
        with_family(walk, relation)
    if not tables and not missing_ok:
        walk.unresolved(name, "no index of this name is known")
    return ObjectName(found[0] if found is not None else schema, name)


def altered(walk: Walk, relation: Relation) -> None:
    walk.effects.append(RelationAltered(relation.schema, relation.name))


def taken_away(walk: Walk, key: tuple[str, str]) -> None:
    """A relation goes on under another name, and with it what it holds; what was said of the old name is lost."""
    entry = walk.catalog.entry(*key) if walk.catalog is not None else None
    for name, tags in entry.tags.items() if entry is not None else ():
        if tags:
            walk.use_key((*key, name), Usage.INNER)


def cut_off(walk: Walk, child: Relation) -> None:
    """A partition or child is one no more; what is said of the columns of its parents alone is lost."""
    own = child.entry.tags if child.entry is not None else {}
    for key in attached.ancestors(walk, child.key) if walk.catalog is not None else ():
        entry = walk.catalog.entry(*key) if walk.catalog is not None else None
        for name, tags in entry.tags.items() if entry is not None else ():
            if not set(tags) <= set(own.get(name, ())):
                walk.use_key((*key, name), Usage.INNER)


def on_relation(walk: Walk, relation: Relation, *nodes: object) -> None:
    """Expressions over a relation's columns: checks, defaults, index predicates, policies."""
    scope = Scope()
    scope.items.append(Item(relation.name, relation.shape, schema=relation.schema, relation=relation.key))
    for node in nodes:
        if node:
            walk.use(generic(walk, scope, node), Usage.CHECK)


def relation_name(relation: Relation) -> ObjectName:
    return ObjectName(relation.schema, relation.name)


def shares_rows(walk: Walk, child: Relation, parent: Relation) -> None:
    """ALTER TABLE … INHERIT, ATTACH PARTITION: the parent's rows are the child's, too."""
    shape = child.shape
    columns = [MadeColumn.of(n, f) for n, f in zip(shape.names, shape.flows, strict=True)]
    walk.effects.append(
        RelationMade(child.schema, child.name, child.kind, tuple(columns), not shape.open, (parent.key,))
    )


def with_family(walk: Walk, relation: Relation, *, only: bool = False) -> None:
    """Without ONLY a definition's change reaches the partitions and children."""
    if only:
        return
    for part in parts(walk, relation.key):
        walk.touch(part.schema, part.name, part.kind, Access.DDL, part.oid, part.tags, Via.INHERITANCE)


_NEXT = re.compile(r"nextval\('([^']+)'::regclass\)")


def sequences(walk: Walk, relation: Relation) -> None:
    """The sequences of a table's serial columns come and go with it."""
    for column in relation.entry.relation.columns if relation.entry is not None else ():
        for text in _NEXT.findall(column.expression):
            names = parse_search_path(text.replace(".", ","))
            found = at(walk, names[0] if len(names) > 1 else relation.schema, names[-1])
            if found is not None:
                found.touch(walk, Access.DDL)


def parts(walk: Walk, top: tuple[str, str]) -> list[Relation]:
    """The partitions and children of a relation, of the catalog and of the session."""
    found = [at(walk, *key) for key in attached.parts(walk, top)]
    return [relation for relation in found if relation is not None]


def foreign_end(walk: Walk, relation: Relation) -> None:
    """The rows at the other end of a foreign key are looked at."""
    for each in (relation, *parts(walk, relation.key)):
        walk.touch(each.schema, each.name, each.kind, Access.READ, each.oid, each.tags, Via.FOREIGN_KEY)


def checks_keys(walk: Walk, relation: Relation) -> None:
    """The server holds the rows of a relation, and of its family, against both ends of their foreign keys."""
    if walk.catalog is None:
        return
    members = {relation.key, *attached.ancestors(walk, relation.key), *[part.key for part in parts(walk, relation.key)]}
    ends: dict[tuple[str, str], None] = {}
    for key in sorted(members):
        entry = walk.catalog.entry(*key)
        for constraint in entry.relation.foreign_keys if entry is not None else ():
            ends[constraint.target_schema, constraint.target_table] = None
        for other, _ in walk.catalog.referenced.get(key, ()):
            ends[other.schema, other.name] = None
    for made in walk.state.attached:
        if isinstance(made, ReferenceMade):
            pair = ((made.schema, made.name), (made.constraint.target_schema, made.constraint.target_table))
            ends.update(dict.fromkeys(pair if not members.isdisjoint(pair) else ()))
    for key in ends:
        end = at(walk, *key)
        if end is not None:
            foreign_end(walk, end)


STORED = frozenset(
    {RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED_VIEW, RelationKind.TEMPORARY,
     RelationKind.SYSTEM}
)  # fmt: skip


def all_of(
    walk: Walk, schemas: Container[str] | None, kinds: Container[RelationKind] = frozenset(RelationKind)
) -> None:
    """The definitions of all relations of these schemas (None: all but the system's) and kinds change."""

    def chosen(schema: str, kind: RelationKind) -> bool:
        return kind in kinds and (schema not in SYSTEM if schemas is None else schema in schemas)

    for known in walk.catalog.snapshot.relations if walk.catalog is not None else ():
        if chosen(known.schema, known.kind):
            walk.budget.charge(1)
            walk.touch(known.schema, known.name, known.kind, Access.DDL, known.oid, known.tags)
    for made in walk.state.made:
        if chosen(made.schema, made.kind):
            walk.touch(made.schema, made.name, made.kind, Access.DDL)


def schema_gone(walk: Walk, schema: str, replacement: str = "") -> None:
    """A schema was dropped or renamed: its names, and those of the new one, mean something else from now on."""
    for relation in walk.catalog.snapshot.relations if walk.catalog is not None else ():
        if relation.schema == schema:
            walk.effects.append(RelationAltered(schema, relation.name))
            if replacement:
                walk.budget.charge(1)
                taken_away(walk, (schema, relation.name))
                walk.effects.append(RelationAltered(replacement, relation.name))


def others_uncovered(walk: Walk) -> None:
    """Relations went away that aren't named: a name that several schemas have may mean another one from now on."""
    for name, schemas in walk.catalog.schemas_of.items() if walk.catalog is not None else ():
        if len(schemas) > 1:
            walk.effects += [RelationAltered(schema, name) for schema in schemas if schema not in SYSTEM]


def named_object(value: object) -> ObjectName:
    if isinstance(value, str):
        return ObjectName("", value)
    if isinstance(value, list):
        return ObjectName(*qualified(value))
    if isinstance(value, dict):
        if "objname" in value:
            return ObjectName(*qualified(value["objname"]))
        if "names" in value:
            return ObjectName(*qualified(value["names"]))
        if "relname" in value:
            return ObjectName(value.get("schemaname", ""), value["relname"])
        if "rolename" in value:
            return ObjectName("", value["rolename"])
        return ObjectName("", option_text(value) or "")
    return ObjectName("", "")
