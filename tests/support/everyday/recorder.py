"""Statements as the server received them, read from its log."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

_ENTRY = re.compile(r"^\S+ \S+ \S+ \[(?P<pid>\d+)\] (?P<level>[A-Z]+):  (?P<text>.*)$")
_STATEMENT = re.compile(r"^(?:statement|execute [^:]*): (.*)", re.DOTALL)

Sessions = dict[str, list[str]]  # the texts of each backend process, in their order


def log_everything(dsn: str) -> None:
    """Have the server write every statement of this database's future sessions into its log."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name))


def recorded(log: Path, work: Callable[[], object]) -> Sessions:
    """What reached the server while `work` ran. What it refused is left out: that is no valid statement."""
    before = log.stat().st_size
    work()
    with log.open("rb") as file:
        file.seek(before)
        return sessions_of(file.read().decode(errors="replace"))


def sessions_of(text: str) -> Sessions:
    """The statements in a part of a server log (log_line_prefix '%m [%p] '), continuation lines included."""
    found: Sessions = {}
    for pid, level, message in _entries(text):
        texts = found.setdefault(pid, [])
        match = _STATEMENT.match(message)
        if level == "LOG" and match:
            texts.append(match.group(1))
        elif level == "ERROR" and texts:
            texts.pop()
    return found


def _entries(text: str) -> list[tuple[str, str, str]]:
    entries: list[tuple[str, str, str]] = []
    for line in text.splitlines():
        match = _ENTRY.match(line)
        if match:
            entries.append((match["pid"], match["level"], match["text"]))
        elif entries and line.startswith("\t"):
            pid, level, message = entries[-1]
            entries[-1] = (pid, level, f"{message}\n{line[1:]}")
    return entries
