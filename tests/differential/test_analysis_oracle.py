"""Generated SELECTs, held against what the server itself says of them.

Oracles: a temporary view's dependencies (relations and columns that the server bound), Describe (names, number and
origin of the output columns), and non-interference: change nothing but one column's values; whichever output moves must
have that column among its sources, or be opaque.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from decision.analysis import Analyzer, SessionState
from decision.model.catalog import CatalogSnapshot
from decision.model.facts import Statement
from enforcement.catalog import read_catalog
from tests.conftest import NewDatabase

pytestmark = pytest.mark.postgres
SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, secret text, org int);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, note text, org int);
CREATE VIEW people AS SELECT id, upper(name) AS name, secret AS hidden, org FROM users;
CREATE FUNCTION twice(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || a';
CREATE FUNCTION secret_of(who int) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM users WHERE id = who';
INSERT INTO users VALUES (1, 'ann', 's-one', 1), (2, 'bob', 's-two', 1), (3, 'cy', 's-three', 2);
INSERT INTO orders VALUES (1, 1, 'x', 1), (2, 1, 'y', 2), (3, 2, 'z', 1), (4, 3, 'w', 2);
"""
TABLES = {
    "users": ["id", "name", "secret", "org"],
    "orders": ["id", "user_id", "note", "org"],
    "people": ["id", "name", "hidden", "org"],
}
Columns = list[str]


@st.composite
def scalar(draw: st.DrawFn, columns: list[tuple[str, str]], aliases: list[str], depth: int) -> str:
    """A text expression over columns (alias, name) in scope."""
    alias, name = draw(st.sampled_from(columns))
    column = f"{alias}.{name}"
    if depth <= 0:
        return f"{column}::text"
    inner = scalar(columns, aliases, depth - 1)
    shape = draw(st.integers(0, 15 if depth == 2 else 14))  # window functions do not nest
    match shape:
        case 0 | 1 | 2:
            return f"{column}::text"
        case 3:
            return f"({draw(inner)} || {draw(inner)})"
        case 4:
            return f"coalesce({draw(inner)}, {draw(inner)})"
        case 5:
            return f"CASE WHEN {draw(inner)} > 'm' THEN {draw(inner)} ELSE 'other' END"
        case 6:
            return f"upper({draw(inner)})"
        case 7:
            return f"{draw(st.sampled_from(aliases))}::text"
        case 8:
            return f"row_to_json({draw(st.sampled_from(aliases))})::text"
        case 9:
            return f"(SELECT max(zz.note || {draw(inner)}) FROM orders zz)"
        case 10:
            return f"twice({draw(inner)})"
        case 11:
            return f"(ARRAY[{draw(inner)}, {draw(inner)}])[1]"
        case 12:
            return f"(ROW({draw(inner)}, 1))::text"
        case 13:
            return f"json_build_object('k', {draw(inner)})::text"
        case 14:
            return f"({draw(inner)} IN (SELECT secret FROM users))::text"
        case _:
            return f"lag({column}::text) OVER (ORDER BY {alias}.{name})"


@st.composite
def query(draw: st.DrawFn, depth: int = 2) -> tuple[str, Columns]:
    """A SELECT and its column names."""
    shape = draw(st.integers(0, 5)) if depth > 0 else 0
    if shape == 4:
        left, names = draw(plain(depth - 1))
        width = len(names)
        listed = ", ".join(draw(st.sampled_from(["secret", "name", "org::text"])) for _ in range(width))
        right = f"SELECT {listed} FROM users"
        return f"{left} {draw(st.sampled_from(['UNION ALL', 'UNION', 'EXCEPT']))} {right}", names
    if shape == 5:
        inner, names = draw(plain(depth - 1))
        listed = ", ".join(f"q{n}" for n in range(len(names)))
        return f"WITH w({listed}) AS ({inner}) SELECT * FROM w", [f"q{n}" for n in range(len(names))]
    return draw(plain(depth))


