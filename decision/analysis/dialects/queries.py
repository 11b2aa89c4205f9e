"""Queries: SELECT, set operations, VALUES and common table expressions, to their output columns."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects.expressions import value
from decision.analysis.dialects.names import is_own, made, parts, relation
from decision.analysis.dialects.predicates import held, predicate
from decision.analysis.dialects.projection import projection
from decision.analysis.dialects.record import Output
from decision.analysis.dialects.scopes import Scope, Source, union
from decision.analysis.dialects.sources import lateral, source
from decision.analysis.dialects.values import cells_of
from decision.analysis.dialects.walk import Walk
from decision.analysis.effects import RelationMade
from decision.analysis.flow import OPAQUE, Flow, either
from decision.model.facts import Access, Kind, ObjectName, RelationKind, Transform, Usage

Result = tuple[Output, bool]  # the columns; whether there may be others
_KNOWN = frozenset(
    {
        "with_", "kind", "expressions", "hint", "distinct", "into", "from_", "operation_modifiers", "laterals", "joins",
        "connect", "where", "group", "having", "qualify", "windows", "order", "limit", "offset", "locks", "sample",
        "for_", "pivots", "this", "expression", "by_name", "side", "on", "alias", "options", "recursive",
    }
)  # fmt: skip
_ROUNDS = 12


def query(walk: Walk, node: exp.Expr, scope: Scope, *, output: bool) -> Result:
    """`scope`: fresh for this query. `output`: its columns leave the database."""
    with walk.level():
        walk.see(node)
        for name, argument in node.args.items():
            if argument and name not in _KNOWN:
                walk.record.unresolved(name.rstrip("_").upper(), "a clause that is not known")
        with_ = node.args.get("with_")
        if with_ is not None:
            ctes(walk, with_, scope)
        if isinstance(node, exp.Subquery):
            result = _nested(walk, node, scope, output)
        elif isinstance(node, exp.SetOperation):
            result = _set_operation(walk, node, scope, output)
        elif isinstance(node, exp.Select):
            return _select(walk, node, scope, output)
        elif isinstance(node, exp.Values):
            result = _values(walk, node, scope)
        elif isinstance(node, exp.Table):
            found = source(walk, node, scope)
            result = list(found.columns), found.open
        else:
            walk.record.unresolved(type(node).__name__, "a form of query that is not known")
            return [], True
        _tail(walk, node, scope, Source("", result[0], is_open=result[1]))
        if output:
            for _, flow in result[0]:
                walk.record.use(flow, Usage.OUTPUT)
        return result


def ctes(walk: Walk, with_: exp.With, scope: Scope) -> None:
    if with_.args.get("udfs") or with_.args.get("search") or with_.args.get("cycle"):
        walk.record.unresolved("WITH", "a clause that is not known")
    walk.budget.add_ctes(len(with_.expressions))
    for cte in with_.expressions:
        name = cte.alias.casefold()
        alias = cte.args.get("alias")
        labels = [column.name for column in alias.columns] if alias is not None else []
        if cte.args.get("scalar") or not isinstance(cte.this, exp.Query):
            walk.record.unresolved(walk.shown(cte.alias), "a common table expression that is no query")
            scope.ctes[name] = []
            scope.open_ctes.add(name)
            continue
        rounds = _ROUNDS if isinstance(cte.this, exp.SetOperation) else 1
        previous: list[tuple[str, Flow]] | None = None
        for number in range(rounds):
            if rounds > 1:
                _begin(walk, cte, scope, name, labels, previous)
            columns, is_open = query(walk, cte.this, Scope(scope), output=False)
            named = Source(name, columns, is_open=is_open).renamed(labels).columns
            if is_open:
                scope.open_ctes.add(name)
            scope.ctes[name] = named
            if named == previous or not _mentions(cte):
                break
            previous = named
            if number == rounds - 1:
                scope.ctes[name] = [(label, OPAQUE) for label, _ in named]


def _mentions(cte: exp.CTE) -> bool:
    name = cte.alias.casefold()
    return any(table.name.casefold() == name and not table.db for table in cte.this.find_all(exp.Table))


def _begin(
    walk: Walk, cte: exp.CTE, scope: Scope, name: str, labels: list[str], previous: list[tuple[str, Flow]] | None
) -> None:
    """What a recursive expression means while it is read: first its non-recursive part alone."""
    if previous is not None or not _mentions(cte):
        return
    first = cte.this
    while isinstance(first, exp.SetOperation):
        first = first.this
    columns, is_open = query(walk, first, Scope(scope), output=False)
    scope.ctes[name] = Source(name, columns, is_open=is_open).renamed(labels).columns
    if is_open:
        scope.open_ctes.add(name)


def _nested(walk: Walk, node: exp.Subquery, scope: Scope, output: bool) -> Result:
    if node.args.get("pivots"):
        walk.record.unresolved("PIVOT", "its columns depend on the rows")
        query(walk, node.this, Scope(scope), output=False)
        return [], True
    if isinstance(node.this, exp.Table) or node.args.get("joins"):
        inside = Scope(scope)
        inside.sources.append(source(walk, node.this, inside))
        for join in node.args.get("joins") or ():
            join_source(walk, join, inside)
        return [column for one in inside.sources for column in one.columns], any(o.open for o in inside.sources)
    return query(walk, node.this, Scope(scope), output=output)


def _set_operation(walk: Walk, node: exp.SetOperation, scope: Scope, output: bool) -> Result:
    branches: list[exp.Expr] = []
    left: exp.Expr = node
    odd = False
    compared: set[Usage] = set()
    while isinstance(left, exp.SetOperation) and (left is node or not left.args.get("with_")):
        walk.see(left)
        if not isinstance(left, exp.Union):
            compared.add(Usage.FILTER)
        elif left.args.get("distinct"):
            compared.add(Usage.GROUP)
        odd = odd or bool(left.args.get("by_name") or left.args.get("side") or left.args.get("on"))
        branches.append(left.expression)
        if left is not node:
            _tail(walk, left, scope, Source("", (), is_open=True))
        left = left.this
    branches.append(left)
    results = [query(walk, branch, Scope(scope), output=output) for branch in reversed(branches)]
    columns = results[0][0]
    for found, _ in results if compared else ():
        for _, flow in found:
            walk.record.use(flow, Usage.FILTER if Usage.FILTER in compared else Usage.GROUP)
    if odd or any(is_open or len(found) != len(columns) for found, is_open in results):
        mixed = union([flow for found, _ in results for _, flow in found], opaque=True)
        return [(label, mixed) for label, _ in columns], True
    merged = [either([found[i][1] for found, _ in results]) for i in range(len(columns))]
    return [(label, flow) for (label, _), flow in zip(columns, merged, strict=True)], False


def _values(walk: Walk, node: exp.Values, scope: Scope) -> Result:
    rows = []
    for row in node.expressions:
        walk.see(row, *(row.expressions if isinstance(row, exp.Tuple) else ()))
        rows.append([value(walk, cell, scope, Usage.INNER) for cell in cells_of(row)])
    width = max((len(row) for row in rows), default=0)
    walk.budget.columns(width)
    return [(f"column{i + 1}", either([row[i] for row in rows if i < len(row)])) for i in range(width)], False


def _select(walk: Walk, node: exp.Select, scope: Scope, output: bool) -> Result:
    from_ = node.args.get("from_")
    if from_ is not None:
        scope.sources.append(source(walk, from_.this, scope))
    for item in node.args.get("joins") or ():
        join_source(walk, item, scope)
    for item in node.args.get("laterals") or ():
        scope.sources.append(lateral(walk, item, scope))
    result = projection(walk, node, scope, output)
    for label, flow in result[0]:
        if label and not result[1]:
            scope.aliases.setdefault(label.casefold(), flow)
    clauses = (
        ("where", Usage.FILTER), ("connect", Usage.FILTER), ("group", Usage.GROUP), ("having", Usage.FILTER),
        ("qualify", Usage.FILTER), ("windows", Usage.WINDOW), ("sample", Usage.INNER),
    )  # fmt: skip
    for name, usage in clauses:
        clause = node.args.get(name)
        for part in clause if isinstance(clause, list) else [clause]:
            if part is not None:
                for expression in _parts(part):
                    if name == "where" and output:
                        condition(walk, expression, scope, scope.sources[0] if len(scope.sources) == 1 else None)
                    else:
                        value(walk, expression, scope, usage)
    if node.args.get("distinct") is not None:
        for _, flow in result[0]:
            walk.record.use(flow, Usage.GROUP)
    _tail(walk, node, scope, None)
    _select_extras(walk, node, result)
    if output or node.args.get("into") is not None:
        walk.record.predicates.append(predicate(walk, node, scope.sources[0] if len(scope.sources) == 1 else None))
    return result


def condition(walk: Walk, node: exp.Expr, scope: Scope, target: Source | None) -> None:
    """A statement's own WHERE, term by term: those that pin a column of the target are no guesses at its value."""
    for term, pins in held(node, target):
        walk.record.pinning = pins
        value(walk, term, scope, Usage.FILTER)
        walk.record.pinning = False


