"""Every value that crosses gRPC comes back exactly, catalogs and errors included."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision.model.catalog import CatalogSnapshot
from decision.model.errors import (
    AirlockError,
    ChainBroken,
    LimitExceeded,
    ObligationUnfulfillable,
    ServiceUnavailable,
    SyntaxRefused,
    TextRefused,
)
from decision.wire.catalog import FUNCTION, RELATION, SnapshotAssembler, parts
from decision.wire.errors import MAX_TEXT, error_message, error_of, tree
from decision.wire.gen import catalog_pb2, common_pb2, decision_pb2
from decision.wire.mapping import Mapping
from decision.wire.translate import DECIDE_REQUEST, DECISION, ITEM_FIELDS, TABLES, decide_item, decision_of
from tests.support.model_values import values

ALL_TABLES = (*TABLES, RELATION, FUNCTION)
QUIET = settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
LEAVES = [leaf for leaf in tree() if "code" in vars(leaf)]


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.model.__name__)
def test_every_value_comes_back_exactly(table: Mapping[Any]) -> None:
    """Through the bytes, not only through the message."""

    @QUIET
    @given(values(table.model, 4))
    def check(value: Any) -> None:
        assert table.decode(table.message.FromString(table.encode(value).SerializeToString())) == value

    check()


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.model.__name__)
def test_model_and_contract_have_the_same_fields(table: Mapping[Any]) -> None:
    """A field added on one side only is noticed here; only the item has more, its place on the stream."""
    assert table.uncovered() == (ITEM_FIELDS if table is DECIDE_REQUEST else set())


@QUIET
@given(values(CatalogSnapshot, 4), st.integers(1, 2000))
def test_a_catalog_comes_back_whatever_the_chunks(snapshot: CatalogSnapshot, chunk_bytes: int) -> None:
    """One header, then chunks of any size."""
    assembler = SnapshotAssembler()
    for part in parts(snapshot, chunk_bytes):
        assembler.add(decision_pb2.SyncCatalogRequest.FromString(part.SerializeToString()))
    assert assembler.snapshot() == snapshot


def test_a_cut_catalog_is_refused() -> None:
    """A stream that ends early leaves no half a catalog; nor does one without its header, or with two."""
    header = catalog_pb2.CatalogHeader(database="shop", relation_count=1)
    first = decision_pb2.SyncCatalogRequest(header=header)
    assembler = SnapshotAssembler()
    assembler.add(first)
    with pytest.raises(TextRefused, match="incomplete"):
        assembler.snapshot()
    with pytest.raises(TextRefused, match="one header"):
        assembler.add(first)
    with pytest.raises(TextRefused, match="one header"):
        SnapshotAssembler().add(decision_pb2.SyncCatalogRequest(chunk=catalog_pb2.CatalogChunk()))
    with pytest.raises(TextRefused, match="incomplete"):
        SnapshotAssembler().snapshot()


def test_a_catalog_over_its_limit_is_refused_while_it_arrives() -> None:
    """The limit holds for the sum of the parts."""
    assembler = SnapshotAssembler(max_bytes=100)
    assembler.add(decision_pb2.SyncCatalogRequest(header=catalog_pb2.CatalogHeader(database="s" * 60)))
    with pytest.raises(LimitExceeded):
        assembler.add(decision_pb2.SyncCatalogRequest(header=catalog_pb2.CatalogHeader(database="s" * 60)))


def test_a_relation_kind_of_a_newer_version_is_refused() -> None:
    """No relation is guessed to be a table."""
    chunk = catalog_pb2.CatalogChunk(relations=[catalog_pb2.CatalogRelation(kind=99)])  # type: ignore[arg-type]
    assembler = SnapshotAssembler()
    assembler.add(decision_pb2.SyncCatalogRequest(header=catalog_pb2.CatalogHeader(database="shop")))
    with pytest.raises(TextRefused, match="99"):
        assembler.add(decision_pb2.SyncCatalogRequest(chunk=chunk))


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_every_error_of_the_tree_comes_back_as_itself(leaf: type[AirlockError]) -> None:
    """Class, text and hint of each leaf."""
    back = error_of(common_pb2.Error.FromString(error_message(leaf("what", hint="way out")).SerializeToString()))
    assert type(back) is leaf
    assert (back.message, back.hint, back.code) == ("what", "way out", leaf.code)


def test_errors_with_a_place_keep_it() -> None:
    """The cursor of a syntax error, the first event that does not verify."""
    syntax = error_of(error_message(SyntaxRefused("bad", cursor=7)))
    broken = error_of(error_message(ChainBroken("bad", producer_id="p", epoch=2, seq=3)))
    assert isinstance(syntax, SyntaxRefused) and syntax.cursor == 7
    assert isinstance(broken, ChainBroken) and (broken.producer_id, broken.epoch, broken.seq) == ("p", 2, 3)


def test_what_is_none_of_ours_crosses_without_its_text() -> None:
    """An internal error's text may hold a literal."""
    message = error_message(ValueError("literal 4711"))
    assert "4711" not in str(message)
    assert type(error_of(message)) is ServiceUnavailable


def test_an_error_of_a_newer_version_denies() -> None:
    """An unknown code is ServiceUnavailable."""
    assert type(error_of(common_pb2.Error(code="from_the_future"))) is ServiceUnavailable


def test_a_long_error_is_cut_to_what_metadata_may_hold() -> None:
    """Also where the cut would split a character."""
    message = error_message(AirlockError("x" + "é" * 5000, hint="\ud800"))
    assert len(message.message.encode()) <= MAX_TEXT and message.hint == "?"


def test_an_obligation_of_a_newer_version_is_not_passed_over() -> None:
    """An unknown field anywhere in a decision, or an unknown mask method, denies."""
    unknown = decision_pb2.OutputMask.FromString(b"\x08\x01\x10\x02" + bytes([0xF2, 0x3F, 2, 8, 1]))
    statement = decision_pb2.StatementObligations(masks=[unknown])
    for decision in (
        decision_pb2.Decision(effect="POLICY_EFFECT_ALLOW", statements=[statement]),
        decision_pb2.Decision.FromString(b"\x10\x01" + bytes([0xF2, 0x3F, 2, 8, 1])),
        decision_pb2.Decision(effect=9),  # type: ignore[arg-type]
        decision_pb2.Decision(),
    ):
        with pytest.raises(ObligationUnfulfillable):
            decision_of(decision)


@QUIET
@given(values(DECISION.model, 4))
def test_a_decision_of_this_version_is_never_refused(decision: Any) -> None:
    """The check for newer fields has no false alarm."""
    assert decision_of(decision_pb2.Decision.FromString(DECISION.encode(decision).SerializeToString())) == decision


@QUIET
@given(values(DECIDE_REQUEST.model, 3), st.integers(0, 2**64 - 1), st.integers(0, 10**9))
def test_an_item_keeps_its_request_and_its_place(request: Any, request_id: int, timeout_ms: int) -> None:
    """The item is the request plus its id and its deadline."""
    item = decide_item(request, request_id, timeout_ms)
    assert DECIDE_REQUEST.decode(item) == request
    assert (item.request_id, item.timeout_ms) == (request_id, timeout_ms)
