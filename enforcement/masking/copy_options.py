"""The options and the source of a COPY … TO STDOUT statement, as PostgreSQL's own parser reads them.

Only what is known to shape the output is accepted: an unknown option, or a value that is not understood, raises.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any  # the parser's tree is JSON

from pglast import parser

from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.known import CopySource

TRUE, FALSE = frozenset({"true", "on", "1"}), frozenset({"false", "off", "0"})
UTF8 = frozenset({"utf8", "utf-8", "unicode"})
SHAPELESS = frozenset({"force_quote"})  # a field that is quoted is seen to be


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """`format`: text, csv or binary. The others as PostgreSQL defaults them for that format."""

    format: str = "text"
    delimiter: bytes = b"\t"
    null: bytes = b"\\N"
    header: bool = False
    quote: bytes = b'"'
    escape: bytes = b'"'


def refuse(what: str) -> ObligationUnfulfillable:
    return ObligationUnfulfillable(
        f"COPY with {what} can't be masked", hint="use format text, csv or binary in UTF-8 with the usual options"
    )


def copy_statement(text: bytes, index: int) -> tuple[CopyOptions, CopySource | None]:
    """The options of statement `index` (from 0) of the message `text`, and the table that it copies: None where that is
    a query. Raises ObligationUnfulfillable."""
    try:
        tree: dict[str, Any] = json.loads(parser.parse_sql_json(text.rstrip(b"\x00").decode("utf-8")))
        statement = tree["stmts"][index]["stmt"]["CopyStmt"]
    except (parser.ParseError, UnicodeDecodeError, ValueError, KeyError, IndexError):
        raise refuse("a text that is no COPY statement") from None
    if statement.get("is_from") or statement.get("is_program") or statement.get("filename"):
        raise refuse("a file or program")
    given: dict[str, str] = {}
    for option in statement.get("options", ()):
        element = option["DefElem"]
        name = str(element["defname"]).lower()
        if name in given:
            raise refuse(f"option {name!r} given twice")
        given[name] = "" if name in SHAPELESS else _argument(name, element.get("arg"))
    return _options(given), _source(statement)


def _source(statement: dict[str, Any]) -> CopySource | None:
    relation = statement.get("relation")
    if relation is None:
        return None
    names = tuple(str(name["String"]["sval"]) for name in statement.get("attlist", ()))
    return CopySource(str(relation.get("schemaname", "")), str(relation["relname"]), names)


def _argument(name: str, argument: dict[str, Any] | None) -> str:
    """An option's value as text; a bare option is true."""
    if argument is None:
        return "true"
    kind, value = next(iter(argument.items()))
    if kind == "String":
        return str(value.get("sval", ""))
    if kind == "Boolean":
        return "true" if value.get("boolval") else "false"
    if kind == "Integer":
        return str(value.get("ival", 0))
    raise refuse(f"a value of option {name!r} that is not understood")


def _options(given: dict[str, str]) -> CopyOptions:
    form = given.pop("format", "text").lower()
    found = CopyOptions(form, delimiter=b",", null=b"") if form == "csv" else CopyOptions(form)
    if form not in ("text", "csv", "binary"):
        raise refuse("an unknown format")
    quote = given.get("quote", '"')
    for name, value in given.items():
        if name == "delimiter":
            found = replace(found, delimiter=_byte(name, value))
        elif name == "null":
            found = replace(found, null=value.encode())
        elif name == "header":
            found = replace(found, header=_truth(name, value))
        elif name == "quote" and form == "csv":
            found = replace(found, quote=_byte(name, value))
        elif name == "escape" and form == "csv":
            found = replace(found, escape=_byte(name, value))
        elif name == "encoding":
            if value.lower() not in UTF8:
                raise refuse("another encoding than UTF-8")
        elif name == "freeze":
            _truth(name, value)
        elif not (name in SHAPELESS and form == "csv"):
            raise refuse(f"option {name!r}")
    if form == "csv" and "escape" not in given:
        found = replace(found, escape=_byte("quote", quote))
    return found


def _byte(name: str, value: str) -> bytes:
    if len(value) != 1 or not value.isascii():
        raise refuse(f"an option {name!r} that is not one ASCII character")
    return value.encode()


def _truth(name: str, value: str) -> bool:
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise refuse(f"a value of option {name!r} that is not understood")
