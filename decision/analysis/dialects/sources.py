"""What stands in a FROM: relations, subqueries, table functions, stages."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects import names
from decision.analysis.dialects.scopes import Scope, Source, union
from decision.analysis.dialects.walk import Walk
from decision.model.facts import Access, Effect, Transform, Usage

_TABLE = frozenset(
    {"this", "alias", "db", "catalog", "joins", "hints", "system_time", "version", "ordinality", "when", "only",
     "partition", "rows_from", "sample", "indexed", "laterals"}
)  # fmt: skip


def _labels(node: exp.Expr) -> list[str]:
    alias = node.args.get("alias")
    return [column.name for column in alias.columns] if isinstance(alias, exp.TableAlias) else []


def _named(walk: Walk, node: exp.Expr, found: Source) -> Source:
    """`found` under the node's alias."""
    alias = node.args.get("alias")
    if isinstance(alias, exp.TableAlias) and not isinstance(alias.this, exp.Identifier | None):
        walk.record.unresolved("alias", "what stands behind a relation is not known")
        walk.see(*alias.walk())
    if node.alias:
        found.name = node.alias.casefold()
        found.schema = ""
    labels = _labels(node)
    return found.renamed(labels) if labels else found


def source(walk: Walk, node: exp.Expr, scope: Scope) -> Source:
    """Touches what `node` stands for and gives its columns."""
    from decision.analysis.dialects.queries import query

    with walk.level():
        walk.see(node)
        if isinstance(node, exp.Table):
            return _table(walk, node, scope)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias:
            found = source(walk, node.this, scope)
            _joins(walk, node, scope)
            return found
        if isinstance(node, exp.Lateral):
            return lateral(walk, node, scope)
        if isinstance(node, exp.Subquery | exp.Query | exp.Values):
            columns, is_open = query(walk, node, Scope(scope), output=False)
            return _named(walk, node, Source(node.alias, columns, is_open=is_open))
        if isinstance(node, exp.Unnest | exp.TableFromRows | exp.Func):
            return _named(walk, node, _function(walk, node, scope))
        walk.record.unresolved(type(node).__name__, "it is not known what this reads")
        return Source(node.alias_or_name, (), is_open=True)


def _joins(walk: Walk, node: exp.Expr, scope: Scope) -> None:
    from decision.analysis.dialects.queries import join_source

    for join in node.args.get("joins") or ():
        join_source(walk, join, scope)


def _table(walk: Walk, node: exp.Table, scope: Scope) -> Source:
    for name, argument in node.args.items():
        if argument and name not in _TABLE:
            walk.record.unresolved(name.upper(), "a clause of a relation that is not known")
    inner = node.this
    if isinstance(inner, exp.Func):
        schema = ".".join(part for part in (node.text("catalog"), node.text("db")) if part)
        found = _function(walk, inner, scope, schema)
    elif isinstance(inner, exp.Identifier) or names.path(node) is not None:
        cte = None if node.args.get("db") else scope.cte(node.name)
        if cte is not None:
            found = cte
        elif node.name.casefold() == "dual" and not node.args.get("db") and walk.dialect in ("oracle", "mysql"):
            found = Source("dual", ())
        else:
            found = names.relation(walk, node, Access.READ)
    else:
        found = _outside(walk, node, inner)
    _locks(walk, node, found)
    found = _named(walk, node, found)
    if node.args.get("pivots"):
        walk.record.unresolved("PIVOT", "its columns depend on the rows")
        found = Source(node.alias_or_name, [("*", found.row())], is_open=True)
    for part in ("version", "when", "system_time"):
        clause = node.args.get(part)
        if isinstance(clause, exp.Expr):
            _time_travel(walk, clause, scope)
    if node.args.get("joins") or node.args.get("laterals"):
        scope.sources.append(found)
        _joins(walk, node, scope)
        for one in node.args.get("laterals") or ():
            scope.sources.append(lateral(walk, one, scope))
        scope.sources.remove(found)
    return found


