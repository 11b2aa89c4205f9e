"""Statements by the class of their tree's root. A class that isn't listed here is unknown: roots are an allow-list."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from decision.analysis.dialects import merges, names, sessions, transfers, writes
from decision.analysis.dialects.expressions import value
from decision.analysis.dialects.queries import query
from decision.analysis.dialects.scopes import Scope, Source, union
from decision.analysis.dialects.walk import Walk, unseen
from decision.analysis.effects import FunctionMade, RelationMade
from decision.analysis.flow import OPAQUE
from decision.model.facts import Access, Kind, ObjectName, RelationKind, Usage

_TABLES = frozenset({"TABLE", "VIEW", "MATERIALIZED VIEW"})
_OBJECTS = frozenset({"TABLE", "VIEW", "INDEX", "SCHEMA", "DATABASE", "SEQUENCE", "MATERIALIZED VIEW"})
_ENGINES = frozenset({"INNODB", "MYISAM", "MEMORY", "HEAP", "ARIA", "ARCHIVE"})  # whose rows are the database's own
_HARMLESS_PROPERTIES = (
    exp.TemporaryProperty, exp.EngineProperty, exp.CollateProperty, exp.CharacterSetProperty, exp.SchemaCommentProperty,
    exp.TransientProperty, exp.AutoIncrementProperty, exp.LikeProperty, exp.StrictProperty, exp.PartitionedByProperty,
)  # fmt: skip


def statement(walk: Walk, tree: exp.Expr) -> None:
    """All facts of one statement's tree."""
    handler = next((handle for kind, handle in _ROOTS if isinstance(tree, kind)), None)
    if handler is None:
        walk.record.refuse(type(tree).__name__, "a statement that is not known")
    else:
        handler(walk, tree)
    unseen(walk, tree)


def _query(walk: Walk, tree: exp.Expr) -> None:
    walk.record.kind(Kind.SELECT)
    kept = isinstance(tree, exp.Select) and tree.args.get("into") is not None  # in a table: nothing comes out
    output, is_open = query(walk, tree, Scope(), output=not kept)
    if is_open and not any(flow.opaque for _, flow in output):
        output = [(label, union([flow], flow.transform, opaque=True)) for label, flow in output] or [("*", OPAQUE)]
    walk.record.output = output
    walk.record.returns_rows = "select_into" not in walk.record.flags
    if not walk.record.returns_rows:
        walk.record.output = []


def object_name(walk: Walk, table: exp.Expr | None) -> tuple[str, str]:
    while isinstance(table, exp.Schema | exp.UserDefinedFunction | exp.Index):
        table = table.args.get("table") if isinstance(table, exp.Index) else table.this
    if isinstance(table, exp.Table) and not table.this:  # a schema's or a database's name
        walk.see(table)
        return "", walk.shown(table.db or table.catalog)
    if not isinstance(table, exp.Table) or names.parts(table) is None:
        return "", ""
    walk.see(table)
    entry = names.lookup(walk, *names.parts(table) or ("", "", ""))
    return entry.key if entry is not None else (walk.shown(table.db) if table.db else "", walk.shown(table.name))


def _create(walk: Walk, tree: exp.Create) -> None:
    record = walk.record
    kind = str(tree.args.get("kind") or "").upper()
    record.kind(Kind.DDL)
    if tree.args.get("replace"):
        record.flags.add("replace")
    properties = tree.args.get("properties")
    for one in properties.expressions if properties is not None else ():
        if not isinstance(one, _HARMLESS_PROPERTIES):
            record.unresolved(type(one).__name__, "a property that is not known")
        if isinstance(one, exp.EngineProperty) and one.name.upper() not in _ENGINES:
            record.flags.update(("foreign", "remote"))
            record.unresolved(walk.shown(one.name), "an engine whose rows may stand elsewhere")
        if isinstance(one, exp.LikeProperty):
            walk.see(one.this)
            names.relation(walk, one.this, Access.READ)
    if kind not in _OBJECTS:
        record.flags.add("code" if kind in ("FUNCTION", "PROCEDURE", "TRIGGER") else kind.lower())
        record.operate("create", kind.lower(), ObjectName(*object_name(walk, tree.this)))
        record.effects.append(FunctionMade(object_name(walk, tree.this)[1]))
        record.refuse(f"CREATE {kind}", "what it makes is not read")
        return
    schema, name = object_name(walk, tree.this)
    names.made(walk, tree.this)
    if isinstance(tree.this, exp.Index):
        table = tree.this.args.get("table")
        if table is not None:
            _checked(walk, tree.this, names.relation(walk, table, Access.DDL))
    record.operate("create", kind.lower(), ObjectName(schema, name))
    temporary = properties is not None and any(isinstance(p, exp.TemporaryProperty) for p in properties.expressions)
    made_kind = RelationKind.VIEW if kind in _TABLES and kind != "TABLE" else RelationKind.TABLE
    if kind in _TABLES:
        record.touch(schema, name, RelationKind.TEMPORARY if temporary else made_kind, Access.DDL)
        record.effects.append(RelationMade(schema, name, made_kind, (), complete=False))
    clone = tree.args.get("clone")
    if clone is not None:
        walk.see(clone.this)
        if isinstance(clone.this, exp.Table):
            record.use(names.relation(walk, clone.this, Access.READ).row(), Usage.INNER)
        else:
            record.unresolved("CLONE", "what it copies is no plain name of a relation")
        record.flags.add("ctas")
        if kind == "TABLE":
            record.kind(Kind.INSERT)
            record.touch(schema, name, RelationKind.TABLE, Access.WRITE)
        else:
            record.unresolved(f"CLONE {kind}", "all that it copies is not known")
    _created_from(walk, tree, kind, schema, name)
    if isinstance(tree.this, exp.Schema):
        _definition(walk, tree.this)


