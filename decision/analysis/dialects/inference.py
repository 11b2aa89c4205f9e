"""What a value tells without being shown: by deciding what another value is, or whether the statement fails."""

from __future__ import annotations

from sqlglot import exp

_CHOICES = (exp.Nullif, exp.Coalesce, exp.DecodeCase)  # which of their operands comes out depends on the others
_CONVERSIONS = (exp.Cast, exp.Convert, exp.ToNumber, exp.StrToDate, exp.StrToTime, exp.StrToUnix, exp.ParseJSON)
_DIVISIONS = (exp.Div, exp.IntDiv, exp.Mod)
# Where a conversion that can't be made, or a division by zero, gives NULL or a number instead of an error.
_LENIENT_CONVERSIONS = ("mysql", "sqlite")
_LENIENT_DIVISIONS = ("mysql", "sqlite", "duckdb")


def decides(dialect: str, node: exp.Expr, child: exp.Expr) -> bool:
    """Whether the value of `child` can be told from what `node` comes to, or from its error."""
    if isinstance(node, _CHOICES):
        return True
    if isinstance(node, exp.If | exp.Case):
        return child is node.args.get("this")
    if isinstance(node, _CONVERSIONS):
        may_fail = not isinstance(node, exp.TryCast) and not node.args.get("safe")
        given = node.args.get("expression" if isinstance(node, exp.Convert) else "this")  # CONVERT(type, value)
        return may_fail and dialect not in _LENIENT_CONVERSIONS and child is given
    if isinstance(node, _DIVISIONS):
        return dialect not in _LENIENT_DIVISIONS and child is node.args.get("expression")
    return False
