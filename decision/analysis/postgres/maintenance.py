"""VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH, moving between tablespaces."""

from __future__ import annotations

from collections.abc import Callable

from decision.analysis.flow import Flow
from decision.analysis.postgres.closure import read_relation
from decision.analysis.postgres.definitions import (
    STORED,
    SYSTEM,
    all_of,
    define,
    define_index,
    named_object,
    relation_name,
    with_family,
)
from decision.analysis.postgres.made import refreshed
from decision.analysis.postgres.names import resolve
from decision.analysis.postgres.parse import Node, option_true, options
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.facts import Access, Kind, ObjectName, RelationKind, Usage

Handler = Callable[[Walk, Node], None]


def _maintenance(verb: str) -> Handler:
    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.MAINTENANCE)
        objects: list[ObjectName] = []
        targets = [n.get("VacuumRelation", {}).get("relation") for n in body.get("rels", ())]
        if "relation" in body:
            targets.append(body["relation"])
        for target in targets:
            if target:
                objects.append(_with_parts(walk, target))
                _measured(walk, target)
        found = [n["DefElem"].get("defname", "") for n in body.get("options", ()) if "DefElem" in n]
        if not objects and (verb == "cluster" or "full" in found):
            all_of(walk, None, STORED)
        done = "analyze" if verb == "vacuum" and not body.get("is_vacuumcmd") else verb
        walk.operation(done, "table" if objects else body.get("name", "database"), objects, found)

    return handler


def _measured(walk: Walk, target: Node) -> None:
    """ANALYZE of a relation of this session: plans tell how wide its values are. Nobody else analyses those."""
    relation = resolve(walk, target.get("schemaname", ""), target.get("relname", ""))
    for flow in relation.shape.flows if relation.made is not None else ():
        walk.use(Flow(flow.sources - {(*relation.key, name) for name in relation.shape.names}), Usage.CHECK)


def _with_parts(walk: Walk, target: Node) -> ObjectName:
    """A relation that is rewritten, with its partitions."""
    relation = define(walk, target)
    if relation.kind in (RelationKind.PARTITIONED, RelationKind.TEMPORARY):
        with_family(walk, relation)
    return relation_name(relation)


def _reindex(walk: Walk, body: Node) -> None:
    walk.kind(Kind.MAINTENANCE)
    kind = body.get("kind", "").removeprefix("REINDEX_OBJECT_").lower()
    objects = [ObjectName("", body.get("name", ""))] if "name" in body else []
    if kind == "index" and "relation" in body:
        objects = [define_index(walk, body["relation"].get("schemaname", ""), body["relation"].get("relname", ""))]
    elif kind == "table" and "relation" in body:
        objects = [_with_parts(walk, body["relation"])]
    elif kind == "schema":
        all_of(walk, (body.get("name", ""),), STORED)
    elif kind in ("database", "system"):
        all_of(walk, SYSTEM if kind == "system" else None, STORED)
    elif "relation" in body:
        objects = [named_object(body["relation"])]
    walk.operation("reindex", kind, objects, _given(body, "params"))


def _given(body: Node, field: str = "options") -> list[str]:
    """The options that are on."""
    return [name for name in options(body, field) if option_true(options(body, field), name)]


def _refresh(walk: Walk, body: Node) -> None:
    walk.kind(Kind.MAINTENANCE)
    relation = define(walk, body["relation"])
    read_relation(walk, relation)
    refreshed(walk, relation)
    walk.touch(relation.schema, relation.name, relation.kind, Access.WRITE, relation.oid, relation.tags)
    found = ["concurrently"] if body.get("concurrent") else []
    walk.operation("refresh", "materialized_view", [relation_name(relation)], found)


def _move_all(walk: Walk, body: Node) -> None:
    """Which relations are in a tablespace, the catalog snapshot doesn't tell."""
    walk.kind(Kind.DDL)
    walk.flags.add("admin")
    walk.operation("move_all", "tablespace", [ObjectName("", body.get("orig_tablespacename", ""))])
    walk.unresolved("tablespace", "which relations are in it is not known")


STATEMENTS.update(
    {
        "VacuumStmt": _maintenance("vacuum"), "ClusterStmt": _maintenance("cluster"), "ReindexStmt": _reindex,
        "RefreshMatViewStmt": _refresh, "AlterTableMoveAllStmt": _move_all,
    }
)  # fmt: skip
