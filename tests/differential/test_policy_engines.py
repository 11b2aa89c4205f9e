"""The embedded engine against an OPA server, on thousands of inputs of every policy."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from decision.clock import SystemClock
from decision.model.facts import Access, Effect, Kind, RelationKind, Transform, Usage
from decision.policy.embedded import EmbeddedEngine
from decision.policy.opa import OpaEngine
from decision.policy.reload import BundleReloader
from tests.support.opa import opa_server
from tests.support.policy import PRINCIPALS, REGO, document

SEED = 20_261
INPUTS = 1_200

_TAGS = ["pii", "pii.email", "pii.passport", "secret.key", "critical", "harmless"]
_FLAGS = [
    "dml_in_cte", "on_conflict", "explain", "explain_analyze", "row_lock", "role_change", "reset_all", "discard",
    "lexer_setting", "dynamic_unknown", "opaque_code", "replication", "empty", "search_path_change",
]  # fmt: skip
_VERBS = ["drop", "create", "alter", "truncate", "grant", "listen", "discard", "checkpoint", "drop_owned", "load"]
_OBJECTS = [
    "table",
    "view",
    "index",
    "schema",
    "database",
    "system",
    "extension",
    "publication",
    "role",
    "user_mapping",
]
_RELATIONS = ["orders", "orders", "payments", "notes", "pg_stats", "pg_stat_statements", "pg_stat_activity"]
_COLUMNS = [
    *(("public", "customers", name) for name in ("email", "name", "id")),
    ("pg_catalog", "pg_stat_activity", "query"),
    ("pg_catalog", "pg_authid", "rolpassword"),
    ("pg_catalog", "pg_subscription", "subconninfo"),
]
_EFFECTS = [effect.value for effect in Effect]
_FUNCTIONS = ["f", "f", "f", "pg_stat_get_activity", "pg_stat_statements"]
_SETTINGS = ["work_mem", "search_path", "session_replication_role", "Log_Statement"]


class Generator:
    """Random statements made of all the names that rules look for."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, names: list[Any], most: int = 2) -> list[Any]:
        return self.random.sample(names, self.random.randint(0, min(most, len(names))))

    def few(self, make: Any, most: int = 2) -> list[Any]:
        return [make() for _ in range(self.random.choice([0, 0, 1, most]))]

    def relation(self) -> dict[str, Any]:
        one = self.random.choice
        return {
            "schema": one(["public", "public", "pg_catalog"]), "name": one(_RELATIONS),
            "kind": one([k.value for k in RelationKind]), "access": self.some([a.value for a in Access], 2),
            "via": "direct", "tags": self.some(_TAGS, 1),
        }  # fmt: skip

    def column(self) -> dict[str, Any]:
        schema, table, name = self.random.choice([*_COLUMNS[:3] * 3, *_COLUMNS])
        return {
            "schema": schema, "table": table, "column": name,
            "usage": self.some([u.value for u in Usage], 3), "tags": self.some(_TAGS, 2),
        }  # fmt: skip

    def output(self) -> dict[str, Any]:
        return {
            "ordinal": self.random.randint(1, 9), "name": "x",
            "sources": [{"schema": "public", "table": "customers", "column": self.random.choice(["email", "id"])}],
            "transform": self.random.choice([t.value for t in Transform]), "tags": self.some(_TAGS, 2),
            "opaque": self.random.random() < 0.2,
        }  # fmt: skip

    def function(self) -> dict[str, Any]:
        return {"schema": "pg_catalog", "name": self.random.choice(_FUNCTIONS), "effects": self.some(_EFFECTS, 2)}

    def operation(self) -> dict[str, Any]:
        return {
            "verb": self.random.choice(_VERBS), "object_type": self.random.choice(_OBJECTS),
            "objects": [], "options": self.some(["cascade", "concurrently"], 1),
        }  # fmt: skip

    def predicate(self) -> dict[str, Any] | None:
        if self.random.random() < 0.4:
            return None
        flip = self.random.random
        return {
            "present": flip() < 0.8, "always_true": flip() < 0.2, "pinned": [], "pins_key": flip() < 0.3,
            "limit": self.random.choice([None, 5]),
        }  # fmt: skip

    def plain_change(self) -> dict[str, Any]:
        """A change as people make them: most are held or allowed."""
        kind = self.random.choice(["ddl", "update", "delete", "merge", "truncate", "insert", "do"])
        table = {
            "schema": "public",
            "name": "orders",
            "kind": "table",
            "access": ["write"],
            "via": "direct",
            "tags": [],
        }
        return {
            "fingerprint": "", "normalized_text": "", "parameter_count": 0, "kinds": [kind], "operations": [],
            "relations": [table], "columns": [], "output": [], "functions": [], "predicate": self.predicate(),
            "settings": [], "files": [], "programs": [], "flags": [], "unresolved": [],
            "estimated_rows": self.random.choice([None, 5, 50_000]),
        }  # fmt: skip

    def statement(self) -> dict[str, Any]:
        if self.random.random() < 0.3:
            return self.plain_change()
        kinds = self.random.sample([k.value for k in Kind], self.random.choice([1, 1, 1, 2]))
        return {
            "fingerprint": "", "normalized_text": self.random.choice(["", "SELECT pg_stat_get_activity ( $1 )"]),
            "parameter_count": 0, "kinds": kinds,
            "operations": self.few(self.operation), "relations": self.few(self.relation),
            "columns": self.few(self.column, 3), "output": self.few(self.output, 3),
            "functions": self.few(self.function), "predicate": self.predicate(),
            "settings": self.some(_SETTINGS, 1), "files": self.some(["/tmp"], 1) if self.random.random() < 0.1 else [],
            "programs": ["cat"] if self.random.random() < 0.05 else [], "flags": self.some(_FLAGS, 2),
            "unresolved": [{"what": "t", "why": "not found"}] if self.random.random() < 0.1 else [],
            "estimated_rows": self.random.choice([None, -1, 5, 50_000]),
        }  # fmt: skip

    def document(self) -> bytes:
        statements = [self.statement() for _ in range(self.random.choice([0, 1, 1, 1, 2, 3]))]
        holds = ("approvals.schema_change", "approvals.mass_change", "approvals.dynamic_sql")
        made = orjson.loads(
            document(
                "SELECT 1",
                self.random.choice(list(PRINCIPALS)),
                self.random.choice(["prod", "prod", "prod", "dev", "staging"]),
                approved=tuple(self.some(list(holds), 2)),
            )
        )
        made["statement"] |= {
            "statements": statements,
            "multi_statement": len(statements) > 1,
            "complete": not any(s["unresolved"] or "unknown" in s["kinds"] for s in statements),
        }
        return orjson.dumps(made, option=orjson.OPT_SORT_KEYS)


