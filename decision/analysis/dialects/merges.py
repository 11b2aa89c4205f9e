"""MERGE and TRUNCATE."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects.expressions import value
from decision.analysis.dialects.returned import returning
from decision.analysis.dialects.scopes import Scope, Source
from decision.analysis.dialects.sources import source
from decision.analysis.dialects.values import bind_cells
from decision.analysis.dialects.walk import Walk
from decision.analysis.dialects.writes import assign, begin, target_of, write_columns
from decision.model.facts import Kind, ObjectName, Usage


def merge(walk: Walk, node: exp.Merge) -> None:
    scope = begin(walk, node, Kind.MERGE)
    inside = Scope(scope)
    target = target_of(walk, node.this)
    using = node.args.get("using")
    if not isinstance(using, exp.Expr):
        walk.record.refuse("MERGE", "it is not known where the rows come from")
        return
    inside.sources = [target, source(walk, using, inside)]
    on = node.args.get("on")
    if on is not None:
        value(walk, on, inside, Usage.JOIN)
    whens = node.args.get("whens")
    for when in whens.expressions if whens is not None else ():
        condition = when.args.get("condition")
        if condition is not None:
            value(walk, condition, inside, Usage.FILTER)
        then = when.args.get("then")
        if isinstance(then, exp.Update):
            walk.record.kind(Kind.UPDATE)
            if then.expressions:
                assign(walk, then.expressions, inside, target)
            else:
                write_columns(walk, target, None)
            if then.args.get("where") is not None:
                value(walk, then.args["where"].this, inside, Usage.FILTER)
        elif isinstance(then, exp.Insert):
            _merge_insert(walk, then, inside, target)
        elif isinstance(then, exp.Var) and then.name.upper() in ("DELETE", "DO NOTHING"):
            if then.name.upper() == "DELETE":
                walk.record.kind(Kind.DELETE)
        else:
            walk.record.unresolved("WHEN", "an action that is not known")
    returning(walk, node, inside, target)


def _merge_insert(walk: Walk, then: exp.Insert, scope: Scope, target: Source) -> None:
    walk.record.kind(Kind.INSERT)
    columns = then.this.expressions if isinstance(then.this, exp.Tuple) else []
    for column in columns:
        walk.see(*column.find_all(exp.Column))
    write_columns(walk, target, [column.name for column in columns] or None)
    if isinstance(then.this, exp.Var) and then.name.upper() == "ROW":  # BigQuery's INSERT ROW: the source's whole row
        row = scope.sources[-1].row()
        walk.record.use(row, Usage.INNER)
        walk.assigned.append(row)
        return
    if isinstance(then.expression, exp.Tuple):
        names = [column.name for column in columns] or [label for label, _ in target.columns]
        bind_cells(walk, target, names, then.expression.expressions)
        for cell in then.expression.expressions:
            walk.assigned.append(value(walk, cell, scope, Usage.INNER))
    elif then.expression is not None:
        walk.assigned.append(value(walk, then.expression, scope, Usage.INNER))


def truncate(walk: Walk, node: exp.TruncateTable) -> None:
    walk.record.kind(Kind.TRUNCATE)
    for one in node.expressions:
        found = target_of(walk, one)
        walk.record.operate("truncate", "table", ObjectName(*(found.relation or ("", ""))))
