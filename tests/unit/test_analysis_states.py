"""SessionState by itself: each effect grows it, nothing is forgotten, and what the server reports ends the doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from decision.analysis.effects import (
    ColumnsFilled,
    CursorDeclared,
    FunctionMade,
    IndexMade,
    MadeColumn,
    Prepared,
    RelationAltered,
    RelationMade,
    RoleSet,
    SearchPathSet,
    SessionEffect,
    SettingFilled,
    TransactionEnded,
)
from decision.analysis.result import Analysis
from decision.analysis.session import MAX_ALTERNATIVES, MAX_NAMES, SNAPSHOT_PATH, SessionState
from decision.model.facts import Facts, Kind, RelationKind, Statement

SSN = ("public", "users", "ssn")
X, Y = MadeColumn("x"), MadeColumn("y", frozenset({SSN}))
SELECT, DELETE = Statement("1", "SELECT $1", (Kind.SELECT,)), Statement("2", "DELETE FROM t", (Kind.DELETE,))


def table(name: str, *columns: MadeColumn, behind: Statement | None = None, complete: bool = True) -> RelationMade:
    return RelationMade("pg_temp", name, RelationKind.TEMPORARY, columns, complete, (), behind)


def after(*effects: SessionEffect, state: SessionState | None = None, pending: bool = True) -> SessionState:
    return (state or SessionState()).apply(effects, "v1", pending)


def advanced(state: SessionState, status: str, effects: Sequence[SessionEffect] = (), *flags: str) -> SessionState:
    facts = Facts("postgres", "17", "v1", (replace(SELECT, flags=flags),))
    return state.advance(Analysis(facts, b"", "", (), (tuple(effects),)), status)


def test_equal_states_have_equal_keys() -> None:
    """Whatever made them; a state that differs in any part has another key, and a key is only equal to keys."""
    effects: tuple[SessionEffect, ...] = (
        table("a", X), RelationAltered("s", "t"), FunctionMade("f"), Prepared("p", SELECT), CursorDeclared("c", SELECT),
        SearchPathSet(("a",)), RoleSet("bob"), IndexMade("s", "t", "i"), SettingFilled("app.x", frozenset({SSN})),
    )  # fmt: skip
    states = [SessionState(), *[after(effect) for effect in effects], after(*effects)]
    states += [SessionState().with_settings({"a": "b"}), replace(SessionState(), overflowed=True)]
    states.append(SessionState().within([SearchPathSet(("a",), runs=True)], "v1"))
    again = [SessionState(), *[after(effect) for effect in effects]]
    assert [state.key for state in again] == [state.key for state in states[: len(again)]]
    assert [hash(state.key) for state in again] == [hash(state.key) for state in states[: len(again)]]
    assert len({state.key for state in states}) == len(states)
    assert states[0].key != states[0].key.parts


def test_the_same_effect_twice_is_one() -> None:
    """What may hold already is not told again: a state that repeats itself does not grow."""
    effects = (
        Prepared("p", SELECT), CursorDeclared("c", SELECT), IndexMade("s", "t", "i"),
        SettingFilled("app.x", frozenset({SSN})), SearchPathSet(("a",)), RoleSet("bob"), FunctionMade("f"),
        RelationAltered("s", "t"), table("a", X),
    )  # fmt: skip
    once = after(*effects)
    assert after(*effects, state=once) == once
    assert len(once.altered) == len(once.made) == len(once.prepared) == len(once.cursors) == len(once.roles) == 1


def test_another_of_the_same_name_is_an_alternative() -> None:
    """Either may be what the name stands for."""
    state = after(
        Prepared("p", SELECT), Prepared("p", DELETE), CursorDeclared("c", SELECT), CursorDeclared("c", DELETE)
    )
    assert [known.statement for known in state.prepared] == [SELECT, DELETE]
    assert [known.statement for known in state.cursors] == [SELECT, DELETE]


def test_a_relation_made_twice_holds_what_either_holds() -> None:
    """With the same columns all of them are known, with others not; the others stay where they are."""
    same = after(table("a", X), table("b", X), table("c", X), table("b", MadeColumn("x", frozenset({SSN}))))
    assert [made.name for made in same.made] == ["a", "b", "c"]
    assert same.made[1].columns == (MadeColumn("x", frozenset({SSN})),)
    assert same.made[1].complete
    other = after(table("a", X), table("b", X), table("c", X), table("b", Y))
    assert [column.name for column in other.made[1].columns] == ["x", "y"]
    assert not other.made[1].complete
    assert not after(table("a", X, complete=False), table("a", X)).made[0].complete
    assert not after(table("a", X), table("a", X, complete=False)).made[0].complete


def test_a_view_made_twice() -> None:
    """Of two different queries either may run; one alone is kept."""
    assert after(table("v", X, behind=SELECT), table("v", X, behind=SELECT)).made[0].complete
    changed = after(table("v", X, behind=SELECT), table("v", X, behind=DELETE)).made[0]
    assert (changed.complete, changed.behind) == (False, DELETE)
    assert after(table("v", X, behind=SELECT), table("v", X)).made[0].behind == SELECT
    assert after(table("v", X), table("v", X, behind=SELECT)).made[0].behind == SELECT


def test_columns_are_filled_where_they_are() -> None:
    """Only in the relation of that name, only in columns that it has, on top of what they hold."""
    start = after(table("a", X), table("b", X, Y), table("c", X))
    filled = after(ColumnsFilled("pg_temp", "b", (MadeColumn("x", frozenset({SSN})), MadeColumn("z"))), state=start)
    assert filled.made == (start.made[0], table("b", MadeColumn("x", frozenset({SSN})), Y), start.made[2])
    assert after(ColumnsFilled("public", "b", (Y,)), state=start) == start
    opaque = after(ColumnsFilled("pg_temp", "b", (MadeColumn("y", opaque=True),)), state=start)
    assert opaque.made[1].columns[1] == MadeColumn("y", frozenset({SSN}), opaque=True)


def test_a_change_is_pending_until_its_transaction_is_over() -> None:
    """Outside of one it is done at once; a message with transaction control may leave one open."""
    change = [RelationAltered("s", "t")]
    assert not advanced(SessionState(), "I", change).altered[0].pending
    assert advanced(SessionState(), "T", change).altered[0].pending
    assert advanced(SessionState(), "I", change, "transaction_control").altered[0].pending
    assert not advanced(SessionState(), "I", change, "other").altered[0].pending
    pending = advanced(SessionState(), "T", change)
    assert advanced(pending, "T").altered[0].pending
    assert not advanced(pending, "I").altered[0].pending
    assert advanced(pending, "I").altered[0].version == "v1"


def test_a_change_of_a_relation_is_kept_once() -> None:
    """The last one; those of others stay."""
    state = after(RelationAltered("s", "t"), RelationAltered("s", "u"), pending=False)
    state = after(RelationAltered("s", "t"), state=state)
    assert [(mark.name, mark.pending) for mark in state.altered] == [("u", False), ("t", True)]


def test_search_paths_add_up() -> None:
    """Any that was set may hold, and the first; too many are any."""
    state = after(SearchPathSet(("a",)))
    assert state.search_paths == (SNAPSHOT_PATH, ("a",))
    assert after(SearchPathSet(SNAPSHOT_PATH)) == SessionState()
    assert after(SearchPathSet(None)).search_paths == (SNAPSHOT_PATH, None)
    many = after(*[SearchPathSet((str(number),)) for number in range(MAX_ALTERNATIVES - 1)])
    assert len(many.search_paths) == MAX_ALTERNATIVES
    assert after(SearchPathSet(("more",)), state=many).search_paths == (None,)


def test_within_a_message_a_path_that_was_set_holds() -> None:
    """Until a transaction's end may bring back what was before; then either may hold."""
    state = SessionState().within([SearchPathSet(("a",), runs=True)], "v1")
    assert state.search_paths == (("a",),)
    again = state.within([SearchPathSet(("b",), runs=True)], "v1")
    assert again.search_paths == (("b",),)
    ended = again.within([TransactionEnded()], "v1")
    assert ended.search_paths == (("b",), SNAPSHOT_PATH, ("a",))
    assert ended.within([TransactionEnded()], "v1").search_paths == ended.search_paths
    assert SessionState().within([TransactionEnded()], "v1") == SessionState()
    assert after(TransactionEnded()) == SessionState()