def _locks(walk: Walk, node: exp.Table, found: Source) -> None:
    """Hints of T-SQL that lock rows, or the whole relation, until the transaction ends."""
    hints = {
        one.name.upper() for hint in node.args.get("hints") or () for one in hint.find_all(exp.Var, exp.Identifier)
    }
    if found.relation is None or not hints & {"TABLOCK", "TABLOCKX", "XLOCK", "UPDLOCK", "HOLDLOCK", "SERIALIZABLE"}:
        return
    walk.record.flags.add("lock" if hints & {"TABLOCKX", "XLOCK"} else "row_lock")
    for key, known in walk.record.relations.items():
        if key[:2] == found.relation:
            known.access.add(Access.LOCK)


def _time_travel(walk: Walk, clause: exp.Expr, scope: Scope) -> None:
    from decision.analysis.dialects.expressions import value

    walk.record.flags.add("time_travel")
    expression = clause.args.get("expression")
    if isinstance(expression, exp.Expr):
        value(walk, expression, scope, Usage.FILTER)


def _outside(walk: Walk, node: exp.Table, inner: exp.Expr | None) -> Source:
    """Stages, linked servers, names that are computed."""
    record = walk.record
    if inner is None:
        record.unresolved("relation", "the parser found no name of one here")
        return Source(node.alias_or_name, (), is_open=True)
    if isinstance(inner, exp.Var) and inner.name.startswith("@"):
        record.flags.add("file")
        record.files[inner.name.split("/")[0]] = None
        record.unresolved("stage", "the columns of staged files are not known")
    elif isinstance(inner, exp.Dot):  # OPENDATASOURCE(…).database.schema.relation
        record.flags.add("remote")
        record.unresolved("OPENDATASOURCE", "another server, where it is not known what this is")
        for call in node.find_all(exp.Func):
            _function(walk, call, Scope())
    else:
        record.unresolved(type(inner).__name__, "this is no plain name of a relation")
        if isinstance(inner, exp.DirectoryStage) or (isinstance(inner, exp.Literal) and inner.name.startswith("@")):
            record.flags.add("file")
            record.files[inner.name.split("/")[0]] = None
    walk.see(*inner.walk())
    return Source(node.alias_or_name, (), is_open=True)


def lateral(walk: Walk, node: exp.Lateral, scope: Scope) -> Source:
    from decision.analysis.dialects.queries import query

    if isinstance(node.this, exp.Subquery | exp.Query):
        columns, is_open = query(walk, node.this, Scope(scope), output=False)
        return _named(walk, node, Source(node.alias, columns, is_open=is_open))
    return _named(walk, node, _function(walk, node.this, scope))


def _function(walk: Walk, node: exp.Expr, scope: Scope, schema: str = "") -> Source:
    """A table function: each column may hold whatever its arguments hold."""
    from decision.analysis.dialects.expressions import _function as called
    from decision.analysis.dialects.expressions import value
    from decision.analysis.dialects.function_calls import function_name

    walk.see(node)
    name = ""
    if isinstance(node, exp.Func) and not isinstance(node, exp.Unnest):
        name = function_name(node)[1]
        flow = called(walk, node, scope, Usage.PASSED if schema else Usage.INNER, schema)
        for table in node.find_all(exp.Table):
            if id(table) not in walk.record.seen:
                source(walk, table, scope)
                flow = union([flow], opaque=True)
    else:
        children = node.expressions if isinstance(node, exp.Unnest) else [node.this]
        if isinstance(node, exp.TableFromRows) and not isinstance(node.this, exp.Func | exp.Subquery | exp.Query):
            walk.record.flags.add("dynamic_unknown")
            walk.record.unresolved("TABLE", "which relation a text or a variable names is not known")
        known = [child for child in children if isinstance(child, exp.Expr)]
        if len(known) < len(children):
            walk.record.unresolved(type(node).__name__, "it is not known what this reads")
        flow = union([value(walk, child, scope, Usage.INNER) for child in known], opaque=len(known) < len(children))
    effects = walk.record.functions.get((schema.lower(), name), ())
    opaque = flow.opaque or any(e in effects for e in (Effect.OPAQUE, Effect.READS_FILES, Effect.NETWORK))
    mixed = union([flow], Transform.EXPRESSION, opaque=opaque)
    labels = _labels(node) or ([node.alias] if isinstance(node, exp.Unnest) and node.alias else [])
    found = Source(name, [(label, mixed) for label in labels] or [("*", mixed)], is_open=True)
    if not opaque and not flow.sources and labels:
        found.open = False
    return found
