"""Session state: what earlier statements change about later ones, and what is never forgotten."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from decision.analysis import Analysis, Analyzer, SessionState
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.facts import Kind, RelationKind

ANALYZER = Analyzer()


def relation(schema: str, name: str, *columns: CatalogColumn) -> CatalogRelation:
    return CatalogRelation(schema, name, 1, RelationKind.TABLE, columns, keys=(("id",),))


SSN = CatalogColumn("ssn", 2, 25, "text", tags=("pii.ssn",))
CATALOG = CatalogSnapshot(
    "app",
    180000,
    "v1",
    relations=(
        relation("public", "users", CatalogColumn("id", 1, 23, "integer", not_null=True), SSN),
        relation("public", "notes", CatalogColumn("id", 1, 23, "integer"), CatalogColumn("note", 2, 25, "text")),
        relation("other", "users", CatalogColumn("id", 1, 23, "integer")),
    ),
)


def run(*texts: str, status: str = "I", state: SessionState | None = None) -> tuple[Analysis, SessionState]:
    """Analyse the texts in order; the last one's analysis and the state after it."""
    state = state or SessionState()
    for text in texts:
        analysis = ANALYZER.analyze(text.encode(), CATALOG, state)
        state = state.advance(analysis, status)
    return analysis, state


def tags(analysis: Analysis) -> set[str]:
    return {tag for s in analysis.facts.statements for o in s.output for tag in o.tags}


def test_create_table_as_carries_tags() -> None:
    """A copy of a tagged column is tagged."""
    analysis, _ = run("CREATE TEMP TABLE copy AS SELECT ssn AS x FROM users", "SELECT x FROM copy")
    assert tags(analysis) == {"pii.ssn"}
    assert analysis.facts.complete


def test_select_into_carries_tags() -> None:
    """SELECT INTO a permanent table does, too."""
    analysis, _ = run("SELECT ssn AS x INTO kept FROM users", "SELECT upper(x) FROM kept")
    assert tags(analysis) == {"pii.ssn"}


def test_insert_into_session_table_carries_tags() -> None:
    """Values inserted later taint a table of this session."""
    analysis, _ = run(
        "CREATE TEMP TABLE t (x text, y int)", "INSERT INTO t SELECT ssn, id FROM users", "SELECT y, x FROM t"
    )
    assert [o.tags for o in analysis.facts.statements[0].output] == [(), ("pii.ssn",)]


def test_one_message_makes_and_uses() -> None:
    """State goes on from statement to statement within one message."""
    analysis, _ = run("BEGIN; CREATE TABLE x (a int); INSERT INTO x VALUES (1); SELECT * FROM x; COMMIT")
    assert analysis.facts.complete
    assert [len(s.output) for s in analysis.facts.statements] == [0, 0, 0, 1, 0]


def test_temporary_table_in_front_of_another() -> None:
    """A name that may be the temporary or the permanent table is unresolved, and both are told."""
    analysis, _ = run("CREATE TEMP TABLE users (id int)", "SELECT * FROM users")
    assert not analysis.facts.complete
    assert {r.schema for s in analysis.facts.statements for r in s.relations} == {"pg_temp", "public"}


def test_execute_has_the_facts_of_what_was_prepared() -> None:
    """EXECUTE gives the output, relations and kinds of PREPARE."""
    analysis, _ = run("PREPARE p AS SELECT ssn FROM users WHERE id = $1", "EXECUTE p(1)")
    assert tags(analysis) == {"pii.ssn"}
    assert set(analysis.facts.statements[0].kinds) == {Kind.EXECUTE, Kind.SELECT}
    assert analysis.facts.complete


def test_preparing_again_unites() -> None:
    """After a second PREPARE of the name either may be meant: it may have failed."""
    analysis, _ = run("PREPARE p AS SELECT id FROM users", "PREPARE p AS SELECT ssn FROM users", "EXECUTE p")
    assert tags(analysis) == {"pii.ssn"}


