"""Queries as statements, and the statements that wrap one: EXPLAIN, cursors, PREPARE/EXECUTE, COPY, CREATE TABLE AS."""

from __future__ import annotations

from decision.analysis.effects import RelationMade
from decision.analysis.flow import OPAQUE, Flow, Item, Scope, Shape, merge
from decision.analysis.postgres.calls import first_path
from decision.analysis.postgres.closure import lock_relation, read_relation
from decision.analysis.postgres.definitions import comes_to_be
from decision.analysis.postgres.estimates import estimate
from decision.analysis.postgres.expressions import expression, filtered
from decision.analysis.postgres.finish import facts_of
from decision.analysis.postgres.names import Relation, creation_schema, made_columns, resolve
from decision.analysis.postgres.ordering import limit_of
from decision.analysis.postgres.parse import Node, only, option_true, options, qualified, strings
from decision.analysis.postgres.predicates import predicate_of
from decision.analysis.postgres.prepared import execute
from decision.analysis.postgres.sources import returned_columns
from decision.analysis.postgres.walk import QUERIES, STATEMENTS, Walk, query, statement
from decision.analysis.postgres.writes import write_relation
from decision.model.facts import Access, Kind, ObjectName, Predicate, RelationKind, Transform, Usage


def _output(walk: Walk, shape: Shape) -> None:
    """These columns reach the client."""
    walk.output = shape
    walk.returns_rows = True
    for flow in shape.flows:
        walk.use(flow, Usage.OUTPUT)
    if shape.open:
        walk.unresolved("*", "the output's columns are not known")


def select_statement(walk: Walk, body: Node) -> None:
    if "intoClause" in body:
        _create_as(walk, body["intoClause"], {"SelectStmt": body}, RelationKind.TABLE)
        walk.flags.add("select_into")
        return
    dml = walk.dml
    shape = query(walk, walk.root, {"SelectStmt": body})
    _output(walk, shape)
    if walk.dml == dml:
        _select_predicate(walk, body)


def _select_predicate(walk: Walk, body: Node) -> None:
    """WHERE and LIMIT of a top-level SELECT; keys are told for a single plain table."""
    limit = limit_of(body)
    if "fromClause" not in body:
        walk.predicates.append(Predicate(limit=limit))
        return
    sources = body["fromClause"]
    target: Item | None = None
    if len(sources) == 1 and "RangeVar" in sources[0]:
        plain = sources[0]["RangeVar"]
        named = [n["CommonTableExpr"].get("ctename") for n in body.get("withClause", {}).get("ctes", ())]
        if "schemaname" in plain or plain.get("relname") not in named:
            relation = resolve(walk, plain.get("schemaname", ""), plain.get("relname", ""))
            alias = plain.get("alias", {})
            shape = relation.shape.renamed(strings(alias.get("colnames")))
            target = Item(alias.get("aliasname") or relation.name, shape, schema=relation.schema, relation=relation.key)
            if "lockingClause" in body:
                lock_relation(walk, relation)
    scope = Scope()
    for node in body.get("withClause", {}).get("ctes", ()):
        scope.ctes[node["CommonTableExpr"].get("ctename", "")] = Shape((), (), is_open=True)
    scope.items += [target] if target is not None else []
    predicate = predicate_of(walk, scope, body.get("whereClause"), target, limit)
    walk.predicates.append(predicate)
    if target is not None and "groupClause" not in body:
        estimate(walk, relation, predicate)
        if limit is not None and walk.estimate is not None:
            walk.estimate = min(walk.estimate, limit)


def _dml_statement(tag: str) -> None:
    def handler(walk: Walk, body: Node) -> None:
        shape = QUERIES[tag](walk, walk.root, body)
        if walk.answers:
            _answered(walk, "returningClause" in body)
        elif "returningClause" in body:
            _output(walk, shape)

    STATEMENTS[tag] = handler


def _answered(walk: Walk, returning: bool) -> None:
    """Rules answer with rows of their queries, in which NEW is what the statement wrote."""
    first, *others = walk.answers
    if returning or any(shape is not first for shape in others):
        walk.unresolved("rule", "the rows come from several queries")
    flows = []
    for flow in first.flows:
        given = [value for key, value in walk.assigned if key in flow.sources and (value.sources or value.opaque)]
        flows.append(merge([flow, *given], flow.transform if not given else None))
    _output(walk, Shape(first.names, flows, first.open))


def explain(walk: Walk, body: Node) -> None:
    walk.kind(Kind.EXPLAIN)
    walk.flags.add("explain")
    runs = option_true(options(body), "analyze")
    if runs:
        walk.flags.add("explain_analyze")
    statement(walk, body["query"])
    for flow in walk.output.flows if runs and walk.output is not None else ():
        if flow.transform is not Transform.IDENTITY:
            walk.use(flow, Usage.CHECK)  # how long a computation takes, the plan shows
    if not runs:
        walk.effects.clear()
        walk.kinds = dict.fromkeys([Kind.EXPLAIN, *walk.kinds])
    # The plan's text shows names and the statement's own literals. A function that claims to be immutable is run while
    # planning, and its value shown: what it may give is in the plan, too.
    own = any(schema != "pg_catalog" for schema, _ in walk.functions)
    shown = merge([*walk.output.flows, OPAQUE]) if own and walk.output is not None else Flow(opaque=own)
    walk.output = Shape(["QUERY PLAN"], [shown])
    walk.returns_rows = True


