"""Sessions, statements and events as a real OTLP receiver decodes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.exports.context import Contexts
from analytics.exports.ocsf import OcsfMapper
from analytics.exports.otlp import OtlpSender
from analytics.exports.run import ExportFailed
from analytics.exports.telemetry import Telemetry, TelemetryMapper, session_context, statement_context
from decision.model import events as e
from decision.model.session import Outcome
from decision.wire.events import event_type
from tests.support.analytics_story import START
from tests.support.export_events import ALLOWED, OPENED, SECRET, event, events
from tests.support.model_values import values
from tests.support.otlp import Collector, attributes, collector

SPAN_OK, SPAN_ERROR = 0, 2
SERVER, CLIENT = 2, 3


@pytest.fixture(scope="module")
def receiver() -> Iterator[Collector]:
    with collector() as found:
        yield found


def told(*given_events: e.AuditEvent) -> Telemetry:
    mapper, telemetry = TelemetryMapper(OcsfMapper("0.1.0", Contexts())), Telemetry()
    for one in given_events:
        mapper.contexts.take(one)
        mapper.take(one, event_type(one.payload), telemetry)
    return telemetry


@pytest.fixture
def sent(receiver: Collector) -> Collector:
    """All events of the cases, as received."""
    receiver.requests.clear()
    sender = OtlpSender(receiver.address, "0.1.0", timeout_s=10)
    sender.send(told(*events()))
    sender.close()
    return receiver


def span(of: Collector, name: str, error: bool = False) -> Any:
    (found,) = [one for one in of.spans if one.name == name and (one.status.code == SPAN_ERROR) == error]
    return found


def test_a_session_is_the_parent_of_its_statements(sent: Collector) -> None:
    """In one trace, of which the session's span is the root."""
    trace, root = session_context("s1")
    session = span(sent, "session shop")
    assert (session.trace_id, session.span_id, session.parent_span_id) == (trace, root, b"")
    assert (session.kind, session.end_time_unix_nano - session.start_time_unix_nano) == (SERVER, 5_000_000_000)
    children = [one for one in sent.spans if one.kind == CLIENT]
    assert {(one.trace_id, one.parent_span_id) for one in children} == {(trace, root)}
    assert len({one.span_id for one in children}) == len(children)  # also of one that is executed twice


def test_a_statement_is_a_span_from_its_question_to_its_end(sent: Collector) -> None:
    """By the stable conventions for databases; the text is the normalized one."""
    found = span(sent, "SELECT public.customers")
    assert found.start_time_unix_nano == START + 4_000_000 - ALLOWED.latency_ns
    assert found.end_time_unix_nano == START + 5_000_000
    said = attributes(found)
    assert {key: said[key] for key in said if key.startswith("db.")} == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.collection.name": "public.customers",
        "db.operation.name": "SELECT",
        "db.query.text": "SELECT email FROM customers WHERE id = ?",
        "db.query.summary": "SELECT public.customers",
    }
    assert (said["client.address"], said["client.port"], said["session.id"]) == ("127.0.0.1", 50000, "s1")
    assert (said["airlock.effect"], said["airlock.rules"]) == ("allow", ["access.read"])
    assert said["airlock.principal.on_behalf_of"] == ["alice"]
    assert found.status.code == SPAN_OK


def test_what_failed_or_was_denied_is_an_error(sent: Collector) -> None:
    """With the server's state, or the rule."""
    failed = attributes(span(sent, "SELECT public.customers", error=True))
    assert (failed["db.response.status_code"], failed["error.type"]) == ("57014", "57014")
    denied = span(sent, "DDL public.payments", error=True)
    assert attributes(denied)["error.type"] == "guardrails.drop_critical"
    assert denied.status.message.startswith("denied by guardrails.drop_critical")
    held = attributes(span(sent, "UPDATE public.customers", error=True))
    assert (held["airlock.effect"], held["airlock.approval.id"]) == ("hold", "a1")


