"""Constants folded: literals, casts and operators on known values, and when two expressions are the same one."""

from __future__ import annotations

from decision.analysis.postgres.parse import Node, bigint, only

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
        text = str(body["fval"].get("fval", ""))
        try:
            return int(text) if text.isdecimal() else float(text)  # a float holds no large integer exactly
        except ValueError:
            return UNKNOWN
    return UNKNOWN


def cast_value(value: object, names: list[str]) -> object:
    name = names[0] if names else ""
    if value is None:
        return None
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
        number = bigint(value) if isinstance(value, str) else None
        return UNKNOWN if number is None else number
    if name in ("text", "varchar"):
        if isinstance(value, bool | int):
            return str(value).lower()
        return value if isinstance(value, str) else UNKNOWN
    return UNKNOWN


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
    if name == "||" and isinstance(first, str) and isinstance(second, str) and len(first) + len(second) < 1000:
        return first + second
    if texts and name in ("<", ">", "<=", ">=") and "" in (first, second):
        shorter, longer = len(str(first)), len(str(second))
        return {"<": shorter < longer, ">": shorter > longer, "<=": shorter <= longer, ">=": shorter >= longer}[name]
    if numbers and isinstance(first, int | float) and isinstance(second, int | float):
        if name in ("<", ">", "<=", ">="):
            return {"<": first < second, ">": first > second, "<=": first <= second, ">=": first >= second}[name]
        if name == "%" and isinstance(first, int) and isinstance(second, int) and second > 0 and first >= 0:
            return first % second
        if name in ("+", "-", "*") and abs(first) < 2**31 and abs(second) < 2**31:
            return {"+": first + second, "-": first - second, "*": first * second}[name]
    return UNKNOWN


_EVERYTHING = frozenset({"", "^", "$", "^$|", ".*", "^.*", ".*$", "^.*$", "(.*)", "^(.*)$", "()", ".*.*", ".{0,}", "|"})


def matches_all(kind: str, pattern: object) -> bool:
    """Whether a pattern (LIKE, regular expression, SIMILAR TO) lets every text through."""
    if not isinstance(pattern, str):
        return False
    if kind == "regex":
        return pattern in _EVERYTHING
    return bool(pattern) and not pattern.strip("%")


_LENGTHS = frozenset({"length", "char_length", "character_length", "octet_length", "bit_length", "cardinality", "abs"})


def never_negative(name: str) -> bool:
    return name in _LENGTHS


def call_value(name: str, values: list[object]) -> object:
    """Built-in functions on known values; a search for nothing finds it at once."""
    if len(values) == 2 and values[1] == "" and name in ("starts_with", "strpos", "position"):
        return True if name == "starts_with" else 1
    if UNKNOWN in values or None in values:
        return UNKNOWN
    if name in ("length", "char_length", "character_length") and len(values) == 1 and isinstance(values[0], str):
        return len(values[0])
    if name == "abs" and len(values) == 1 and isinstance(values[0], int | float):
        return abs(values[0])
    if name in ("lower", "upper") and len(values) == 1 and isinstance(values[0], str) and values[0].isascii():
        return values[0].lower() if name == "lower" else values[0].upper()
    return UNKNOWN


RANGES = {"smallint": 15, "integer": 31, "bigint": 63}


def outside(type_name: str, name: str, value: object) -> object:
    """What comparing any value of an integer type with this constant gives, where that is the same for all."""
    bits = RANGES.get(type_name)
    if bits is None or isinstance(value, bool) or not isinstance(value, int | float):
        return UNKNOWN
    low, high = -(2**bits), 2**bits - 1
    always = {">": value < low, ">=": value <= low, "<": value > high, "<=": value >= high,
              "<>": value < low or value > high}  # fmt: skip
    return True if always.get(name, False) else UNKNOWN


def array_items(node: Node) -> list[Node]:
    """The elements of ARRAY[…], or of a text like '{1,2}' that is one; empty where they aren't known."""
    tag, body = only(node)
    if tag == "A_ArrayExpr":
        elements: list[Node] = body.get("elements", [])
        return elements
    if tag == "TypeCast":
        return array_items(body.get("arg", {}))
    text = literal_value(body) if tag == "A_Const" else None
    if not isinstance(text, str) or not text.startswith("{") or not text.endswith("}") or '"' in text:
        return []
    parts = [part.strip() for part in text[1:-1].split(",")]
    if not all(part.lstrip("-").isdigit() for part in parts):
        return []
    return [{"A_Const": {"ival": {"ival": int(part)}}} for part in parts]
