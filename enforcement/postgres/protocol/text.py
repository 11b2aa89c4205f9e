"""The little that the enforcement point itself reads in a statement's text.

It decides nothing by it. It tells which statements may change what later texts mean (settings, prepared statements,
cursors, COPY), so that nothing after them is asked about before they are over; and it notes `SET airlock.intent`.
Whatever is not surely harmless counts as changing.
"""

from __future__ import annotations

import re
from functools import lru_cache

# A first word after which the meaning of later texts is as before, as far as the text itself can tell.
INERT = frozenset(
    b"select insert update delete merge values with table begin start commit end rollback abort savepoint release "
    b"fetch move explain show notify listen unlisten analyze vacuum".split()
)
# Statements whose result shape is fixed once they are parsed; others (FETCH, EXECUTE, EXPLAIN …) are described anew.
FIXED_SHAPE = frozenset(b"select insert update delete merge values with table".split())
UNSETTLED = re.compile(rb"set_config|pg_settings", re.IGNORECASE)
DYNAMIC = re.compile(rb"\b(?:prepare|deallocate|discard|execute|close|open)\b", re.IGNORECASE)
LONGEST_KEPT = 2048  # bytes of a text whose reading is remembered
SKIP = re.compile(rb"(?:[\s;(]|--[^\n]*(?:\n|$)|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)*")
WORD = re.compile(rb"[A-Za-z_]+")
SET_OWN = re.compile(
    rb"\s*set\s+(?:session\s+)?airlock\s*\.\s*(intent|ticket)\s*(?:=|\bto\b)\s*'((?:[^'\\]|'')*)'\s*;?\s*",
    re.IGNORECASE,
)
RESET_OWN = re.compile(rb"\s*reset\s+airlock\s*\.\s*(intent|ticket)\s*;?\s*", re.IGNORECASE)
DEALLOCATE_ONE = re.compile(
    rb'\s*deallocate\s+(?:prepare\s+)?(?:"((?:[^"]|"")+)"|(?!all\b)([a-z_][a-z0-9_$]*))\s*;?\s*', re.IGNORECASE
)


def first_word(text: bytes) -> bytes:
    """The first word in lower case, behind white space, comments and opening brackets; empty if there is none."""
    skipped = SKIP.match(text)
    found = WORD.match(text, skipped.end() if skipped else 0)
    return found.group().lower() if found else b""


def single(text: bytes) -> bool:
    """Whether the text surely holds one statement only: no semicolon before its end."""
    return b";" not in text.rstrip(b"; \t\r\n")


def inert(text: bytes) -> bool:
    """Whether later texts may be decided before this statement has run."""
    return _inert(text) if len(text) <= LONGEST_KEPT else _inert.__wrapped__(text)


@lru_cache(maxsize=2048)
def _inert(text: bytes) -> bool:
    return single(text) and first_word(text) in INERT and UNSETTLED.search(text) is None


def fixed_shape(text: bytes) -> bool:
    return first_word(text) in FIXED_SHAPE


def hides_names(text: bytes) -> bool:
    """Whether a block of code in the text may give a prepared statement's or portal's name to something else.

    Outside of code the server's command tags tell it (`DEALLOCATE`, `CLOSE CURSOR` …).
    """
    return first_word(text) == b"do" and DYNAMIC.search(text) is not None


def deallocated(text: bytes) -> bytes | None:
    """The one prepared statement that the text gives up, and does nothing else; None otherwise."""
    found = DEALLOCATE_ONE.fullmatch(text)
    if found is None:
        return None
    quoted, plain = found.groups()
    return bytes(quoted.replace(b'""', b'"') if quoted is not None else plain.lower())


def own_setting(text: bytes) -> tuple[str, str | None] | None:
    """(`intent` or `ticket`, new value or None for reset) when the text sets it in the simple form."""
    found = SET_OWN.fullmatch(text)
    if found is not None:
        return found.group(1).decode().lower(), found.group(2).replace(b"''", b"'").decode("utf-8", "replace")
    found = RESET_OWN.fullmatch(text)
    return None if found is None else (found.group(1).decode().lower(), None)
