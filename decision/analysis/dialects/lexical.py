"""The lexical guard: a dialect's tokens by a lexer of our own, before sqlglot sees the text.

Two lexers must agree on what is a string, a name and a comment, or the text is refused: most ways to talk around a
parser start with a text that it cuts in other places than the server does. From the same pieces come the split into
statements, the text without literals and its fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from decision.analysis.dialects.traits import Traits
from decision.analysis.limits import Limits
from decision.model.errors import LimitExceeded, SyntaxRefused, TextRefused

MAX_PIECES = 30_000
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_LITERAL = frozenset({"string", "number"})
_STRINGS = frozenset(
    {
        TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING,
        TokenType.UNICODE_STRING, TokenType.BYTE_STRING, TokenType.HEX_STRING, TokenType.BIT_STRING,
        TokenType.NATIONAL_RAW_STRING,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """`kind`: word name string number variable symbol. `text` is as written; `end` is exclusive, in characters."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """A word in upper case; anything else as an empty text, so that a quoted name is never a keyword."""
        return self.text.upper() if self.kind in ("word", "symbol") else ""

    @property
    def value(self) -> str:
        """The name without its quotes."""
        if self.kind != "name":
            return self.text
        quote = {"[": "]"}.get(self.text[0], self.text[0])
        return self.text[1:-1].replace(quote * 2, quote)


@dataclass(frozen=True, slots=True)
class Scanned:
    """A text's tokens, and the places of its comments (hints, which sqlglot reads, aside)."""

    pieces: list[Piece]
    comments: list[tuple[int, int]]
    length: int


def scan(text: str, traits: Traits, limits: Limits) -> Scanned:
    """All tokens. Raises TextRefused, SyntaxRefused or LimitExceeded; linear in the text."""
    found: list[Piece] = []
    comments: list[tuple[int, int]] = []
    position, depth = 0, 0
    lexer = traits.lexer
    while position < len(text):
        match = lexer.match(text, position)
        if match is None:
            raise SyntaxRefused("a quote or comment is not closed, or a character has no meaning", cursor=position + 1)
        kind, start, position = match.lastgroup or "", match.start(), match.end()
        kind = "string" if kind in ("tag", "mark") else kind
        if kind == "comment":
            _check_comment(match.group(), traits)
            if not match.group().startswith("/*+"):
                comments.append((start, position))
        elif kind != "space":
            if len(found) >= MAX_PIECES:
                raise LimitExceeded(f"more than {MAX_PIECES} tokens", hint="send fewer or shorter statements")
            piece = Piece(kind, match.group(), start, position)
            found.append(piece)
            depth += piece.text in _OPEN
            depth -= piece.text in _CLOSE
            if depth > limits.depth:
                raise LimitExceeded(f"brackets nest deeper than {limits.depth}", hint="nest less")
            if piece.text == "/*" or (kind == "symbol" and text.startswith(("/*", "*/"), start)):
                raise SyntaxRefused("a comment is not closed or not opened", cursor=start + 1)
            if kind == "symbol" and not piece.text.isascii():
                raise TextRefused("a character outside of quotes that no dialect defines", hint="quote the name")
    return Scanned(found, comments, len(text))


def _check_comment(text: str, traits: Traits) -> None:
    if text.startswith(traits.refused_comments) and traits.refused_comments:
        raise TextRefused("an executable comment", hint="write the statement without /*! … */")
    if "/*" in text[2:]:
        raise TextRefused("a comment within a comment", hint="servers differ on where it ends; remove it")
    if not text.startswith("/*") and any(c in text.removesuffix("\r") for c in "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"):
        raise TextRefused("a line comment with another line end than LF", hint="servers differ on where it ends")


