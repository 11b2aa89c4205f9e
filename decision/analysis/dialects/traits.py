"""What is particular to the lexing and naming of each dialect, as a table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SPACE = r"(?P<space>[ \t\r\n\f\v]+)"
_BLOCK = r"(?P<comment>/\*(?:[^*]|\*(?!/))*\*/"
_DASHES = r"|--[^\n]*"
_NUMBER = r"|(?P<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d+)(?:[eE][+-]?\d+)?)"
_WORD = r"|(?P<word>[^\W\d][\w$]*)"
_SYMBOL = r"|(?P<symbol>::|:=|=>|<=|>=|<>|!=|\|\||&&|->>|->|[^\w\s'\"`])"
_PLAIN = r"'(?:[^']|'')*'"
_ESCAPED = r"'(?:[^'\\]|''|\\[\s\S])*'"
_DOUBLE_NAME = r'|(?P<name>"(?:[^"]|"")+"'
_DOLLAR = r"\$(?P<tag>[^\W\d]\w*|)\$[\s\S]*?\$(?P=tag)\$"
_ORACLE_Q = r"[nN]?[qQ]'(?:\[[\s\S]*?\]|\{[\s\S]*?\}|\([\s\S]*?\)|<[\s\S]*?>|(?P<mark>[^\s\[{(<])[\s\S]*?(?P=mark))'"
_BQ_STRING = (
    r"(?:[rR]|[bB]|[rR][bB]|[bB][rR])?(?:"
    r"'''(?:[^'\\]|\\[\s\S]|'{1,2}(?!'))*'''|\"\"\"(?:[^\"\\]|\\[\s\S]|\"{1,2}(?!\"))*\"\"\""
    r"|'(?!'')(?:[^'\\\n]|\\[\s\S])*'|\"(?!\"\")(?:[^\"\\\n]|\\[\s\S])*\")"
)


def _lexer(comments: str, strings: str, names: str, word: str = _WORD, parameters: str = "") -> re.Pattern[str]:
    return re.compile(
        _SPACE + "|" + _BLOCK + comments + ")|(?P<string>" + strings + ")" + names + ")" + parameters + _NUMBER
        + word + _SYMBOL
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traits:
    """`default_schemas`: where unqualified names are looked for when the snapshot says nothing better. `upper`:
    unquoted names fold to upper case. `double`: what "x" is: a name, a string, or (SQLite, SQL Server's old setting)
    either. `system`: schemas of the server's own. `variables`: @x may hold what an earlier statement put there."""

    name: str
    lexer: re.Pattern[str]
    default_schemas: tuple[str, ...]
    double: str = "name"
    upper: bool = False
    system: frozenset[str] = frozenset()
    system_columns: frozenset[str] = frozenset()
    whole_rows: bool = False
    variables: bool = False
    aliases_in_where: bool = False
    refused_comments: tuple[str, ...] = ()
    row_functions: frozenset[str] = field(default_factory=frozenset)


_AT = r"|(?P<variable>\?|@@?[\w$]+(?:\.[\w$]+)*|@[`'\"][^`'\"]*[`'\"])"
_MYSQL_LEXER = _lexer(
    r"|--(?=[\s\x00-\x1f]|\Z)[^\n]*|\#[^\n]*",
    r"(?:[nNxXbB]|_[a-zA-Z0-9]+[ \t]*)?" + _ESCAPED + r"|\"(?:[^\"\\]|\"\"|\\[\s\S])*\"",
    r"|(?P<name>`(?:[^`]|``)+`",
    parameters=_AT,
)
_MYSQL_SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
TRAITS: dict[str, Traits] = {
    traits.name: traits
    for traits in (
        Traits(
            "mysql", _MYSQL_LEXER, ("public",), double="string", system=_MYSQL_SYSTEM, variables=True,
            refused_comments=("/*!", "/*M!", "/*m!"),
        ),
        Traits(
            "sqlite",
            _lexer(_DASHES, r"[xX]?" + _PLAIN, _DOUBLE_NAME + r"|\[[^\]]+\]|`(?:[^`]|``)+`",
                   parameters=r"|(?P<variable>\?\d*|[:@$][\w$]+)"),
            ("main", "temp", "public"), double="either",
            system_columns=frozenset({"rowid", "oid", "_rowid_"}), aliases_in_where=True,
        ),
        Traits(
            "tsql",
            _lexer(_DASHES, r"[nN]?" + _PLAIN, _DOUBLE_NAME + r"|\[(?:[^\]]|\]\])+\]",
                   word=r"|(?P<word>(?:\#{1,2})?[^\W\d][\w$#@]*)", parameters=r"|(?P<variable>@@?[\w$#]+)"),
            ("dbo", "public"), double="either", system=frozenset({"sys", "information_schema"}), variables=True,
        ),
        Traits(
            "snowflake",
            _lexer(_DASHES + r"|//[^\n]*", r"(?i:file)://[^\s;]+|[xX]?" + _ESCAPED + r"|\$\$[\s\S]*?\$\$", _DOUBLE_NAME,
                   parameters=r"|(?P<variable>\?|[:$][\w$]+|@[~%\w./$\-]+)"),
            ("PUBLIC",), upper=True, system=frozenset({"information_schema", "account_usage"}), variables=True,
            aliases_in_where=True,
        ),
        Traits(
            "bigquery",
            _lexer(_DASHES + r"|\#[^\n]*", _BQ_STRING, r"|(?P<name>`(?:[^`\\]|\\[\s\S])+`",
                   parameters=r"|(?P<variable>\?|@@?[\w.]+)"),
            ("public",), double="string", system=frozenset({"information_schema"}), whole_rows=True,
        ),
        Traits(
            "duckdb",
            _lexer(_DASHES, r"[eE]" + _ESCAPED + r"|[xXbB]?" + _PLAIN + "|" + _DOLLAR, _DOUBLE_NAME,
                   parameters=r"|(?P<variable>\?\d*|\$[\w]+)"),
            ("main", "public"), system=frozenset({"information_schema", "pg_catalog"}),
            system_columns=frozenset({"rowid"}), whole_rows=True, aliases_in_where=True,
        ),
        Traits(
            "oracle",
            _lexer(_DASHES, _ORACLE_Q + r"|[nN]?" + _PLAIN, r'|(?P<name>"[^"]+"',
                   word=r"|(?P<word>[^\W\d][\w$#]*)", parameters=r"|(?P<variable>:[\w$]+)"),
            ("PUBLIC",), upper=True, system=frozenset({"sys", "system"}),
            system_columns=frozenset({"rowid", "rownum", "ora_rowscn", "level"}),
        ),
    )
}  # fmt: skip
TRAITS["mariadb"] = TRAITS["mysql"]
