"""What a statement that changes rows gives back: RETURNING, and OUTPUT of T-SQL."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects.projection import projection
from decision.analysis.dialects.scopes import Scope, Source, union
from decision.analysis.dialects.walk import Walk
from decision.model.facts import Access, RelationKind, Usage

_PSEUDO = ("inserted", "deleted", "old", "new", "excluded", "values")


def with_pseudo(scope: Scope, target: Source, names: tuple[str, ...] = _PSEUDO) -> Scope:
    inside = Scope(scope)
    inside.sources.append(target)
    for name in names:
        inside.sources.append(Source(name, (), relation=target.relation))
        copy = inside.sources[-1]
        copy.columns, copy.lookup, copy.open = [], dict(target.lookup), target.open
    return inside


def returning(walk: Walk, node: exp.Expr, scope: Scope, target: Source) -> None:
    clause = node.args.get("returning")
    if clause is None:
        return
    inside = with_pseudo(scope, target)
    selecting = exp.Select()
    selecting.args["expressions"] = list(clause.expressions)
    if walk.dialect == "tsql":  # OUTPUT names its columns by deleted and inserted, whose stars are the row's
        for one in inside.sources[1:]:
            one.columns = list(target.columns)
    narrow = Scope(inside)
    narrow.sources = [target]
    output, _ = projection(walk, selecting, narrow, True)
    into = clause.args.get("into")
    if into:
        walk.record.touch("", walk.shown(into.name), RelationKind.UNKNOWN, Access.WRITE)
        walk.record.unresolved("OUTPUT INTO", "where the rows go is not known")
    given = union(walk.assigned)
    if given.sources or given.opaque:  # a column that was just written holds what was written
        output = [(label, union([flow, given], flow.transform)) for label, flow in output]
    walk.record.output = output
    walk.record.returns_rows = True
    for _, flow in output:
        walk.record.use(flow, Usage.OUTPUT)
