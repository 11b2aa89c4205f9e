"""What is refused before and during analysis, so that no text can exhaust the parser, the stack or the clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from decision.model.errors import LimitExceeded, TextRefused


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one message. Sizes are bytes; `work` counts names looked up, columns expanded and nodes visited;
    `operator_run` and `comment_depth` are what the parser's lexer, quadratic in both, gets to see."""

    text_bytes: int = 256 * 1024
    depth: int = 200
    operator_run: int = 255
    comment_depth: int = 32
    ctes: int = 256
    columns: int = 1664
    work: int = 200_000
    tokens: int = 65_536
    statements: int = 1000
    cached_text_bytes: int = 16 * 1024
    cache_bytes: int = 64 * 1024 * 1024


_OPERATORS = re.compile(r"[-+*/<>=~!@#%^&|`?]{200,}")
_COMMENT = re.compile(r"/\*|\*/")


def check_text(text: bytes, limits: Limits) -> str:
    """The decoded text. Raises TextRefused or LimitExceeded; runs in linear time on any bytes."""
    if len(text) > limits.text_bytes:
        raise LimitExceeded(
            f"the text has {len(text)} bytes, the limit is {limits.text_bytes}",
            hint="send fewer or shorter statements, values as parameters, bulk data by COPY FROM STDIN",
        )
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextRefused(f"the text is not valid UTF-8 at byte {error.start}", hint="send UTF-8") from None
    check_runs(decoded, limits)
    return decoded


def check_runs(text: str, limits: Limits) -> None:
    """Refuse what PostgreSQL's lexer reads wrongly or in quadratic time. Holds for texts inside of texts, too, whose
    signs may have been written as escapes. Raises TextRefused or LimitExceeded; runs in linear time."""
    if "\0" in text:
        raise TextRefused("the text holds a NUL character", hint="remove it; SQL text can't hold one")
    if "/*" in text:
        _check_comments(text, limits)
    for run in _OPERATORS.finditer(text):
        found = run.group()
        if len(found) > limits.operator_run and found.strip("-"):
            raise LimitExceeded(
                f"more than {limits.operator_run} operator characters in a row", hint="put spaces between operators"
            )


def _check_comments(text: str, limits: Limits) -> None:
    depth = 0
    for mark in _COMMENT.finditer(text):
        depth = depth + 1 if mark.group() == "/*" else max(0, depth - 1)
        if depth > limits.comment_depth:
            raise LimitExceeded(f"comments nest deeper than {limits.comment_depth}", hint="remove the comments")


def check_tokens(count: int, limits: Limits) -> None:
    """Refuse more tokens than are let through to the parser's tree, which costs several times as much as they do."""
    if count > limits.tokens:
        raise LimitExceeded(
            f"the text has {count} tokens, the limit is {limits.tokens}",
            hint="send fewer rows a statement, values as an array parameter, bulk data by COPY FROM STDIN",
        )


EXPANSION = 25  # units of work that a view, function, rule or policy costs beyond what is found in it


class Budget:
    """Work, depth and counts used by one message."""

    __slots__ = ("ctes", "depth", "limits", "root", "work")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.root = self
        self.work = 0
        self.depth = 0
        self.ctes = 0

    def inner(self, depth: int = 150) -> Budget:
        """For what the catalog holds and a statement pulls in: a depth of its own, but the message's work. Views and
        functions that use each other twice at each level would otherwise double at each level without a bound."""
        self.charge(EXPANSION)
        inner = Budget(replace(self.limits, depth=depth))
        inner.root = self.root
        return inner

    @property
    def spent(self) -> bool:
        """Whether the message's work is used up: what is found from here on says nothing about what was read."""
        return self.root.work > self.root.limits.work

    def charge(self, units: int) -> None:
        root = self.root
        root.work += units
        if root.work > root.limits.work:
            raise LimitExceeded(
                f"analysis needs more than {root.limits.work} units of work", hint="split the statement"
            )

    def enter(self, levels: int = 1) -> None:
        self.depth += levels
        if self.depth > self.limits.depth:
            raise LimitExceeded(
                f"the statement nests deeper than {self.limits.depth} levels", hint="nest less, or use = ANY(array)"
            )

    def leave(self, levels: int = 1) -> None:
        self.depth -= levels

    def columns(self, count: int) -> None:
        if count > self.limits.columns:
            raise LimitExceeded(f"a query has more than {self.limits.columns} columns", hint="name the columns needed")

    def add_ctes(self, count: int) -> None:
        self.ctes += count
        if self.ctes > self.limits.ctes:
            raise LimitExceeded(f"more than {self.limits.ctes} common table expressions", hint="split the statement")
