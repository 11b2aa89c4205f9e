"""What `airlock policy test` and `explain` do with a bundle: its tests without OPA, and inputs from SQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import regorus

from decision.analysis import Analyzer, SessionState
from decision.analysis.snapshot_json import load as load_snapshot
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import BundleRejected
from decision.model.policy import ApprovalContext, Context, Environment, Phase, Resource
from decision.model.principal import Principal, PrincipalKind
from decision.policy.bundle import Bundle, engine_message, plain_modules
from decision.policy.input import InputBuilder, principal_json, resource_json
from decision.policy.rego_ast import Module

ISSUER = "https://explain.invalid"


def find_opa() -> Path | None:
    """AIRLOCK_OPA, else `opa` on the PATH."""
    named = os.environ.get("AIRLOCK_OPA") or shutil.which("opa")
    return Path(named) if named else None


def run_embedded(folder: Path, bundle: Bundle) -> list[tuple[str, bool]]:
    """(test, passed) of every `test_…` rule in the folder's `*_test.rego`. Raises BundleRejected."""
    tests = [(p.relative_to(folder).as_posix(), p.read_text()) for p in sorted(folder.rglob("*_test.rego"))]
    results, problem = _evaluated(plain_modules([*bundle.modules, *tests]), bundle.data.decode())
    if problem:
        raise BundleRejected(f"the tests can't run on the embedded engine: {problem}")
    return results


def _evaluated(modules: Mapping[str, tuple[str, Module]], data: str) -> tuple[list[tuple[str, bool]], str]:
    """What came of each test, and what went wrong. It does not raise: an exception would keep the engine, which must
    end in the thread that it began in."""
    engine = regorus.Engine()
    names: list[str] = []
    try:
        for path, (source, module) in modules.items():
            engine.add_policy(path, source)
            if path.endswith("_test.rego"):
                package = ".".join(("data", *module.package))
                names += [f"{package}.{name}" for name in sorted(module.defines) if name.startswith("test_")]
        engine.add_data_json(data)
        engine.set_input_json("{}")
        return [(name, engine.eval_rule(name) is True) for name in names], ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return [], engine_message(error)


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up principal: its kind and groups, and those of the human behind it (None: nobody is)."""

    kind: str
    groups: tuple[str, ...]
    human_groups: tuple[str, ...] | None = None

    def principal(self) -> Principal:
        behind = () if self.human_groups is None else (Principal(ISSUER, "human", PrincipalKind.HUMAN, "",
                                                                 self.human_groups),)  # fmt: skip
        return Principal(ISSUER, self.kind, PrincipalKind(self.kind), "", self.groups, behind)


def document_for(
    sql: str, person: Person, environment: Environment, catalog: Path | None, approved: tuple[str, ...]
) -> bytes:
    """The policy input for a statement. Raises AnalysisError."""
    snapshot = CatalogSnapshot("explain", 180_000, "") if catalog is None else load_snapshot(catalog.read_bytes())
    facts = Analyzer().analyze(sql.encode(), snapshot, SessionState()).document
    grant = ApprovalContext("explain", approved, ()) if approved else None
    context = Context(session_id="explain", time_unix=0, approval=grant)
    resource = resource_json(Resource(snapshot.database, "postgres", environment))
    return InputBuilder().build(Phase.STATEMENT, principal_json(person.principal()), "query", resource, facts, context)[
        0
    ]
