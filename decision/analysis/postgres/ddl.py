"""Definitions of relations: CREATE, ALTER, RENAME, DROP, TRUNCATE, views, indexes, rules, triggers, policies, LOCK.

Over 300 lines, because it is one table of short handlers, one a statement node.
"""

from __future__ import annotations

from dataclasses import replace

from decision.analysis.effects import FunctionMade, MadeColumn, RelationAltered, RelationMade
from decision.analysis.flow import TEMP_SCHEMA, Flow, Item, Scope, Shape
from decision.analysis.postgres.closure import descendants, write_relation
from decision.analysis.postgres.expressions import filtered, generic
from decision.analysis.postgres.finish import facts_of
from decision.analysis.postgres.names import Relation, creation_schema, made_columns, resolve, search_paths
from decision.analysis.postgres.parse import Node, only, option_text, options, qualified, strings
from decision.analysis.postgres.walk import STATEMENTS, Walk, query, statement
from decision.model.facts import Access, Kind, ObjectName, RelationKind, Usage, Via

OBJECTS = {
    "OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized_view", "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence", "OBJECT_FOREIGN_TABLE": "foreign_table", "OBJECT_COLUMN": "column",
}  # fmt: skip
_RELATIONS = frozenset(OBJECTS) - {"OBJECT_INDEX", "OBJECT_COLUMN"}
_ON_TABLE = frozenset({"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_TABCONSTRAINT", "OBJECT_COLUMN"})
CODE = frozenset({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE", "OBJECT_OPERATOR",
                  "OBJECT_CAST", "OBJECT_TYPE", "OBJECT_DOMAIN"})  # fmt: skip


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


def _name(relation: Relation) -> ObjectName:
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


