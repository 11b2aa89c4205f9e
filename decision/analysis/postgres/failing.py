"""Operators that fail on some values: whether they did shows in the error, whatever mask the output has.

Not told: what fails by types or shapes alone, and an overflow that only a value at the end of its type's range meets.
"""

from __future__ import annotations

import re

from decision.analysis.flow import Flow
from decision.analysis.postgres.parse import Node, constant, only, qualified, strings
from decision.analysis.postgres.total import TOTAL

_COMPARING = "= <> != < <= > >= ~= *= *<> ^@ ~ ~* !~ !~* ~~ ~~* !~~ !~~*"
_PICKING = "|| -> ->> #> #>> @> <@ ? ?| ?& && | & #"
_TOTAL = frozenset(f"{_COMPARING} {_PICKING}".split())
_PATTERNS = ("AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR")
_ALWAYS = ("AEXPR_IN", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN",
           "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM")  # fmt: skip
_SMALL = 10_000
_SPAN = re.compile(r"\s*[+-]?\d{1,4}\s*(second|minute|min|hour|day|week|mon|month|year)s?\s*", re.IGNORECASE)
_NOW = frozenset({"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"})


def failing(body: Node, first: Flow, second: Flow) -> tuple[Flow, ...]:
    """The operands (of an A_Expr's body) that decide whether the operator fails."""
    kind = body["kind"]
    name = (strings(body.get("name")) or [""])[-1]
    left, right = body.get("lexpr"), body.get("rexpr", {})
    if kind in _ALWAYS:
        return ()
    if kind in _PATTERNS or name in ("~~", "~~*", "!~~", "!~~*"):
        return () if _sound_pattern(right, second) else (first, second)
    if name in ("~", "~*", "!~", "!~*"):
        return (second,)
    if name in _TOTAL:
        return ()
    if name in ("/", "%"):
        number = _number(right)
        return (first, second) if number in (None, 0, -1) else (first,) if left is None else ()
    if name in ("+", "-") and left is not None and (_near(left) or _near(right)):
        return ()
    return () if name == "+" and left is None else (first, second)


def _sound_pattern(node: Node, flow: Flow) -> bool:
    """A constant that does not end in its own escape: then a match that gets to its end fails."""
    tag, body = only(node)
    if tag == "FuncCall" and not flow.sources and not flow.opaque:
        return qualified(body.get("funcname"))[1] == "similar_to_escape" and len(body.get("args", ())) == 1
    if tag == "TypeCast":
        return _sound_pattern(body.get("arg", {}), flow)
    if tag == "A_Expr" and not flow.sources and strings(body.get("name")) == ["||"]:
        return _sound_pattern(body.get("rexpr", {}), flow)
    text = constant(body) if tag == "A_Const" else None
    return text is not None and (len(text) - len(text.rstrip("\\"))) % 2 == 0


def _number(node: Node) -> float | None:
    """The number that the node is, if it is a constant one."""
    tag, body = only(node)
    if tag == "A_Const" and "sval" not in body:
        try:
            return float(constant(body) or "")
        except ValueError:
            return None
    if tag == "A_Expr" and "lexpr" not in body and strings(body.get("name")) == ["-"]:
        number = _number(body.get("rexpr", {}))
        return None if number is None else -number
    return None


def _near(node: Node) -> bool:
    """A constant that moves no value of a type out of its range, unless it stands at the end of it; or the time."""
    tag, body = only(node)
    if tag in ("A_Const", "A_Expr"):
        number = _number(node)
        return number is not None and abs(number) <= _SMALL
    if tag == "TypeCast" and strings(body.get("typeName", {}).get("names"))[-1:] == ["interval"]:
        inner, value = only(body.get("arg", {}))
        text = constant(value) if inner == "A_Const" else None
        return text is not None and _SPAN.fullmatch(text) is not None
    if tag == "FuncCall":
        return qualified(body.get("funcname"))[1] in _NOW
    return tag == "SQLValueFunction"


_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "char", "unknown"})


_LOOKED = 1_000  # nodes: what is larger is taken to show, as it may stand in many others


def shows(node: object) -> bool:
    """Whether it can be seen that an expression was computed: it may fail, or do more than compute."""
    stack = [node]
    looked = 0
    while stack:
        current = stack.pop()
        looked += 1
        if looked > _LOOKED:
            return True
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict):
            for tag, body in current.items():
                if tag in _SILENT:
                    continue
                if tag in _SHOWING or (tag in _ASKED and isinstance(body, dict) and _ASKED[tag](body)):
                    return True
                stack.append(body)
    return False


def _operator_shows(body: Node) -> bool:
    return bool(failing(body, _ANY, _ANY))


def _function_shows(body: Node) -> bool:
    schema, name = qualified(body.get("funcname"))
    return schema not in ("", "pg_catalog") or name not in TOTAL


def _cast_shows(body: Node) -> bool:
    return "A_Const" not in body.get("arg", {}) and not takes_any_text(body.get("typeName", {}))


def takes_any_text(type_name: Node) -> bool:
    """Whether a cast to the type fails on no text."""
    return "arrayBounds" not in type_name and qualified(type_name.get("names"))[1] in _TEXTS


_ANY = Flow(frozenset({("", "", "")}))
_SILENT = frozenset({"typeName", "ColumnRef", "A_Const", "funcname"})
_SHOWING = frozenset({"SubLink", "JsonFuncExpr", "JsonParseExpr", "XmlExpr", "XmlSerialize"})
_ASKED = {"A_Expr": _operator_shows, "FuncCall": _function_shows, "TypeCast": _cast_shows}