@pytest.mark.parametrize("effect", [SearchPathSet(("a",)), SearchPathSet(None, runs=True)])
def test_within_a_message_a_path_that_may_not_have_run_is_one_of_several(effect: SearchPathSet) -> None:
    """So is one that isn't known."""
    assert SessionState().within([effect], "v1").search_paths == (SNAPSHOT_PATH, effect.path)


def test_what_the_server_reports_ends_the_doubt() -> None:
    """A search path or role that it reports anew is the one; the same report again leaves later doubt alone."""
    doubtful = after(SearchPathSet(("a",)), RoleSet("bob"), RoleSet("eve"))
    known = doubtful.with_settings({"Search_Path": "x, y", "role": "eve", "TimeZone": "UTC"})
    assert (known.search_paths, known.roles) == ((("x", "y"),), ("eve",))
    assert known.settings == (("role", "eve"), ("search_path", "x, y"), ("timezone", "UTC"))
    later = after(SearchPathSet(("a",)), RoleSet("bob"), state=known)
    assert later.with_settings({"search_path": "x, y", "role": "eve", "timezone": "UTC"}) is later
    other = later.with_settings({"search_path": "x, y", "role": "eve", "timezone": "CET"})
    assert (other.search_paths, other.roles) == (later.search_paths, later.roles)
    assert doubtful.with_settings({"timezone": "UTC"}).roles == ("bob", "eve")
    for nobody in ("none", ""):
        assert doubtful.with_settings({"role": nobody}).roles == ()


def test_a_session_that_makes_too_much_is_no_longer_followed() -> None:
    """Its names can't be trusted; paths and roles are still followed."""
    full = after(*[FunctionMade(str(number)) for number in range(MAX_NAMES)])
    assert (len(full.functions), full.overflowed) == (MAX_NAMES, False)
    over = after(FunctionMade("one more"), state=full)
    assert (len(over.functions), over.overflowed) == (MAX_NAMES, True)
    assert after(table("a", X), FunctionMade("g"), state=over) == over
    assert after(SearchPathSet(("a",)), RoleSet("bob"), state=over).roles == ("bob",)
    assert after(SearchPathSet(("a",)), state=over).search_paths == (SNAPSHOT_PATH, ("a",))
    tables = after(*[table(str(number)) for number in range(MAX_NAMES + 1)])
    assert (len(tables.made), tables.overflowed) == (MAX_NAMES, True)
