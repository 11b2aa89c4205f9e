"""Errors and notices of a real server, cleaned: no value is left in any field, and what helps stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import pq

from airlock.demo.postgres import BundledPostgres
from enforcement.masking.errors import HINT, TEXTS, clean

SECRET = "bob@example.com"
FIELDS = {
    "S": pq.DiagnosticField.SEVERITY,
    "V": pq.DiagnosticField.SEVERITY_NONLOCALIZED,
    "C": pq.DiagnosticField.SQLSTATE,
    "M": pq.DiagnosticField.MESSAGE_PRIMARY,
    "D": pq.DiagnosticField.MESSAGE_DETAIL,
    "H": pq.DiagnosticField.MESSAGE_HINT,
    "P": pq.DiagnosticField.STATEMENT_POSITION,
    "p": pq.DiagnosticField.INTERNAL_POSITION,
    "q": pq.DiagnosticField.INTERNAL_QUERY,
    "W": pq.DiagnosticField.CONTEXT,
    "s": pq.DiagnosticField.SCHEMA_NAME,
    "t": pq.DiagnosticField.TABLE_NAME,
    "c": pq.DiagnosticField.COLUMN_NAME,
    "d": pq.DiagnosticField.DATATYPE_NAME,
    "n": pq.DiagnosticField.CONSTRAINT_NAME,
    "F": pq.DiagnosticField.SOURCE_FILE,
    "L": pq.DiagnosticField.SOURCE_LINE,
    "R": pq.DiagnosticField.SOURCE_FUNCTION,
}
SETUP = f"""
CREATE TEMP TABLE people (
    id int PRIMARY KEY, email text NOT NULL UNIQUE, age int CHECK (age < 150), boss int REFERENCES people,
    short varchar(3), digits int2, note text
);
INSERT INTO people (id, email, age, note) VALUES (1, '{SECRET}', 40, '{SECRET}');
CREATE FUNCTION pg_temp.tell(state text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', (SELECT email FROM people LIMIT 1) USING ERRCODE = state, DETAIL = '{SECRET}',
        HINT = '{SECRET}', CONSTRAINT = '{SECRET}', TABLE = '{SECRET}', COLUMN = '{SECRET}', DATATYPE = '{SECRET}',
        SCHEMA = '{SECRET}';
END $$;
CREATE FUNCTION pg_temp.built() RETURNS int LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
    EXECUTE 'SELECT ' || quote_ident((SELECT email FROM people LIMIT 1)) || ' FROM people' INTO found;
    RETURN found;
END $$;
CREATE FUNCTION pg_temp.cast_it() RETURNS int LANGUAGE sql AS 'SELECT email::int FROM people';
"""


@pytest.fixture(scope="module")
def server(postgres: BundledPostgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute(SETUP)
        yield connection


def failed(server: psycopg.Connection[Any], statement: str) -> dict[str, str]:
    result = server.pgconn.exec_(statement.encode())
    assert result.status == pq.ExecStatus.FATAL_ERROR
    found = {code: result.error_field(field) for code, field in FIELDS.items()}
    return {code: value.decode() for code, value in found.items() if value is not None}


# Statement that leaks, and the message that is left.
LEAKS = {
    "SELECT email::int FROM people": "invalid input syntax for type integer (value withheld)",
    "SELECT email::uuid FROM people": "invalid input syntax for type uuid (value withheld)",
    "SELECT email::date FROM people": "invalid input syntax for type date (value withheld)",
    "SELECT email::jsonb FROM people": "invalid input syntax for type json (value withheld)",
    "SELECT email::regclass FROM people": TEXTS["3F"],
    "SELECT email::regtype FROM people": TEXTS["42"],
    "SELECT to_date(email, 'YYYY') FROM people": TEXTS["22007"],
    "SELECT to_number(email, '999'), email::bytea, decode(email, 'hex') FROM people": None,
    "SELECT set_config('work_mem', email, true) FROM people": None,
    "SELECT set_config(email, 'x', true) FROM people": None,
    "SELECT currval(email) FROM people": TEXTS["3F"],
    "SELECT nextval(note) FROM people": TEXTS["3F"],
    "SELECT pg_temp.tell('P0001')": TEXTS["P0"],
    "SELECT pg_temp.tell('57014')": TEXTS["57"],
    "SELECT pg_temp.tell('42601')": TEXTS["42"],
    "SELECT pg_temp.tell('40001')": TEXTS["40"],
    "SELECT pg_temp.tell('AB123')": "the statement failed (text withheld)",
    "SELECT pg_temp.built()": TEXTS["42"],
    "SELECT pg_temp.cast_it()": "invalid input syntax for type integer (value withheld)",
    f"INSERT INTO people (id, email) VALUES (2, '{SECRET}')":
        'duplicate key value violates a unique constraint (constraint "people_email_key", table "people")',
    f"INSERT INTO people (id, email, age, note) VALUES (2, 'x', 151, '{SECRET}')":
        'a check constraint is violated (constraint "people_age_check", table "people")',
    f"INSERT INTO people (id, email, note) VALUES (2, NULL, '{SECRET}')":
        'null value violates a not-null constraint (table "people", column "email")',
    f"INSERT INTO people (id, email, boss, note) VALUES (2, 'x', 77, '{SECRET}')":
        'a foreign key constraint is violated (constraint "people_boss_fkey", table "people")',
    "UPDATE people SET short = email": "value too long for type character varying(3)",
    "DO $$ BEGIN RAISE EXCEPTION 'relation \"%\" does not exist', (SELECT email FROM people) "
    "USING ERRCODE = '42P01'; END $$": TEXTS["42"],
    "SELECT xmlparse(document email) FROM people": None,
    "SELECT regexp_replace(email, email || '(', '') FROM people": None,
    "SELECT email::cidr FROM people": "invalid input syntax for type cidr (value withheld)",
    "SELECT format('%' || email, 1) FROM people": None,
    "SELECT ('{' || email)::text[] FROM people": TEXTS["22P02"],
    "SELECT jsonb_path_query('{}', ('$.' || email || '(')::jsonpath) FROM people": None,
    "SELECT pg_read_file(email) FROM people": TEXTS["58"],
    "SELECT has_table_privilege(email, 'SELECT') FROM people": TEXTS["3F"],
    "SELECT convert_from(email::bytea || '\\xff', 'UTF8') FROM people": TEXTS["22"],
}  # fmt: skip


@pytest.mark.postgres
@pytest.mark.parametrize("statement", LEAKS)
def test_no_value_is_left(server: psycopg.Connection[Any], statement: str) -> None:
    """In no field, whatever raised it; code and severity stay."""
    fields = failed(server, statement)
    left = clean(fields)
    assert not [code for code, value in left.items() if "bob" in value or "example" in value]
    assert not set(left) & set("DWqp")
    assert (left["C"], left["V"]) == (fields["C"], fields["V"])
    if LEAKS[statement] is not None:
        assert left["M"] == LEAKS[statement]
        assert left["H"] == HINT


@pytest.mark.postgres
def test_the_cases_have_something_to_hide(server: psycopg.Connection[Any]) -> None:
    """Most of these errors hold the value as the server sends them."""
    leaking = [s for s in LEAKS if any("bob" in value for value in failed(server, s).values())]
    assert len(leaking) > len(LEAKS) * 0.7


ABOUT_THE_TEXT = [
    "SELEC 1",
    "SELECT emial FROM people",
    "SELECT * FROM poeple",
    "SELECT lenght(email) FROM people",
    "SELECT email + 1 FROM people",
    "SELECT count(*), email FROM people",
]


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ABOUT_THE_TEXT)
def test_errors_about_the_statement_itself_stay(server: psycopg.Connection[Any], statement: str) -> None:
    """A typing error is shown as ever, with its hint and position: no row was read yet."""
    fields = failed(server, statement)
    left = clean(fields)
    assert (left["M"], left["P"], left.get("H")) == (fields["M"], fields["P"], fields.get("H"))


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ["SELECT 1/0", "SELECT 2147483647 + 1"])
def test_constant_texts_stay(server: psycopg.Connection[Any], statement: str) -> None:
    """They hold no value."""
    fields = failed(server, statement)
    assert clean(fields)["M"] == fields["M"]


@pytest.mark.postgres
def test_notices_are_withheld(server: psycopg.Connection[Any]) -> None:
    """RAISE NOTICE can say anything."""
    seen: list[dict[str, str]] = []

    def keep(diagnostic: psycopg.errors.Diagnostic) -> None:
        seen.append({"S": "NOTICE", "V": "NOTICE", "C": diagnostic.sqlstate or "",
                     "M": diagnostic.message_primary or "",
                     "W": diagnostic.context or ""})  # fmt: skip

    server.add_notice_handler(keep)
    try:
        server.execute("DO $$ BEGIN RAISE NOTICE 'it is %', (SELECT email FROM people); END $$")
    finally:
        server.remove_notice_handler(keep)
    assert SECRET in seen[0]["M"]
    assert clean(seen[0])["M"] == TEXTS["00"]


def test_fields_of_any_form_give_a_whole_error() -> None:
    """Even of a server that sends rubbish."""
    left = clean({"C": SECRET, "M": SECRET, "P": SECRET, "X": SECRET})
    assert left["C"] == "XX000"
    assert left["M"] == TEXTS["XX"]
    assert SECRET not in left.values()
