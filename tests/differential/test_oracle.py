"""The oracle of the statement analysis: what the server reports, how psql's files are split, what counts as a miss."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from decision.analysis.result import Analysis
from decision.model.facts import Access
from tests.differential.oracle.compare import Claim, claim_of, compare
from tests.differential.oracle.script import Script
from tests.differential.oracle.server import OracleServer, Outcome
from tests.differential.oracle.subject import Pair

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, ssn text);
CREATE TABLE log (user_id int REFERENCES users ON DELETE CASCADE, what text);
CREATE VIEW safe AS SELECT id, ssn AS hidden FROM users;
CREATE FUNCTION peek() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(ssn) FROM users); END';
CREATE TABLE parts (a int) PARTITION BY LIST (a);
CREATE TABLE parts_1 PARTITION OF parts DEFAULT;
"""


@pytest.fixture(scope="module")
def pair(oracle: OracleServer) -> Iterator[Pair]:
    session = oracle.session("postgres")
    assert not session.run("CREATE DATABASE oracle_itself").sqlstate
    session.close()
    made = Pair(oracle, "oracle_itself")
    assert not made.run(SCHEMA)[1].sqlstate
    made.run("SELECT 1")
    yield made
    made.close()


def touched(outcome: Outcome) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for touch in outcome.touches:
        found.setdefault(touch.name, set()).update(touch.permissions)
    return found


@pytest.mark.parametrize(
    ("text", "relations", "functions"),
    [
        ("SELECT lower(hidden) FROM safe", {"safe": {"select"}, "users": {"select"}}, {"lower"}),
        ("SELECT extract(year FROM now())", {}, {"extract", "now"}),
        ("SELECT 1 + 1, '1'::text::int", {}, set()),
        ("SELECT peek()", {"users": {"select"}}, {"peek"}),
        ("DELETE FROM users", {"users": {"delete"}, "log": {"select", "delete"}}, set()),
        ("SELECT a FROM parts", {"parts": {"select"}, "parts_1": set()}, set()),
        ("COPY users (ssn) TO STDOUT", {"users": {"select"}}, set()),
        ("EXPLAIN UPDATE users SET ssn = 'x' WHERE id = 1", {"users": {"select", "update"}}, set()),
        ("SELECT relname FROM pg_class", {"pg_class": {"select"}}, set()),
        ("DO 'BEGIN PERFORM count(*) FROM log; END'", {"log": {"select"}}, set()),
    ],
)
def test_what_is_reported(pair: Pair, text: str, relations: dict[str, set[str]], functions: set[str]) -> None:
    """Relations with the permissions asked for, whatever pulled them in, and the functions that the statement calls."""
    pair.run("INSERT INTO users VALUES (1, 'a'); INSERT INTO log VALUES (1, 'b')")
    _, outcome = pair.run(text)
    assert not outcome.sqlstate
    assert touched(outcome) == relations
    assert {name for _, name, depth in outcome.functions if depth == 0} == functions


def test_columns_are_reported(pair: Pair) -> None:
    """Selected, inserted and updated ones, by name."""
    _, outcome = pair.run("UPDATE users SET ssn = 'n' WHERE id = 7")
    (touch,) = outcome.touches
    assert (touch.selected, touch.inserted, touch.updated) == ({"id"}, set(), {"ssn"})


def test_definitions_are_reported(pair: Pair) -> None:
    """Created, altered, truncated and dropped relations, those made and gone in one transaction as well."""
    text = "CREATE TABLE t (a int); ALTER TABLE t ADD b int; TRUNCATE t; CREATE INDEX i ON t (a); DROP TABLE t"
    _, outcome = pair.run(text)
    words = [(d.name, d.word) for d in outcome.definitions if d.kind == "r"]
    assert list(dict.fromkeys(words)) == [("t", "create"), ("t", "alter"), ("t", "truncate"), ("t", "drop")]


def test_a_rolled_back_error_keeps_the_session(pair: Pair) -> None:
    """The SQLSTATE is told, and the next statement runs."""
    assert pair.run("SELECT 1 / 0")[1].sqlstate == "22012"
    assert pair.run("SELECT 1")[1].sqlstate == ""


