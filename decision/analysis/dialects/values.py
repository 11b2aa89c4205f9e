"""The values that a statement holds its target's columns to, or writes into them: for keyed digests, never for facts.

A number, a text and a truth value have the text that they stand for; a parameter has its number where it is written
with one. Whatever else stands there (`?`, a named parameter, a computed value, NULL) is told as a value not known.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from decision.analysis.dialects.scopes import Source
from decision.analysis.dialects.walk import Walk
from decision.analysis.result import BoundValue

NUMBERED = "_"  # what stands before a parameter's number in the names that lexical.named_parameters gives them


def bind(walk: Walk, target: Source, label: str, role: str, node: object) -> None:
    """Notes the value `node` of the target's column `label`; `role`: pinned or written."""
    if target.relation is None:
        return
    shown = next((known for known, _ in target.columns if known.casefold() == label.casefold()), None)
    if shown is None:
        return
    walk.budget.charge(1)
    literal, parameter = _constant(node)
    walk.record.values.append(BoundValue(0, *target.relation, shown, role, literal, parameter))


def bind_rows(walk: Walk, target: Source, labels: Sequence[str] | None, rows: object) -> None:
    """The cells of VALUES as values written; `labels`: the columns that are named, None: all of the target's."""
    names = [label for label, _ in target.columns] if labels is None else list(labels)
    if not isinstance(rows, exp.Values) or (labels is None and target.open):
        return
    for row in rows.expressions:
        bind_cells(walk, target, names, cells_of(row))


def cells_of(row: exp.Expr) -> list[exp.Expr]:
    """The values of one row of VALUES: (a, b), ROW(a, b), or one value without brackets."""
    cells = list(row.expressions) if isinstance(row, exp.Tuple) else [row]
    first = cells[0] if len(cells) == 1 else None
    return list(first.expressions) if isinstance(first, exp.Anonymous) and first.name.upper() == "ROW" else cells


def bind_cells(walk: Walk, target: Source, names: Sequence[str], cells: Sequence[exp.Expr]) -> None:
    """One row's cells; where their number is not the columns', it isn't known which is which."""
    if len(cells) == len(names):
        for name, cell in zip(names, cells, strict=True):
            bind(walk, target, name, "written", cell)


def _constant(node: object) -> tuple[bytes | None, int]:
    """(the literal's text, the parameter's number): at most one of them."""
    sign = ""
    while isinstance(node, exp.Paren | exp.Cast | exp.Neg):
        if isinstance(node, exp.Neg):
            sign += "-"
        node = node.this
    if len(sign) > 1:
        return None, 0
    if isinstance(node, exp.Literal | exp.National):
        return (sign + node.name).encode("utf-8", "replace"), 0
    if isinstance(node, exp.Boolean):
        return (b"true" if node.this else b"false"), 0
    if isinstance(node, exp.Placeholder | exp.Parameter) and not sign:
        name = node.name.removeprefix(NUMBERED)
        return None, int(name) if name.isdecimal() and len(name) < 6 else 0
    return None, 0
