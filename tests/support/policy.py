"""Inputs for policy tests: principals, a production shop, and real analysis of SQL over a catalog made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogColumn, CatalogFunction, CatalogRelation, CatalogSnapshot
from decision.model.facts import RelationKind
from decision.model.policy import ApprovalContext, Context, Environment, Phase, Resource
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import ClientInfo
from decision.policy.input import InputBuilder, principal_json, resource_json

ROOT = Path(__file__).resolve().parents[2]
REGO = ROOT / "rego"
CASES = ROOT / "tests" / "cases" / "policy"
ISSUER = "https://idp.example"


def _person(subject: str, *groups: str) -> Principal:
    return Principal(ISSUER, subject, PrincipalKind.HUMAN, f"{subject}@example.com", groups)


ALICE = _person("alice", "developers")
PRINCIPALS: dict[str, Principal] = {
    "human": ALICE,
    "dba": _person("dana", "dba"),
    "pii_reader": _person("paula", "pii_readers", "developers"),
    "cleared": _person("carl", "pii_readers", "secret_readers"),
    "service": Principal(ISSUER, "billing", PrincipalKind.SERVICE, groups=("services",)),
    "agent": Principal(ISSUER, "report-bot", PrincipalKind.AGENT, groups=("agents",)),
    "agent_for_human": Principal(ISSUER, "report-bot", PrincipalKind.AGENT, on_behalf_of=(ALICE,)),
    "agent_for_dba": Principal(
        ISSUER, "report-bot", PrincipalKind.AGENT, on_behalf_of=(_person("dana", "dba", "pii_readers"),)
    ),
    "cleared_agent_for_human": Principal(
        ISSUER, "cleared-bot", PrincipalKind.AGENT, groups=("pii_readers", "secret_readers"), on_behalf_of=(ALICE,)
    ),
}


def _columns(*columns: tuple[str, str, int, tuple[str, ...]]) -> tuple[CatalogColumn, ...]:
    return tuple(
        CatalogColumn(name, number, oid, type_name, tags=tags)
        for number, (name, type_name, oid, tags) in enumerate(columns, 1)
    )


def _table(name: str, oid: int, columns: tuple[CatalogColumn, ...], rows: int, *tags: str) -> CatalogRelation:
    key = (("id",),)
    return CatalogRelation("public", name, oid, RelationKind.TABLE, columns, keys=key, estimated_rows=rows, tags=tags)


_ID = ("id", "integer", 23, ())
_CATALOG_TABLES = ("pg_class", "pg_stats", "pg_statistic", "pg_settings")


@lru_cache(maxsize=1)
def shop() -> CatalogSnapshot:
    """customers, orders, payments (critical), countries (small), api_keys (secrets), notes; two functions."""
    email = ("email", "text", 25, ("pii.email",))
    relations = (
        _table("customers", 1001, _columns(_ID, email, ("name", "text", 25, ("pii.name",)),
               ("passport", "text", 25, ("pii.passport",)), ("segment", "text", 25, ())), 20_000),
        _table("orders", 1002, _columns(_ID, ("customer_id", "integer", 23, ()), ("total", "numeric", 1700, ()),
               ("note", "text", 25, ()), ("created_at", "timestamptz", 1184, ())), 50_000),
        _table("payments", 1003, _columns(_ID, ("amount", "numeric", 1700, ()), ("card", "text", 25, ("pii.card",))),
               60_000, "critical"),
        _table("countries", 1004, _columns(_ID, ("name", "text", 25, ())), 40),
        _table("api_keys", 1005, _columns(_ID, ("owner", "text", 25, ()), ("secret", "text", 25, ("secret.key",))), 9),
        _table("notes", 1006, _columns(_ID, ("body", "text", 25, ())), 5_000),
        *(CatalogRelation("pg_catalog", name, 10 + number, RelationKind.SYSTEM,
                          _columns(("oid", "oid", 26, ()), ("relname", "name", 19, ()), ("tablename", "name", 19, ()),
                                   ("most_common_vals", "anyarray", 2277, ()), ("setting", "text", 25, ())))
          for number, name in enumerate(_CATALOG_TABLES)),
    )  # fmt: skip
    functions = (
        CatalogFunction("public", "mystery", 2001, ("integer",), "text", "plperl", "volatile"),
        CatalogFunction("public", "twice", 2002, ("integer",), "integer", "sql", "immutable", body="SELECT $1 * 2"),
    )
    return CatalogSnapshot("shop", 180_004, "shop-1", relations=relations, functions=functions)


@lru_cache(maxsize=4096)
def analysed(sql: str) -> bytes:
    """The canonical statement document of `sql`; SQL before a line `--then` runs first in the same session."""
    analyzer, state = Analyzer(), SessionState()
    *before, text = sql.split("\n--then\n")
    for earlier in before:
        state = state.advance(analyzer.analyze(earlier.encode(), shop(), state), "I")
    return analyzer.analyze(text.encode(), shop(), state).document


def context(**changes: Any) -> Context:
    client = ClientInfo("127.0.0.1:50000", "psql", "postgres/3.0", "TLSv1.3")
    plain = Context("session-1", 1_700_000_000, client=client, enforcement_point="test")
    return replace(plain, **changes)


def document(
    sql: str | None,
    principal: str | Principal = "human",
    environment: str = "prod",
    *,
    phase: Phase = Phase.STATEMENT,
    approved: tuple[str, ...] = (),
    database: str = "shop",
) -> bytes:
    """The input document for `sql` by a named principal."""
    who = PRINCIPALS[principal] if isinstance(principal, str) else principal
    grant = ApprovalContext("approval-1", approved, ("dora",)) if approved else None
    return InputBuilder().build(
        phase,
        principal_json(who),
        "query",
        resource_json(Resource(database, "postgres", Environment(environment))),
        analysed(sql) if sql is not None else b"",
        context(approval=grant),
    )[0]


def changed(document: bytes, changes: Mapping[str, Any]) -> bytes:
    """The document with dotted paths set (`statement.complete: false`); None as value takes the field away."""
    tree = orjson.loads(document)
    for path, value in changes.items():
        *steps, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        target = tree
        for step in steps:
            target = target[step]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