def create_view(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    shape = query(walk, None, body["query"])
    behind = facts_of(walk)
    walk.kinds.pop(Kind.SELECT, None)
    for flow in shape.flows:
        walk.use(flow, Usage.INNER)
    target = body["view"]
    schema = creation_schema(walk, target.get("schemaname", ""), target.get("relpersistence", "p"))
    name = target.get("relname", "")
    walk.touch(schema, name, RelationKind.VIEW, Access.DDL)
    walk.operation("create", "view", [ObjectName(schema, name)], ["or_replace"] if body.get("replace") else [])
    columns = made_columns(shape, strings(body.get("aliases")))
    if body.get("replace"):
        walk.effects.append(RelationAltered(schema, name))
    walk.effects.append(RelationMade(schema, name, RelationKind.VIEW, columns, not shape.open, (), behind))


def create_index(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    relation = define(walk, body["relation"])
    found = ["concurrently"] if body.get("concurrent") else []
    walk.operation("create", "index", [ObjectName(relation.schema, body.get("idxname", ""))], found)
    for node in (*body.get("indexParams", ()), *body.get("indexIncludingParams", ())):
        element = node.get("IndexElem", {})
        if "name" in element:
            walk.use_key((*relation.key, element["name"]), Usage.CHECK)
        on_relation(walk, relation, element.get("expr"))
    on_relation(walk, relation, body.get("whereClause"))


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
    walk.operation("alter", object_type(kind), [_name(relation)], dict.fromkeys(verbs))
    if relation.made is not None and added and relation.entry is None:
        columns = (*relation.made.columns, *added)
        walk.effects.append(RelationMade(relation.schema, relation.name, relation.kind, columns, False))
    altered(walk, relation)


def rename(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    kind = body.get("renameType", "")
    if "relation" in body:
        missing_ok = body.get("missing_ok", False) or kind in ("OBJECT_INDEX", "OBJECT_ATTRIBUTE", "OBJECT_TYPE")
        if kind == "OBJECT_INDEX":
            define_index(walk, body["relation"].get("schemaname", ""), body["relation"].get("relname", ""))
        relation = define(walk, body["relation"], missing_ok=missing_ok)
        if kind == "OBJECT_COLUMN":
            with_family(walk, relation, body["relation"])
        walk.operation("rename", object_type(kind), [_name(relation)])
        altered(walk, relation)
        if kind in _RELATIONS:
            walk.touch(relation.schema, body.get("newname", ""), relation.kind, Access.DDL)
            walk.effects.append(RelationAltered(relation.schema, body.get("newname", "")))
        return
    named = [ObjectName("", body["subname"])] if "subname" in body and "object" not in body else []
    walk.operation("rename", object_type(kind), named or _object(body.get("object")))
    if kind == "OBJECT_SCHEMA":
        schema_gone(walk, body.get("subname", ""), body.get("newname", ""))
    if kind in CODE:
        walk.effects.append(FunctionMade(body.get("newname", "")))


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


_SYSTEM = ("pg_catalog", "information_schema")


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
    for node in body.get("objects", ()):
        parts = strings(node.get("List", {}).get("items"))
        if kind in _RELATIONS or kind in _ON_TABLE:
            names = parts[:-1] if kind in _ON_TABLE else parts
            target = {"relname": names[-1] if names else "", "schemaname": names[-2] if len(names) > 1 else ""}
            relation = define(walk, target, missing_ok=body.get("missing_ok", False))
            if kind == "OBJECT_TABLE":
                with_family(walk, relation, {})
            altered(walk, relation)
            objects.append(_name(relation) if kind in _RELATIONS else ObjectName(relation.schema, parts[-1]))
        elif kind == "OBJECT_INDEX":
            objects.append(define_index(walk, parts[-2] if len(parts) > 1 else "", parts[-1] if parts else ""))
        else:
            objects += _object(node)
            if kind == "OBJECT_SCHEMA":
                schema_gone(walk, objects[-1].name)
    if "cascade" in found or kind == "OBJECT_EXTENSION":
        others_uncovered(walk)
    if kind in CODE:
        walk.flags.add("code")
    walk.operation("drop", object_type(kind), objects, found)


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
        objects.append(_name(relation))
        if relation.entry is not None and relation.entry.relation.estimated_rows >= 0:
            walk.estimate = (walk.estimate or 0) + relation.entry.relation.estimated_rows
    found = (["cascade"] if cascade else []) + (["restart_identity"] if body.get("restart_seqs") else [])
    walk.operation("truncate", "table", objects, found)


def lock(walk: Walk, body: Node) -> None:
    walk.kind(Kind.UTILITY)
    walk.flags.add("lock")
    objects = [_name(define(walk, node.get("RangeVar", {}), Access.LOCK)) for node in body.get("relations", ())]
    walk.operation("lock", "table", objects, [_LOCK_MODES.get(body.get("mode", 0), "unknown")])


_LOCK_MODES = {1: "access_share", 2: "row_share", 3: "row_exclusive", 4: "share_update_exclusive", 5: "share",
               6: "share_row_exclusive", 7: "exclusive", 8: "access_exclusive"}  # fmt: skip


def create_rule(walk: Walk, body: Node) -> None:
    from decision.analysis.postgres.embedded import rule_actions

    walk.kind(Kind.DDL)
    walk.flags.add("code")
    relation = define(walk, body["relation"])
    walk.operation("create", "rule", [ObjectName(relation.schema, body.get("rulename", ""))])
    inner = Walk(walk.catalog, walk.state, walk.budget)
    rule_actions(inner, body, relation.key)
    _attach(walk, inner)
    altered(walk, relation)


def _attach(walk: Walk, inner: Walk) -> None:
    """Code that is stored, not run: what it would touch is named, its kinds are not this statement's."""
    from decision.analysis.postgres.walk import absorb

    absorb(walk, inner, Via.EMBEDDED_SQL)


def create_trigger(walk: Walk, body: Node) -> None:
    from decision.analysis.postgres.machinery import names_function

    walk.kind(Kind.DDL)
    walk.flags.add("code")
    relation = define(walk, body["relation"])
    walk.operation("create", "trigger", [ObjectName(relation.schema, body.get("trigname", ""))])
    names_function(walk, *qualified(body.get("funcname")))
    scope = Scope()
    scope.items += [Item("new", relation.shape, by_column=False), Item("old", relation.shape, by_column=False)]
    filtered(walk, scope, body.get("whenClause"), Usage.CHECK)
    altered(walk, relation)


def policy(verb: str) -> None:
    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DDL)
        walk.flags.add("policy")
        relation = define(walk, body["table"])
        walk.operation(verb, "policy", [ObjectName(relation.schema, body.get("policy_name", ""))])
        scope = Scope()
        scope.items.append(Item(relation.name, relation.shape, schema=relation.schema, relation=relation.key))
        for part in ("qual", "with_check"):
            filtered(walk, scope, body.get(part), Usage.CHECK)
        walk.kinds.pop(Kind.SELECT, None)  # kept, not run
        altered(walk, relation)

    STATEMENTS["CreatePolicyStmt" if verb == "create" else "AlterPolicyStmt"] = handler


def create_function(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    walk.flags.add("code")
    schema, name = qualified(body.get("funcname"))
    arguments = options(body)
    walk.operation("create", "procedure" if body.get("is_procedure") else "function", [ObjectName(schema, name)],
                   ["or_replace"] if body.get("replace") else [])  # fmt: skip
    walk.effects.append(FunctionMade(name))
    language = option_text(arguments.get("language")) or "sql"
    if "security" in arguments and (arguments["security"] or {}).get("Boolean", {}).get("boolval"):
        walk.flags.add("security_definer")
    for key, value in arguments.items():
        if key == "set" and value is not None:
            walk.settings[only(value)[1].get("name", "").lower()] = None
    inner = Walk(walk.catalog, walk.state, walk.budget)
    known = _function_body(inner, body, arguments, language.lower())
    if not known or inner.unresolved_:
        walk.flags.add("opaque_code")
        inner.unresolved_.clear()
    _attach(walk, inner)


def _function_body(walk: Walk, body: Node, arguments: dict[str, Node | None], language: str) -> bool:
    from decision.analysis.postgres.bodies import body_statements, with_parameters

    if "sql_body" in body:
        stack: list[Node] = [body["sql_body"]]
        while stack:
            tag, inner = only(stack.pop(0))
            if tag == "List":
                stack = [*inner.get("items", []), *stack]
            elif tag == "ReturnStmt":
                from decision.analysis.postgres.expressions import expression

                walk.use(expression(walk, Scope(parameters=True), inner["returnval"]), Usage.INNER)
            elif tag:
                with_parameters(walk, {tag: inner})
        return True
    source = arguments.get("as")
    texts = strings(source.get("List", {}).get("items")) if source else []
    if language not in ("sql", "plpgsql") or len(texts) != 1:
        return False
    return body_statements(walk, texts[0], language)


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


policy("create")
policy("alter")
STATEMENTS.update(
    {
        "CreateStmt": create_table, "CreateForeignTableStmt": create_foreign_table, "ViewStmt": create_view,
        "IndexStmt": create_index, "AlterTableStmt": alter_table, "RenameStmt": rename, "DropStmt": drop,
        "TruncateStmt": truncate, "LockStmt": lock, "RuleStmt": create_rule, "CreateTrigStmt": create_trigger,
        "CreateFunctionStmt": create_function, "CreateSchemaStmt": create_schema,
    }
)  # fmt: skip