def create_table_as(walk: Walk, body: Node) -> None:
    kind = RelationKind.MATERIALIZED_VIEW if body.get("objtype") == "OBJECT_MATVIEW" else RelationKind.TABLE
    _create_as(walk, body["into"], body["query"], kind)
    walk.flags.add("ctas")


def _create_as(walk: Walk, into: Node, node: Node, kind: RelationKind) -> None:
    """A new relation with the query's rows; tags travel with them."""
    tag, inner = only(node)
    if tag == "ExecuteStmt":
        execute(walk, inner)
        shape = walk.output or Shape((), (), is_open=True)
    else:
        shape = query(walk, walk.root, node)
    walk.kinds = dict.fromkeys([Kind.DDL, *walk.kinds])
    walk.output, walk.returns_rows = None, False
    for flow in shape.flows:
        walk.use(flow, Usage.INNER)
        if flow.transform is not Transform.IDENTITY:
            walk.use(flow, Usage.CHECK)  # how large the copy is tells of what was computed
    behind = facts_of(walk) if kind is RelationKind.MATERIALIZED_VIEW else None
    target = into["rel"]
    persistence = target["relpersistence"]
    schema = creation_schema(walk, target.get("schemaname", ""), persistence)
    kind = RelationKind.TEMPORARY if persistence == "t" or schema == "pg_temp" else kind
    name = target.get("relname", "")
    comes_to_be(walk, schema, name, kind)
    walk.touch(schema, name, kind, Access.WRITE)
    object_type = "materialized_view" if kind is RelationKind.MATERIALIZED_VIEW else "table"
    walk.operation("create", object_type, [ObjectName(schema, name)], ["as"])
    columns = made_columns(shape, strings(into.get("colNames")))
    walk.effects.append(RelationMade(schema, name, kind, columns, not shape.open, (), behind))


def copy(walk: Walk, body: Node) -> None:
    inward = body.get("is_from", False)
    walk.kind(Kind.COPY_IN if inward else Kind.COPY_OUT)
    walk.flags.add("copy_from" if inward else "copy_to")
    filename = body.get("filename", "")
    if body.get("is_program"):
        walk.flags.add("program")
        walk.programs[first_path(filename)] = None
    elif filename:
        walk.flags.add("file")
        walk.files[first_path(filename)] = None
    if inward:
        _copy_in(walk, body)
        return
    if "query" in body:
        before = walk.dml
        shape = query(walk, walk.root, body["query"])
        if walk.dml == before:
            _select_predicate(walk, only(body["query"])[1])
    else:
        shape = _copy_out(walk, body)
    _output(walk, shape)
    walk.returns_rows = not filename


def _copied(walk: Walk, body: Node) -> tuple[Relation, list[str]]:
    """The table, and the columns where they are listed."""
    target = body["relation"]
    return resolve(walk, target.get("schemaname", ""), target["relname"]), strings(body.get("attlist"))


def _copy_in(walk: Walk, body: Node) -> None:
    relation, listed = _copied(walk, body)
    names = listed or relation.shape.names
    for name in names:
        walk.use_key((relation.schema, relation.name, name), Usage.WRITE)
    write_relation(walk, relation, ("insert",), names)
    scope = Scope()
    scope.items.append(Item(relation.name, relation.shape, relation=relation.key))
    filtered(walk, scope, body.get("whereClause"))


def _copy_out(walk: Walk, body: Node) -> Shape:
    relation, names = _copied(walk, body)
    shape = read_relation(walk, relation, only_parent=True)
    walk.predicates.append(Predicate())
    estimate(walk, relation, Predicate())
    if relation.entry is not None and not names:
        generated = {c.name for c in relation.entry.relation.columns if c.generated}
        kept = [(n, f) for n, f in zip(shape.names, shape.flows, strict=True) if n not in generated]
        return Shape([n for n, _ in kept], [f for _, f in kept], shape.open)
    return Shape(names, [shape.lookup.get(name, OPAQUE) for name in names], shape.open) if names else shape


def call(walk: Walk, body: Node) -> None:
    walk.kind(Kind.CALL)
    flow = expression(walk, walk.root or Scope(), {"FuncCall": body["funccall"]})
    walk.use(flow, Usage.OUTPUT)
    walk.flags.add("procedural")
    # A procedure hands back its OUT and INOUT parameters as one row.
    schema, name = qualified(body["funccall"].get("funcname"))
    known = (
        []
        if walk.catalog is None
        else [
            procedure for procedure in walk.catalog.functions.get(name, ()) if not schema or procedure.schema == schema
        ]
    )
    columns = [[] if p.return_type == "void" else returned_columns(walk, p.return_type) for p in known]
    if not columns or any(names is None or names != columns[0] for names in columns):
        walk.unresolved(name, "what this procedure gives back is not known")
        walk.returns_rows = True
    elif columns[0]:
        value = flow.computed()
        _output(walk, Shape(columns[0], [value] * len(columns[0])))


def do(walk: Walk, body: Node) -> None:
    from decision.analysis.postgres.embedded import do_block

    do_block(walk, body)


for _tag in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
    _dml_statement(_tag)

STATEMENTS.update(
    {
        "SelectStmt": select_statement, "ExplainStmt": explain,
         "CreateTableAsStmt": create_table_as, "CopyStmt": copy,
        "CallStmt": call, "DoStmt": do,
    }
)  # fmt: skip
