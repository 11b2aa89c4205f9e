"""Statement text without literals, comments or COPY data, by PostgreSQL's own tokens.

Names stay. A value that the grammar writes as a name (`SET app.key = word`) goes, too. Most texts hold nothing but
plain words, numbers, strings and signs; those are read by one regular expression that knows these only, at a quarter
of the cost (`_plain`). Whatever else a text holds, PostgreSQL's lexer reads it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from pglast import keywords, parser

from decision.analysis.limits import Limits, check_text, check_tokens
from decision.analysis.postgres.parse import parse_checked
from decision.model.errors import AnalysisError, SyntaxRefused

UNREADABLE = "[text that can't be read as PostgreSQL]"
_LITERALS = frozenset({"SCONST", "USCONST", "ICONST", "FCONST", "BCONST", "XCONST"})
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
_NO_SPACE_BEFORE = frozenset({"ASCII_44", "ASCII_41", "ASCII_46", "ASCII_59", "ASCII_91", "ASCII_93", "TYPECAST"})
_NO_SPACE_AFTER = frozenset({"ASCII_40", "ASCII_46", "ASCII_91", "TYPECAST"})
_LIMITS = Limits()


Piece = tuple[int, str, str]  # start in characters, the token's name, its text as kept
# Text that may set a configuration parameter, by its first word; before that there can only be comments.
_MAY_SET = re.compile(
    r"(?:\s|--[^\n\r]*+)*+(?:set\b|alter\b(?=.*\bset\b)|create\b(?=.*(?:function|procedure))|/\*)",
    re.IGNORECASE | re.DOTALL,
)


def pieces(text: str, limits: Limits = _LIMITS) -> list[Piece]:
    """The tokens without comments, literals replaced by numbered parameters. Raises pglast's error, SyntaxRefused,
    LimitExceeded."""
    try:
        tokens = parser.scan(text)
    except UnicodeError:  # of the lexer's message, which may end within a character of the text
        raise SyntaxRefused("the text is not valid Unicode", hint="send UTF-8") from None
    check_tokens(len(tokens), limits)
    highest = 0
    if "$" in text:
        for start, end, name, _ in tokens:
            if name == "PARAM":
                digits = text[start + 1 : end + 1]
                highest = max(highest, int(digits) if digits.isdigit() and len(digits) < 6 else 0)
    kept: list[Piece] = []
    setting = _Setting() if _MAY_SET.match(text) or ";" in text else None
    for start, end, name, _ in tokens:
        if name in _COMMENTS:
            continue
        word = text[start : end + 1]
        if (setting is not None and setting.hides(name, word)) or name in _LITERALS:
            highest += 1
            kept.append((start, "PARAM", f"${highest}"))
        else:
            kept.append((start, name, word))
    return kept


# Settings whose values are names worth keeping.
_NAMED_SETTINGS = frozenset(
    {
        "search_path", "role", "session_authorization", "timezone", "client_encoding", "datestyle",
        "standard_conforming_strings", "session_replication_role", "statement_timeout",
    }
)  # fmt: skip
_VALUE_FOLLOWS = frozenset({"TO", "ASCII_61"})
_SIGNS = frozenset({"ASCII_43", "ASCII_45"})


class _Setting:
    """Follows `SET name = value` at the beginning of a statement, behind ALTER ROLE, DATABASE, SYSTEM …, and in the
    head of CREATE FUNCTION. `where`: "" outside, "name" between SET and its value, "value", "next" behind a value."""

    __slots__ = ("count", "first", "name", "routine", "where")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.first = ""
        self.name = ""
        self.where = ""
        self.routine = False

    def hides(self, name: str, text: str) -> bool:
        """Whether this token is a value, or a part of one."""
        if name == "ASCII_59":
            self.reset()
            return False
        self.count += 1
        if self.count == 1:
            self.first = name
        if self.where == "next":
            self.where = "value" if name == "ASCII_44" else ""
        elif self.where == "value":
            self.where = "value" if name in _SIGNS else "next"
            return name != "DEFAULT" and self.name not in _NAMED_SETTINGS
        elif self.where == "name":
            self._named(name, text)
            return False
        if name in ("FUNCTION", "PROCEDURE") and self.count <= 4:
            self.routine = True
        elif name in ("ATOMIC", "RETURN"):
            self.routine = False
        elif name == "SET" and (self.count == 1 or self.first == "ALTER" or self.routine):
            self.where, self.name = "name", ""
        return False

    def _named(self, name: str, text: str) -> None:
        if name in _VALUE_FOLLOWS:
            self.where = "value"
        elif name == "ASCII_46" or not self.name or self.name.endswith("."):
            if name not in ("LOCAL", "SESSION"):
                self.name += text.strip('"') if text.startswith('"') else text.lower()
        else:
            self.where = ""  # SET ( ..., SET TIME ZONE, SET DEFAULT an expression


def join(tokens: Sequence[Piece]) -> str:
    out: list[str] = []
    previous = "ASCII_40"
    for _, name, text in tokens:
        if (
            name not in _NO_SPACE_BEFORE
            and previous not in _NO_SPACE_AFTER
            and not (name == "ASCII_40" and previous == "IDENT")
        ):
            out.append(" ")
        out.append(text)
        previous = name
    return "".join(out)


def between(tokens: Sequence[Piece], first: int, last: int) -> str:
    """The text of the tokens that start in this range of characters, without semicolons."""
    part = tokens[bisect_left(tokens, (first,)) : bisect_left(tokens, (last,))]
    return join([token for token in part if token[1] != "ASCII_59"])


# Each alternative of the group matches a token as PostgreSQL's lexer would, or not at all; the last alternative takes
# what none of them does, as a word without text, which ends the plain reading. Left out: escapes, prefixes, dollar
# quotes, strings in several parts, comments but those up to a line's end, operators that touch each other, numbers but
# the simplest, all that isn't ASCII.
_PLAIN = re.compile(
    r"""
    ( [A-Za-z_][A-Za-z0-9_]*(?![A-Za-z0-9_$'"&])
    | (?<![\w.$])[0-9]+(?:\.[0-9]+)?(?![\w.$])
    | '(?:[^'\\]|'')*+'(?![ \t\n\r\f\v]*(?:'|--))
    | --[^\n\r]*
    | "[^"]+"(?!")
    | \$[0-9]{1,5}(?![\w$])
    | [(),\[\]]
    | \.(?![.0-9])
    | (?<!:)::(?![:=])
    | (?<![-+*/<>=~!@#%^&|`?:])(?:<=|>=|<>|!=|->>|->|\|\||[=<>+*/%-])(?![-+*/<>=~!@#%^&|`?])
    | ;
    ) | [^ \t\n\r\f\v]
    """,
    re.VERBOSE | re.ASCII,
)
_KEYWORDS = frozenset().union(
    keywords.RESERVED_KEYWORDS,
    keywords.UNRESERVED_KEYWORDS,
    keywords.TYPE_FUNC_NAME_KEYWORDS,
    keywords.COL_NAME_KEYWORDS,
)
_PLAIN_BYTES = 16 * 1024
_WORD_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")


def plain(text: str) -> str | None:
    """The normalized text of one plain statement; None for all that only PostgreSQL's own lexer can read."""
    if not text.isascii() or len(text) > _PLAIN_BYTES or _MAY_SET.match(text):
        return None
    words = _PLAIN.findall(text)
    if words and words[-1] == ";":
        words.pop()
    if "" in words or ";" in words:
        return None
    highest = 0
    if "$" in text:
        highest = max([int(word[1:]) for word in words if word[0] == "$"], default=0)
    out: list[str] = []
    space, last = "", ""
    for word in words:
        sign = word[0]
        if sign in _WORD_START:
            out += (space, word)
            space, last = " ", word
            continue
        if word in _TIGHT:
            out.append(word)
            space = _TIGHT[word]
        elif sign == "(":
            out.append("(" if last and (last[0] == '"' or last.lower() not in _KEYWORDS) else space + "(")
            space = ""
        elif sign in _DIGITS or sign == "'":
            highest += 1
            out += (space, f"${highest}")
            space = " "
        elif word.startswith("--"):
            continue
        else:
            out += (space, word)
            space = " "
            if sign == '"':
                last = word
                continue
        last = ""
    return "".join(out)


# Signs that stand close to what is before them, with what goes between them and a word behind them.
_TIGHT = {",": " ", ")": " ", ".": "", "[": "", "]": " ", "::": ""}


def shown(tokens: Sequence[Piece], statements: int) -> str:
    """One line for a message of so many statements; a semicolon behind the only one goes."""
    if statements == 0:
        return ""
    return join(tokens[:-1] if statements == 1 and tokens[-1][1] == "ASCII_59" else tokens)


def redact(text: bytes) -> str:
    """Safe on any bytes: what PostgreSQL can't read as tokens gives a text that holds nothing of it.

    Nor does what `check_text` refuses: the parser needs a minute for some of it.
    """
    try:
        decoded = check_text(text, _LIMITS)
        tokens = pieces(decoded)
        return shown(tokens, len(parse_checked(decoded)))
    except (AnalysisError, parser.ParseError):
        return UNREADABLE
