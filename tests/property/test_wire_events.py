"""The event codec gives back exactly what it was given, within the size of a leaf."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision.model import events as model
from decision.model.errors import ChainBroken
from decision.model.events import EventDraft, Omission, SessionClosed, UnknownPayload
from decision.model.principal import Principal, PrincipalKind
from decision.wire.events import MAX_EVENT_BYTES, PAYLOADS, ProtobufEventCodec, event_type
from decision.wire.gen import events_pb2 as pb
from tests.support.model_values import INTEGER, TEXT, values

CODEC = ProtobufEventCodec()


def drafts(payload: type) -> st.SearchStrategy[EventDraft]:
    return st.builds(
        EventDraft,
        id=TEXT,
        time_unix_nano=st.integers(0, 2**63 - 1),
        source=TEXT,
        correlation_id=TEXT,
        causation_id=TEXT,
        trace_id=st.binary(max_size=16),
        span_id=st.binary(max_size=8),
        omissions=st.lists(st.builds(Omission, TEXT, st.binary(max_size=32), INTEGER), max_size=2).map(tuple),
        payload=values(payload, 4),
    )


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
def test_every_payload_comes_back_exactly(payload: type) -> None:
    """Whatever a payload holds, decoding the encoded event gives the same value and the same place in the chain."""

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(drafts(payload), TEXT, INTEGER, INTEGER, st.binary(max_size=32))
    def check(draft: EventDraft, producer: str, epoch: int, seq: int, prev_hash: bytes) -> None:
        raw = CODEC.encode(draft, producer, epoch, seq, prev_hash)
        assert CODEC.decode(raw) == (draft, producer, epoch, seq, prev_hash)
        assert pb.AuditEvent.FromString(raw).type == event_type(draft.payload) == f"airlock.v1.{payload.__name__}"

    check()


def test_every_payload_of_the_model_has_a_place_in_the_oneof() -> None:
    """The oneof and the model's union name the same payloads, and their fields are the same."""
    oneof = {field.name for field in pb.AuditEvent.DESCRIPTOR.oneofs_by_name["payload"].fields}
    assert {field for field, _, _ in PAYLOADS.values()} == oneof
    assert set(PAYLOADS) == set(typing.get_args(model.Payload)) - {UnknownPayload}
    for _, _, table in PAYLOADS.values():
        assert not table.uncovered()


@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(0, 80_000), st.integers(0, 80_000), st.integers(0, 400), st.integers(0, 40_000))
def test_no_event_is_larger_than_a_leaf(text: int, document: int, rules: int, intent: int) -> None:
    """However much a decision holds, its event fits 65,535 bytes and says by hash what was left out."""
    rule = model.RuleResult("guardrails.long_rule", model.PolicyEffect.DENY, "m" * 200)
    principal = model.Principal("https://issuer", "alice", "human")  # type: ignore[arg-type]
    payload = model.StatementDecided(
        *("d", "s"), principal, "shop", "prod", "query", model.PolicyEffect.DENY, "no", (rule,) * rules,
        *("rev", "regorus", b"j" * document, b"", b"", "t" * text), intent="i" * intent,
    )  # fmt: skip
    raw = CODEC.encode(EventDraft("id", 1, "source", "s", payload), "p", 1, 1, b"")
    draft = CODEC.decode(raw)[0]
    assert len(raw) <= MAX_EVENT_BYTES
    omitted = {omission.field: omission for omission in draft.omissions}
    assert (draft.payload == payload) == (not omitted)
    if "input_json" in omitted:
        assert omitted["input_json"].length == document
        assert "statement_text" in omitted or text <= 256


def test_the_text_is_left_out_before_the_policy_input() -> None:
    """The input repeats the text, so a long text alone never costs a decision its replay."""
    principal = model.Principal("https://issuer", "alice", "human")  # type: ignore[arg-type]
    payload = model.StatementDecided(
        *("d", "s"), principal, "shop", "prod", "query", model.PolicyEffect.DENY, "no", (),
        *("rev", "regorus", b"j" * 60_000, b"", b"", "t" * 20_000),
    )  # fmt: skip
    draft = CODEC.decode(CODEC.encode(EventDraft("id", 1, "source", "s", payload), "p", 1, 1, b""))[0]
    assert isinstance(draft.payload, model.StatementDecided)
    assert draft.payload.input_json == b"j" * 60_000
    assert draft.payload.statement_text == "t" * 256
    assert [omission.field for omission in draft.omissions] == ["statement_text"]


