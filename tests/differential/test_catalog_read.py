"""Reading the catalog of a real server: everything that analysis needs is there, and changes are noticed."""

from __future__ import annotations

import psycopg
import pytest

from decision.analysis import Analyzer, SessionState, snapshot_json
from decision.model.errors import SettingsError
from decision.model.facts import Access, RelationKind, Via
from enforcement.catalog import catalog_fingerprint, read_catalog
from tests.conftest import NewDatabase

pytestmark = pytest.mark.postgres
SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, ssn text, email text NOT NULL UNIQUE);
CREATE TABLE log (user_id int REFERENCES users ON DELETE CASCADE, what text);
CREATE VIEW safe AS SELECT id, ssn AS hidden FROM users;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO log VALUES (new.id, tg_op); RETURN new; END';
CREATE TRIGGER audited BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TABLE tenants (id int); ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON users USING (id IN (SELECT id FROM tenants));
CREATE RULE redirect AS ON DELETE TO safe DO INSTEAD DELETE FROM log WHERE user_id = old.id;
CREATE TABLE parts (a int) PARTITION BY RANGE (a);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (2);
CREATE FUNCTION listed() RETURNS TABLE (x int, "Y" text) LANGUAGE sql
  BEGIN ATOMIC SELECT id, ssn FROM users; END;
CREATE FUNCTION hidden() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT ssn FROM users LIMIT 1); END';
"""


async def test_closure_of_a_real_catalog(new_database: NewDatabase) -> None:
    """Views, triggers, rules, row security, cascades, partitions and function bodies add their relations."""
    dsn = new_database()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(SCHEMA)
        catalog = await read_catalog(connection, "app")
    analyzer = Analyzer()

    def touched(text: str) -> set[tuple[str, str, Via]]:
        facts = analyzer.analyze(text.encode(), catalog, SessionState()).facts
        assert facts.complete, facts.statements[0].unresolved
        return {(r.name, a.value, r.via) for s in facts.statements for r in s.relations for a in r.access}

    assert ("users", "read", Via.VIEW) in touched("SELECT hidden FROM safe")
    assert ("tenants", "read", Via.ROW_SECURITY) in touched("SELECT id FROM users")
    assert ("log", "write", Via.TRIGGER) in touched("UPDATE users SET email = 'x' WHERE id = 1")
    assert ("log", "write", Via.FOREIGN_KEY) in touched("DELETE FROM users WHERE id = 1")
    assert ("log", "write", Via.RULE) in touched("DELETE FROM safe WHERE id = 1")
    assert ("parts_1", "read", Via.INHERITANCE) in touched("SELECT a FROM parts")
    assert ("users", "read", Via.FUNCTION) in touched('SELECT "Y" FROM listed()')
    assert ("users", "read", Via.FUNCTION) in touched("SELECT hidden()")
    output = analyzer.analyze(b"SELECT hidden()", catalog, SessionState()).facts.statements[0].output[0]
    assert ("users", "ssn") in {(s.table, s.column) for s in output.sources}
    users = next(r for r in catalog.relations if (r.schema, r.name) == ("public", "users"))
    assert users.keys == (("id",), ("email",))
    assert [c.not_null for c in users.columns] == [True, False, True]
    assert Access.READ and users.kind is RelationKind.TABLE


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE fresh (a int)",
        "ALTER TABLE users ADD COLUMN more text",
        "ALTER TABLE users RENAME COLUMN ssn TO other",
        "DROP TRIGGER audited ON users",
        "CREATE OR REPLACE VIEW safe AS SELECT id, email AS hidden FROM users",
        "DROP POLICY mine ON users",
        "CREATE FUNCTION another() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "CREATE SCHEMA extra",
        "ALTER TABLE parts DETACH PARTITION parts_1",
    ],
)
async def test_fingerprint(new_database: NewDatabase, change: str) -> None:
    """The cheap fingerprint is stable, and differs after any change of what a snapshot holds."""
    async with await psycopg.AsyncConnection.connect(new_database(), autocommit=True) as connection:
        await connection.execute(SCHEMA)
        before = await catalog_fingerprint(connection)
        assert await catalog_fingerprint(connection) == before
        await connection.execute(change.encode())
        assert await catalog_fingerprint(connection) != before


async def test_dump_and_load(new_database: NewDatabase) -> None:
    """A snapshot survives its JSON; anything else is refused with a remedy."""
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA)
    first, second = await read_catalog(dsn, "app"), await read_catalog(dsn, "app")
    assert first == second
    assert snapshot_json.load(snapshot_json.dump(first)) == first
    for text in (b"", b"{}", b'{"format": "other"}', b'{"format": "airlock-catalog/1", "snapshot": {"x": 1}}'):
        with pytest.raises(SettingsError):
            snapshot_json.load(text)


async def test_functions_names_and_settings(new_database: NewDatabase) -> None:
    """A function's parameters, output ones too, and its own settings are read, and make its body readable."""
    dsn = new_database()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("""
            CREATE SCHEMA apart; CREATE TABLE apart.kept (a int, b text); CREATE TABLE public.kept (a int, b text);
            CREATE FUNCTION counted(first int, int, OUT "Total" text) LANGUAGE plpgsql
                SET search_path = apart, "public" SET work_mem = '8MB'
                AS 'BEGIN first := first + 1; "Total" := (SELECT b FROM kept WHERE a = first); END'""")
        catalog = await read_catalog(connection, "app")
    (function,) = [known for known in catalog.functions if known.schema == "public"]
    assert function.argument_names == ("first", "Total")
    assert dict(function.configuration) == {"search_path": "apart, public", "work_mem": "8MB"}
    facts = Analyzer().analyze(b"SELECT counted(1, 2)", catalog, SessionState()).facts
    assert facts.complete
    assert {(r.schema, r.name) for r in facts.statements[0].relations} == {("apart", "kept")}
    assert not facts.statements[0].output[0].opaque
