"""INSERT, UPDATE, DELETE, MERGE and TRUNCATE."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects import names
from decision.analysis.dialects.expressions import value
from decision.analysis.dialects.predicates import predicate
from decision.analysis.dialects.queries import condition, ctes, join_source, query
from decision.analysis.dialects.record import Record
from decision.analysis.dialects.returned import returning, with_pseudo
from decision.analysis.dialects.scopes import Scope, Source, union
from decision.analysis.dialects.sources import source
from decision.analysis.dialects.values import bind, bind_rows
from decision.analysis.dialects.walk import Walk
from decision.model.facts import Access, Kind, Usage

_KNOWN = frozenset(
    {
        "with_", "this", "expression", "conflict", "returning", "overwrite", "exists", "alternative", "where", "ignore",
        "by_name", "default", "from_", "expressions", "order", "limit", "options", "using", "tables", "hint", "on",
        "whens", "partition",
    }
)  # fmt: skip


def begin(walk: Walk, node: exp.Expr, kind: Kind) -> Scope:
    walk.record.kind(kind)
    for name, argument in node.args.items():
        if argument and name not in _KNOWN:
            walk.record.unresolved(name.rstrip("_").upper(), "a clause that is not known")
    scope = Scope()
    with_ = node.args.get("with_")
    if with_ is not None:
        ctes(walk, with_, scope)
        walk.record.flags.add("with")
    return scope


def target_of(walk: Walk, node: exp.Expr, access: Access = Access.WRITE) -> Source:
    """The relation that a statement changes: never a common table expression."""
    walk.see(node)
    while isinstance(node, exp.Schema | exp.Paren | exp.Subquery):
        if isinstance(node, exp.Subquery) and not isinstance(node.this, exp.Table):
            break
        node = node.this
        walk.see(node)
    if not isinstance(node, exp.Table):
        walk.record.unresolved(type(node).__name__, "it is not known what this changes")
        return Source("", (), is_open=True)
    found = names.relation(walk, node, access)
    if node.alias:
        found.name, found.schema = node.alias.casefold(), ""
    if node.args.get("changes") or node.args.get("pivots"):
        walk.record.unresolved("relation", "a clause of a relation that is not known")
    return found


def write_columns(walk: Walk, target: Source, labels: list[str] | None) -> None:
    """Marks columns as written; None: all of them."""
    if labels is None:
        labels = [label for label, _ in target.columns] or []
    if target.relation is None:
        return
    for label in labels:
        shown = next((known for known, _ in target.columns if known.casefold() == label.casefold()), None)
        if shown is None and not target.open:
            walk.record.unresolved(walk.shown(label), "no such column is in the relation")
        key = (*target.relation, shown if shown is not None else walk.shown(label))
        walk.record.columns.setdefault(key, set()).add(Usage.WRITE)


def insert(walk: Walk, node: exp.Insert) -> None:
    scope = begin(walk, node, Kind.INSERT)
    record = walk.record
    target = target_of(walk, node.this)
    labels = [one.name for one in node.this.expressions] if isinstance(node.this, exp.Schema) else None
    write_columns(walk, target, None if node.args.get("by_name") else labels)
    if node.args.get("overwrite"):
        record.kind(Kind.DELETE)
    alternative = str(node.args.get("alternative") or "").upper()
    if alternative == "REPLACE":
        record.kind(Kind.DELETE)
        record.flags.add("on_conflict")
    if isinstance(node.this, exp.Table) and isinstance(node.this.this, exp.Func):
        record.refuse("INSERT INTO FUNCTION", "it is not known what this changes")
    rows = node.expression
    if isinstance(rows, exp.Query | exp.Values | exp.Subquery):
        columns, is_open = query(walk, rows, Scope(scope), output=False)
        walk.assigned.append(union([flow for _, flow in columns], opaque=is_open))
        if not node.args.get("by_name"):
            bind_rows(walk, target, labels, rows)
    elif rows is not None:
        walk.assigned.append(value(walk, rows, scope, Usage.INNER))
    elif not node.args.get("default") and node.args.get("exists") is None:
        record.unresolved("INSERT", "it is not known where the rows come from")
    conflict = node.args.get("conflict")
    if conflict is not None:
        _conflict(walk, conflict, scope, target)
    returning(walk, node, scope, target)


def _conflict(walk: Walk, conflict: exp.OnConflict, scope: Scope, target: Source) -> None:
    walk.record.flags.add("on_conflict")
    inside = with_pseudo(scope, target)
    for key in conflict.args.get("conflict_keys") or ():
        value(walk, key, inside, Usage.CHECK)
    action = str(conflict.args.get("action") or "").upper()
    if conflict.expressions and "NOTHING" not in action:
        walk.record.kind(Kind.UPDATE)
    assign(walk, conflict.expressions, inside, target)
    for name in ("where", "index_predicate"):
        clause = conflict.args.get(name)
        if isinstance(clause, exp.Expr):
            value(walk, clause.this if isinstance(clause, exp.Where) else clause, inside, Usage.FILTER)


def assign(walk: Walk, items: list[exp.Expr], scope: Scope, target: Source) -> None:
    """`column = value` items; a name of another source of the scope is another target (MySQL)."""
    for item in items:
        if not isinstance(item, exp.EQ | exp.PropertyEQ):
            walk.record.unresolved(type(item).__name__, "an assignment that is not known")
            value(walk, item, scope, Usage.INNER)
            continue
        walk.assigned.append(value(walk, item.expression, scope, Usage.INNER))
        columns = item.this.expressions if isinstance(item.this, exp.Tuple) else [item.this]
        for column in columns:
            _assign_one(walk, column, scope, target, item.expression if len(columns) == 1 else None)


def _assign_one(walk: Walk, column: exp.Expr, scope: Scope, target: Source, given: object) -> None:
    walk.see(column)
    if isinstance(column, exp.Parameter):
        walk.record.flags.add("variable")
    elif isinstance(column, exp.Column | exp.Identifier):
        owner = target
        if isinstance(column, exp.Column) and column.table:
            owner = scope.source(column.table, column.db) or target
        elif len(scope.sources) > 1:
            owner = next((one for one in scope.sources if column.name.casefold() in one.lookup), target)
        _touch_again(walk.record, owner)
        write_columns(walk, owner, [column.name])
        bind(walk, owner, column.name, "written", given)
    else:
        walk.record.unresolved(type(column).__name__, "it is not known which column is written")


def _touch_again(record: Record, owner: Source) -> None:
    """A source that turns out to be written."""
    if owner.relation is None:
        record.unresolved("assignment", "it is not known which relation is written")
        return
    for key, found in record.relations.items():
        if key[:2] == owner.relation:
            found.access.add(Access.WRITE)


def update(walk: Walk, node: exp.Update) -> None:
    scope = begin(walk, node, Kind.UPDATE)
    inside = Scope(scope)
    from_ = node.args.get("from_")
    if from_ is not None:
        inside.sources.append(source(walk, from_.this, inside))
    for part in (from_.args.get("joins") or ()) if from_ is not None else ():
        join_source(walk, part, inside)
    alias = node.this.name.casefold() if isinstance(node.this, exp.Table) and not node.this.db else ""
    known = next((one for one in inside.sources if one.name == alias and alias), None)
    if known is not None:
        walk.see(node.this)
        target = known
        _retarget(walk, known)
    elif isinstance(node.this, exp.Table) and node.this.args.get("joins"):
        target = target_of(walk, node.this, Access.READ)
        inside.sources.insert(0, target)
        for join in node.this.args["joins"]:
            join_source(walk, join, inside)
    else:
        target = target_of(walk, node.this)
        inside.sources.insert(0, target)
    assign(walk, node.expressions, inside, target)
    _filters(walk, node, inside, target)
    returning(walk, node, inside, target)


def _retarget(walk: Walk, known: Source) -> None:
    """The target is an alias of something in the FROM."""
    record = walk.record
    if known.relation is None:
        record.unresolved(walk.shown(known.name), "it is not known which relation is written")
        return
    names.by_name(walk, known.relation, Access.WRITE)


def _filters(walk: Walk, node: exp.Expr, scope: Scope, target: Source) -> None:
    where = node.args.get("where")
    if where is not None and isinstance(where.this, exp.Expr):
        condition(walk, where.this, scope, target)
    order = node.args.get("order")
    for item in order.expressions if order is not None else ():
        value(walk, item, scope, Usage.ORDER)
    walk.record.predicates.append(predicate(walk, node, target))
    _estimate(walk, target)


def _estimate(walk: Walk, target: Source) -> None:
    index, found = walk.record.index, walk.record.predicates[-1]
    entry = None if index is None or target.relation is None else index.entry(*target.relation)
    if entry is None or entry.relation.estimated_rows < 0:
        return
    rows = 1 if found.pins_key else entry.relation.estimated_rows
    walk.record.estimate = rows if found.limit is None else min(rows, found.limit)


def delete(walk: Walk, node: exp.Delete) -> None:
    scope = begin(walk, node, Kind.DELETE)
    inside = Scope(scope)
    tables, using = node.args.get("tables") or [], node.args.get("using") or []
    top = [one for one in tables if isinstance(one, exp.Table) and one.name.upper() == "TOP"]
    if top and walk.dialect == "tsql":
        walk.see(*top)
        tables = [one for one in tables if one not in top]
    using = using if isinstance(using, list) else [using]
    main = node.this
    if not isinstance(main, exp.Expr) and len(tables) == 1:  # Oracle's DELETE without FROM
        main, tables = tables[0], []
    if not isinstance(main, exp.Expr):
        walk.record.refuse("DELETE", "it is not known what this changes")
        return
    if tables or (using and walk.dialect == "mysql"):
        # DELETE a, b FROM …, or DELETE FROM a, b USING …: the targets are names of what is joined.
        joined = [main] if tables else using
        listed = tables or [main, *(join.this for join in main.args.get("joins") or ())]
        for one in joined:
            inside.sources.append(source(walk, one, inside))
            for join in (one.args.get("joins") or ()) if not isinstance(one, exp.Table) else ():
                join_source(walk, join, inside)
        walk.see(main, *listed)
        target = _targets(walk, listed, inside)
    else:
        target = target_of(walk, main)
        inside.sources.append(target)
        for join in main.args.get("joins") or () if isinstance(main, exp.Table) else ():
            join_source(walk, join, inside)
        for one in using:
            if isinstance(one, exp.Expr):
                inside.sources.append(source(walk, one, inside))
    _filters(walk, node, inside, target)
    returning(walk, node, inside, target)


def _targets(walk: Walk, listed: list[exp.Expr], scope: Scope) -> Source:
    first: Source | None = None
    for one in listed:
        found = scope.source(one.name, one.text("db"))
        if found is None:
            walk.record.unresolved(walk.shown(one.name), "it is not known which relation is written")
        else:
            _retarget(walk, found)
            first = first or found
    return first or Source("", (), is_open=True)