@pytest.mark.opa
async def test_both_engines_decide_alike(opa_binary: Path) -> None:
    """Every field of every evaluation is equal; every effect and most rules occur."""
    generator = Generator(SEED)
    documents = [generator.document() for _ in range(INPUTS)]
    embedded = EmbeddedEngine(SystemClock(), budget_ns=10**10)
    await BundleReloader(REGO, embedded).load()
    with opa_server(opa_binary) as server:
        opa = OpaEngine(server.url, SystemClock(), timeout_s=30)
        await BundleReloader(REGO, opa).load()
        try:
            found = []
            for start in range(0, INPUTS, 50):
                found += await asyncio.gather(*(opa.evaluate(made) for made in documents[start : start + 50]))
        finally:
            await opa.close()
    effects: dict[str, int] = {}
    rules: set[str] = set()
    for number, (made, theirs) in enumerate(zip(documents, found, strict=True)):
        ours = embedded.evaluate_now(made)
        assert ours == theirs, f"seed {SEED}, input {number}: {made.decode()}"
        effects[ours.effect.value] = effects.get(ours.effect.value, 0) + 1
        rules |= {result.rule for result in ours.results}
    assert min(effects[name] for name in ("allow", "deny", "hold")) >= 20, effects
    assert len(rules) >= 30, sorted(rules)
