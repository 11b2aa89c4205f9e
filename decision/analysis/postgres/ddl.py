"""Definitions of relations: views, indexes, schemas, RENAME, DROP, TRUNCATE, LOCK."""

from __future__ import annotations

from dataclasses import replace

from decision.analysis.effects import FunctionMade, IndexMade, MadeColumn, RelationAltered, RelationMade
from decision.analysis.flow import OPAQUE, TEMP_SCHEMA
from decision.analysis.postgres.closure import lock_relation
from decision.analysis.postgres.definitions import (
    CODE,
    ON_TABLE,
    RELATIONS,
    all_of,
    altered,
    comes_to_be,
    define,
    define_index,
    object_type,
    on_relation,
    others_uncovered,
    parts,
    relation_name,
    schema_gone,
    sequences,
    taken_away,
    with_family,
)
from decision.analysis.postgres.dependents import dependents
from decision.analysis.postgres.finish import facts_of
from decision.analysis.postgres.names import Relation, creation_schema, made_columns, resolve, search_paths
from decision.analysis.postgres.parse import Node, only, option_text, qualified, strings
from decision.analysis.postgres.walk import STATEMENTS, Walk, query, statement
from decision.analysis.postgres.writes import write_relation
from decision.model.facts import Access, Kind, ObjectName, RelationKind, Usage, Via


