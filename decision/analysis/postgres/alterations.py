"""ALTER TABLE and its kin: what a change of columns, constraints and partitions reads, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace

from decision.analysis.effects import MadeColumn, RelationMade
from decision.analysis.flow import OPAQUE, Item, Scope
from decision.analysis.postgres.definitions import (
    altered,
    checks_keys,
    cut_off,
    define,
    define_index,
    object_type,
    on_relation,
    parts,
    relation_name,
    shares_rows,
    with_family,
)
from decision.analysis.postgres.dependents import dependents
from decision.analysis.postgres.expressions import generic
from decision.analysis.postgres.names import Relation
from decision.analysis.postgres.parse import Node, only, strings
from decision.analysis.postgres.refusing import declared
from decision.analysis.postgres.tables import bound, column_sequence, constraint, made_column, sequence_made
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.facts import Kind, Usage


def alter_table(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    kind = body["objtype"]
    if kind == "OBJECT_INDEX":
        define_index(walk, body["relation"].get("schemaname", ""), body["relation"].get("relname", ""))
    # Composite types and indexes are relations to the server, but not in the snapshot.
    missing_ok = body.get("missing_ok", False) or kind in ("OBJECT_INDEX", "OBJECT_TYPE")
    relation = define(walk, body["relation"], missing_ok=missing_ok)
    with_family(walk, relation, only="inh" not in body["relation"])
    verbs: dict[str, None] = {}
    commands = [node.get("AlterTableCmd", {}) for node in body.get("cmds", ())]
    for command in commands:
        subtype = command.get("subtype", "").removeprefix("AT_").lower()
        verbs[subtype] = None
        _command(walk, relation, kind, subtype, command)
    walk.operation("alter", object_type(kind), [relation_name(relation)], verbs)
    if not _ROWS_CHECKED.isdisjoint(verbs):
        checks_keys(walk, relation)
    for each in (relation, *parts(walk, relation.key)) if walk.state.made else ():
        if each.made is not None and each.entry is None:
            _remade(walk, each, each.made, commands)
    altered(walk, relation)


def _remade(walk: Walk, relation: Relation, made: RelationMade, commands: list[Node]) -> None:
    """A relation of this session as it is after the commands, if they succeed and stay."""
    columns = {column.name: column for column in made.columns}
    complete = made.complete
    for command in commands:
        subtype = command.get("subtype", "").removeprefix("AT_").lower()
        name, definition = command.get("name", ""), command.get("def", {})
        inner = definition.get("ColumnDef", {})
        if subtype == "addcolumn":
            columns[inner.get("colname", "")] = made_column(walk, inner)
            complete = False
        elif subtype == "dropcolumn":
            complete = False
        elif subtype == "altercolumntype" and name in columns:
            columns[name] = declared(columns[name].joined(_computed(walk, relation, name, inner)), inner)
        elif subtype == "columndefault" and definition and name in columns:
            columns[name] = columns[name].joined(MadeColumn.of(name, generic(walk, Scope(parameters=True), definition)))
        elif subtype == "addconstraint":
            _key_shows(walk, relation, definition.get("Constraint", {}))
            columns = {each: replace(column, strict=True) for each, column in columns.items()}
    walk.effects.append(RelationMade(made.schema, made.name, made.kind, tuple(columns.values()), complete))


def _computed(walk: Walk, relation: Relation, name: str, definition: Node) -> MadeColumn:
    """A column's new values: by USING, or by a cast, which fails on some."""
    own = relation.shape.lookup.get(name, OPAQUE)
    if "raw_default" not in definition:
        return MadeColumn(name, own.sources, own.opaque, computed=True)
    scope = Scope()
    scope.items.append(Item(relation.name, relation.shape, schema=relation.schema, relation=relation.key))
    flow = generic(walk, scope, definition["raw_default"])
    return MadeColumn(name, flow.sources, flow.opaque, computed=True)


def _key_shows(walk: Walk, relation: Relation, body: Node) -> None:
    """A key over rows that are there already: whether it can be made tells of them."""
    for name in (*strings(body.get("keys")), *strings(body.get("fk_attrs"))):
        walk.use(relation.shape.lookup.get(name, OPAQUE), Usage.CHECK)


_ROWS_CHECKED = frozenset({"altercolumntype", "attachpartition", "detachpartition", "validateconstraint"})


def _command(walk: Walk, relation: Relation, kind: str, subtype: str, command: Node) -> None:
    """One of ALTER TABLE's commands, on a relation or on an object of this `kind`."""
    definition = command.get("def", {})
    tag, inner = only(definition) if definition else ("", {})
    if tag == "RangeVar":
        parent = define(walk, inner)
        if subtype == "addinherit":
            shares_rows(walk, relation, parent)
        elif subtype == "dropinherit":
            cut_off(walk, relation)
    elif tag == "PartitionCmd":
        _partition(walk, relation, kind, subtype, inner)
    elif tag == "Constraint":
        constraint(walk, relation, inner)
        if inner.get("contype") == "CONSTR_IDENTITY":
            sequence_made(walk, relation, command.get("name", ""), inner)
    elif tag == "ColumnDef":
        column_sequence(walk, relation, inner)
        for part in inner.get("constraints", ()):
            constraint(walk, relation, part.get("Constraint", {}), inner.get("colname", ""))
        on_relation(walk, relation, inner.get("raw_default"))
    elif definition:
        on_relation(walk, relation, definition)
    if subtype in ("altercolumntype", "setnotnull"):
        walk.use(relation.shape.lookup.get(command.get("name", ""), OPAQUE), Usage.CHECK)
    if "rowsecurity" in subtype:
        walk.flags.add("policy")
    if command.get("behavior") == "DROP_CASCADE":
        walk.flags.add("cascade")
        if subtype == "dropcolumn":
            dependents(walk, relation)


def _partition(walk: Walk, relation: Relation, kind: str, subtype: str, command: Node) -> None:
    named = command.get("name", {})
    if kind == "OBJECT_INDEX":
        define_index(walk, named.get("schemaname", ""), named.get("relname", ""))
        return
    part = define(walk, named)
    with_family(walk, part)
    checks_keys(walk, part)
    if subtype == "attachpartition":
        bound(walk, command.get("bound", {}))
        for flow in part.shape.flows:  # which of them is the key isn't known
            walk.use(flow, Usage.CHECK)
        shares_rows(walk, part, relation)
    elif subtype.startswith("detachpartition"):
        cut_off(walk, part)


STATEMENTS["AlterTableStmt"] = alter_table
