"""What repeats from decision to decision is decoded once, and every decision keeps what is its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decision.model.errors import ChainBroken
from decision.model.events import EventDraft, PinnedValue, StatementDecided
from decision.model.session import ClientInfo
from decision.wire.events import _OWN, ProtobufEventCodec
from tests.support.analytics_story import story

CODEC = ProtobufEventCodec()
DECISION = next(event.payload for event in story(1) if isinstance(event.payload, StatementDecided))
OWN = {
    "decision_id": "d-9",
    "session_id": "s-9",
    "input_json": b"{}",
    "statement_digest": b"\x09" * 32,
    "parameters_digest": b"\x08" * 32,
    "pinned": (PinnedValue(0, "public", "orders", "id", "pinned", b"mac"),),
    "latency_ns": 12_345,
    "parse_decision_id": "d-8",
    "client": ClientInfo("10.0.0.9:1", "other"),
}


def through(payload: StatementDecided) -> StatementDecided:
    raw = CODEC.encode(EventDraft("e", 1, "s", "c", payload), "p", 1, 1, bytes(32))
    found = CODEC.decode(raw)[0].payload
    assert isinstance(found, StatementDecided)
    return found


def test_the_list_of_own_fields_is_the_codecs() -> None:
    """A field that is added to the codec's list is added here too."""
    assert {StatementDecided.__slots__[place] for place in _OWN.places} == OWN.keys()


@pytest.mark.parametrize("name", OWN)
def test_own_fields_stay_with_their_decision(name: str) -> None:
    """After an equal decision, one that differs in an own field comes back as it was written; and the first again."""
    other = replace(DECISION, **{name: OWN[name]})  # type: ignore[arg-type]
    bare = replace(DECISION, **{name: type(OWN[name])()})  # type: ignore[arg-type]
    for payload in (DECISION, other, bare, DECISION):
        assert through(payload) == payload


@pytest.mark.parametrize("name", ["message", "policy_revision", "statement_text", "error_code", "intent"])
def test_shared_fields_are_told_apart(name: str) -> None:
    """Two decisions that differ in what is usually shared are two decisions."""
    other = replace(DECISION, **{name: "another"})  # type: ignore[arg-type]
    assert (through(DECISION), through(other)) == (DECISION, other)
    assert through(other).results is through(replace(other, decision_id="d-10")).results


def test_the_place_in_the_chain_is_what_decoding_gives() -> None:
    """Read alone it is the same, and bytes that are no event are refused the same way."""
    for event in story(2):
        assert CODEC.place_of(event.raw) == CODEC.decode(event.raw)[1:]
    for read in (CODEC.decode, CODEC.place_of):
        with pytest.raises(ChainBroken, match="no audit event"):
            read(b"\xff\xff\xff")
