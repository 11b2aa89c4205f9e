"""CREATE TABLE, CREATE FOREIGN TABLE: columns, sequences, constraints, parents."""

from __future__ import annotations

from dataclasses import replace

from decision.analysis.effects import IndexMade, MadeColumn, ReferenceMade, RelationMade
from decision.analysis.flow import OPAQUE, TEMP_SCHEMA, Flow, Scope, Shape
from decision.analysis.postgres.definitions import (
    comes_to_be,
    define,
    foreign_end,
    on_relation,
)
from decision.analysis.postgres.expressions import generic
from decision.analysis.postgres.names import Relation, creation_schema, resolve
from decision.analysis.postgres.parse import Node, only, options, qualified, strings
from decision.analysis.postgres.refusing import declared, refuses
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.catalog import ForeignKey
from decision.model.facts import Access, Kind, ObjectName, RelationKind, Usage


def create_table(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    target = body["relation"]
    persistence = target["relpersistence"]
    schema = creation_schema(walk, target.get("schemaname", ""), persistence)
    name = target.get("relname", "")
    temporary = schema == TEMP_SCHEMA
    kind = (
        RelationKind.TEMPORARY if temporary else RelationKind.PARTITIONED if "partspec" in body else RelationKind.TABLE
    )
    options_found = ["if_not_exists"] if body.get("if_not_exists") else []
    walk.operation("create", "table", [ObjectName(schema, name)], options_found)
    comes_to_be(walk, schema, name, kind)
    if temporary:
        walk.flags.add("temporary")
    columns, complete = table_columns(walk, body, (schema, name))
    parents = [resolve(walk, n["RangeVar"].get("schemaname", ""), n["RangeVar"].get("relname", "")).key
               for n in body.get("inhRelations", ())]  # fmt: skip
    walk.effects.append(RelationMade(schema, name, kind, tuple(columns), complete, tuple(parents)))


def table_columns(walk: Walk, body: Node, own: tuple[str, str]) -> tuple[list[MadeColumn], bool]:
    columns: list[MadeColumn] = []
    complete = "ofTypename" not in body
    for node in body.get("inhRelations", ()):
        parent = define(walk, node.get("RangeVar", {}))
        complete = complete and not parent.shape.open
        columns += [MadeColumn.of(n, f) for n, f in zip(parent.shape.names, parent.shape.flows, strict=True)]
    elements = body.get("tableElts", [])
    names = [node["ColumnDef"].get("colname", "") for node in elements if "ColumnDef" in node]
    shape = Shape(names, [Flow(frozenset({(*own, n)})) for n in names], not complete)
    made = Relation(own[0], own[1], None, None, False)
    made.shape = Shape(shape.names, shape.flows, True)
    for node in elements:
        tag, inner = only(node)
        if tag == "ColumnDef":
            columns.append(made_column(walk, inner))
            column_sequence(walk, made, inner)
            for part in inner.get("constraints", ()):
                constraint(walk, made, part.get("Constraint", {}), inner.get("colname", ""))
        elif tag == "TableLikeClause":
            access = Access.READ if own[0] == TEMP_SCHEMA else Access.DDL
            like = define(walk, inner.get("relation", {}), access)
            complete = complete and not like.shape.open
            columns += [MadeColumn(name) for name in like.shape.names]
        elif tag == "Constraint":
            constraint(walk, made, inner)
    bound(walk, body.get("partbound", {}))
    for node in body.get("partspec", {}).get("partParams", ()):
        on_relation(walk, made, node.get("PartitionElem", {}).get("expr"))
    if refuses(body):
        columns = [replace(column, strict=True) for column in columns]
    return list({column.name: column for column in columns}.values()), complete


def bound(walk: Walk, spec: Node) -> None:
    """A partition's bounds are computed now and kept where everybody reads them."""
    for part in ("listdatums", "lowerdatums", "upperdatums"):
        for node in spec.get(part, ()):
            if "ColumnRef" not in node:  # MINVALUE, MAXVALUE
                flow = generic(walk, Scope(), node)
                walk.use(flow, Usage.INNER)
                walk.use(flow, Usage.CHECK)


def made_column(walk: Walk, column: Node) -> MadeColumn:
    """A column that is generated may hold any other; a default is what its expression reads."""
    flow, opaque = Flow(), False
    for part in column.get("constraints", ()):
        body = part.get("Constraint", {})
        opaque = opaque or body.get("contype") == "CONSTR_GENERATED"
        if body.get("contype") == "CONSTR_DEFAULT" and "raw_expr" in body:
            flow = generic(walk, Scope(parameters=True), body["raw_expr"])
    made = MadeColumn(
        column.get("colname", ""), flow.sources, opaque or flow.opaque, computed=opaque or bool(flow.sources)
    )
    return declared(made, column)


def column_sequence(walk: Walk, relation: Relation, column: Node) -> None:
    """The sequence that a serial or identity column brings."""
    serial = qualified(column.get("typeName", {}).get("names"))[1] in _SERIAL
    for part in column.get("constraints", ()):
        if part.get("Constraint", {}).get("contype") == "CONSTR_IDENTITY":
            sequence_made(walk, relation, column.get("colname", ""), part["Constraint"])
            serial = False
    if serial:
        sequence_made(walk, relation, column.get("colname", ""), {})


_SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})