def _parts(node: exp.Expr) -> list[exp.Expr]:
    """The values of a clause that is no value itself."""
    if isinstance(node, exp.Where | exp.Having | exp.Qualify | exp.Group | exp.Connect | exp.TableSample):
        found = []
        for argument in node.args.values():
            found += [one for one in (argument if isinstance(argument, list) else [argument])
                      if isinstance(one, exp.Expr)]  # fmt: skip
        return found
    return [node]


def _tail(walk: Walk, node: exp.Expr, scope: Scope, only: Source | None) -> None:
    """ORDER BY, LIMIT and locks; `only`: the outputs, where those are all that can be named."""
    inside = scope
    if only is not None:
        inside = Scope(scope)
        inside.sources.append(only)
    order = node.args.get("order")
    if order is not None:
        for item in order.expressions:
            value(walk, item, inside, Usage.ORDER)
    for name in ("limit", "offset"):
        clause = node.args.get(name)
        if isinstance(clause, exp.Expr):
            for part in clause.args.values():
                if isinstance(part, exp.Expr):
                    value(walk, part, inside, Usage.FILTER) if not isinstance(part, exp.LimitOptions) else None
    if node.args.get("locks"):
        walk.record.flags.add("row_lock")
        for found in walk.record.relations.values():
            if Access.READ in found.access:
                found.access.add(Access.LOCK)


