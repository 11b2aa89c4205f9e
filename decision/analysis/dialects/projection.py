"""The list of a SELECT: its items, stars and what they assign."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects.expressions import value
from decision.analysis.dialects.record import Output
from decision.analysis.dialects.scopes import Scope, union
from decision.analysis.dialects.walk import Walk
from decision.analysis.flow import CONSTANT, OPAQUE, Flow
from decision.model.facts import Kind, Transform, Usage

Result = tuple[Output, bool]  # the columns; whether there may be others


def projection(walk: Walk, node: exp.Select, scope: Scope, output: bool) -> Result:
    usage = Usage.OUTPUT if output else Usage.INNER
    columns: Output = []
    is_open = False
    for item in node.expressions:
        star = item.this if isinstance(item, exp.Column) and isinstance(item.this, exp.Star) else item
        if isinstance(star, exp.Star):
            found, more = _star(walk, item, star, scope, usage)
            columns += found
            is_open = is_open or more
        else:
            is_open = is_open or _expands(item)
            flow = value(walk, item, scope, usage)
            _assigned(walk, item)
            label = item.alias_or_name if isinstance(item, exp.Alias | exp.Column) and flow is not CONSTANT else ""
            columns.append((item.alias if isinstance(item, exp.Alias) else label, flow))
            if isinstance(item, exp.Alias):
                scope.aliases[item.alias.casefold()] = flow
    walk.budget.columns(len(columns))
    if is_open:
        mixed = union([flow for _, flow in columns], opaque=True)
        columns = [(label, Flow(flow.sources | mixed.sources, flow.transform, True)) for label, flow in columns]
    return columns, is_open


def _expands(item: exp.Expr) -> bool:
    """Whether one item of the list may become several columns."""
    inner = item.this if isinstance(item, exp.Alias) else item
    if item.find(exp.Columns) is not None or isinstance(inner, exp.Unnest | exp.Explode | exp.Inline):
        return True
    return not isinstance(inner, exp.Func) and any(isinstance(part, exp.Star) for part in inner.args.values())


def _assigned(walk: Walk, item: exp.Expr) -> None:
    """`SELECT @v := …` and `SELECT @v = …` keep the value for later statements."""
    target = item.this if isinstance(item, exp.PropertyEQ | exp.Alias) else None
    alias = item.args.get("alias")
    if (
        (isinstance(target, exp.Parameter) and isinstance(item, exp.PropertyEQ))
        or isinstance(alias, exp.Parameter)
        or (isinstance(alias, exp.Identifier) and alias.name.startswith("@"))
        or (walk.dialect == "tsql" and isinstance(item, exp.EQ) and isinstance(item.this, exp.Parameter))
    ):
        walk.record.kind(Kind.SESSION)
    else:
        return
    walk.record.flags.add("variable")


def _star(walk: Walk, item: exp.Expr, star: exp.Star, scope: Scope, usage: Usage) -> Result:
    walk.see(item, star)
    table = item.args.get("table") if item is not star else None
    if table is None:
        sources = list(scope.sources)
    else:
        one = scope.source(table.name, item.text("db"))
        sources = [one] if one is not None else []
    if not sources:
        walk.record.unresolved("*", "there is nothing that it could stand for")
        return [("*", OPAQUE)], True
    is_open = any(one.open for one in sources)
    removed = {name.name.casefold() for name in star.args.get("except_") or ()}
    for name in star.args.get("except_") or ():
        walk.see(*name.find_all(exp.Column))
    replaced: dict[str, Flow] = {}
    for alias in star.args.get("replace") or ():
        replaced[alias.alias.casefold()] = value(walk, alias, scope, usage)
    renamed: dict[str, str] = {}
    for alias in star.args.get("rename") or ():
        walk.see(*alias.find_all(exp.Column))
        renamed[alias.this.name.casefold()] = alias.alias
    columns = [
        (renamed.get(label.casefold(), label), replaced.get(label.casefold(), flow))
        for one in sources
        for label, flow in one.columns
        if label.casefold() not in removed
    ]
    walk.budget.charge(len(columns))
    walk.budget.columns(len(columns))
    if star.args.get("ilike") or (scope.merged and table is None):
        mixed = union([flow for _, flow in columns], opaque=True)
        columns = [(label, mixed) for label, _ in columns]
    for _, flow in columns:
        walk.record.use(flow, usage)
    if is_open and not any(label == "*" for label, _ in columns):
        columns.append(("*", Flow(union([flow for _, flow in columns]).sources, Transform.WHOLE_ROW, True)))
    return columns, is_open
