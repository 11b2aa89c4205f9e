"""Whatever the analysis once missed, held against the server again: tests/cases/analysis/oracle.jsonl.

A case is messages of one session over the schema below; nothing that the server reports of them may be missing.
`open` names what is still missing, `closed` why the statement is taken as one that can't be known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from decision.analysis.result import Analysis
from decision.model.catalog import CatalogRelation
from tests.differential.oracle.compare import Claim, claim_of, compare
from tests.differential.oracle.server import OracleServer
from tests.differential.oracle.subject import CatalogSource, Pair

CASES = Path(__file__).parents[1] / "cases" / "analysis" / "oracle.jsonl"
SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, ssn text);
CREATE TABLE log (user_id int REFERENCES users ON DELETE CASCADE, what text);
CREATE INDEX log_what ON log (what);
CREATE TABLE loose (user_id int);
CREATE VIEW inner_view AS SELECT id, ssn FROM users;
CREATE VIEW outer_view AS SELECT id, ssn FROM inner_view;
CREATE TABLE parts (a int) PARTITION BY LIST (a);
CREATE TABLE parts_1 PARTITION OF parts DEFAULT;
CREATE TABLE parent (a int);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE ruled (id int);
CREATE RULE instead AS ON DELETE TO ruled DO INSTEAD DELETE FROM loose WHERE user_id = old.id;
CREATE TABLE audit (what text);
CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO audit VALUES (new.ssn); RETURN new; END';
CREATE TRIGGER audited BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION audited();
CREATE FUNCTION peek() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(ssn) FROM users); END';
CREATE FUNCTION listed() RETURNS SETOF users LANGUAGE sql AS 'SELECT * FROM users';
CREATE TABLE fullname (first text, last text);
CREATE FUNCTION longname(fullname) RETURNS text LANGUAGE sql AS 'SELECT $1.first || $1.last';
CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.users (id int);
INSERT INTO users VALUES (1, 'a'), (2, 'b'); INSERT INTO log VALUES (1, 'x');
"""


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines() if line]


@dataclass(frozen=True, slots=True)
class World:
    """The server with the database that the cases are about; `system`: the relations that came with it."""

    oracle: OracleServer
    system: tuple[CatalogRelation, ...]


@pytest.fixture(scope="module")
def world(oracle: OracleServer) -> World:
    session = oracle.session("postgres")
    assert not session.run("CREATE DATABASE oracle_cases").sqlstate
    session.close()
    session = oracle.session("oracle_cases")
    assert not session.run(SCHEMA).sqlstate
    session.close()
    source = CatalogSource(oracle.dsn("oracle_cases"), "oracle_cases")
    source.close()
    return World(oracle, source.system)


@pytest.fixture
def pair(world: World) -> Iterator[Pair]:
    made = Pair(world.oracle, "oracle_cases", world.system)
    yield made
    made.close()


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["note"])
def test_nothing_is_missing(pair: Pair, case: dict[str, Any]) -> None:
    """All that the server touches is in the facts of the message, which are complete."""
    earlier = Claim()
    for message in case["messages"]:
        analysis, outcome = pair.run(message)
        assert outcome.sqlstate == "", message
        assert isinstance(analysis, Analysis)
        claim = claim_of(analysis)
        assert claim.closed in ("", case.get("closed", "")), message
        made = compare(claim, outcome, pair.names, earlier if "tcl" in claim.kinds else None)
        holes = [miss for miss in made.misses if not miss.closed]
        assert [hole for hole in holes if hole.name not in case.get("open", ())] == [], message
        for statement in analysis.facts.statements:
            earlier.add(statement)
