"""CREATE TABLE, CREATE FOREIGN TABLE, ALTER TABLE: columns, sequences, constraints, parents."""

from __future__ import annotations

from decision.analysis.effects import MadeColumn, RelationMade
from decision.analysis.flow import TEMP_SCHEMA, Flow, Scope, Shape
from decision.analysis.postgres.definitions import (
    altered,
    define,
    define_index,
    object_type,
    on_relation,
    relation_name,
    shares_rows,
    with_family,
)
from decision.analysis.postgres.expressions import generic
from decision.analysis.postgres.names import Relation, creation_schema, resolve
from decision.analysis.postgres.parse import Node, only, options, qualified, strings
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.facts import Access, Kind, ObjectName, RelationKind, Via


def create_table(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    target = body["relation"]
    persistence = target.get("relpersistence", "p")
    schema = creation_schema(walk, target.get("schemaname", ""), persistence)
    name = target.get("relname", "")
    temporary = schema == TEMP_SCHEMA
    kind = (
        RelationKind.TEMPORARY if temporary else RelationKind.PARTITIONED if "partspec" in body else RelationKind.TABLE
    )
    options_found = ["if_not_exists"] if body.get("if_not_exists") else []
    walk.operation("create", "table", [ObjectName(schema, name)], options_found)
    walk.touch(schema, name, kind, Access.DDL)
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
        columns += [
            MadeColumn(n, f.sources, f.opaque) for n, f in zip(parent.shape.names, parent.shape.flows, strict=True)
        ]
    elements = body.get("tableElts", [])
    names = [node["ColumnDef"].get("colname", "") for node in elements if "ColumnDef" in node]
    shape = Shape(names, [Flow(frozenset({(*own, n)})) for n in names], not complete)
    made = Relation(own[0], own[1], None, None, False)
    made.shape = Shape(shape.names, shape.flows, True)
    for node in elements:
        tag, inner = only(node)
        if tag == "ColumnDef":
            columns.append(_made_column(walk, inner))
            _column_sequence(walk, made, inner)
            for part in inner.get("constraints", ()):
                constraint(walk, made, part.get("Constraint", {}))
        elif tag == "TableLikeClause":
            access = Access.READ if own[0] == TEMP_SCHEMA else Access.DDL
            like = define(walk, inner.get("relation", {}), access)
            complete = complete and not like.shape.open
            columns += [MadeColumn(name) for name in like.shape.names]
        elif tag == "Constraint":
            constraint(walk, made, inner)
    return list({column.name: column for column in columns}.values()), complete


def _made_column(walk: Walk, column: Node) -> MadeColumn:
    """A column that is generated may hold any other; a default is what its expression reads."""
    flow, opaque = Flow(), False
    for part in column.get("constraints", ()):
        body = part.get("Constraint", {})
        opaque = opaque or body.get("contype") == "CONSTR_GENERATED"
        if body.get("contype") == "CONSTR_DEFAULT" and "raw_expr" in body:
            flow = generic(walk, Scope(parameters=True), body["raw_expr"])
    return MadeColumn(column.get("colname", ""), flow.sources, opaque or flow.opaque)


def _column_sequence(walk: Walk, relation: Relation, column: Node) -> None:
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


def constraint(walk: Walk, relation: Relation, body: Node) -> None:
    if body.get("contype") == "CONSTR_FOREIGN" and "pktable" in body:
        target = body["pktable"]
        own = target.get("relname") == relation.name and target.get("schemaname", relation.schema) == relation.schema
        if not own:
            other = define(walk, target)
            walk.touch(other.schema, other.name, other.kind, Access.READ, other.oid, other.tags, Via.FOREIGN_KEY)
    if "raw_expr" in body:
        on_relation(walk, relation, body["raw_expr"])


def create_foreign_table(walk: Walk, body: Node) -> None:
    create_table(walk, body["base"])
    walk.flags.update(("remote", "foreign"))
    walk.operation("create", "foreign_table", walk.operations[-1].objects)


def alter_table(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    kind = body.get("objtype", "OBJECT_TABLE")
    if kind == "OBJECT_INDEX":
        define_index(walk, body["relation"].get("schemaname", ""), body["relation"].get("relname", ""))
    # Composite types and indexes are relations to the server, but not in the snapshot.
    missing_ok = body.get("missing_ok", False) or kind in ("OBJECT_INDEX", "OBJECT_TYPE")
    relation = define(walk, body["relation"], missing_ok=missing_ok)
    with_family(walk, relation, body["relation"])
    verbs: list[str] = []
    added: list[MadeColumn] = []
    for node in body.get("cmds", ()):
        command = node.get("AlterTableCmd", {})
        subtype = command.get("subtype", "").removeprefix("AT_").lower()
        verbs.append(subtype)
        definition = command.get("def", {})
        tag, inner = only(definition) if definition else ("", {})
        if tag == "RangeVar":
            parent = define(walk, inner)
            if subtype == "addinherit":
                shares_rows(walk, relation, parent)
        elif tag == "PartitionCmd":
            part = define(walk, inner.get("name", {}), missing_ok=kind == "OBJECT_INDEX")
            if subtype == "attachpartition" and kind != "OBJECT_INDEX":
                shares_rows(walk, part, relation)
        elif tag == "Constraint":
            constraint(walk, relation, inner)
            if inner.get("contype") == "CONSTR_IDENTITY":
                sequence_made(walk, relation, command.get("name", ""), inner)
        elif tag == "ColumnDef":
            _column_sequence(walk, relation, inner)
            if subtype == "addcolumn":
                added.append(MadeColumn(inner.get("colname", "")))
            for part in inner.get("constraints", ()):
                constraint(walk, relation, part.get("Constraint", {}))
            on_relation(walk, relation, inner.get("raw_default"))
        elif definition:
            on_relation(walk, relation, definition)
        if "rowsecurity" in subtype:
            walk.flags.add("policy")
        if command.get("behavior") == "DROP_CASCADE":
            walk.flags.add("cascade")
    walk.operation("alter", object_type(kind), [relation_name(relation)], dict.fromkeys(verbs))
    if relation.made is not None and added and relation.entry is None:
        columns = (*relation.made.columns, *added)
        walk.effects.append(RelationMade(relation.schema, relation.name, relation.kind, columns, False))
    altered(walk, relation)


STATEMENTS.update(
    {
        "CreateStmt": create_table, "CreateForeignTableStmt": create_foreign_table, "AlterTableStmt": alter_table,
    }
)  # fmt: skip
