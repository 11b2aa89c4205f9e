"""The input document and the key under which evaluations are shared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema
import orjson
import pytest

from decision.model.policy import ApprovalContext, Context, Environment, Phase, Resource
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import ClientInfo
from decision.policy.bundle import load_bundle
from decision.policy.input import CONTEXT_FIELDS, InputBuilder, Reads, principal_json, resource_json
from tests.support.policy import PRINCIPALS, REGO, analysed, context

RESOURCE = resource_json(Resource("shop", "postgres", Environment.PROD, (("team", "web"),)))
WHO = principal_json(PRINCIPALS["agent_for_human"])

# One change for each field of the context, as it stands in the document.
CHANGES: dict[str, dict[str, Any]] = {
    "session": {"session_id": "other"},
    "time": {"time_unix": 5},
    "intent": {"intent": "why"},
    "ticket": {"ticket": "T-1"},
    "client": {"client": ClientInfo("127.0.0.1:1", "other")},
    "enforcement_point": {"enforcement_point": "other"},
    "transaction_status": {"transaction_status": "T"},
    "counters": {"counters": (("rows", 5),)},
    "counters_behind": {"counters_behind": (("i", "human", (("rows", 5),)),)},
    "approval": {"approval": ApprovalContext("a", ("r",), ("x",))},
}


def build(reads: Reads, given: Context, **parts: Any) -> tuple[bytes, bytes]:
    arguments = {
        "phase": Phase.STATEMENT,
        "principal_json": WHO,
        "action": "query",
        "resource_json": RESOURCE,
        "statement_json": analysed("SELECT 1"),
        "context": given,
    }
    return InputBuilder(reads).build(**(arguments | parts))


def test_document_is_canonical_and_fits_its_schema() -> None:
    """Keys are sorted, nothing is blank, and rego/schemas/input.json takes it."""
    schema = orjson.loads((REGO / "schemas" / "input.json").read_bytes())
    behind = (("i", "human", (("rows", 1),)),)
    given = context(approval=ApprovalContext("a", ("r",), ("x",)), counters=(("rows", 1),), counters_behind=behind)
    for sql in ("SELECT email FROM customers WHERE id = 1", "DROP TABLE payments", "SELECT 1; SELECT nowhere", ";"):
        made, _ = build(Reads(), given, statement_json=analysed(sql))
        assert made == orjson.dumps(orjson.loads(made), option=orjson.OPT_SORT_KEYS)
        jsonschema.validate(orjson.loads(made), schema)


def test_session_phase_has_no_statement() -> None:
    """Without statement facts the field is absent."""
    made, _ = build(Reads(), context(), phase=Phase.SESSION, statement_json=b"")
    assert "statement" not in orjson.loads(made)


def test_chain_is_flattened_nearest_first() -> None:
    """Everyone behind stands in one list, and none of them has a chain of its own."""
    root = Principal("i", "root", PrincipalKind.HUMAN, groups=("b", "a", "b"))
    middle = Principal("i", "middle", PrincipalKind.AGENT, on_behalf_of=(root,))
    made = orjson.loads(principal_json(Principal("i", "top", PrincipalKind.AGENT, on_behalf_of=(middle,))))
    assert [member["subject"] for member in made["on_behalf_of"]] == ["middle", "root"]
    assert all(member["on_behalf_of"] == [] for member in made["on_behalf_of"])
    assert made["on_behalf_of"][1]["groups"] == ["a", "b"]


def test_every_context_field_is_named() -> None:
    """A new field of the context must be added to CONTEXT_FIELDS, or keys would be unsound."""
    behind = (("i", "human", (("rows", 1),)),)
    full = replace(context(), approval=ApprovalContext("a", (), ()), counters_behind=behind)
    made = orjson.loads(build(Reads(), full)[0])
    assert sorted(made["context"]) == sorted(CONTEXT_FIELDS) == sorted(CHANGES)


@pytest.mark.parametrize("field", CONTEXT_FIELDS)
def test_key_depends_on_a_context_field_only_if_it_is_read(field: str) -> None:
    """Read: another key. Not read: the same key, though the document differs."""
    plain, other = context(), context(**CHANGES[field])
    nothing, that = Reads(frozenset()), Reads(frozenset({field}))
    assert build(nothing, plain)[1] == build(nothing, other)[1]
    assert build(that, plain)[1] != build(that, other)[1]
    assert build(nothing, plain)[0] != build(nothing, other)[0]


@pytest.mark.parametrize(
    "part",
    [
        {"action": "bind"},
        {"phase": Phase.APPROVAL},
        {"principal_json": principal_json(PRINCIPALS["human"])},
        {"resource_json": resource_json(Resource("shop", "postgres", Environment.DEV))},
        {"statement_json": analysed("SELECT 2, 3")},
    ],
    ids=lambda part: next(iter(part)),
)
def test_key_depends_on_everything_else(part: dict[str, Any]) -> None:
    """Principal, action, resource, phase and statement always count."""
    nothing = Reads(frozenset())
    assert build(nothing, context())[1] != build(nothing, context(), **part)[1]


def test_key_carries_what_it_was_made_for() -> None:
    """Keys for other reads differ in their tag, so that an engine can refuse them after a reload."""
    some = Reads(frozenset({"time"}))
    assert build(some, context())[1].startswith(some.tag)
    assert some.tag != Reads().tag != Reads(frozenset()).tag


def test_shipped_bundle_reads_nothing_volatile() -> None:
    """Repeated statements of one principal share an evaluation: only approvals are read of the context."""
    assert load_bundle(REGO).reads == Reads(frozenset({"approval"}))


def test_builder_follows_the_active_bundle() -> None:
    """`reads` may be a call; the next document is keyed for what it says then."""
    now = [Reads(frozenset())]
    builder = InputBuilder(lambda: now[0])
    given = context()
    first = builder.build(Phase.SESSION, WHO, "connect", RESOURCE, b"", given)[1]
    now[0] = Reads(frozenset({"time"}))
    assert builder.build(Phase.SESSION, WHO, "connect", RESOURCE, b"", given)[1] != first