def sequence_made(walk: Walk, relation: Relation, column: str, identity: Node) -> None:
    named = strings((options(identity).get("sequence_name") or {}).get("List", {}).get("items"))
    name = named[-1] if named else f"{relation.name}_{column}_seq"
    if len(name.encode()) > 63:
        return  # the server shortens it in its own way
    schema = named[-2] if len(named) > 1 else relation.schema
    columns = tuple([MadeColumn(each) for each in ("last_value", "log_cnt", "is_called")])
    kind = RelationKind.TEMPORARY if schema == TEMP_SCHEMA else RelationKind.SEQUENCE
    walk.effects.append(RelationMade(schema, name, kind, columns))


def constraint(walk: Walk, relation: Relation, body: Node, column: str = "") -> None:
    """A constraint of a table; `column` that it is written after, if it is."""
    if body.get("contype") == "CONSTR_FOREIGN" and "pktable" in body:
        _foreign_key(walk, relation, body, column)
    if body.get("contype") in _INDEXED:
        columns = strings(body.get("keys")) or ([column] if column else [])
        ending = "pkey" if body["contype"] == "CONSTR_PRIMARY" else "_".join([*columns, _INDEXED[body["contype"]]])
        walk.effects.append(IndexMade(*relation.key, body.get("conname") or f"{relation.name}_{ending}"))
    on_relation(walk, relation, body.get("raw_expr"), body.get("where_clause"))
    for node in body.get("exclusions", ()):
        element = node.get("List", {}).get("items", [{}])[0].get("IndexElem", {})
        on_relation(walk, relation, element.get("expr"))
        if relation.made is not None and "name" in element:
            walk.use(relation.shape.lookup.get(element["name"], OPAQUE), Usage.CHECK)


_INDEXED = {"CONSTR_PRIMARY": "pkey", "CONSTR_UNIQUE": "key", "CONSTR_EXCLUSION": "excl"}


def _foreign_key(walk: Walk, relation: Relation, body: Node, column: str) -> None:
    target = body["pktable"]
    own = target.get("relname") == relation.name and target.get("schemaname", relation.schema) == relation.schema
    other = relation if own else define(walk, target)
    if not own:
        foreign_end(walk, other)
    known = other.entry.relation.keys if other.entry is not None and not other.stale else ()
    made = ForeignKey(
        body.get("conname", ""),
        tuple(strings(body.get("fk_attrs")) or ([column] if column else [])),
        other.schema,
        other.name,
        tuple(strings(body.get("pk_attrs"))) or (known[0] if known else ()),
        _ACTIONS.get(body.get("fk_del_action", "a"), "no_action"),
        _ACTIONS.get(body.get("fk_upd_action", "a"), "no_action"),
    )
    walk.effects.append(ReferenceMade(*relation.key, made))


_ACTIONS = {"r": "restrict", "c": "cascade", "n": "set_null", "d": "set_default"}


def create_foreign_table(walk: Walk, body: Node) -> None:
    create_table(walk, body["base"])
    walk.flags.update(("remote", "foreign"))
    walk.operation("create", "foreign_table", walk.operations[-1].objects)


STATEMENTS.update(
    {
        "CreateStmt": create_table, "CreateForeignTableStmt": create_foreign_table,
    }
)  # fmt: skip