def _select_extras(walk: Walk, node: exp.Select, result: Result) -> None:
    into = node.args.get("into")
    if into is not None:
        target = into.this
        walk.see(target)
        walk.record.kind(Kind.DDL, Kind.INSERT)
        walk.record.flags.add("select_into")
        named = parts(target) if isinstance(target, exp.Table) and walk.dialect == "tsql" else None
        if named is not None and is_own(walk, named[0]):
            _, schema, name = named
            made(walk, target)
            kind = RelationKind.TEMPORARY if name.startswith("#") else RelationKind.TABLE
            walk.record.touch(schema, name, kind, Access.DDL)
            walk.record.touch(schema, name, kind, Access.WRITE)
            walk.record.operate("create", "table", ObjectName(schema, name))
            walk.record.effects.append(RelationMade(schema, name, kind, (), complete=False))
        else:
            walk.record.unresolved("INTO", "where the rows go is not known")
            if isinstance(target, exp.Table):
                relation(walk, target, Access.WRITE)
    if node.args.get("for_") or node.args.get("kind"):
        mixed = union([flow for _, flow in result[0]], Transform.WHOLE_ROW, opaque=result[1])
        result[0][:] = [("", mixed)]
    if node.args.get("options"):
        walk.see(*[one for option in node.args["options"] for one in option.walk()])


def join_source(walk: Walk, join: exp.Join, scope: Scope) -> None:
    scope.sources.append(source(walk, join.this, scope))
    on = join.args.get("on")
    if on is not None:
        value(walk, on, scope, Usage.JOIN)
    match = join.args.get("match_condition")
    if match is not None:
        value(walk, match, scope, Usage.JOIN)
    using = join.args.get("using") or ()
    if join.method.upper() == "NATURAL":
        scope.merged = True
        shared = [set(one.lookup) for one in scope.sources]
        for name in set.union(*shared):
            if sum(name in names for names in shared) > 1:
                _merge(walk, scope, name)
    for name in using:
        scope.merged = True
        _merge(walk, scope, name.name)
    if join.args.get("pivots"):
        walk.record.unresolved("PIVOT", "its columns depend on the rows")
    for extra in join.args.get("expressions") or ():
        scope.sources.append(source(walk, extra, scope))


def _merge(walk: Walk, scope: Scope, name: str) -> None:
    for one in scope.sources:
        flow = one.find(name)
        if flow is not None:
            walk.record.use(flow, Usage.JOIN)
