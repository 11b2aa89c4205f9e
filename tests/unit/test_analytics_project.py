"""The fold: what an event says is what stands in the rows."""

from __future__ import annotations

import dataclasses

import pytest

from analytics.project import project
from analytics.project.rows import (
    ColumnChangeRow,
    DecisionRow,
    ExecutionRow,
    MaskedColumnRow,
    SessionStartRow,
    StatementRow,
)
from decision.model.decision import PolicyEffect
from decision.model.events import AuditEvent, PinnedValue, SessionRefused, UnknownPayload
from decision.model.session import ClientInfo
from tests.support.analytics_story import DROP, chain, decided, document, story


def one(payload: object) -> dict[str, list[tuple[object, ...]]]:
    return dict(project(chain(iter([("s", payload)]))))  # type: ignore[arg-type]


def test_a_decision_tells_the_agent_and_its_human() -> None:
    """Who: the agent, and behind it the human with its groups."""
    row = project(story(1))["decisions"][0]
    assert isinstance(row, DecisionRow)
    assert (row.who, row.principal, row.principal_kind) == ("agent-7 for alice", "agent-7", "agent")
    assert (row.human, row.human_groups) == ("alice", ("analysts", "staff"))


def test_a_decision_tells_what_why_and_by_which_rule() -> None:
    """What, why and the rules that led to the effect; rules that said otherwise stand in decision_rules only."""
    rows = project(story(1))
    row = rows["decisions"][1]
    assert isinstance(row, DecisionRow)
    assert (row.effect, row.rules, row.severity) == ("deny", ("guardrails.drop_critical",), "high")
    assert (row.statement, row.tables, row.kinds) == ("DROP TABLE payments", ("public.payments",), ("ddl",))
    assert (row.intent, row.ticket, row.policy_revision) == ("look into ticket", "OPS-1", "rev-1")
    assert len([rule for rule in rows["decision_rules"] if rule[1] == row.decision_id]) == 2


def test_a_masked_column_knows_its_source() -> None:
    """The masked output column carries the base column that it comes from."""
    (row,) = project(story(1))["masked_columns"]
    assert isinstance(row, MaskedColumnRow)
    assert (row.output_name, row.method, row.sources) == ("email", "email", ("public.customers.email",))


def test_a_changed_column_knows_its_row_and_value() -> None:
    """A written column has the keyed digests of its new value and of the key that names the row."""
    (row,) = project(story(1))["column_changes"]
    assert isinstance(row, ColumnChangeRow)
    assert (row.column_name, row.value_mac, row.row_keys) == ("email", "bb", (("id", "aa"),))


def test_a_written_column_without_a_known_value_is_still_a_change() -> None:
    """`SET salary = salary * 2` tells no value, but the change stands there."""
    text = "UPDATE e SET salary = salary * ?"
    facts = document(text, ["update"], [("public", "e", ["write"])], [("e", "salary", ["write", "inner"])])
    rows = one(decided("d", "s", facts, text, PolicyEffect.ALLOW, "r"))
    assert [(row[5], row[6]) for row in rows["column_changes"]] == [("salary", None)]


def test_a_statement_that_was_not_understood_stands_in_statements() -> None:
    """Analysis refused the text: one row with kind unknown and the reason."""
    payload = dataclasses.replace(
        decided("d", "s", b"", "?", PolicyEffect.DENY, "builtin"), error_code="syntax_refused"
    )
    (row,) = one(payload)["statements"]
    assert isinstance(row, StatementRow)
    assert (row.kinds, row.complete, row.unresolved) == (("unknown",), False, ("syntax_refused",))


def test_an_execution_has_its_figures() -> None:
    """Rows, bytes, milliseconds and masked values as the enforcement point reported them."""
    row = project(story(1))["executions"][0]
    assert isinstance(row, ExecutionRow)
    assert (row.rows, row.bytes, row.duration_ms, row.masked_cells, row.outcome) == (5, 800, 2.5, 5, "completed")


def test_a_refused_session_without_a_principal_keeps_what_the_client_called_itself() -> None:
    """Nobody was proven: the row says so, and what the client said."""
    refused = SessionRefused("s", "shop", "mallory", "credential_invalid", "bad token", ClientInfo(), "p")
    (row,) = one(refused)["session_starts"]
    assert isinstance(row, SessionStartRow)
    assert (row.opened, row.who, row.human, row.client_user, row.refusal_code) == (
        False, "", None, "mallory", "credential_invalid",
    )  # fmt: skip


@pytest.mark.parametrize(
    "bad", [b"{", b"[]", b'{"statement":{"statements":{}}}', b'{"a":1,"statement":{"statements":[1]}}']
)
def test_a_policy_input_that_is_none_becomes_a_dead_letter_with_its_bytes(bad: bytes) -> None:
    """The event stays in `events`; what can't be projected is kept, not skipped."""
    rows = one(decided("d", "s", bad, "x", PolicyEffect.ALLOW, "r"))
    (letter,) = rows["dead_letters"]
    assert letter[7] == "unprojectable" and letter[9] and len(rows["events"]) == 1 and "decisions" not in rows


def test_an_event_of_a_newer_version_is_kept_and_named() -> None:
    """A payload that this version does not know has its envelope in `events` and a dead letter."""
    event = story(1)[0]
    draft = dataclasses.replace(event.draft, payload=UnknownPayload("airlock.v1.Later", "unknown"))
    newer: AuditEvent = dataclasses.replace(event, draft=draft)
    rows = project([newer])
    assert rows["events"][0][2] == "Later"
    assert [letter[7] for letter in rows["dead_letters"]] == ["unknown_payload"]


def test_names_that_could_be_confused_are_quoted() -> None:
    """A table called `public.users` in schema `a` is not the table users of public."""
    text = "SELECT 1"
    facts = document(text, ["select"], [("a", "public.users", ["read"]), ("a", "T", ["read"])])
    (row,) = one(decided("d", "s", facts, text, PolicyEffect.ALLOW, "r"))["decisions"]
    assert isinstance(row, DecisionRow)
    assert row.tables == ('a."public.users"', 'a."T"')


def test_equal_facts_read_whole_or_by_the_remembered_fragment_agree() -> None:
    """The shortcut over the canonical document's end reads what the whole document says."""
    spaced = b" " + DROP + b" "
    shortcut, whole = (one(decided("d", "s", d, "x", PolicyEffect.ALLOW, "r"))["statements"] for d in (DROP, spaced))
    assert shortcut == whole


def test_every_pinned_value_finds_its_own_statement() -> None:
    """Two statements of one message don't mix their keys."""
    pinned = (
        PinnedValue(0, "public", "t", "id", "pinned", b"\x01"),
        PinnedValue(1, "public", "t", "id", "pinned", b"\x02"),
        PinnedValue(1, "public", "t", "a", "written", b"\x03"),
    )
    (row,) = one(decided("d", "s", DROP, "x", PolicyEffect.ALLOW, "r", pinned=pinned))["column_changes"]
    assert isinstance(row, ColumnChangeRow)
    assert (row.statement_index, row.row_keys) == (1, (("id", "02"),))
