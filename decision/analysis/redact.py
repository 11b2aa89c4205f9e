"""Statement text without literals, comments or COPY data, by PostgreSQL's own tokens.

Names stay. A value that the grammar writes as a name (`SET app.key = word`) goes, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pglast import parser

from decision.analysis.limits import Limits, check_text
from decision.model.errors import AnalysisError

UNREADABLE = "[text that can't be read as PostgreSQL]"
_LITERALS = frozenset({"SCONST", "USCONST", "ICONST", "FCONST", "BCONST", "XCONST"})
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
# Settings whose values are names worth keeping.
_NAMED_SETTINGS = frozenset(
    {
        "search_path", "role", "authorization", "timezone", "client_encoding", "datestyle",
        "standard_conforming_strings", "session_replication_role", "statement_timeout",
    }
)  # fmt: skip
_NO_SPACE_BEFORE = frozenset({"ASCII_44", "ASCII_41", "ASCII_46", "ASCII_59", "ASCII_91", "ASCII_93", "TYPECAST"})
_NO_SPACE_AFTER = frozenset({"ASCII_40", "ASCII_46", "ASCII_91", "TYPECAST"})
_LIMITS = Limits()


Piece = tuple[int, str, str]  # start in characters, the token's name, its text as kept
# Text that may be a SET or ALTER; what stands before the first word can only be a comment.
_MAY_SET = re.compile(r"\s*(?:set|alter|--|/\*)", re.IGNORECASE)


def pieces(text: str) -> list[Piece]:
    """The tokens without comments, literals replaced by numbered parameters. Raises pglast's error."""
    tokens = parser.scan(text)
    highest = 0
    if "$" in text:
        for start, end, name, _ in tokens:
            if name == "PARAM":
                digits = text[start + 1 : end + 1]
                highest = max(highest, int(digits) if digits.isdigit() and len(digits) < 6 else 0)
    kept: list[Piece] = []
    setting = _Setting() if _MAY_SET.match(text) or ";" in text else None
    for start, end, name, _ in tokens:
        if name in _LITERALS:
            highest += 1
            kept.append((start, "PARAM", f"${highest}"))
        elif name not in _COMMENTS:
            word = text[start : end + 1]
            if setting is not None and setting.hides(name, word):
                highest += 1
                kept.append((start, "PARAM", f"${highest}"))
            else:
                kept.append((start, name, word))
    return kept


class _Setting:
    """Follows `SET name = value` at the beginning of a statement, or behind ALTER ROLE, DATABASE, SYSTEM …"""

    __slots__ = ("count", "first", "in_set", "in_value", "keep")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.first = ""
        self.in_set = False
        self.in_value = False
        self.keep = False

    def hides(self, name: str, text: str) -> bool:
        if name == "ASCII_59":
            self.reset()
            return False
        self.count += 1
        if self.count == 1:
            self.first = name
        if self.in_value:
            return not self.keep and name not in ("ASCII_44", "ASCII_46", "DEFAULT")
        if name == "SET" and (self.count == 1 or self.first == "ALTER"):
            self.in_set = True
        elif self.in_set and text.lower() in _NAMED_SETTINGS:
            self.keep = True
        elif self.in_set and name in ("TO", "ASCII_61"):
            self.in_value = self.first == "SET" or name == "TO" or not self.keep
        return False


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


def normalized(text: str) -> str:
    """One line, without literals and comments. Raises pglast's error for text that its lexer refuses."""
    return join(pieces(text))


def redact(text: bytes) -> str:
    """Safe on any bytes: what PostgreSQL can't read as tokens gives a text that holds nothing of it.

    Nor does what `check_text` refuses: the parser needs a minute for some of it.
    """
    try:
        decoded = check_text(text, _LIMITS)
        parser.parse_sql_json(decoded)
        return normalized(decoded)
    except (AnalysisError, parser.ParseError):
        return UNREADABLE