@st.composite
def plain(draw: st.DrawFn, depth: int) -> tuple[str, Columns]:
    sources, columns, aliases = [], [], []
    for number in range(draw(st.integers(1, 2))):
        alias = f"t{depth}{number}"
        if depth > 0 and draw(st.booleans()):
            inner, names = draw(query(depth - 1))
            sources.append(f"({inner}) AS {alias}")
        else:
            table = draw(st.sampled_from(sorted(TABLES)))
            names = TABLES[table]
            sources.append(f"{table} AS {alias}")
        aliases.append(alias)
        columns += [(alias, name) for name in names]
    items = [draw(scalar(columns, aliases, 2)) for _ in range(draw(st.integers(1, 3)))]
    names = [f"c{n}" for n in range(len(items))]
    listed = ", ".join(f"{item} AS {name}" for item, name in zip(items, names, strict=True))
    return f"SELECT {listed} FROM {' CROSS JOIN '.join(sources)}", names


class Server:
    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.connection.execute(SCHEMA)
        self.connection.execute("SET statement_timeout = '5s'")
        self.catalog: CatalogSnapshot = asyncio.run(read_catalog(dsn, "oracle"))
        self.analyzer = Analyzer()

    def facts(self, text: str) -> Statement:
        return self.analyzer.analyze(text.encode(), self.catalog, SessionState()).facts.statements[0]

    def rows(self, text: str) -> list[tuple[object, ...]]:
        return self.connection.execute(text.encode()).fetchall()


@pytest.fixture
def server(new_database: NewDatabase) -> Iterator[Server]:
    found = Server(new_database())
    yield found
    found.connection.close()


DEPENDENCIES = """
SELECT DISTINCT n.nspname, c.relname, coalesce(a.attname, '')
FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
WHERE r.ev_class = 'pg_temp.oracle_view'::regclass
"""
CHECK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@CHECK
@given(made=query())
def test_dependencies(server: Server, made: tuple[str, Columns]) -> None:
    """Every relation and column that the server bound is among the facts."""
    text, _ = made
    note(text)
    with server.connection.transaction(force_rollback=True):
        server.connection.execute(f"CREATE TEMP VIEW oracle_view AS {text}".encode())
        bound = server.connection.execute(DEPENDENCIES).fetchall()
    facts = server.facts(text)
    assert facts.complete, facts.unresolved
    assert {(r[0], r[1]) for r in bound} <= {(r.schema, r.name) for r in facts.relations}
    used = {(c.schema, c.table, c.column) for c in facts.columns}
    assert {tuple(r) for r in bound if r[2] and r[1] != "people"} <= used


@CHECK
@given(made=query())
def test_describe(server: Server, made: tuple[str, Columns]) -> None:
    """Names, number and origin of the output columns are the server's."""
    text, _ = made
    note(text)
    pgconn = server.connection.pgconn
    prepared = pgconn.prepare(b"", text.encode())
    assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message
    described = pgconn.describe_prepared(b"")
    facts = server.facts(text)
    assert [o.name for o in facts.output] == [(described.fname(n) or b"").decode() for n in range(described.nfields)]
    oids = {r.oid: r for r in server.catalog.relations}
    for number, output in enumerate(facts.output):
        relation = oids.get(described.ftable(number))
        if relation is not None:
            column = relation.columns[described.ftablecol(number) - 1].name
            assert (relation.schema, relation.name, column) in {(s.schema, s.table, s.column) for s in output.sources}


@CHECK
@given(made=query())
def test_non_interference(server: Server, made: tuple[str, Columns]) -> None:
    """An output that moves when only users.secret changes has it among its sources, or is opaque."""
    text, _ = made
    note(text)
    before = server.rows(text)
    with server.connection.transaction(force_rollback=True):
        server.connection.execute("UPDATE users SET secret = translate(secret, 'sonetwhr', 'zpqvukxj') || id")
        after = server.rows(text)
    facts = server.facts(text)
    ordered = "EXCEPT" not in text and "UNION " not in text.replace("UNION ALL", "")
    for number, output in enumerate(facts.output):
        old, new = (sorted(str(row[number]) for row in rows) for rows in (before, after))
        moved = old != new if ordered else set(old) != set(new)
        if moved and ("public", "users", "secret") not in {(s.schema, s.table, s.column) for s in output.sources}:
            assert output.opaque or not ordered or "lag(" in text, f"output {number + 1} of {text}"
