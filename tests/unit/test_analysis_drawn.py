"""All facts of the statements in tests/cases/analysis/drawn/*.txt are exactly those drawn there.

A case is one or more messages of one session (lines that begin with `> `, a tab goes on) and below them the drawing of
the last one, as `airlock analyze --explain` prints it, with the values that it binds. A file in a folder of a dialect's
name is of that dialect. After a wanted change of the
analysis write the files anew with AIRLOCK_REDRAW=1, and read the difference: it is what policies will see differently.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from decision.analysis import Analyzer, SessionState
from decision.analysis.explain import explain
from decision.analysis.result import Analysis
from decision.analysis.snapshot_json import dump, load
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError

FOLDER = Path(__file__).parents[1] / "cases" / "analysis" / "drawn"
FILES = sorted(FOLDER.rglob("*.txt"), key=lambda file: (file.parent != FOLDER, file))
REDRAW = os.environ.get("AIRLOCK_REDRAW", "") not in ("", "0")
TAGS = {("users", "ssn"): "pii.ssn", ("users", "email"): "pii.email", ("guarded", "body"): "secret"}
SYSTEM = {"pg_class", "pg_settings", "pg_stat_activity", "pg_authid", "pg_roles", "pg_stats", "pg_largeobject"}


@cache
def analyzer(dialect: str) -> Analyzer:
    return Analyzer(dialect)


@cache
def catalog() -> CatalogSnapshot:
    """The catalog of schema.sql with some tags."""
    snapshot = load((FOLDER / "schema.json").read_bytes())
    relations = []
    for relation in snapshot.relations:
        columns = tuple(
            replace(column, tags=(TAGS[relation.name, column.name],))
            if relation.schema == "public" and (relation.name, column.name) in TAGS
            else column
            for column in relation.columns
        )
        relations.append(replace(relation, columns=columns))
    return replace(snapshot, relations=tuple(relations), version="drawn")


def cases(text: str) -> list[tuple[list[str], str]]:
    """(messages, drawing) of a file's cases."""
    found: list[tuple[list[str], str]] = []
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        messages: list[str] = []
        for number, line in enumerate(lines):
            if line.startswith("> "):
                messages.append(line[2:])
            elif line.startswith("\t") and messages:
                messages[-1] += "\n" + line[1:]
            else:
                lines = lines[number:]
                break
        else:
            lines = []
        if messages:
            found.append((messages, "\n".join(lines)))
    return found


def draw(messages: list[str], dialect: str = "postgres") -> str:
    """What the last message does, after the others were let through."""
    state = SessionState()
    analysis: Analysis | None = None
    for message in messages:
        try:
            analysis = analyzer(dialect).analyze(message.encode(), catalog(), state)
        except AnalysisError as error:
            return f"refused ({error.code}): {error.message}"
        state = state.advance(analysis, "I")
    assert analysis is not None
    drawn = explain(analysis.facts)
    for value in analysis.values:
        said = f"${value.parameter}" if value.parameter else value.literal.decode() if value.literal else "computed"
        drawn += (
            f"  value      {value.statement_index}: {value.role} {value.schema}.{value.table}.{value.column} {said}\n"
        )
    return drawn.rstrip("\n").replace("\n\n", "\n")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_drawn(file: Path) -> None:
    """The facts are those drawn."""
    known = cases(file.read_text())
    dialect = "postgres" if file.parent == FOLDER else file.parent.name
    if REDRAW:
        told = (
            "".join(f"> {m.replace(chr(10), chr(10) + chr(9))}\n" for m in ms) + draw(ms, dialect) for ms, _ in known
        )
        file.write_text("\n\n".join(told) + "\n")
        return
    drawn = [(messages, draw(messages, dialect), wanted) for messages, wanted in known]
    wrong = [one for one in drawn if one[1] != one[2]]
    assert not wrong, "\n".join(f"{'; '.join(m)}\n--- is\n{got}\n--- wanted\n{want}" for m, got, want in wrong[:5])


if REDRAW:  # it writes a file of the cases and asserts nothing, so it is no test otherwise

    @pytest.mark.postgres
    def test_write_the_catalog(new_database: object) -> None:
        """schema.json is what the server says of schema.sql, with the system relations that the cases name."""
        import psycopg

        from enforcement.catalog import read_catalog

        dsn = new_database()  # type: ignore[operator]
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute((FOLDER / "schema.sql").read_bytes())
        snapshot = asyncio.run(read_catalog(dsn, "drawn"))
        kept = tuple(
            replace(relation, oid=number)
            for number, relation in enumerate(snapshot.relations, 1)
            if relation.schema in ("public", "other") or relation.name in SYSTEM
        )
        functions = tuple(replace(f, oid=n) for n, f in enumerate(snapshot.functions, 1) if f.schema == "public")
        (FOLDER / "schema.json").write_bytes(dump(replace(snapshot, relations=kept, functions=functions, version="")))