def create_view(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    shape = query(walk, None, body["query"])
    walk.kinds.pop(Kind.SELECT, None)
    for flow in shape.flows:
        walk.use(flow, Usage.INNER)
    behind = facts_of(walk)
    target = body["view"]
    schema = creation_schema(walk, target.get("schemaname", ""), target["relpersistence"])
    name = target.get("relname", "")
    if "schemaname" not in target and any(relation.schema == TEMP_SCHEMA for relation in behind.relations):
        schema = TEMP_SCHEMA  # whatever was asked for
    comes_to_be(walk, schema, name, RelationKind.VIEW)
    walk.operation("create", "view", [ObjectName(schema, name)], ["or_replace"] if body.get("replace") else [])
    columns = made_columns(shape, strings(body.get("aliases")))
    if body.get("replace"):
        walk.effects.append(RelationAltered(schema, name))
    walk.effects.append(RelationMade(schema, name, RelationKind.VIEW, columns, not shape.open, (), behind))


def create_index(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    relation = define(walk, body["relation"])
    with_family(walk, relation, only="inh" not in body["relation"])
    if "idxname" in body:
        walk.effects.append(IndexMade(*relation.key, body["idxname"]))
    found = ["concurrently"] if body.get("concurrent") else []
    walk.operation("create", "index", [ObjectName(relation.schema, body.get("idxname", ""))], found)
    for node in (*body.get("indexParams", ()), *body.get("indexIncludingParams", ())):
        element = node.get("IndexElem", {})
        if "name" in element and relation.made is not None:
            walk.use(relation.shape.lookup.get(element["name"], OPAQUE), Usage.CHECK)
        on_relation(walk, relation, element.get("expr"))
    on_relation(walk, relation, body.get("whereClause"))
    if relation.made is not None and relation.entry is None:
        strict = tuple([replace(column, strict=True) for column in relation.made.columns])
        walk.effects.append(replace(relation.made, columns=strict, behind=None))


def rename(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    kind = body.get("renameType", "")
    if body.get("behavior") == "DROP_CASCADE":
        walk.flags.add("cascade")
    if "relation" in body:
        missing_ok = body.get("missing_ok", False) or kind in ("OBJECT_INDEX", "OBJECT_ATTRIBUTE", "OBJECT_TYPE")
        if kind == "OBJECT_INDEX":
            define_index(walk, body["relation"].get("schemaname", ""), body["relation"].get("relname", ""))
        relation = define(walk, body["relation"], missing_ok=missing_ok)
        known = relation.entry is not None or relation.made is not None
        # ALTER TYPE … RENAME ATTRIBUTE and ALTER INDEX … RENAME take a table, too.
        if kind == "OBJECT_COLUMN" or (kind == "OBJECT_ATTRIBUTE" and known):
            with_family(walk, relation, only="inh" not in body["relation"])
            _renamed(walk, relation, body.get("subname", ""), body.get("newname", ""))
        walk.operation("rename", object_type(kind), [relation_name(relation)])
        altered(walk, relation)
        if kind in RELATIONS or (kind == "OBJECT_INDEX" and known):
            taken_away(walk, relation.key)
            walk.touch(relation.schema, body.get("newname", ""), relation.kind, Access.DDL)
            walk.effects.append(RelationAltered(relation.schema, body.get("newname", "")))
        return
    named = [ObjectName("", body["subname"])] if "subname" in body and "object" not in body else []
    walk.operation("rename", object_type(kind), named or _object(body.get("object")))
    if kind == "OBJECT_SCHEMA":
        schema_gone(walk, body.get("subname", ""), body.get("newname", ""))
    if kind in CODE:
        walk.effects.append(FunctionMade(body.get("newname", "")))


def _renamed(walk: Walk, relation: Relation, name: str, new: str) -> None:
    """A column goes on under another name, and with it what it holds; what was said of the old name is lost."""
    walk.use(relation.shape.lookup.get(name, OPAQUE), Usage.INNER)
    for each in (relation, *parts(walk, relation.key)) if walk.state.made else ():
        if each.made is not None and each.entry is None:
            old = [replace(column, name=new) for column in each.made.columns if column.name == name]
            columns = (*each.made.columns, *(old or [MadeColumn(new, opaque=True)]))
            walk.effects.append(RelationMade(each.schema, each.name, each.kind, columns, False))


def _object(node: Node | None) -> list[ObjectName]:
    if not node:
        return []
    tag, body = only(node)
    if tag == "List":
        return [ObjectName(*qualified(body.get("items")))]
    if tag == "ObjectWithArgs":
        return [ObjectName(*qualified(body.get("objname")))]
    if tag == "TypeName":
        return [ObjectName(*qualified(body.get("names")))]
    return [ObjectName("", option_text(node) or "")]


def drop(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    kind = body.get("removeType", "")
    found = []
    if body.get("behavior") == "DROP_CASCADE":
        found.append("cascade")
        walk.flags.add("cascade")
    if body.get("concurrent"):
        found.append("concurrently")
    if body.get("missing_ok"):
        found.append("if_exists")
    objects: list[ObjectName] = []
    missing_ok = body.get("missing_ok", False)
    for node in body.get("objects", ()):
        named = strings(node.get("List", {}).get("items"))
        if kind in RELATIONS or kind in ON_TABLE:
            names = named[:-1] if kind in ON_TABLE else named
            target = {"relname": names[-1] if names else "", "schemaname": names[-2] if len(names) > 1 else ""}
            relation = define(walk, target, missing_ok=missing_ok)
            if kind in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"):
                with_family(walk, relation)
                sequences(walk, relation)
            if kind in RELATIONS and "cascade" in found:
                dependents(walk, relation)
            altered(walk, relation)
            objects.append(relation_name(relation) if kind in RELATIONS else ObjectName(relation.schema, named[-1]))
        elif kind == "OBJECT_INDEX":
            schema = named[-2] if len(named) > 1 else ""
            objects.append(define_index(walk, schema, named[-1] if named else "", missing_ok=missing_ok))
        else:
            objects += _object(node)
            if kind == "OBJECT_SCHEMA":
                schema_gone(walk, objects[-1].name)
                if "cascade" in found:
                    all_of(walk, (objects[-1].name,))
            elif "cascade" in found:
                _swept(walk, kind)
    if "cascade" in found or kind == "OBJECT_EXTENSION":
        others_uncovered(walk)
    walk.flags.update(_DROPPED.get(kind, ()))
    walk.operation("drop", object_type(kind), objects, found)


def _swept(walk: Walk, kind: str) -> None:
    """What uses a type, a function … goes with it: columns, too."""
    walk.unresolved(object_type(kind), "what depends on it is not known")
    for made in walk.state.made:
        walk.effects.append(replace(made, complete=False))


_DROPPED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(CODE, ("code",)),
    "OBJECT_POLICY": ("policy",), "OBJECT_EXTENSION": ("extension", "code"), "OBJECT_PUBLICATION": ("replication",),
    "OBJECT_FOREIGN_SERVER": ("foreign",), "OBJECT_FDW": ("foreign",), "OBJECT_FOREIGN_TABLE": ("foreign",),
    "OBJECT_EVENT_TRIGGER": ("code",), "OBJECT_RULE": ("code",), "OBJECT_TRIGGER": ("code",),
    "OBJECT_LANGUAGE": ("code",),
}  # fmt: skip


def truncate(walk: Walk, body: Node) -> None:
    walk.kind(Kind.TRUNCATE)
    cascade = body.get("behavior") == "DROP_CASCADE"
    if cascade:
        walk.flags.add("cascade")
    objects = []
    for node in body.get("relations", ()):
        target = node.get("RangeVar", {})
        relation = resolve(walk, target.get("schemaname", ""), target.get("relname", ""))
        write_relation(walk, relation, ("truncate",), only_parent=not target.get("inh", False))
        objects.append(relation_name(relation))
        if relation.entry is not None and relation.entry.relation.estimated_rows >= 0:
            walk.estimate = (walk.estimate or 0) + relation.entry.relation.estimated_rows
    found = (["cascade"] if cascade else []) + (["restart_identity"] if body.get("restart_seqs") else [])
    walk.operation("truncate", "table", objects, found)


def lock(walk: Walk, body: Node) -> None:
    walk.kind(Kind.UTILITY)
    walk.flags.add("lock")
    objects = []
    for node in body.get("relations", ()):
        target = node.get("RangeVar", {})
        relation = define(walk, target, Access.LOCK)
        lock_relation(walk, relation)
        query_behind = relation.made.seen_through if relation.made is not None else None
        for behind in query_behind.relations if query_behind is not None else ():
            if Access.READ in behind.access:
                walk.touch(behind.schema, behind.name, behind.kind, Access.LOCK, behind.oid, behind.tags, Via.VIEW)
        for part in parts(walk, relation.key) if "inh" in target else ():
            walk.touch(part.schema, part.name, part.kind, Access.LOCK, part.oid, part.tags, Via.INHERITANCE)
        objects.append(relation_name(relation))
    walk.operation("lock", "table", objects, [_LOCK_MODES.get(body.get("mode", 0), "unknown")])


_LOCK_MODES = {1: "access_share", 2: "row_share", 3: "row_exclusive", 4: "share_update_exclusive", 5: "share",
               6: "share_row_exclusive", 7: "exclusive", 8: "access_exclusive"}  # fmt: skip


def create_schema(walk: Walk, body: Node) -> None:
    """The relations named in it come to be in the new schema, which is searched first meanwhile."""
    walk.kind(Kind.DDL)
    schema = body.get("schemaname") or body.get("authrole", {}).get("rolename", "")
    walk.operation("create", "schema", [ObjectName("", schema)], ["if_not_exists"] if "if_not_exists" in body else [])
    before, paths = walk.state, walk.paths
    for node in body.get("schemaElts", ()):
        if walk.catalog is not None:
            inside = tuple([None if path is None else (schema, *path) for path in search_paths(walk)])
            walk.state, walk.paths = (
                replace(before, search_paths=inside).apply(walk.effects, walk.catalog.version),
                None,
            )
        statement(walk, node)
        walk.state, walk.paths = before, paths


STATEMENTS.update(
    {
        "ViewStmt": create_view, "IndexStmt": create_index, "RenameStmt": rename, "DropStmt": drop,
        "TruncateStmt": truncate, "LockStmt": lock, "CreateSchemaStmt": create_schema,
    }
)  # fmt: skip
