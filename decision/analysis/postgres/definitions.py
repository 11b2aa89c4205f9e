"""What statements on definitions share: the relation whose definition changes, its family, its expressions."""

from __future__ import annotations

from decision.analysis.effects import MadeColumn, RelationAltered, RelationMade
from decision.analysis.flow import Item, Scope
from decision.analysis.postgres.closure import descendants
from decision.analysis.postgres.expressions import generic
from decision.analysis.postgres.names import Relation, resolve, search_paths
from decision.analysis.postgres.parse import Node, option_text, qualified
from decision.analysis.postgres.walk import Walk
from decision.model.facts import Access, ObjectName, Usage, Via

OBJECTS = {
    "OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized_view", "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence", "OBJECT_FOREIGN_TABLE": "foreign_table", "OBJECT_COLUMN": "column",
}  # fmt: skip


RELATIONS = frozenset(OBJECTS) - {"OBJECT_INDEX", "OBJECT_COLUMN"}


ON_TABLE = frozenset({"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_TABCONSTRAINT", "OBJECT_COLUMN"})


CODE = frozenset({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE", "OBJECT_OPERATOR",
                  "OBJECT_CAST", "OBJECT_TYPE", "OBJECT_DOMAIN"})  # fmt: skip


_SYSTEM = ("pg_catalog", "information_schema")


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


def define_index(walk: Walk, schema: str, name: str) -> ObjectName:
    """An index that changes, and with it the table that it is on."""
    found = None if walk.catalog is None else walk.catalog.index(schema, name, search_paths(walk))
    if found is None:
        return ObjectName(schema, name)
    define(walk, {"schemaname": found[0], "relname": found[1]})
    return ObjectName(found[0], name)


def altered(walk: Walk, relation: Relation) -> None:
    walk.effects.append(RelationAltered(relation.schema, relation.name))


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
    columns = [MadeColumn(n, f.sources, f.opaque) for n, f in zip(shape.names, shape.flows, strict=True)]
    walk.effects.append(
        RelationMade(child.schema, child.name, child.kind, tuple(columns), not shape.open, (parent.key,))
    )


def with_family(walk: Walk, relation: Relation, target: Node) -> None:
    """Without ONLY a definition's change reaches the partitions and children."""
    if relation.entry is not None and walk.catalog is not None and target.get("inh", True):
        for child in descendants(walk.catalog, relation.entry):
            known = child.relation
            walk.touch(known.schema, known.name, known.kind, Access.DDL, known.oid, known.tags, Via.INHERITANCE)


def schema_gone(walk: Walk, schema: str, replacement: str = "") -> None:
    """A schema was dropped or renamed: its names, and those of the new one, mean something else from now on."""
    for relation in walk.catalog.snapshot.relations if walk.catalog is not None else ():
        if relation.schema == schema:
            walk.effects.append(RelationAltered(schema, relation.name))
            if replacement:
                walk.effects.append(RelationAltered(replacement, relation.name))


def others_uncovered(walk: Walk) -> None:
    """Relations went away that aren't named: a name that several schemas have may mean another one from now on."""
    for name, schemas in walk.catalog.schemas_of.items() if walk.catalog is not None else ():
        if len(schemas) > 1:
            walk.effects += [RelationAltered(schema, name) for schema in schemas if schema not in _SYSTEM]


def named_object(value: object) -> ObjectName:
    if isinstance(value, str):
        return ObjectName("", value)
    if isinstance(value, list):
        return ObjectName(*qualified(value))
    if isinstance(value, dict):
        if "objname" in value:
            return ObjectName(*qualified(value["objname"]))
        if "relname" in value:
            return ObjectName(value.get("schemaname", ""), value["relname"])
        if "rolename" in value:
            return ObjectName("", value["rolename"])
        return ObjectName("", option_text(value) or "")
    return ObjectName("", "")
