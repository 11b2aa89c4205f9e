"""Values: the base columns that an expression is computed from, and the functions it calls."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects.function_calls import call, function_name
from decision.analysis.dialects.functions import AGGREGATES
from decision.analysis.dialects.inference import decides
from decision.analysis.dialects.scopes import Scope, Source, union
from decision.analysis.dialects.walk import Walk
from decision.analysis.flow import CONSTANT, OPAQUE, Flow
from decision.model.facts import Effect, Transform, Usage

_CONSTANTS = (
    exp.Literal, exp.Null, exp.Boolean, exp.HexString, exp.BitString, exp.ByteString, exp.RawString, exp.National,
    exp.Placeholder, exp.DataType, exp.SessionParameter, exp.JSONPath, exp.UnicodeString, exp.Heredoc,
    exp.IntervalSpan, exp.CharacterSet, exp.WindowSpec,
)  # fmt: skip
# Nodes whose value is made of their children's and of nothing else.
_COMPUTED = (
    exp.Binary, exp.Unary, exp.Condition, exp.Func, exp.Tuple, exp.Ordered, exp.Distinct, exp.Filter, exp.WithinGroup,
    exp.IgnoreNulls, exp.RespectNulls, exp.Interval, exp.PropertyEQ, exp.Kwarg, exp.Alias, exp.Aliases, exp.Where,
    exp.Order, exp.Introducer, exp.AtTimeZone, exp.Slice, exp.JSONKeyValue, exp.Collate, exp.HavingMax,
    exp.ForIn, exp.Limit, exp.Fetch, exp.Offset, exp.Prior, exp.Comprehension, exp.JSON,
    exp.Rollup, exp.Cube, exp.GroupingSets, exp.Group, exp.FormatJson, exp.OverflowTruncateBehavior, exp.Any, exp.All,
    exp.TranslateCharacters, exp.JSONColumnDef, exp.JSONSchema, exp.OpenJSONColumnDef, exp.Bracket,
)  # fmt: skip


def value(walk: Walk, node: exp.Expr, scope: Scope, usage: Usage) -> Flow:
    """The flow of `node`; every base column that it names is used as `usage` says."""
    if not isinstance(node, exp.Expr):  # the tree's types are not checked by its parser
        walk.record.unresolved("expression", "an expression that is not known")
        return OPAQUE
    with walk.level():
        walk.see(node)
        if isinstance(node, exp.Column):
            return _column(walk, node, scope, usage)
        if isinstance(node, _CONSTANTS):
            return CONSTANT
        if isinstance(node, exp.Subquery | exp.Query):
            return _scalar(walk, node, scope, usage)
        if isinstance(node, exp.Table):
            from decision.analysis.dialects.sources import source

            row = source(walk, node, scope).row()
            walk.record.use(row, usage)
            return union([row], opaque=True)
        if isinstance(node, exp.Exists):
            return _scalar(walk, node.this, scope, Usage.FILTER).computed()
        if isinstance(node, exp.Parameter):
            return CONSTANT if walk.dialect in ("bigquery", "duckdb", "sqlite") else OPAQUE
        if isinstance(node, exp.Window):
            return _window(walk, node, scope, usage)
        if isinstance(node, exp.Dot):
            return _dot(walk, node, scope, usage)
        if isinstance(node, exp.Identifier | exp.Var):
            found = scope.column(node.name)
            if found is not None and not found.opaque:
                walk.record.use(found, usage)
                return found
            return CONSTANT
        if isinstance(node, exp.Star | exp.Columns | exp.StarMap):
            return _everything(walk, node, scope, usage)
        if isinstance(node, exp.Paren):
            return value(walk, node.this, scope, usage)
        if isinstance(node, exp.Func):
            return _function(walk, node, scope, usage, "")
        return _computed(walk, node, scope, usage)


def _computed(walk: Walk, node: exp.Expr, scope: Scope, usage: Usage) -> Flow:
    if isinstance(node, exp.PropertyEQ) and isinstance(node.this, exp.Parameter):
        walk.record.flags.add("variable")
    if isinstance(node, exp.Alias):
        return value(walk, node.this, scope, usage)
    if isinstance(node, exp.Filter):
        held = value(walk, node.expression, scope, Usage.FILTER)
        for also in (usage, Usage.AGGREGATE):
            walk.record.use(held, also)
        return union([value(walk, node.this, scope, usage), held])
    flows = [_part(walk, node, child, scope, usage) for child in _children(node)]
    known = isinstance(node, _COMPUTED)
    if not known:
        walk.record.unresolved(type(node).__name__, "an expression that is not known")
    return union(flows, opaque=not known)


def _part(walk: Walk, node: exp.Expr, child: exp.Expr, scope: Scope, usage: Usage) -> Flow:
    flow = value(walk, child, scope, usage)
    if decides(walk.dialect, node, child):
        walk.record.use(flow, Usage.CHECK)
    return flow


def _children(node: exp.Expr) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    for name, child in node.args.items():
        if name in ("alias", "to") and not isinstance(child, exp.Column):
            continue
        for one in child if isinstance(child, list) else [child]:
            if isinstance(one, exp.Expr):
                found.append(one)
    return found


def _column(walk: Walk, node: exp.Column, scope: Scope, usage: Usage) -> Flow:
    identifier = node.this
    if isinstance(identifier, exp.Star):
        return _everything(walk, node, scope, usage)
    flow = _found(walk, node, scope)
    if flow is None:
        label = walk.shown(node.name)
        walk.record.unresolved(label, "no such column is in reach")
        return OPAQUE
    walk.record.use(flow, usage)
    return flow


def _found(walk: Walk, node: exp.Column, scope: Scope) -> Flow | None:
    name, table, schema = node.name, node.table, node.db
    quoted = isinstance(node.this, exp.Identifier) and bool(node.this.args.get("quoted")) and name in walk.double
    if not table:
        flow = scope.column(name)
        if flow is not None and not (flow.opaque and quoted and walk.record.traits.double == "either"):
            return flow
        if quoted and walk.record.traits.double == "either":
            return CONSTANT if flow is None else OPAQUE  # a string, unless some relation has such a column
        if flow is None and walk.record.traits.whole_rows and (source := scope.source(name)) is not None:
            return source.row()
        if flow is None and name.casefold() in walk.record.traits.system_columns:
            return CONSTANT
        return flow
    source = scope.source(table, schema)
    if source is not None:
        return source.find(name)
    # What looks like a table may be a column with fields, or an alias of one.
    for part in (node.catalog, schema, table):
        if part:
            outer = scope.source(part)
            flow = scope.column(part) if outer is None else (outer.find(table) if part != table else None)
            return None if flow is None else flow.computed()
    return None


def _scalar(walk: Walk, node: exp.Expr, scope: Scope, usage: Usage) -> Flow:
    from decision.analysis.dialects.queries import query

    walk.see(node)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        walk.record.unresolved("Subquery", "a relation in the place of a value")
        return OPAQUE
    if not isinstance(node, exp.Query):
        return value(walk, node, scope, usage)
    output, is_open = query(walk, node, Scope(scope), output=False)
    flow = union([flow for _, flow in output], opaque=is_open)
    walk.record.use(flow, usage)
    return flow


def _window(walk: Walk, node: exp.Window, scope: Scope, usage: Usage) -> Flow:
    flow = value(walk, node.this, scope, usage)
    others = [value(walk, part, scope, Usage.WINDOW) for part in node.args.get("partition_by") or ()]
    for name in ("order", "spec"):
        part = node.args.get(name)
        if isinstance(part, exp.Expr):
            others.append(value(walk, part, scope, Usage.WINDOW))
    return union([flow, *others], Transform.AGGREGATE)


def _dot(walk: Walk, node: exp.Dot, scope: Scope, usage: Usage) -> Flow:
    """`package.function(…)`, or a field of a value."""
    right = node.expression
    if isinstance(right, exp.Func):
        path: list[str] = []
        left = node.this
        while isinstance(left, exp.Dot):
            path.insert(0, left.expression.name)
            left = left.this
        if isinstance(left, exp.Identifier | exp.Var | exp.Column):
            walk.see(left)
            path[:0] = [part.name for part in left.parts] if isinstance(left, exp.Column) else [left.name]
            walk.see(right)
            return _function(walk, right, scope, usage, ".".join(path))
    written = _written_as_text(node)
    if written is not None:
        return _column(walk, exp.column(*reversed(written[-3:])), scope, usage)
    flow = value(walk, node.this, scope, usage)
    other = CONSTANT if isinstance(right, exp.Identifier) else value(walk, right, scope, usage)
    return union([flow, other])


def _written_as_text(node: exp.Dot) -> list[str] | None:
    """The parts of 'relation'.column: SQLite takes a text in the place of a name for the name."""
    names: list[str] = []
    left: object = node
    while isinstance(left, exp.Dot):
        if not isinstance(left.expression, exp.Identifier | exp.Literal):
            return None
        names.insert(0, left.expression.name)
        left = left.this
    return [left.name, *names] if isinstance(left, exp.Literal) and left.is_string else None


def _everything(walk: Walk, node: exp.Expr, scope: Scope, usage: Usage) -> Flow:
    """`*` within an expression, as COUNT(*) or OBJECT_CONSTRUCT(*) have it."""
    table = node.args.get("table")
    sources = scope.sources if table is None else [one for one in [scope.source(table.name)] if one is not None]
    flow = union([source.row() for source in sources], Transform.WHOLE_ROW, opaque=not sources)
    for child in node.find_all(exp.Column, exp.Star):
        walk.see(child)
    walk.record.use(flow, usage)
    return flow


def _function(walk: Walk, node: exp.Func, scope: Scope, usage: Usage, schema: str) -> Flow:
    inner, name = function_name(node)
    schema = schema.lower() or inner
    if isinstance(node, exp.Count) and all(isinstance(c, exp.Star | exp.Literal) for c in _children(node)):
        flows = [CONSTANT]
    else:
        flows = _arguments(walk, node, scope, usage)
    effects = call(walk, node, schema, name)
    if isinstance(node, exp.AggFunc) or (not schema and name in AGGREGATES):
        flow = union(flows, Transform.AGGREGATE)
        walk.record.use(flow, Usage.AGGREGATE)
    else:
        flow = union(flows)
    if effects:
        walk.record.use(flow, Usage.PASSED)
    if isinstance(node, exp.Cast):
        return flow.computed()
    reading = {Effect.OPAQUE, Effect.READS_FILES, Effect.NETWORK, Effect.DYNAMIC_SQL}
    return Flow(flow.sources, flow.transform, flow.opaque or bool(reading & set(effects)))


def _arguments(walk: Walk, node: exp.Func, scope: Scope, usage: Usage) -> list[Flow]:
    plain = [child for child in _children(node) if not isinstance(child, exp.Lambda)]
    flows = [_part(walk, node, child, scope, usage) for child in plain if not _is_name(node, child)]
    for child in _children(node):
        if isinstance(child, exp.Lambda):
            inside = Scope(scope)
            given = union(flows)
            inside.sources.append(Source("", [(parameter.name, given) for parameter in child.expressions]))
            walk.see(child, *child.expressions)
            flows.append(value(walk, child.this, inside, usage))
    return flows


def _is_name(node: exp.Func, child: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and child is node.this