def test_fetch_has_the_lineage_of_the_cursor() -> None:
    """FETCH gives the output of DECLARE."""
    analysis, _ = run("DECLARE c CURSOR FOR SELECT id, ssn FROM users", "FETCH 10 FROM c")
    assert [o.tags for o in analysis.facts.statements[0].output] == [(), ("pii.ssn",)]


def test_fetch_without_cursor() -> None:
    """Without a declared cursor nothing is known."""
    assert not run("FETCH ALL FROM c")[0].facts.complete


def test_altered_relation_is_unresolved_until_read_again() -> None:
    """After ALTER TABLE the snapshot's columns can't be trusted."""
    _, state = run("ALTER TABLE users RENAME COLUMN ssn TO id2")
    assert not run("SELECT id FROM users", state=state)[0].facts.complete


def test_search_path_alternatives() -> None:
    """After SET search_path, a name that means different tables before and after is unresolved."""
    _, state = run("SET search_path = other, public")
    assert not run("SELECT id FROM users", state=state)[0].facts.complete
    assert run("SELECT id FROM notes", state=state)[0].facts.complete


def test_reported_search_path_ends_the_doubt() -> None:
    """What the server reports is what holds."""
    _, state = run("SET search_path = other, public")
    known = state.with_settings({"search_path": "other, public"})
    analysis, _ = run("SELECT * FROM users", state=known)
    assert analysis.facts.complete
    assert [r.schema for r in analysis.facts.statements[0].relations] == ["other"]


def test_unknown_search_path() -> None:
    """A computed search path leaves only names that exist once."""
    _, state = run("SELECT set_config('search_path', note, false) FROM notes")
    assert not run("SELECT id FROM users", state=state)[0].facts.complete
    assert run("SELECT id FROM notes", state=state)[0].facts.complete


def test_state_is_part_of_the_cache_key() -> None:
    """The same text under another state is analysed anew."""
    before, _ = run("SELECT * FROM t9")
    after, _ = run("CREATE TEMP TABLE t9 (a int)", "SELECT * FROM t9")
    assert not before.facts.complete
    assert after.facts.complete
    again, _ = run("SELECT * FROM t9")
    assert again is before


def test_tags_travel_into_permanent_tables() -> None:
    """A tagged value put into an untagged column is still tagged when this session reads it back."""
    analysis, _ = run("UPDATE notes SET note = (SELECT ssn FROM users LIMIT 1)", "SELECT note FROM notes")
    assert tags(analysis) == {"pii.ssn"}


def test_returning_what_was_just_written() -> None:
    """RETURNING gives the values that the statement put in, with their tags."""
    for text in (
        "INSERT INTO notes SELECT id, ssn FROM users RETURNING note",
        "UPDATE notes SET note = ssn FROM users RETURNING note",
        "INSERT INTO notes SELECT id, ssn FROM users ON CONFLICT (id) DO UPDATE SET note = excluded.note "
        "RETURNING note",
    ):
        assert tags(run(text)[0]) == {"pii.ssn"}, text
    assert tags(run("UPDATE notes SET note = ssn FROM users RETURNING old.note")[0]) == set()


SESSIONS = Path(__file__).parents[1] / "cases" / "analysis" / "postgres_session.jsonl"


@pytest.mark.parametrize(
    "case", [json.loads(line) for line in SESSIONS.read_text().splitlines()], ids=itemgetter("note")
)
def test_session_case(case: dict[str, Any]) -> None:
    """What came before, in the session or in the message, decides what names mean, and what can't be known."""
    analysis, _ = run(*case.get("before", ()), case["sql"])
    last = analysis.facts.statements[-1]
    assert [each.what for each in last.unresolved] == case["unresolved"]
    if "relations" in case:
        found = {f"{r.schema}.{r.name} {'+'.join(sorted(r.access))}" for r in last.relations}
        assert found == set(case["relations"])
    if "sources" in case:
        assert {f"{s.table}.{s.column}" for o in last.output for s in o.sources} == set(case["sources"])
    if "functions" in case:
        assert {f.name for f in last.functions} == set(case["functions"])
    if "columns" in case:
        assert {f"{c.table}.{c.column} {'+'.join(c.usage)}" for c in last.columns} == set(case["columns"])
