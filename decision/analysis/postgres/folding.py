"""Constants folded: literals, casts and operators on known values, and when two expressions are the same one."""

from __future__ import annotations

from decision.analysis.postgres.parse import Node

UNKNOWN = object()


def literal_value(body: Node) -> object:
    if body.get("isnull"):
        return None
    if "ival" in body:
        return int(body["ival"].get("ival", 0))
    if "boolval" in body:
        return bool(body["boolval"].get("boolval", False))
    if "sval" in body:
        return str(body["sval"].get("sval", ""))
    if "fval" in body:
        try:
            return float(body["fval"].get("fval", ""))
        except ValueError:
            return UNKNOWN
    return UNKNOWN


def cast_value(value: object, names: list[str]) -> object:
    name = names[0] if names else ""
    if name in ("bool", "boolean") and isinstance(value, str):
        lowered = value.strip().lower()
        if lowered in ("t", "true", "on", "yes", "y", "1"):
            return True
        return False if lowered in ("f", "false", "off", "no", "n", "0") else UNKNOWN
    if name == "bool" and isinstance(value, int):
        return bool(value)
    if name in ("int4", "int8", "int2"):
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int):
            return value
        return int(value) if isinstance(value, str) and value.strip().lstrip("-").isdigit() else UNKNOWN
    if name in ("text", "varchar"):
        return value if isinstance(value, str) else UNKNOWN
    return None if value is None else UNKNOWN


def boolean_test(value: object, kind: str) -> object:
    if value is UNKNOWN or not (value is None or isinstance(value, bool)):
        return UNKNOWN
    table = {
        "IS_TRUE": value is True,
        "IS_NOT_TRUE": value is not True,
        "IS_FALSE": value is False,
        "IS_NOT_FALSE": value is not False,
        "IS_UNKNOWN": value is None,
        "IS_NOT_UNKNOWN": value is not None,
    }
    return table.get(kind, UNKNOWN)


def apply_operator(name: str, first: object, second: object) -> object:
    if first is None or second is None:
        return None
    numbers = isinstance(first, int | float) and isinstance(second, int | float)
    texts = isinstance(first, str) and isinstance(second, str)
    if name == "=" and (numbers or texts):
        return first == second
    if name in ("<>", "!=") and (numbers or texts):
        return first != second
    if numbers and isinstance(first, int | float) and isinstance(second, int | float):
        if name in ("<", ">", "<=", ">="):
            return {"<": first < second, ">": first > second, "<=": first <= second, ">=": first >= second}[name]
        if name in ("+", "-", "*") and abs(first) < 2**31 and abs(second) < 2**31:
            return {"+": first + second, "-": first - second, "*": first * second}[name]
    return UNKNOWN


def same(left: object, right: object) -> bool:
    """Equal expressions, wherever they stand in the text."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = {*left, *right} - {"location"}
        return all(same(left.get(key), right.get(key)) for key in keys)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return left == right


def volatile(node: object) -> bool:
    """Whether the expression may differ between two evaluations: any function or sub-select."""
    if isinstance(node, dict):
        return "FuncCall" in node or "SubLink" in node or any(volatile(value) for value in node.values())
    if isinstance(node, list):
        return any(volatile(item) for item in node)
    return False