def _checked(walk: Walk, node: exp.Expr, table: Source) -> None:
    """Columns that an index or a condition of a table looks at: an error, or its speed, tells of their values."""
    scope = Scope()
    scope.sources.append(table)
    for one in (*node.find_all(exp.Column), *node.find_all(exp.Anonymous)):
        if id(one) not in walk.record.seen:
            value(walk, one, scope, Usage.CHECK)


def _created_from(walk: Walk, tree: exp.Create, kind: str, schema: str, name: str) -> None:
    rows = tree.expression
    if rows is None:
        return
    if isinstance(rows, exp.Query | exp.Values | exp.Subquery):
        if kind == "TABLE":
            walk.record.flags.add("ctas")
            walk.record.kind(Kind.INSERT)
            walk.record.touch(schema, name, RelationKind.TABLE, Access.WRITE)
        scope = Scope()
        if tree.args.get("with_") is not None:
            from decision.analysis.dialects.queries import ctes

            ctes(walk, tree.args["with_"], scope)
        query(walk, rows, Scope(scope), output=False)
    else:
        walk.record.refuse("CREATE", "what it is made from is not known")


def _definition(walk: Walk, schema: exp.Schema) -> None:
    """Column definitions: they name tables of foreign keys, and columns of the new table."""
    for one in schema.find_all(exp.Table):
        if id(one) not in walk.record.seen:
            walk.see(one)
            names.relation(walk, one, Access.DDL)
    walk.see(*schema.find_all(exp.Column))
    for call in schema.find_all(exp.Anonymous):
        walk.see(call)
        value(walk, call, Scope(), Usage.CHECK)


def _drop(walk: Walk, tree: exp.Drop) -> None:
    record = walk.record
    kind = str(tree.args.get("kind") or "").upper()
    record.kind(Kind.DDL)
    options = tuple(name for name in ("cascade", "restrict", "purge") if tree.args.get(name))
    if "cascade" in options:
        record.flags.add("cascade")
    objects = [*(tree.args.get("tables") or ()), *tree.expressions]
    if isinstance(tree.this, exp.Expr):
        objects.append(tree.this)
    found = []
    for one in objects:
        walk.see(one)
        if kind in _TABLES and isinstance(one, exp.Table):
            names.relation(walk, one, Access.DDL)
        found.append(ObjectName(*object_name(walk, one)))
    for one in tree.find_all(exp.Table) if kind == "INDEX" else ():
        if id(one) not in record.seen:
            walk.see(one)
            names.relation(walk, one, Access.DDL)
    record.operate("drop", kind.lower() or "unknown", *found, options=options)
    if kind not in _OBJECTS:
        record.refuse(f"DROP {kind}", "what it drops is not known")


def _alter(walk: Walk, tree: exp.Alter) -> None:
    record = walk.record
    kind = str(tree.args.get("kind") or "").upper()
    if kind == "SESSION":
        record.kind(Kind.SESSION)
        record.flags.add("setting")
        for item in tree.find_all(exp.EQ):
            walk.see(*item.find_all(exp.Column))
            record.settings[walk.shown(item.this.name.lower())] = None
        if not record.settings:
            record.unresolved("ALTER SESSION", "it is not known what it sets")
        return
    record.kind(Kind.DDL)
    if kind != "TABLE" or not isinstance(tree.this, exp.Table):
        record.refuse(f"ALTER {kind}", "what it changes is not known")
        return
    walk.see(tree.this, *tree.find_all(exp.Column))
    names.relation(walk, tree.this, Access.DDL)
    for one in tree.find_all(exp.Table):
        if isinstance(one.parent, exp.Drop) and str(one.parent.args.get("kind")).upper() == "CONSTRAINT":
            walk.see(one)
        elif one is not tree.this:
            names.relation(walk, one, Access.DDL)
            walk.see(one)
    verbs = tuple(sorted({type(action).__name__.lower() for action in tree.args.get("actions") or ()}))
    record.operate("alter", "table", ObjectName(*object_name(walk, tree.this)), options=verbs)
    if any(isinstance(action, exp.Command) for action in tree.args.get("actions") or ()) or not verbs:
        record.refuse("ALTER TABLE", "an action that is not known")


def _insert_all(walk: Walk, tree: exp.MultitableInserts) -> None:
    """INSERT ALL and FIRST: which values go where is not read."""
    walk.record.kind(Kind.INSERT)
    for one in tree.expressions:
        if isinstance(one.this, exp.Insert):
            writes.target_of(walk, one.this.this)
            walk.see(*one.find_all(exp.Column))
    source = tree.args.get("source")
    if isinstance(source, exp.Query):
        query(walk, source, Scope(), output=False)
    walk.record.refuse("INSERT ALL", "which values go where is not read")


_ROOTS: tuple[tuple[type[exp.Expr], Callable[..., None]], ...] = (
    (exp.Insert, writes.insert), (exp.Update, writes.update), (exp.Delete, writes.delete), (exp.Merge, merges.merge),
    (exp.MultitableInserts, _insert_all), (exp.TruncateTable, merges.truncate), (exp.Create, _create),
    (exp.Drop, _drop), (exp.Alter, _alter), (exp.Use, sessions.use), (exp.Set, sessions.assign),
    (exp.Describe, sessions.describe), (exp.Show, sessions.show), (exp.Copy, transfers.copy),
    (exp.Export, transfers.export), (exp.LoadData, transfers.load), (exp.Pragma, transfers.pragma),
    (exp.Attach, transfers.attach), (exp.Detach, transfers.attach), (exp.Query, _query), (exp.Values, _query),
)  # fmt: skip
