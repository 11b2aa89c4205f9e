"""INSERT, UPDATE, DELETE, MERGE and their RETURNING."""

from __future__ import annotations

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Item, Key, Scope, Shape, merge
from decision.analysis.postgres.attached import answers_itself
from decision.analysis.postgres.closure import read_relation
from decision.analysis.postgres.estimates import estimate
from decision.analysis.postgres.expressions import expression, filtered
from decision.analysis.postgres.implicit import cast_into
from decision.analysis.postgres.lookups import condition
from decision.analysis.postgres.names import Relation, resolve
from decision.analysis.postgres.parse import Node, only
from decision.analysis.postgres.predicates import bound_value, is_value, predicate_of
from decision.analysis.postgres.refusing import assigned
from decision.analysis.postgres.remembered import remember
from decision.analysis.postgres.returned import new_row
from decision.analysis.postgres.select import targets, with_clause
from decision.analysis.postgres.sources import from_clause, from_item
from decision.analysis.postgres.walk import QUERIES, Walk, query
from decision.analysis.postgres.writes import write_relation
from decision.model.facts import Kind, Predicate, Usage


def _target(walk: Walk, body: Node) -> tuple[Relation, Item]:
    """The relation that is written: never a CTE, whatever its name."""
    schema, name = body.get("schemaname", ""), body.get("relname", "")
    if "catalogname" in body:
        walk.flags.add("catalog_qualified")
    relation = resolve(walk, schema, name)
    alias = body.get("alias", {}).get("aliasname", "")
    item = Item(alias or name, relation.shape, schema="" if alias else relation.schema, relation=relation.key)
    return relation, item


def _reads(walk: Walk, relation: Relation, item: Item, target: Node) -> None:
    """UPDATE and DELETE read their target as soon as they look at a row; with ONLY not its children."""
    item.shape = read_relation(walk, relation, only_parent="inh" not in target)
    item.by_column = True


def _assign(walk: Walk, relation: Relation, name: str, flow: Flow, node: Node | None) -> None:
    """A column of the target takes this value."""
    key: Key = (relation.schema, relation.name, name)
    if relation.entry is not None and name not in relation.shape.lookup and not relation.shape.open:
        walk.unresolved(name, "no such column in the target")
    flow = cast_into(walk, key, flow, node)
    walk.use_key(key, Usage.WRITE)
    walk.use(flow, Usage.INNER)
    assigned(walk, relation, name, flow)
    walk.assigned.append((key, flow))
    if node is not None and walk.root is None:
        value = bound_value(key, "written", node)
        walk.values.append(value)


def set_clause(walk: Walk, scope: Scope, relation: Relation, nodes: list[Node]) -> list[str]:
    """SET a = …, (b, c) = …; the columns written."""
    names: list[str] = []
    multi: Flow | None = None
    for node in nodes:
        body = node.get("ResTarget", {})
        name, value = body.get("name", ""), body.get("val")
        names.append(name)
        if value is None:
            continue
        tag, inner = only(value)
        if tag == "MultiAssignRef":
            source_tag, source = only(inner["source"])
            column = int(inner.get("colno", 1))
            if source_tag == "RowExpr" and len(source.get("args", ())) >= column:
                part = source["args"][column - 1]
                _assign(walk, relation, name, expression(walk, scope, part), part if is_value(part) else None)
            else:
                multi = expression(walk, scope, inner["source"]) if column == 1 or multi is None else multi
                _assign(walk, relation, name, multi, None)
        else:
            flow = expression(walk, scope, value)
            _assign(walk, relation, name, flow, value)
        for step in body.get("indirection", ()):
            walk.use(expression(walk, scope, step) if "String" not in step else CONSTANT, Usage.INNER)
    return names


def _with_assigned(walk: Walk, item: Item, first: int) -> Shape:
    """The target's columns as the new row holds them: what this statement put in flows out of them, too."""
    entry = walk.catalog.entry(*item.relation) if walk.catalog is not None and item.relation is not None else None
    return new_row(walk, entry, item.shape, walk.assigned[first:])


