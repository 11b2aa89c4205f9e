"""libpg_query's JSON tree, and helpers to read it.

Never pglast.parse_sql on untrusted text: its object tree overflows the C stack on long operator chains. The JSON omits
the node tag on fields whose type is fixed by the schema, so every reader below knows what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
from pglast import parser

from decision.analysis.limits import Limits, check_runs
from decision.model.errors import LimitExceeded, SyntaxRefused

Node = dict[str, Any]
PARSER_VERSION = "pg-" + ".".join(str(part) for part in parser.get_postgresql_version())

# Words of the parser's messages that are fixed texts; everything else may quote the statement.
_KNOWN_MESSAGES = (
    "syntax error at end of input", "unterminated quoted string", "unterminated quoted identifier",
    "unterminated /* comment", "unterminated dollar-quoted string", "unterminated bit string literal",
    "unterminated hexadecimal string literal", "zero-length delimited identifier", "invalid Unicode escape",
    "invalid Unicode surrogate pair", "trailing junk after numeric literal", "trailing junk after parameter",
    "unsafe use of \\' in a string literal", "syntax error",
)  # fmt: skip


_LIMITS = Limits()


def parse(text: str) -> list[Node]:
    """The statements (RawStmt) of `text`, which may come from inside another text. Raises SyntaxRefused, TextRefused or
    LimitExceeded, with messages that quote nothing."""
    check_runs(text, _LIMITS)
    return parse_checked(text)


def parse_checked(text: str) -> list[Node]:
    """`parse` for a text that has passed `check_text`."""
    try:
        tree = parser.parse_sql_json(text)
    except parser.ParseError as error:
        raise _refused(error, text) from None
    except UnicodeError:
        raise SyntaxRefused("the text is not valid Unicode", hint="send UTF-8") from None
    try:
        parsed: Node = orjson.loads(tree)
    except orjson.JSONDecodeError:
        raise _too_deep() from None
    statements: list[Node] = parsed.get("stmts", [])
    return statements


# Words that open a nested part of a PL/pgSQL body; what they are in (a comment, a text) doesn't matter for a bound.
_OPENING = re.compile(r"\b(?:begin|if|loop|case)\b", re.IGNORECASE)
MAX_BLOCKS = 1000


def parse_plpgsql(text: str) -> list[Node] | None:
    """PL/pgSQL's tree of a CREATE FUNCTION statement; None: it can't be read. Raises TextRefused or LimitExceeded.

    That parser checks no stack: 2,500 nested blocks pass on a stack of 512 KiB, 3,200 do not. A thousand words that
    open something nest less than that.
    """
    check_runs(text, _LIMITS)
    if len(_OPENING.findall(text)) > MAX_BLOCKS:
        raise LimitExceeded(f"a body has more than {MAX_BLOCKS} blocks, branches and loops", hint="split the function")
    try:
        tree: list[Node] = orjson.loads(parser.parse_plpgsql_json(text))
    except (parser.ParseError, UnicodeError, orjson.JSONDecodeError):
        return None
    return tree


def _too_deep() -> LimitExceeded:
    return LimitExceeded("the statement nests too deeply", hint="nest less, or split the statement")


# Where the parser's message ends with a word or sign of the text that is no literal.
_INTEGER = re.compile(r"[ \t\n\r\f\v]*([+-]?[0-9]{1,1000})[ \t\n\r\f\v]*")
_NEAR = re.compile(r'(?: at or near "(?:[^\W\d][\w$]*|[^\w\s\'"$]+)")?$')


def _refused(error: Exception, text: str) -> SyntaxRefused | LimitExceeded:
    arguments = error.args
    message = str(arguments[0]) if arguments else ""
    if "stack depth" in message or "memory" in message:
        return _too_deep()
    known = next((one for one in _KNOWN_MESSAGES if message.startswith(one)), "syntax error")
    cursor = 0
    if len(arguments) > 1 and isinstance(arguments[1], int) and arguments[1] >= 0:
        # pglast takes the parser's position, which counts characters, for one in bytes: this turns it back.
        cursor = len(text[: arguments[1]].encode("utf-8", "replace")) + 1
    elif known.endswith("at end of input"):
        cursor = len(text) + 1
    near = _NEAR.fullmatch(message, len(known)) if message.startswith(known) else None
    return SyntaxRefused(known, cursor=cursor, shown=message if near else known)


def only(node: Node) -> tuple[str, Node]:
    """Tag and body of a tagged node."""
    for tag, body in node.items():
        return tag, body
    return "", {}


def strings(nodes: list[Node] | None) -> list[str]:
    """The texts of a list of String nodes."""
    return [node["String"].get("sval", "") for node in nodes or () if "String" in node]


def qualified(nodes: list[Node] | None) -> tuple[str, str]:
    """(schema, name) of a dotted name; a database's name in front is dropped."""
    parts = strings(nodes)
    if not parts:
        return "", ""
    return (parts[-2] if len(parts) > 1 else ""), parts[-1]


def options(node: Node, field: str = "options") -> dict[str, Node | None]:
    """DefElem name to its argument node."""
    return {
        item["DefElem"].get("defname", ""): item["DefElem"].get("arg")
        for item in node.get(field, ())
        if "DefElem" in item
    }


def option_true(arguments: dict[str, Node | None], name: str) -> bool:
    """Whether a boolean option is on: present without argument, or with a true one."""
    if name not in arguments:
        return False
    argument = arguments[name]
    if argument is None:
        return True
    tag, body = only(argument)
    if tag == "Integer":
        return int(body.get("ival", 0)) != 0
    if tag == "Boolean":
        return bool(body.get("boolval", False))
    return str(body.get("sval", body.get("fval", ""))).lower() not in ("off", "false", "0", "no", "none")


def option_text(node: Node | None) -> str | None:
    """The text of an option's argument, where it is a plain one."""
    if node is None:
        return None
    tag, body = only(node)
    if tag == "String":
        return str(body.get("sval", ""))
    if tag == "Integer":
        return str(body.get("ival", 0))
    if tag == "Float":
        return str(body.get("fval", ""))
    if tag == "Boolean":
        return "true" if body.get("boolval", False) else "false"
    if tag == "A_Const":
        value = constant(body)
        return None if value is None else value
    if tag == "TypeName":
        return qualified(body.get("names"))[1]
    if tag == "TypeCast":
        return option_text(body.get("arg"))
    return None


def bigint(text: str) -> int | None:
    """The number that PostgreSQL reads in a text of decimal digits; None for what is none or needs over 64 bits."""
    found = _INTEGER.fullmatch(text)
    value = None if found is None else int(found[1])
    return value if value is not None and -(2**63) <= value < 2**63 else None


def constant(body: Node) -> str | None:
    """The canonical text of an A_Const's body; None for NULL."""
    if "sval" in body:
        return str(body["sval"].get("sval", ""))
    if "ival" in body:
        return str(body["ival"].get("ival", 0))
    if "fval" in body:
        return str(body["fval"].get("fval", ""))
    if "boolval" in body:
        return "true" if body["boolval"].get("boolval", False) else "false"
    if "bsval" in body:
        return str(body["bsval"]["bsval"])
    return None


def children(node: object) -> Iterator[tuple[str, Node]]:
    """Every outermost tagged node inside an untagged value, whatever the fields are called."""
    if isinstance(node, list):
        for item in node:
            yield from children(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name[:1].isupper() and isinstance(value, dict):
                yield name, value
            elif isinstance(value, dict | list):
                yield from children(value)