def test_every_event_is_a_log_record_of_its_trace(sent: Collector) -> None:
    """Named by its type, with the event's id, at the event's time."""
    assert [record.event_name for record in sent.logs] == [event_type(one.payload) for one in events()]
    assert len({attributes(record)["log.record.uid"] for record in sent.logs}) == len(events())
    decided = sent.logs[3]
    executed = span(sent, "SELECT public.customers")
    assert (decided.trace_id, decided.span_id) == (executed.trace_id, executed.span_id)
    assert decided.time_unix_nano == START + 4_000_000
    assert [record.severity_text for record in sent.logs[3:7]] == ["INFO", "INFO", "ERROR", "ERROR"]


def test_the_resource_names_the_producer(sent: Collector) -> None:
    resource = attributes(sent.requests[0].resource_spans[0].resource)
    assert resource == {"service.name": "airlock", "service.version": "0.1.0", "service.instance.id": "node-1"}


def test_no_literal_is_sent(sent: Collector) -> None:
    assert [one for one in sent.requests if SECRET in str(one)] == []


def test_what_is_sent_twice_is_the_same_twice(receiver: Collector) -> None:
    """Ids, times and attributes come from the events alone."""
    sender = OtlpSender(receiver.address, "0.1.0", timeout_s=10)
    seen = []
    for _ in range(2):
        receiver.requests.clear()
        sender.send(told(*events()))
        seen.append([one.SerializeToString(deterministic=True) for one in receiver.requests])
    sender.close()
    assert seen[0] == seen[1]


def test_a_trace_of_the_clients_own_is_gone_on_with() -> None:
    """The span belongs to that trace, below the client's span, and is linked to its session."""
    trace, parent = bytes(range(1, 17)), b"\x09" * 8
    asked = event(ALLOWED, 2, trace_id=trace, span_id=parent)
    ran = event(e.StatementExecuted("d1", "s1", 0, Outcome.COMPLETED, "SELECT 1", 1, 1, 1, "", 0), 3)
    (found,) = told(event(OPENED, 1), asked, ran).spans
    assert (found.context[0], found.parent) == (trace, parent)
    assert found.link == session_context("s1")


def test_each_statement_of_a_message_is_a_span_of_its_own() -> None:
    assert statement_context("d1", 0, "s1")[0] == statement_context("d1", 1, "s1")[0]
    assert statement_context("d1", 0, "s1")[1] != statement_context("d1", 1, "s1")[1]


def test_an_execution_of_a_forgotten_decision_is_still_a_span() -> None:
    """Below its session, with what the execution itself says."""
    ran = e.StatementExecuted("gone", "s9", 0, Outcome.COMPLETED, "SELECT 1", 1, 1, 7_000, "", 0)
    (found,) = told(event(ran, 1)).spans
    assert found.parent == session_context("s9")[1]
    assert found.end - found.start == 7_000


def test_a_statement_that_is_only_prepared_is_no_span() -> None:
    prepared = replace(ALLOWED, message_kind="parse")
    assert told(event(prepared, 1)).spans == []


def test_a_collector_that_refuses_is_an_error(receiver: Collector) -> None:
    """After the exporter's own attempts; what was not taken is sent again by whoever keeps the position."""
    receiver.requests.clear()
    receiver.refuse = 1_000
    sender = OtlpSender(receiver.address, "0.1.0", timeout_s=0.3)
    with pytest.raises(ExportFailed, match="did not take"):
        sender.send(told(event(OPENED, 1)))
    receiver.refuse = 1
    OtlpSender(receiver.address, "0.1.0", timeout_s=10).send(told(event(OPENED, 1)))
    assert len(receiver.logs) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(values(e.Payload), min_size=1, max_size=5))
def test_whatever_events_say_it_can_be_sent(payloads: list[Any]) -> None:
    """The exporters' own encoders take it."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    sender = OtlpSender("http://127.0.0.1:9", "0.1.0")
    telemetry = told(*(event(payload, seq) for seq, payload in enumerate(payloads, 1)))
    spans = encode_spans([sender._span(one) for one in telemetry.spans])
    logs = encode_logs([sender._log(one) for one in telemetry.logs])
    assert len(logs.resource_logs[0].scope_logs[0].log_records) == len(payloads)
    for resource in spans.resource_spans:
        for one in resource.scope_spans[0].spans:
            assert one.end_time_unix_nano >= one.start_time_unix_nano
            assert len(one.trace_id) == 16 and len(one.span_id) == 8