def returning(walk: Walk, scope: Scope, body: Node, item: Item, first: int) -> Shape:
    clause = body.get("returningClause")
    if clause is None:
        return Shape((), ())
    old = item.shape
    item.shape = _with_assigned(walk, item, first)
    if walk.state.attached and item.relation is not None and answers_itself(walk, item.relation):
        item.shape = Shape(item.shape.names, [Flow(f.sources, f.transform, True) for f in item.shape.flows])
    inner = Scope(scope.parent, parameters=scope.parameters)
    inner.ctes = scope.ctes
    inner.items = [*scope.items]
    if item not in inner.items:
        inner.items.insert(0, item)
    given = {o["ReturningOption"].get("option", ""): o["ReturningOption"].get("value", "")
             for o in clause.get("options", ()) if "ReturningOption" in o}  # fmt: skip
    for option, default in (("RETURNING_OPTION_OLD", "old"), ("RETURNING_OPTION_NEW", "new")):
        name = given.get(option, default)
        if not any(known.name == name for known in inner.items):
            shape = old if default == "old" else item.shape
            inner.items.append(Item(name, shape, relation=item.relation, by_column=False))
    return targets(walk, inner, clause.get("exprs"))


def insert(walk: Walk, parent: Scope | None, body: Node) -> Shape:
    walk.kind(Kind.INSERT)
    walk.dml += 1
    scope = Scope(parent)
    if "withClause" in body:
        with_clause(walk, scope, body["withClause"])
    relation, item = _target(walk, body["relation"])
    columns = [node.get("ResTarget", {}).get("name", "") for node in body.get("cols", ())]
    if not columns:
        made = relation.made.columns if relation.made is not None else ()
        columns = list(relation.shape.names) or [column.name for column in made]
    first = len(walk.assigned)
    by_position = "cols" in body or not relation.shape.open
    if "selectStmt" in body:
        before = Kind.SELECT in walk.kinds
        source = body["selectStmt"]
        rows = source.get("SelectStmt", {}).get("valuesLists")
        shape = query(walk, scope, source)
        if rows and not before:
            walk.kinds.pop(Kind.SELECT, None)
        if not by_position:  # which column is the first isn't known
            shape = Shape(columns, [merge(shape.flows)] * len(columns), shape.open)
        single = rows[0].get("List", {}).get("items", []) if rows and len(rows) == 1 and by_position else []
        for index, name in enumerate(columns):
            if index < len(shape.flows):
                value = single[index] if index < len(single) else None
                _assign(walk, relation, name, shape.flows[index], value)
            elif shape.open:
                _assign(walk, relation, name, OPAQUE, None)
            elif body.get("cols") or relation.shape.open:
                walk.use_key((relation.schema, relation.name, name), Usage.WRITE)
    write_relation(walk, relation, ("insert",), columns)
    conflict = body.get("onConflictClause")
    if conflict is not None:
        _on_conflict(walk, scope, relation, item, conflict, first)
    remember(walk, first)
    scope.items = []
    if "returningClause" in body:
        _reads_output(walk, relation, item)
    return returning(walk, scope, body, item, first)


def _reads_output(walk: Walk, relation: Relation, item: Item) -> None:
    item.shape = read_relation(walk, relation, only_parent=True)


def _on_conflict(walk: Walk, scope: Scope, relation: Relation, item: Item, conflict: Node, first: int) -> None:
    walk.flags.add("on_conflict")
    inner = Scope(scope)
    item.shape = read_relation(walk, relation, only_parent=True)
    inner.items = [item, Item("excluded", _with_assigned(walk, item, first), relation=relation.key, by_column=False)]
    infer = conflict.get("infer", {})
    for node in infer.get("indexElems", ()):
        element = node.get("IndexElem", {})
        if "name" in element:
            walk.use_key((relation.schema, relation.name, element["name"]), Usage.FILTER)
        if "expr" in element:
            filtered(walk, inner, element["expr"])
    if "whereClause" in infer:
        filtered(walk, inner, infer["whereClause"])
    if conflict.get("action") == "ONCONFLICT_UPDATE":
        walk.kind(Kind.UPDATE)
        names = set_clause(walk, inner, relation, conflict.get("targetList", []))
        if "whereClause" in conflict:
            filtered(walk, inner, conflict["whereClause"])
        write_relation(walk, relation, ("update",), names)


