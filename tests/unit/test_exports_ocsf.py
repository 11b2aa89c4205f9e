"""Every event is a valid OCSF 1.7 record that says who did what, and holds no literal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.exports.context import Contexts
from analytics.exports.ocsf import OcsfMapper
from analytics.exports.ocsf_parts import split_address
from decision.model import events as e
from decision.model.decision import PolicyEffect
from decision.wire.events import event_type
from tests.support.analytics_story import ALICE, CLIENT, DROP, decided, document
from tests.support.export_events import PAYLOADS, SECRET, event, events
from tests.support.model_values import values
from tests.support.ocsf_schema import modelled, problems

Record = dict[str, Any]


def mapped(*given_events: e.AuditEvent, most: int = 100) -> list[Record]:
    mapper = OcsfMapper("0.1.0", Contexts(most))
    made = []
    for one in given_events:
        mapper.contexts.take(one)
        made.append(mapper.record(one, event_type(one.payload)))
    return made


RECORDS = dict(zip(PAYLOADS, mapped(*events()), strict=True))


def of(kind: type, number: int = 0) -> Record:
    return [record for payload, record in RECORDS.items() if isinstance(payload, kind)][number]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_a_record_is_valid(payload: e.Payload) -> None:
    """By the models of pydantic-ocsf, and by what they do not check."""
    record = RECORDS[payload]
    assert problems(record) == []
    modelled(record)


def test_there_is_a_case_for_every_type_of_event() -> None:
    assert {type(payload) for payload in PAYLOADS} == set(e.Payload.__args__)


@pytest.mark.parametrize(
    ("kind", "class_uid", "activity"),
    [
        (e.SessionOpened, 3002, "Logon"),
        (e.SessionRefused, 3002, "Logon"),
        (e.SessionClosed, 3002, "Logoff"),
        (e.StatementDecided, 6005, "Query"),
        (e.StatementExecuted, 6005, "Query"),
        (e.ApprovalRequested, 3004, "Create"),
        (e.ApprovalGranted, 3004, "Activate"),
        (e.ApprovalDenied, 3004, "Deny"),
        (e.ApprovalExpired, 3004, "Expire"),
        (e.ApprovalUsed, 3004, "Use"),
        (e.PolicyActivated, 3004, "Activate"),
        (e.PolicyRejected, 3004, "Activate"),
        (e.CatalogChanged, 3004, "Update"),
        (e.SettingsChanged, 3004, "Update"),
        (e.TextRevealed, 3004, "Read"),
        (e.KeysErased, 3004, "Delete"),
        (e.AlertRaised, 2004, "Create"),
        (e.EnforcementGapReported, 6008, "General Error"),
        (e.CheckpointSigned, 0, "Checkpoint"),
        (e.UnknownPayload, 0, "Unknown"),
    ],
)
def test_an_event_has_its_class_and_activity(kind: type, class_uid: int, activity: str) -> None:
    assert (of(kind)["class_uid"], of(kind)["activity_name"]) == (class_uid, activity)


@pytest.mark.parametrize(
    ("number", "action", "disposition", "status", "severity", "alert"),
    [
        (0, "Allowed", "Allowed", "Success", "Informational", False),
        (1, "Denied", "Blocked", "Failure", "High", True),
        (2, "Held", "Delayed", "Held", "High", False),
    ],
    ids=["allow", "deny", "hold"],
)
def test_a_decision_is_an_outcome_of_a_security_control(
    number: int, action: str, disposition: str, status: str, severity: str, alert: bool
) -> None:
    record = of(e.StatementDecided, number)
    assert record["metadata"]["profiles"] == ["security_control"]
    assert (record["action"], record["disposition"], record["status"]) == (action, disposition, status)
    assert (record["severity"], record["is_alert"]) == (severity, alert)


def test_a_decision_says_who_from_where_and_by_which_rules() -> None:
    record = of(e.StatementDecided)
    assert record["actor"]["user"]["name"] == "agent-7"
    assert record["actor"]["session"]["uid"] == "s1"
    assert record["unmapped"]["on_behalf_of"] == [{"subject": "alice", "issuer": ALICE.issuer, "kind": "human"}]
    assert record["src_endpoint"] == {"ip": "127.0.0.1", "port": 50000, "svc_name": "psql"}
    assert (record["database"]["name"], record["table"]["name"]) == ("shop", "public.customers")
    assert record["query_info"]["query_string"] == "SELECT email FROM customers WHERE id = ?"
    assert record["policy"]["uid"] == "rev-1"
    assert [one["decision"] for one in record["actor"]["authorizations"]] == ["allow"]
    assert record["duration"] == 2


def test_a_record_carries_its_events_id_and_place() -> None:
    """So that one that comes twice is seen to be the same, and the event is found in the log."""
    record = of(e.StatementDecided)
    assert record["metadata"]["uid"] == "0190f1a2-0000-7000-8000-000000000004"
    assert record["metadata"]["correlation_uid"] == "s1"
    assert record["metadata"]["event_code"] == "airlock.v1.StatementDecided"
    assert (record["unmapped"]["producer_id"], record["unmapped"]["seq"]) == ("node-1", 4)


def test_an_execution_says_whose_it_was() -> None:
    """The event names its decision only."""
    record = of(e.StatementExecuted)
    assert record["actor"]["user"]["name"] == "agent-7"
    assert record["database"]["name"] == "shop"
    assert record["query_info"]["bytes"] == record["unmapped"]["bytes"]
    assert of(e.StatementExecuted, 1)["status_code"] == "57014"


def test_what_went_before_may_be_forgotten() -> None:
    """The record then says less, and stays valid."""
    for payload in (*(one for one in PAYLOADS if isinstance(one, e.StatementExecuted | e.SessionClosed)),
                    next(one for one in PAYLOADS if isinstance(one, e.ApprovalUsed))):  # fmt: skip
        (record,) = mapped(event(payload, 1))
        assert problems(record) == []
        modelled(record)
        assert "user" not in record.get("actor", {})


def test_memory_is_bounded() -> None:
    """The newest are remembered."""
    opened = [event(replace(PAYLOADS[0], session_id=f"s{n}"), n + 1) for n in range(5)]  # type: ignore[type-var]
    closed = [event(e.SessionClosed(f"s{n}", "client", 1, 1, 1, 1), n + 10) for n in range(5)]
    names = [record["user"]["name"] for record in mapped(*opened, *closed, most=2)[5:]]
    assert names == ["unknown", "unknown", "unknown", "agent-7", "agent-7"]


def test_no_record_holds_a_literal() -> None:
    """Not even where the settings have events hold the exact text."""
    assert SECRET in repr(PAYLOADS)
    assert SECRET not in json.dumps(list(RECORDS.values()))


@pytest.mark.parametrize(
    ("kinds", "operations", "activity"),
    [
        (["select"], [], "Query"),
        (["copy_out"], [], "Query"),
        (["insert"], [], "Write"),
        (["update", "select"], [], "Update"),
        (["delete", "select"], [], "Delete"),
        (["truncate"], [], "Delete"),
        (["ddl"], ["create"], "Create"),
        (["ddl"], ["drop"], "Delete"),
        (["ddl"], ["alter"], "Update"),
        (["session"], [], "session"),
    ],
)
def test_the_activity_is_the_strongest_of_what_a_message_does(
    kinds: list[str], operations: list[str], activity: str
) -> None:
    facts = json.loads(document("text", kinds))
    facts["statement"]["statements"][0]["operations"] = [
        {"verb": verb, "object_type": "table", "objects": [], "options": []} for verb in operations
    ]
    payload = decided("d", "s", json.dumps(facts).encode(), "text", PolicyEffect.ALLOW, "r")
    (record,) = mapped(event(payload, 1))
    assert record["activity_name"] == activity
    assert problems(record) == []


@pytest.mark.parametrize(
    ("address", "split"),
    [
        ("192.0.2.1:5000", ("192.0.2.1", 5000)),
        ("[2001:db8::1]:5000", ("2001:db8::1", 5000)),
        ("2001:db8::1:5000", ("2001:db8::1", 5000)),
        ("host", ("host", None)),
        ("", ("", None)),
    ],
)
def test_an_address_is_split(address: str, split: tuple[str, int | None]) -> None:
    assert split_address(address) == split


@settings(max_examples=80, deadline=None)
@given(st.lists(values(e.Payload), min_size=1, max_size=4), st.integers(1, 2**40))
def test_whatever_an_event_says_its_record_is_valid(payloads: list[Any], seq: int) -> None:
    """Any text in any field, also none."""
    for record in mapped(*(event(payload, seq + n) for n, payload in enumerate(payloads))):
        assert problems(record) == []
        modelled(record)


def spoilt(change: Callable[[Record], object]) -> Record:
    record: Record = json.loads(json.dumps(of(e.StatementDecided)))
    change(record)
    return record


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.update(who="alice"), "who is no attribute"),
        (lambda r: r["actor"].update(name="alice"), "actor.name is no attribute"),
        (lambda r: r.update(actor={}), "actor is empty"),
        (lambda r: r.update(actor={"authorizations": r["actor"]["authorizations"]}), "actor needs one of"),
        (lambda r: [r.pop("database"), r.pop("table")], "needs one of"),
        (lambda r: r.pop("src_endpoint"), "src_endpoint is required"),
        (lambda r: r["metadata"].pop("profiles"), "action_id is no attribute"),
        (lambda r: r.update(activity_name="Read"), "activity_name is 'Read'"),
        (lambda r: r.update(action_id=99, action=""), "Other needs action"),
        (lambda r: r.update(type_uid=1), "type_uid 1"),
        (lambda r: r["src_endpoint"].update(port=70_000), "no port_t"),
        (lambda r: r["src_endpoint"].update(ip="nowhere"), "no ip_t"),
        (lambda r: r["metadata"].update(sequence=2**40), "no integer_t"),
        (lambda r: r["metadata"].update(uid=""), "metadata.uid is empty"),
        (lambda r: r["actor"]["user"].update(groups={"name": "a"}), "must be an array"),
    ],
)  # fmt: skip
def test_the_checks_find_what_is_wrong(change: Callable[[Record], object], said: str) -> None:
    """Each of what the models let pass, or would say less clearly."""
    assert any(said in problem for problem in problems(spoilt(change))), problems(spoilt(change))


def test_the_models_alone_would_let_mistakes_pass() -> None:
    """Why there are checks beside them."""
    modelled(spoilt(lambda r: r.update(who="alice")))
    modelled(spoilt(lambda r: r.update(actor={})))
    modelled(spoilt(lambda r: [r.pop("database"), r.pop("table")]))


def test_a_dropped_table_of_an_unknown_client_is_still_a_record() -> None:
    """Nothing of who or where is known but the principal."""
    payload = replace(
        decided("d", "", DROP, "", PolicyEffect.DENY, "r"), client=replace(CLIENT, address="", application="")
    )
    (record,) = mapped(event(replace(payload, enforcement_point=""), 1))
    assert problems(record) == []
    assert record["src_endpoint"] == {"name": "unknown"}
