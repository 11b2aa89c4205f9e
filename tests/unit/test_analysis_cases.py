"""The evasion cases of tests/cases/postgres.jsonl, put to the analyzer through a small adapter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.errors import AnalysisError
from decision.model.facts import Access, Kind, RelationKind, Statement, Usage

CASES = Path(__file__).parents[1] / "cases"
_KINDS = {
    "select": Kind.SELECT, "insert": Kind.INSERT, "update": Kind.UPDATE, "delete": Kind.DELETE, "merge": Kind.MERGE,
    "truncate": Kind.TRUNCATE, "ddl": Kind.DDL, "do": Kind.DO, "execute": Kind.EXECUTE, "tx": Kind.TCL,
    "maintenance": Kind.MAINTENANCE, "set": Kind.SESSION, "grant": Kind.DCL, "role": Kind.DCL,
}  # fmt: skip
_FLAGS = {
    "search_path": {"search_path_change"},
    "lexer_or_security_setting": {"lexer_setting", "security_setting"},
}
_PARTS = ("read", "write", "ddl", "read_or_write", "write_or_ddl")


def _relation(name: str, columns: str, kind: RelationKind = RelationKind.TABLE, **more: Any) -> CatalogRelation:
    schema = more.pop("schema", "public")
    found = tuple(CatalogColumn(c, n, 25, "text", not_null=c == "id") for n, c in enumerate(columns.split(), 1))
    return CatalogRelation(schema, name, 0, kind, found, **more)


def catalog() -> CatalogSnapshot:
    """What tests/cases/README.md says the cases assume, and the system relations that they name."""
    system = RelationKind.SYSTEM
    users = "id name email ssn org_id"
    return CatalogSnapshot("app", 180000, "cases", relations=(
        _relation("users", users, keys=(("id",),)),
        _relation("v_users", users, RelationKind.VIEW, definition="SELECT id, name, email, ssn, org_id FROM users"),
        _relation("users_part", "id name", RelationKind.PARTITIONED, children=(("public", "users_part_1"),)),
        _relation("users_part_1", "id name", parents=(("public", "users_part"),)),
        _relation("orders", "id user_id note total"), _relation("secrets", "id ssn"),
        _relation("public_notes", "id note"), _relation("audit", "id"), _relation("t2", "id"), _relation("t", "x"),
        _relation("docs", "vec"), _relation("b", "ssn"),
        _relation("users_id_seq", "last_value log_cnt is_called", RelationKind.SEQUENCE),
        _relation("pg_stat_statements", "userid query", RelationKind.VIEW),
        _relation("pg_stat_activity", "pid query", RelationKind.VIEW, schema="pg_catalog"),
        _relation("pg_settings", "name setting", RelationKind.VIEW, schema="pg_catalog"),
        _relation("pg_authid", "oid rolname rolpassword", system, schema="pg_catalog"),
        _relation("pg_stats", "tablename most_common_vals", RelationKind.VIEW, schema="pg_catalog"),
        _relation("pg_class", "oid relname", system, schema="pg_catalog"),
        _relation("pg_user_mappings", "umid umoptions", RelationKind.VIEW, schema="pg_catalog"),
    ))  # fmt: skip


def _names(statements: tuple[Statement, ...], accesses: set[Access]) -> set[str]:
    found = [r for s in statements for r in s.relations if accesses & set(r.access)]
    return {r.name for r in found} | {f"{r.schema}.{r.name}" for r in found}


def _columns(statements: tuple[Statement, ...], usages: set[Usage] | None) -> set[str]:
    return {f"{c.table}.{c.column}" for s in statements for c in s.columns if usages is None or usages & set(c.usage)}


def _outputs(statements: tuple[Statement, ...]) -> set[str]:
    return {f"{source.table}.{source.column}" for s in statements for o in s.output for source in o.sources}


def _kinds(statements: tuple[Statement, ...]) -> set[str]:
    kinds = {kind for s in statements for kind in s.kinds}
    flags = {flag for s in statements for flag in s.flags}
    found = {name for name, kind in _KINDS.items() if kind in kinds}
    found |= flags & {"code", "policy", "foreign", "extension", "load", "replication", "notify", "discard", "lock"}
    objects = {operation.object_type for s in statements for operation in s.operations}
    verbs = {operation.verb for s in statements for operation in s.operations}
    found |= {"database"} & objects | ({"database"} if "tablespace" in objects else set())
    found |= {"system"} if "system" in objects else set()
    found |= {"grant"} if verbs & {"grant", "revoke"} else set()
    found |= {"set"} if any(s.settings for s in statements) else set()
    return found


def _agree(want: dict[str, Any], statements: tuple[Statement, ...]) -> list[str]:
    """The keys of `want` that the facts contradict."""
    wrong = []
    flags = {flag for s in statements for flag in s.flags}
    flags |= set() if statements else {"empty"}
    settings = {name for s in statements for name in s.settings}
    reached = {
        "read": _names(statements, {Access.READ}),
        "write": _names(statements, {Access.WRITE}),
        "ddl": _names(statements, {Access.DDL, Access.LOCK}),
        "read_or_write": _names(statements, {Access.READ, Access.WRITE}),
        "write_or_ddl": _names(statements, {Access.WRITE, Access.DDL}),
    }
    for key, value in want.items():
        match key:
            case "ops":
                good = set(value) <= _kinds(statements)
            case "not_ops":
                good = not set(value) & _kinds(statements)
            case "read" | "write" | "ddl" | "read_or_write" | "write_or_ddl":
                good = set(value) <= reached[key]
            case "not_read":
                good = not {f"public.{name}" for name in value} & reached["read"]
            case "written":
                good = set(value) <= _columns(statements, {Usage.WRITE})
            case "out":
                good = all(_reaches(name, statements) for name in value)
            case "uses":
                good = set(value) <= _columns(statements, None)
            case "filter":
                inferred = {Usage.FILTER, Usage.JOIN, Usage.ORDER, Usage.GROUP, Usage.WINDOW, Usage.CHECK}
                good = set(value) <= _columns(statements, inferred)
            case "where_always":
                told = {s.predicate.always_true for s in statements if s.predicate is not None}
                good = value is None or bool(value) in told
            case "no_where":
                good = any(s.predicate is not None and not s.predicate.present for s in statements) == value
            case "pins":
                good = any(s.predicate is not None and list(s.predicate.pinned) == value for s in statements)
            case "limit":
                limits = [s.predicate.limit for s in statements if s.predicate is not None]
                good = limits == [None if value in (None, "expr") else value]
            case "funcs" | "funcs_cat":
                good = set(value) <= {f.name for s in statements for f in s.functions}
            case "settings":
                good = set(value) <= settings
            case "flags":
                good = all(_FLAGS.get(flag, {flag}) & flags for flag in value)
            case "not_flags":
                good = not set(value) & flags
            case "note":
                good = True
            case _:
                good = False
        if not good:
            wrong.append(key)
    return wrong


def _reaches(name: str, statements: tuple[Statement, ...]) -> bool:
    table, column = name.split(".")
    outputs = _outputs(statements)
    if column != "*":
        return name in outputs
    relation = next(r for r in catalog().relations if r.name == table)
    return {f"{table}.{c.name}" for c in relation.columns} <= outputs


def _load() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / "postgres.jsonl").read_text().splitlines()]


def _contexts() -> dict[int, dict[str, Any]]:
    """What a case needs beyond the catalog that all share: more relations, statements before it; or what can't be
    known of it, whatever came before."""
    found: dict[str, dict[str, Any]] = json.loads((CASES / "analysis" / "postgres_context.json").read_text())
    return {int(key): context for key, context in found.items()}


def failure(case: dict[str, Any], context: dict[str, Any]) -> str:
    """What is wrong with the analysis of one case; empty if nothing is."""
    want = case["want"]
    more = tuple([_relation(name, columns) for name, columns in context.get("relations", {}).items()])
    snapshot = replace(catalog(), relations=catalog().relations + more, version=f"cases {case['id']}")
    analyzer, state = Analyzer(), SessionState()
    for before in context.get("before", ()):
        state = state.advance(analyzer.analyze(before.encode(), snapshot, state), "I")
    try:
        analysis = analyzer.analyze(case["sql"].encode(), snapshot, state)
    except AnalysisError as error:
        return "" if want.get("not_ok") else f"refused: {error.message}"
    statements = analysis.facts.statements
    if want.get("not_ok"):
        return "" if not analysis.facts.complete else "taken for complete"
    wrong = _agree(want, statements)
    if wrong:
        return "disagrees: " + ", ".join(wrong)
    unresolved = sorted({u.what for s in statements for u in s.unresolved})
    return "" if unresolved == context.get("unresolved", []) else "unresolved: " + ", ".join(unresolved)


@pytest.mark.parametrize("case", _load(), ids=lambda case: str(case["id"]))
def test_case(case: dict[str, Any]) -> None:
    """The facts are complete and agree with every key of the case."""
    assert failure(case, _contexts().get(case["id"], {})) == "", case["sql"][:200]


@pytest.mark.parametrize("number", [20, 24, 308, 312])
def test_case_without_its_context(number: int) -> None:
    """Without the relation, the cursor or the prepared statement, the facts are incomplete, and say of what."""
    case = next(case for case in _load() if case["id"] == number)
    assert failure(case, {}).startswith("unresolved: ")


def test_contexts_are_of_cases() -> None:
    """Every context has a reason and is of a case."""
    assert set(_contexts()) <= {case["id"] for case in _load()}
    assert all(context["why"] for context in _contexts().values())
