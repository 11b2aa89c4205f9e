"""Sub-selects over the very table that a WHERE is about: they restrict nothing, however much they look like it."""

from __future__ import annotations

from decision.analysis.postgres.names import resolve
from decision.analysis.postgres.parse import Node, only, strings
from decision.analysis.postgres.pins import Folding

_WHOLE = frozenset({"targetList", "fromClause", "whereClause", "limitOption", "op", "distinctClause", "sortClause"})


def holds_all(folder: Folding, body: Node, inner: Node) -> bool:
    """`id IN (SELECT id FROM t)` and `EXISTS (SELECT … FROM t u WHERE u.id = t.id)` over the target t itfolder."""
    sources = inner.get("fromClause", [])
    if len(sources) != 1 or "RangeVar" not in sources[0] or not set(inner) <= _WHOLE or folder.target is None:
        return False
    table = sources[0]["RangeVar"]
    if "schemaname" not in table and folder.scope.cte(table.get("relname", "")) is not None:
        return False
    if folder.target.relation is None or "larg" in inner or folder.walk.catalog is None:
        return False
    known = resolve(folder.walk, table.get("schemaname", ""), table.get("relname", ""))
    if known.key != folder.target.relation:
        return False
    name = table.get("alias", {}).get("aliasname", table.get("relname", ""))
    where = inner.get("whereClause")
    if body.get("subLinkType") == "ANY_SUBLINK" and where is None:
        targets = [target.get("ResTarget", {}).get("val", {}) for target in inner.get("targetList", ())]
        test = folder.column(body.get("testexpr", {}))
        found = strings(targets[0].get("ColumnRef", {}).get("fields")) if len(targets) == 1 else []
        operator = strings(body.get("operName")) in ([], ["="])
        return operator and test is not None and found in ([test], [name, test])
    _, comparison = only(where or {})
    if body.get("subLinkType") != "EXISTS_SUBLINK" or strings(comparison.get("name"))[-1:] != ["="]:
        return False
    sides = [comparison.get("lexpr", {}), comparison.get("rexpr", {})]
    own = [strings(side.get("ColumnRef", {}).get("fields")) for side in sides]
    if name == folder.target.name:
        return False
    return any(
        (column := folder.column(sides[1 - n])) is not None and own[1 - n][:-1] == [folder.target.name]
        and own[n] == [name, column]
        for n in (0, 1)
    )  # fmt: skip