def test_snapshots_read_in_parts_are_the_whole(pair: Pair) -> None:
    """What the harness reads of the users' own relations, and once of the server's, is what the product reads."""
    whole = pair.source.whole()
    parts = pair.source.read()
    assert {r.oid: r for r in parts.relations} == {r.oid: r for r in whole.relations}
    assert (parts.functions, parts.search_path) == (whole.functions, whole.search_path)


@pytest.mark.parametrize(
    ("forgotten", "what"),
    [("relations", "relation"), ("columns", "column"), ("functions", "function"), ("access", "access")],
)
def test_an_analysis_that_forgets_something_is_caught(pair: Pair, forgotten: str, what: str) -> None:
    """The comparison has teeth: whatever is taken out of true facts is a miss."""
    analysis, outcome = pair.run("SELECT lower(hidden) FROM safe WHERE id = 1")
    assert isinstance(analysis, Analysis)
    claim = claim_of(analysis)
    assert not compare(claim, outcome, pair.names).misses
    match forgotten:
        case "relations":
            del claim.access[("public", "users")]
        case "columns":
            del claim.columns[("public", "users", "ssn")]
        case "functions":
            claim.functions.clear()
        case _:
            claim.access[("public", "safe")] = {Access.WRITE}
            claim.access[("public", "users")] = {Access.WRITE}
    assert what in {miss.what for miss in compare(claim, outcome, pair.names).misses}


def test_what_was_not_touched_is_extra(pair: Pair) -> None:
    """A claim beyond what the server touched costs precision."""
    analysis, outcome = pair.run("SELECT id FROM users")
    assert isinstance(analysis, Analysis)
    claim = claim_of(analysis)
    claim.add(analysis.facts.statements[0])
    assert compare(claim, outcome, pair.names).extra == {}
    other = Claim(
        access={**claim.access, ("public", "log"): {Access.READ}}, via={**claim.via, ("public", "log"): set()}
    )
    assert list(compare(other, outcome, pair.names).extra) == [("public", "log")]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1;", "SELECT 2"]),
        ("SELECT ';' -- no; no\n, \"a;b\";", ["SELECT ';' \n, \"a;b\";"]),
        ("SELECT /* a; /* b; */ c; */ 1;", ["SELECT   1;"]),
        ("DO $x$ BEGIN; $$ END; $x$; SELECT 1;", ["DO $x$ BEGIN; $$ END; $x$;", "SELECT 1;"]),
        ("CREATE RULE r AS ON UPDATE TO t DO (SELECT 1; SELECT 2); SELECT 3",
         ["CREATE RULE r AS ON UPDATE TO t DO (SELECT 1; SELECT 2);", "SELECT 3"]),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END; SELECT 3;",
         ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END;", "SELECT 3;"]),
        ("SELECT E'\\';' ; SELECT 1::int;", ["SELECT E'\\';' ;", "SELECT 1::int;"]),
        ("\\d users\nSELECT 1 \\; SELECT 2;\n\\echo x;\n", ["SELECT 1 ; SELECT 2;"]),
        ("\\set n 'it''s'\nSELECT :'n', :\"n\", :n, :'m', a[1:2];", ["SELECT 'it''s', \"it's\", it's, :'m', a[1:2];"]),
        ("\\if :{?no}\nSELECT 1;\n\\else\nSELECT 2;\n\\endif\n", ["SELECT 2;"]),
        ("SELECT $1 \\bind 'a;b' \\g\nSELECT 2 \\gexec\n", ["SELECT $1", "SELECT 2"]),
        ("SELECT 1;\n\\quit\nSELECT 2;", ["SELECT 1;"]),
    ],
)  # fmt: skip
def test_files_for_psql_are_split_as_psql_does(text: str, messages: list[str]) -> None:
    """Quotes, comments, bodies, variables and branches."""
    assert [step.message for step in Script(text).steps()] == messages


def test_copied_data_belongs_to_its_statement() -> None:
    """Up to the line with the end mark, and the next statement begins after it."""
    steps = list(Script("COPY t FROM stdin;\n1;\tx\n2\ty\n\\.\nSELECT 1;").steps())
    assert [(step.line, step.message, step.data) for step in steps] == [
        (1, "COPY t FROM stdin;", "1;\tx\n2\ty\n"),
        (5, "SELECT 1;", ""),
    ]