def test_who_acted_is_never_left_out() -> None:
    """Two principals with tens of thousands of groups: the groups go, the chain stays."""
    groups = tuple(f"group-{number}" for number in range(10_000))
    human = Principal("https://issuer", "alice", PrincipalKind.HUMAN, groups=groups)
    agent = Principal("https://issuer", "bot", PrincipalKind.AGENT, groups=groups, on_behalf_of=(human,))
    opened = model.SessionOpened("s", agent, "shop", "postgres", "prod", "", model.ClientInfo(), "ep")
    raw = CODEC.encode(EventDraft("id", 1, "source", "s", opened), "p", 1, 1, b"")
    draft = CODEC.decode(raw)[0]
    assert len(raw) <= MAX_EVENT_BYTES and isinstance(draft.payload, model.SessionOpened)
    assert [member.subject for member in draft.payload.principal.chain()] == ["bot", "alice"]
    fields = {omission.field for omission in draft.omissions}
    assert fields == {"principal.groups", "principal.on_behalf_of[0].groups"}


@settings(max_examples=10, deadline=None, database=None)
@given(st.data())
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
def test_whatever_is_huge_is_cut_to_fit(payload: type, data: st.DataObject) -> None:
    """Any one text or list of any payload, far over the limit: the event fits, the rest is as it was."""
    value = data.draw(values(payload, 3))
    hints = typing.get_type_hints(payload)
    texts = {name: "é" * 40_000 for name, hint in hints.items() if hint is str}
    texts |= {name: b"\0" * 80_000 for name, hint in hints.items() if hint is bytes}  # type: ignore[dict-item]
    huge = dataclasses.replace(value, **texts)
    raw = CODEC.encode(EventDraft("id", 1, "source", "s", huge), "p", 1, 1, b"")
    draft = CODEC.decode(raw)[0]
    assert len(raw) <= MAX_EVENT_BYTES
    cut = {omission.field for omission in draft.omissions}
    for name in hints.keys() - texts.keys():
        if name not in cut and not any(field.startswith(name + ".") for field in cut):
            assert getattr(draft.payload, name) == getattr(value, name)


def test_a_payload_of_a_newer_version_is_read_as_unknown() -> None:
    """A reader meets a payload it doesn't know: the envelope is whole and the type is told."""
    event = pb.AuditEvent(id="e", type="airlock.v1.FromTheFuture", seq=7)
    future = event.SerializeToString() + bytes([0xF2, 0x3F, 2, 8, 1])  # field 1022, two bytes
    draft, _, _, seq, _ = CODEC.decode(future)
    assert (draft.id, seq) == ("e", 7)
    assert isinstance(draft.payload, UnknownPayload) and draft.payload.type == "airlock.v1.FromTheFuture"


def test_an_enum_member_of_a_newer_version_makes_the_payload_unknown() -> None:
    """An outcome that this version has no word for is not guessed."""
    event = pb.AuditEvent(type="airlock.v1.StatementExecuted", statement_executed=pb.StatementExecuted(outcome=99))  # type: ignore[arg-type]
    payload = CODEC.decode(event.SerializeToString())[0].payload
    assert isinstance(payload, UnknownPayload) and "99" in payload.why


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    """A known payload with an added field is read as before."""
    closed = SessionClosed("s", "client", 1, 2, 3, 4)
    raw = CODEC.encode(EventDraft("e", 1, "x", "s", closed), "p", 1, 1, b"") + bytes([0xF2, 0x3F, 2, 8, 1])
    assert CODEC.decode(raw)[0].payload == closed


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x22\x01"])
def test_bytes_that_are_no_event_are_refused_by_name(raw: bytes) -> None:
    """Garbage raises ChainBroken, never a protobuf error."""
    with pytest.raises(ChainBroken):
        CODEC.decode(raw)


def test_text_that_utf8_cannot_hold_is_recorded_with_question_marks() -> None:
    """A client's lone surrogate can't stop its denial from being recorded."""
    refused = model.SessionRefused("s", "shop", "bob\ud800", "code", "no", model.ClientInfo(application="\udfff"), "ep")
    payload = CODEC.decode(CODEC.encode(EventDraft("e", 1, "x", "s", refused), "p", 1, 1, b""))[0].payload
    assert payload == dataclasses.replace(refused, user="bob?", client=model.ClientInfo(application="?"))


def test_an_envelope_that_is_itself_too_large_is_the_callers_mistake() -> None:
    """Ids are ours: a huge one is refused, not cut."""
    with pytest.raises(ValueError, match="envelope"):
        CODEC.encode(EventDraft("i" * 70_000, 1, "x", "s", SessionClosed("s", "c", 1, 2, 3, 4)), "p", 1, 1, b"")
