"""Generated statements, held against what really flows on a server.

Two witnesses: the same statement on databases that differ in one column's values (whatever output moves must have that
column among its sources), and the columns that the server binds when the query is made a view. Longer and with other
statements each time: AIRLOCK_LINEAGE_EXAMPLES=20000 pytest tests/differential/test_analysis_lineage.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from airlock.demo.postgres import BundledPostgres
from tests.support.lineage_truth import World, run
from tests.support.sql_schema import SENSITIVE
from tests.support.sql_statements import Made, Statements

pytestmark = pytest.mark.postgres
ASKED = int(os.environ.get("AIRLOCK_LINEAGE_EXAMPLES", "0"))
CHECK = settings(
    max_examples=ASKED or 300,
    derandomize=not ASKED,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def statements(draw: st.DrawFn) -> tuple[tuple[str, str, str], Made]:
    """A sensitive column, and the messages of a session that may tell it."""
    key = draw(st.sampled_from(sorted(SENSITIVE)))
    choices = draw(st.randoms(use_true_random=False))
    return key, Statements(choices.randint, key[2]).message()


@pytest.fixture(scope="module")
def world(postgres: BundledPostgres) -> Iterator[World]:
    made = World(postgres.dsn("postgres"))
    yield made
    made.close()


@CHECK
@given(drawn=statements())
def test_nothing_moves_unseen(world: World, drawn: tuple[tuple[str, str, str], Made]) -> None:
    """What moves with a column has it among its sources or is opaque; usage says if it decides about rows."""
    key, made = drawn
    note("\n".join(made.messages))
    before = run(world.base, made.messages)
    if before.state and not before.state.startswith(("21", "22", "23")):
        return  # the server refuses it, whatever the values are
    session = world.facts(made.messages)
    assert all(facts.complete for facts in session), [facts.unresolved for facts in session]
    assert world.misses(key, made.messages, session, strict=not made.implicit) == []


@CHECK
@given(drawn=statements())
def test_the_server_binds_no_more(world: World, drawn: tuple[tuple[str, str, str], Made]) -> None:
    """Every relation and column that the server binds for a query is among the facts, and outputs have its names."""
    _, made = drawn
    text = made.messages[0]
    note(text)
    if len(made.messages) > 1 or not text.startswith(("SELECT", "(")):
        return
    bound = world.bound(text)
    if bound is None:
        return  # the server refuses it, or two outputs have one name
    facts = world.facts(made.messages)[-1]
    assert {(schema, table) for schema, table, _ in bound} <= {(r.schema, r.name) for r in facts.relations}
    views = {(r.schema, r.name) for r in world.catalog.relations if r.definition}
    columns = {
        name for name in bound if name[2] and name[:2] not in views
    }  # a view's are known by what they are made of
    assert columns <= {(c.schema, c.table, c.column) for c in facts.columns}


def test_innocent_outputs_stay_innocent(world: World) -> None:
    """Of 600 statements no output is opaque, and at most 2 % have a source that can't flow into them."""
    keys = sorted(SENSITIVE)
    outputs = over = 0
    for seed in range(600):
        key = keys[seed % len(keys)]
        made = Statements(random.Random(seed).randint, key[2]).message()
        if made.implicit or made.taints is None or run(world.base, made.messages).state:
            continue
        facts = world.facts(made.messages)[-1]
        assert not any(output.opaque for output in facts.output), made.messages
        for output, taint in zip(facts.output, made.taints, strict=False):
            outputs += 1
            over += not taint and key in {(s.schema, s.table, s.column) for s in output.sources}
    assert outputs > 500
    assert over <= outputs * 0.02