def check_against_sqlglot(scanned: Scanned, tokens: Sequence[Token]) -> None:
    """Raises TextRefused where sqlglot's lexer cuts the text elsewhere: in a string, a quoted name or a comment, or
    where it leaves a word out."""
    kinds = ["space"] * (scanned.length + 1)
    starts: dict[int, int] = {}
    for start, end in scanned.comments:
        kinds[start:end] = ["comment"] * (end - start)
    for piece in scanned.pieces:
        if piece.kind in ("string", "name"):
            kinds[piece.start : piece.end] = ["quoted"] * (piece.end - piece.start)
            starts[piece.start] = piece.end
    ends = set(starts.values())
    covered = [False] * (scanned.length + 1)
    for token in tokens:
        start, end = token.start, token.end + 1
        if token.token_type is TokenType.HINT:
            continue
        if kinds[start] == "comment":
            raise _disagree()
        if kinds[start] == "quoted":
            first = starts.pop(start, None)
            if token.token_type is TokenType.INTRODUCER:
                continue
            if end not in ends or (first is not None and first != end):
                raise _disagree()
            ends.discard(end)
        elif token.token_type in _STRINGS and kinds[end - 1] == "quoted":
            raise _disagree()
        covered[start:end] = [True] * (end - start)
    if ends or any(piece.kind == "word" and not covered[piece.start] for piece in scanned.pieces):
        raise _disagree()


def _disagree() -> TextRefused:
    return TextRefused(
        "the text can be cut into tokens in more than one way",
        hint="remove comments, unusual quotes and prefixes",
    )


def named_parameters(text: str, found: Sequence[Piece], traits: Traits) -> str:
    """`text` with :1 and ?1 as :_1, which is the form that sqlglot reads."""
    if traits.name not in ("oracle", "sqlite"):
        return text
    out: list[str] = []
    end = 0
    for piece in found:
        if piece.kind == "variable" and piece.text[1:].isdecimal():
            out += (text[end : piece.start], ":_", piece.text[1:])
            end = piece.end
    return "".join(out) + text[end:]


def split(found: Sequence[Piece]) -> list[list[Piece]]:
    """The statements between semicolons, without the empty ones."""
    parts: list[list[Piece]] = [[]]
    for piece in found:
        if piece.kind == "symbol" and piece.text == ";":
            parts.append([])
        else:
            parts[-1].append(piece)
    return [part for part in parts if part]


def dotted(found: Sequence[Piece]) -> tuple[list[str], int]:
    """The parts of the name at the beginning, outermost first, empty between two dots; and how many pieces it has."""
    names: list[str] = []
    place = 0
    named = False
    for piece in found:
        if piece.text == "." and names:
            if not named:
                names.append("")
            named = False
        elif piece.kind in ("word", "name") and not named:
            names.append(piece.value)
            named = True
        else:
            break
        place += 1
    return names, place


_TIGHT_BEFORE = frozenset({",", ")", ".", "]", "::"})
_TIGHT_AFTER = frozenset({"(", ".", "[", "::"})
_SECRET_AFTER = frozenset({"BY", "PASSWORD", "VALUES"})


def normalized(found: Sequence[Piece], traits: Traits, known: frozenset[str]) -> str:
    """One line, no comments, `?` for every literal. `known`: names (folded) that may stand in double quotes where the
    dialect reads some such texts as strings. A password written as a word goes, too."""
    out: list[str] = []
    previous = "("
    identified = False
    for index, piece in enumerate(found):
        text = piece.text
        before = found[index - 1].upper if index else ""
        if before == "IDENTIFIED":
            identified = True
        if piece.kind in _LITERAL or (
            piece.kind == "name"
            and traits.double == "either"
            and text[0] == '"'
            and piece.value.casefold() not in known
        ):
            text = "?"
        elif identified and before in _SECRET_AFTER and piece.upper not in _SECRET_AFTER:
            text, identified = "?", False
        if not (text in _TIGHT_BEFORE or previous in _TIGHT_AFTER or (text == "(" and found[index - 1].kind == "word")):
            out.append(" ")
        out.append(text)
        previous = text
    return "".join(out).strip()


def fingerprint(text: str) -> str:
    """16 hexadecimal digits of the text without literals, letters' case aside."""
    return hashlib.sha256(text.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:16]
