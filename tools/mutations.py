"""Small wrong changes to Python source: each is one node of its syntax tree, found in order and made by number.

Left out is what no test should notice: docstrings, annotations, decorators, `__slots__`, assertions, and words for
people that nothing decides by: those of errors (what stands in a `raise`, and hints) and those that explain why
something is unresolved (that it is, and what, is changed). Strings elsewhere are changed: they are the tables' keys and
the facts.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
Change = Callable[[], None]


@dataclass(frozen=True)
class Site:
    """A place and what is changed there; `make` changes the tree that the site was found in."""

    line: int
    what: str
    make: Change


def sites(tree: ast.Module) -> list[Site]:
    """All places of the tree, in the order of the text."""
    return list(_visit(tree))


def mutated(source: str, number: int) -> tuple[ast.Module, Site]:
    """The tree with its `number`th place changed."""
    tree = ast.parse(source)
    site = sites(tree)[number]
    site.make()
    return ast.fix_missing_locations(tree), site


def _visit(node: ast.AST) -> Iterator[Site]:
    if isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr):
        return
    if isinstance(node, ast.keyword) and node.arg == "hint":
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__slots__", "__all__"):
        return
    if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("TypeVar("):
        return
    yield from _here(node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        if isinstance(node, ast.Subscript) and field == "value" and isinstance(value, ast.Name):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_text_alone(child) and not _is_reason(node, child):
                yield from _visit(child)


def _is_text_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_reason(node: ast.AST, child: ast.AST) -> bool:
    """Whether the child is the text that says why in `walk.unresolved(what, why)`."""
    if not isinstance(node, ast.Call) or not isinstance(child, ast.Constant) or node.args[1:] != [child]:
        return False
    return isinstance(node.func, ast.Attribute) and node.func.attr == "unresolved"


def _here(node: ast.AST) -> Iterator[Site]:
    """The changes of this very node."""
    if isinstance(node, ast.Compare):
        yield from _comparison(node)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _set(node, "op", other, "and <-> or")
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        yield _negate(node, "test")
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield Site(node.ifs[0].lineno, "filter of a comprehension dropped", lambda: node.ifs.clear())
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in COMPUTED:
        yield _set(node, "op", COMPUTED[type(node.op)](), f"{type(node.op).__name__} changed")
    elif isinstance(node, ast.Constant):
        yield from _constant(node)
    elif isinstance(node, ast.Break):
        yield Site(node.lineno, "break -> continue", lambda: _become(node, ast.Continue()))
    elif isinstance(node, ast.Continue):
        yield Site(node.lineno, "continue -> break", lambda: _become(node, ast.Break()))
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield _set(node, "value", ast.Constant(None), "return None")
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield Site(node.lineno, "call dropped", lambda: _become(node, ast.Pass()))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield Site(node.lineno, "not dropped", lambda: _unwrap(node))


def _comparison(node: ast.Compare) -> Iterator[Site]:
    for number, operator in enumerate(node.ops):
        other = COMPARED[type(operator)]()

        def make(number: int = number, other: ast.cmpop = other) -> None:
            node.ops[number] = other

        yield Site(node.lineno, f"{type(operator).__name__} -> {type(other).__name__}", make)


def _constant(node: ast.Constant) -> Iterator[Site]:
    value = node.value
    if isinstance(value, bool):
        yield _set(node, "value", not value, f"{value} -> {not value}")
    elif isinstance(value, int):
        yield _set(node, "value", value + 1, f"{value} -> {value + 1}")
    elif isinstance(value, str) and value:
        yield _set(node, "value", f"{value}~", f"{value[:30]!r} changed")
    elif isinstance(value, bytes) and value:
        yield _set(node, "value", value + b"~", f"{value[:30]!r} changed")


def _set(node: ast.AST, field: str, value: object, what: str) -> Site:
    return Site(getattr(node, "lineno", 0), what, lambda: setattr(node, field, value))


def _negate(node: ast.If | ast.While | ast.IfExp, field: str) -> Site:
    negated = ast.UnaryOp(ast.Not(), node.test)
    return Site(node.lineno, "condition negated", lambda: setattr(node, field, negated))


def _become(node: ast.AST, other: ast.AST) -> None:
    node.__class__ = other.__class__  # type: ignore[assignment]


def _unwrap(node: ast.UnaryOp) -> None:
    node.op = ast.Not()
    node.operand = ast.UnaryOp(ast.Not(), node.operand)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