def update(walk: Walk, parent: Scope | None, body: Node) -> Shape:
    walk.kind(Kind.UPDATE)
    walk.dml += 1
    scope = Scope(parent)
    if "withClause" in body:
        with_clause(walk, scope, body["withClause"])
    relation, item = _target(walk, body["relation"])
    _reads(walk, relation, item, body["relation"])
    scope.items.append(item)
    from_clause(walk, scope, body.get("fromClause"))
    where = body.get("whereClause")
    if where is not None:
        condition(walk, scope, where, item)
    first = len(walk.assigned)
    names = set_clause(walk, scope, relation, body.get("targetList", []))
    walk.predicates.append(predicate_of(walk, scope, where, item, None))
    estimate(walk, relation, walk.predicates[-1])
    write_relation(walk, relation, ("update",), names, only_parent=not body["relation"].get("inh", False))
    remember(walk, first)
    return returning(walk, scope, body, item, first)


def delete(walk: Walk, parent: Scope | None, body: Node) -> Shape:
    walk.kind(Kind.DELETE)
    walk.dml += 1
    scope = Scope(parent)
    if "withClause" in body:
        with_clause(walk, scope, body["withClause"])
    relation, item = _target(walk, body["relation"])
    _reads(walk, relation, item, body["relation"])
    scope.items.append(item)
    from_clause(walk, scope, body.get("usingClause"))
    where = body.get("whereClause")
    if where is not None:
        condition(walk, scope, where, item)
    walk.predicates.append(predicate_of(walk, scope, where, item, None))
    first = len(walk.assigned)
    estimate(walk, relation, walk.predicates[-1])
    write_relation(walk, relation, ("delete",), only_parent=not body["relation"].get("inh", False))
    remember(walk, first)
    return returning(walk, scope, body, item, first)


def merge_into(walk: Walk, parent: Scope | None, body: Node) -> Shape:
    walk.kind(Kind.MERGE)
    walk.dml += 1
    scope = Scope(parent)
    if "withClause" in body:
        with_clause(walk, scope, body["withClause"])
    relation, item = _target(walk, body["relation"])
    _reads(walk, relation, item, body["relation"])
    source = from_item(walk, scope, body["sourceRelation"])
    scope.items += [item, *source]
    filtered(walk, scope, body.get("joinCondition"), Usage.JOIN)
    walk.predicates.append(predicate_of(walk, scope, body.get("joinCondition"), item, None))
    first = len(walk.assigned)
    for node in body.get("mergeWhenClauses", ()):
        _merge_action(walk, scope, relation, node.get("MergeWhenClause", {}))
    estimate(walk, relation, Predicate(True))
    remember(walk, first)
    return returning(walk, scope, body, item, first)


def _merge_action(walk: Walk, scope: Scope, relation: Relation, clause: Node) -> None:
    if "condition" in clause:
        filtered(walk, scope, clause["condition"])
    command = clause.get("commandType")
    if command == "CMD_UPDATE":
        walk.kind(Kind.UPDATE)
        names = set_clause(walk, scope, relation, clause.get("targetList", []))
        write_relation(walk, relation, ("update",), names)
    elif command == "CMD_DELETE":
        walk.kind(Kind.DELETE)
        write_relation(walk, relation, ("delete",))
    elif command == "CMD_INSERT":
        walk.kind(Kind.INSERT)
        named = [n.get("ResTarget", {}).get("name", "") for n in clause.get("targetList", ())]
        names = named or list(relation.shape.names)
        values = clause.get("values", [])
        for name, value in zip(names, values, strict=False):
            _assign(walk, relation, name, expression(walk, scope, value), value)
        for value in values[len(names) :]:  # of columns that are not known
            walk.use(expression(walk, scope, value), Usage.INNER)
        write_relation(walk, relation, ("insert",), names)


QUERIES.update({"InsertStmt": insert, "UpdateStmt": update, "DeleteStmt": delete, "MergeStmt": merge_into})
