"""The cases of tests/cases/analysis/dialects, a file a dialect, and what holds of all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from decision.analysis import Analyzer, SessionState
from decision.analysis.effects import FunctionMade, RelationMade, RoleSet, SearchPathSet, SessionEffect
from decision.analysis.result import Analysis, BoundValue
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.errors import AnalysisError, AnalysisFault
from decision.model.facts import Access, Kind, RelationKind

CASES = Path(__file__).parents[1] / "cases"
FOLDER = CASES / "analysis" / "dialects"
_ACCESS = {"r": Access.READ, "w": Access.WRITE, "d": Access.DDL, "l": Access.LOCK}


def catalog() -> CatalogSnapshot:
    """What tests/cases/README.md says the cases assume."""

    def relation(name: str, columns: str, definition: str = "", **more: tuple[tuple[str, ...], ...]) -> CatalogRelation:
        found = tuple(CatalogColumn(one, number, 0, "text") for number, one in enumerate(columns.split(), 1))
        kind = RelationKind.VIEW if definition else RelationKind.TABLE
        return CatalogRelation("public", name, 0, kind, found, definition, **more)

    users = "id name email ssn org_id"
    return CatalogSnapshot("app", 0, "cases", ("public",), (
        relation("users", users, keys=(("id",),)),
        relation("v_users", users, "SELECT id, name, email, ssn, org_id FROM users"),
        relation("orders", "id user_id note total"), relation("secrets", "id ssn"),
        relation("public_notes", "id note"), relation("audit", "id"), relation("t2", "id"), relation("t", "x"),
        relation("b", "ssn"),
    ))  # fmt: skip


def load() -> list[tuple[str, str, str, str]]:
    return [
        (file.stem.split(".")[0], case["id"], sql, case["want"])
        for file in sorted(FOLDER.glob("*.jsonl"))
        for case in map(json.loads, file.read_text().splitlines())
        for sql in forms(case["sql"], case.get("each"))
    ]


def forms(sql: str, each: str | list[str] | None) -> list[str]:
    """The statement, or one for each word of a table, in the place of {}."""
    if each is None:
        return [sql]
    return [sql.replace("{}", word) for word in (each.split() if isinstance(each, str) else each)]


def holds(word: str, analysis: Analysis) -> bool:
    """Whether one word of `want` holds."""
    head, _, rest = word.partition(":")
    all_ = analysis.facts.statements
    match head:
        case "r" | "w" | "d" | "l":
            return any(r.name == rest and _ACCESS[head] in r.access for s in all_ for r in s.relations)
        case "o":
            return any(f"{c.table}.{c.column}" == rest for s in all_ for o in s.output for c in o.sources)
        case "use":
            return any(f"{c.table}.{c.column}:{u.value}" == rest for s in all_ for c in s.columns for u in c.usage)
        case "f":
            return any(rest in s.flags for s in all_)
        case "fn":
            return any(f.name == rest for s in all_ for f in s.functions)
        case "v":
            return rest in map(told, analysis.values)
        case "v!":
            return len(analysis.values) == int(rest)
        case "un":
            return any(u.what == rest for s in all_ for u in s.unresolved)
        case "op":
            return any(o.verb == rest for s in all_ for o in s.operations)
        case "obj":
            return any(one.name == rest for s in all_ for o in s.operations for one in o.objects)
        case "opt":
            return any(rest in o.options for s in all_ for o in s.operations)
        case "file":
            return any(rest in s.files for s in all_)
        case "p":
            return any(s.parameter_count == int(rest) for s in all_)
        case "eff":
            return rest in [marked(effect) for effects in analysis.effects for effect in effects]
        case "prog":
            return any(rest in s.programs for s in all_)
        case "set":
            return any(rest in s.settings for s in all_)
        case "opaque":
            return any(o.opaque for s in all_ for o in s.output)
        case "true":
            return any(s.predicate is not None and s.predicate.always_true for s in all_)
        case "pin":
            return any(s.predicate is not None and ",".join(s.predicate.pinned) == rest for s in all_)
        case "lim":
            wanted = None if rest == "none" else int(rest)
            return any(s.predicate is not None and s.predicate.limit == wanted for s in all_)
        case _:
            return any(Kind(word) in s.kinds for s in all_)


def told(value: BoundValue) -> str:
    """`0:pinned:users.id=1`, with $2 for a parameter and ? for what isn't known."""
    text = f"${value.parameter}" if value.parameter else "?" if value.literal is None else value.literal.decode()
    return f"{value.statement_index}:{value.role}:{value.table}.{value.column}={text}"


def marked(effect: SessionEffect) -> str:
    """What a statement does to its session, in a word."""
    match effect:
        case RoleSet():
            return f"role={effect.role}"
        case SearchPathSet():
            return "path"
        case RelationMade():
            return f"made={effect.kind.value}={effect.name}"
        case FunctionMade():
            return f"function={effect.name}"
        case _:
            return ""


@pytest.mark.parametrize(("dialect", "name", "sql", "want"), load(), ids=lambda one: None)
def test_case(dialect: str, name: str, sql: str, want: str) -> None:
    """The facts agree with every word of the case."""
    words = want.split()
    try:
        analysis = Analyzer(dialect).analyze(sql.encode(), catalog(), SessionState())
    except AnalysisError as error:
        assert not isinstance(error, AnalysisFault), (name, sql, error)
        assert {"no", "refused"} & set(words), (name, sql)
        return
    assert "refused" not in words, (name, sql)
    facts = analysis.facts
    assert facts.complete == ("no" not in words), (name, sql, [s.unresolved for s in facts.statements])
    for word in words:
        if word != "no":
            assert holds(word.removeprefix("!"), analysis) != word.startswith("!"), (name, sql, word, facts)


def test_every_shared_case_has_its_facts() -> None:
    """No line of tests/cases/dialects.jsonl is left out."""
    wanted = {
        (one["dialect"], one["sql"]) for one in map(json.loads, (CASES / "dialects.jsonl").read_text().splitlines())
    }
    assert wanted <= {(dialect, sql) for dialect, _, sql, _ in load()}


def test_there_are_enough_cases() -> None:
    """Beyond the shared ones: 30 for MySQL and SQL Server, 15 for each other."""
    shared = {json.loads(line)["sql"] for line in (CASES / "dialects.jsonl").read_text().splitlines()}
    for dialect in ("mysql", "tsql", "sqlite", "snowflake", "bigquery", "duckdb", "oracle"):
        own = [sql for found, _, sql, _ in load() if found == dialect and sql not in shared]
        assert len(own) >= (30 if dialect in ("mysql", "tsql") else 15), dialect


SECRETS = (
    "etc/passwd",
    "hunter2",
    "secretword",
    "secret'",
    "ACCOUNTADMINx",
    "s3://x/",
    "0x53454c",
    "delete from users",
)


SECRET = [case for case in load() if any(secret in case[2] for secret in SECRETS)]


@pytest.mark.parametrize(("dialect", "name", "sql", "want"), SECRET, ids=lambda one: None)
def test_no_literal_stands_in_the_document(dialect: str, name: str, sql: str, want: str) -> None:
    """Texts, numbers and passwords of the statement are not in its facts, nor in an error."""
    del want
    try:
        said = Analyzer(dialect).analyze(sql.encode(), catalog(), SessionState()).document.decode()
    except AnalysisError as error:
        said = f"{error.message} {error.hint}"
    for secret in SECRETS:
        if secret not in sql or (dialect == "snowflake" and "passwd" in secret and "'" not in sql):
            continue
        assert secret not in said, name
