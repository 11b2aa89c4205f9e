"""What a real server sends, masked, is what a real driver can read: every type, both formats, COPY in all forms."""

from __future__ import annotations

import asyncio
import csv
import datetime
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from psycopg import pq

from airlock.demo.postgres import BundledPostgres
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.decision import MaskMethod, OutputMask, StatementObligations
from decision.model.errors import ObligationUnfulfillable
from decision.model.facts import RelationKind
from enforcement.catalog import read_catalog
from enforcement.masking.engine import DatabaseMasks, MaskingEngine
from enforcement.masking.known import KnownTypes

KEY = b"0123456789abcdef"
ENGINE = MaskingEngine(KEY)
ZERO = datetime.date(2000, 1, 1)


@dataclass(frozen=True)
class Described:
    name: str
    table_oid: int
    number: int
    type_oid: int
    format: int


@dataclass(frozen=True)
class Formats:
    overall: int
    columns: tuple[int, ...]


@pytest.fixture(scope="module")
def server(postgres: BundledPostgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TYPE pg_temp.mood AS ENUM ('glad', 'sad')")
        connection.execute("CREATE TYPE pg_temp.pair AS (a int, b text)")
        connection.execute("CREATE DOMAIN pg_temp.mail AS text CHECK (VALUE LIKE '%@%')")
        yield connection


def row_message(values: list[bytes | None]) -> bytes:
    body = struct.pack("!H", len(values))
    body += b"".join(struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in values)
    return b"D" + struct.pack("!i", len(body) + 4) + body


def fields_of(row: bytes) -> list[bytes | None]:
    found: list[bytes | None] = []
    position = 7
    for _ in range(struct.unpack_from("!H", row, 5)[0]):
        size = struct.unpack_from("!i", row, position)[0]
        position += 4
        found.append(None if size < 0 else row[position : position + size])
        position += max(size, 0)
    assert position == len(row)
    return found


def select(server: psycopg.Connection[Any], expression: str, code: int, method: MaskMethod) -> tuple[Any, bytes | None]:
    """`SELECT expression, 'clear'`, its first column masked: what psycopg makes of it, and its raw bytes."""
    result = server.pgconn.exec_params(f"SELECT {expression}, 'clear'::text".encode(), [], result_format=code)
    assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
    fields = [Described("x", result.ftable(n), result.ftablecol(n), result.ftype(n), result.fformat(n)) for n in (0, 1)]
    obligations = StatementObligations(0, output_count=2, masks=(OutputMask(1, method, "rule"),))
    rewriter = ENGINE.for_rows(obligations, fields, ())
    assert rewriter is not None
    message = row_message([result.get_value(0, 0), result.get_value(0, 1)])
    out, rows, cells = rewriter.rewrite(message, 0, len(message))
    masked, clear = fields_of(out)
    assert (rows, clear) == (1, b"clear")
    assert cells == (result.get_value(0, 0) is not None)
    loader = server.adapters.get_loader(fields[0].type_oid, pq.Format(code)) or server.adapters.get_loader(
        0, pq.Format(code)
    )
    assert loader is not None
    return (None if masked is None else loader(fields[0].type_oid, server).load(masked)), masked


# Expression of a value that must not leave, and what FULL makes of its type.
TYPES: dict[str, object] = {
    "'secret'::text": "***",
    "'secret'::varchar(20)": "***",
    "'secret'::char(20)": "***",
    "'secret'::name": "***",
    "'s'::\"char\"": "*",
    "'se@cret.org'::pg_temp.mail": "***",
    "true": False,
    "4711::int2": 0,
    "471147::int4": 0,
    "47114711::int8": 0,
    "471.25::float4": 0.0,
    "471.25::float8": 0.0,
    "471.25::numeric": 0,
    "4711::oid": 0,
    "'471.25'::money": None,
    "'1971-04-07'::date": ZERO,
    "'04:07:11'::time": datetime.time(0),
    "'04:07:11+02'::timetz": datetime.time(0, tzinfo=datetime.UTC),
    "'1971-04-07 04:07:11'::timestamp": datetime.datetime(2000, 1, 1),  # noqa: DTZ001 - a timestamp without a zone
    "'1971-04-07 04:07:11+02'::timestamptz": datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
    "'4 days 7 hours'::interval": datetime.timedelta(0),
    "'0d5b6a7e-1111-4222-8333-123456789012'::uuid": "00000000-0000-0000-0000-000000000000",
    "'{\"secret\": 1}'::json": {},
    "'{\"secret\": 1}'::jsonb": {},
    "'\\x736563726574'::bytea": b"",
    "'47.11.47.11'::inet": "0.0.0.0",
    "'47.11.0.0/16'::cidr": "0.0.0.0/32",
    "'47:11:47:11:47:11'::macaddr": "00:00:00:00:00:00",
    "'47:11:47:11:47:11:47:11'::macaddr8": "00:00:00:00:00:00:00:00",
    "'10101'::varbit": "",
    "'10101'::bit(5)": None,
    "ARRAY['secret']::text[]": [],
    "ARRAY[4711]::int4[]": [],
    "ARRAY[4711]::int8[]": [],
    "ARRAY['1971-04-07']::date[]": [],
    "ARRAY['0d5b6a7e-1111-4222-8333-123456789012']::uuid[]": [],
    "'secret'::tsvector": "",
    "'secret'::tsquery": None,
    "'[4711,4712)'::int4range": "empty",
    "'[1971-04-07,1971-04-08)'::daterange": "empty",
    "'{[4711,4712)}'::int4multirange": "{}",
    "'(47,11)'::point": None,
    "'glad'::pg_temp.mood": None,
    "ROW(4711, 'secret')::pg_temp.pair": None,
    "ROW(4711, 'secret')": None,
    "ARRAY['glad']::pg_temp.mood[]": None,
}


def same(decoded: Any, expected: object) -> bool:
    """What the driver gave; types that it does not know in binary come as bytes, whose form the server checks."""
    if isinstance(decoded, bytes) and not isinstance(expected, bytes):
        return True
    if expected == "empty":
        return bool(decoded.isempty)
    if expected == "{}" and not isinstance(decoded, str):
        return len(decoded) == 0
    return str(decoded) == expected if isinstance(expected, str) else bool(decoded == expected)


@pytest.mark.postgres
@pytest.mark.parametrize("code", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("expression", TYPES)
def test_a_masked_value_is_valid_for_its_type(server: psycopg.Connection[Any], expression: str, code: int) -> None:
    """The driver decodes the mask to the documented constant, and the server itself takes the bytes back."""
    decoded, raw = select(server, expression, code, MaskMethod.FULL)
    expected = TYPES[expression]
    assert same(decoded, expected) if expected is not None else decoded is None
    if raw is None:
        return
    result = server.pgconn.exec_params(f"SELECT {expression}".encode(), [], result_format=code)
    given = server.pgconn.exec_params(
        b"SELECT $1", [raw], param_types=[result.ftype(0)], param_formats=[code], result_format=code
    )
    assert given.status == pq.ExecStatus.TUPLES_OK, given.error_message


@pytest.mark.postgres
@pytest.mark.parametrize("code", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("method", list(MaskMethod))
@pytest.mark.parametrize("expression", TYPES)
def test_no_method_lets_a_value_out(
    server: psycopg.Connection[Any], expression: str, method: MaskMethod, code: int
) -> None:
    """Whatever the method and the type: the server's bytes of the value are not in what leaves."""
    before = server.pgconn.exec_params(f"SELECT {expression}".encode(), [], result_format=code).get_value(0, 0)
    _, raw = select(server, expression, code, method)
    assert before is not None
    assert raw is None or raw != before
    assert raw is None or b"secret" not in raw
    if method is MaskMethod.NULL:
        assert raw is None


@pytest.mark.postgres
@pytest.mark.parametrize("code", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("type_name", ["text", "int4", "jsonb", "uuid", "pg_temp.mood"])
def test_null_stays_null(server: psycopg.Connection[Any], type_name: str, code: int) -> None:
    """That a value is absent is not hidden, and is no masked cell."""
    assert select(server, f"NULL::{type_name}", code, MaskMethod.FULL)[1] is None


@pytest.mark.postgres
@pytest.mark.parametrize("value", [
    "'bob@example.com'::text", "'47114711'::int8", "'-5'::int8", "'0d5b6a7e-1111-4222-8333-123456789012'::uuid",
    "'\\x00ff5c'::bytea", "'pad'::char(9)",
])  # fmt: skip
def test_a_pseudonym_is_the_same_in_both_formats(server: psycopg.Connection[Any], value: str) -> None:
    """So that what one client reads in text joins with what another reads in binary."""
    text, _ = select(server, value, 0, MaskMethod.HASH)
    binary, _ = select(server, value, 1, MaskMethod.HASH)
    assert text == binary
    assert text is not None


@pytest.mark.postgres
def test_a_pseudonym_of_bytea_does_not_depend_on_its_output_form(server: psycopg.Connection[Any]) -> None:
    """bytea_output is the session's choice."""
    as_hex = select(server, "'\\x00ff5c41'::bytea", 0, MaskMethod.HASH)[1]
    server.execute("SET bytea_output = 'escape'")
    try:
        assert select(server, "'\\x00ff5c41'::bytea", 0, MaskMethod.HASH)[1] == as_hex
    finally:
        server.execute("RESET bytea_output")


ROWS = [
    ("1", "bob@example.com", "plain"),
    ("2", "o'neil@example.com", 'with "quotes", commas'),
    ("3", None, "new\nline\r and \\back\\slash\t tab"),
    ("4", "", "\\N"),
    ("5", "multi\nline@x", ""),
    ("6", "\\.", None),
    ("7", 'q"uote@x.y', "|;'"),
    ("8", "tab\tback\\slash@example.com", "ende äöü €"),
]
EXPECTED = ["b***@example.com", "o***@example.com", None, "***", "***", "***", "***", "***"]
COPIES = [
    "(FORMAT text)",
    "",
    "(FORMAT text, DELIMITER '|')",
    "(FORMAT text, DELIMITER '@', HEADER)",
    "(FORMAT text, DELIMITER '*')",
    "WITH DELIMITER ';' NULL AS '\\N'",
    "(FORMAT csv)",
    "CSV HEADER",
    "(FORMAT csv, HEADER true, FORCE_QUOTE *)",
    "(FORMAT csv, FORCE_QUOTE (email), NULL '***')",
    "(FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\')",
    "(FORMAT csv, QUOTE '*', ESCAPE '@', NULL 'nix')",
    "(FORMAT csv, DELIMITER '@', QUOTE '|')",
    "(FORMAT csv, DELIMITER E'\\t', ENCODING 'utf-8')",
    "(FORMAT binary)",
    "WITH BINARY",
]


PEOPLE = CatalogRelation(
    "pg_temp", "people", 7, RelationKind.TABLE,
    tuple(CatalogColumn(name, number, 25, "text") for number, name in enumerate(("id", "email", "note"), 1)),
)  # fmt: skip
INFORMED = DatabaseMasks(KEY, "db", {"db": KnownTypes(tables={7: PEOPLE})})


def copied(server: psycopg.Connection[Any], statement: str) -> list[bytes]:
    with server.cursor() as cursor, cursor.copy(statement) as copy:
        return [bytes(chunk) for chunk in copy]


@pytest.fixture(scope="module")
def people(server: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    server.execute("CREATE TEMP TABLE people (id text, email text, note text)")
    server.execute("CREATE TEMP TABLE back (id text, email text, note text)")
    with server.cursor() as cursor:
        cursor.executemany("INSERT INTO people VALUES (%s, %s, %s)", ROWS)
    return server


@pytest.mark.postgres
@pytest.mark.parametrize("size", [0, 1, 7, 10_000], ids=["as sent", "bytes", "sevens", "at once"])
@pytest.mark.parametrize("options", COPIES)
def test_copy_output_is_masked_and_can_be_loaded(people: psycopg.Connection[Any], options: str, size: int) -> None:
    """Masked COPY output in any chunks, put back by COPY FROM with the same options, gives the rows with masks."""
    statement = f"COPY people TO STDOUT {options}"
    chunks = copied(people, statement)
    if size:
        whole = b"".join(chunks)
        chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
    code = int("binary" in options.lower())
    obligations = StatementObligations(0, output_count=3, masks=(OutputMask(2, MaskMethod.EMAIL, "r"),), tables=(7,))
    rewriter = INFORMED.for_copy(obligations, statement.encode(), 0, Formats(code, (code,) * 3))
    assert rewriter is not None
    out = b"".join([*map(rewriter.feed, chunks), rewriter.finish()])
    people.execute("TRUNCATE back")
    loading = options.replace("FORCE_QUOTE *", "FORCE_NULL (id)").replace("FORCE_QUOTE (email)", "FORCE_NULL (id)")
    with people.cursor() as cursor, cursor.copy(f"COPY back FROM STDIN {loading}") as copy:
        copy.write(out)
    found = people.execute("SELECT id, email, note FROM back ORDER BY id").fetchall()
    whole_rows = [(row[0], mask, row[2]) for row, mask in zip(ROWS, EXPECTED, strict=True)]
    assert found == whole_rows
    assert rewriter.masked_cells == 7
    assert rewriter.rows == 8


STORED = [expression for expression in TYPES if "pg_temp" not in expression and "ROW" not in expression]
CITEXT_FUNCTIONS = [
    f"{name} LANGUAGE internal IMMUTABLE STRICT AS '{source}'"
    for name, source in (
        ("i(cstring) RETURNS citext", "textin"),
        ("o(citext) RETURNS cstring", "textout"),
        ("r(internal) RETURNS citext", "textrecv"),
        ("s(citext) RETURNS bytea", "textsend"),
    )
]
COPY_FORMS = ["(FORMAT text)", "(FORMAT csv)", "(FORMAT binary)"]


@pytest.fixture(scope="module")
def typed(postgres: BundledPostgres) -> Iterator[tuple[psycopg.Connection[Any], CatalogSnapshot]]:
    """A table with a column of each type, and one of a type that is text beneath, as citext is."""
    dsn = postgres.dsn("postgres")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA typed")
        connection.execute("SET search_path = typed, public")
        columns = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(STORED, 1))
        connection.execute(f"CREATE TABLE typed AS SELECT {columns}".encode())
        connection.execute("CREATE TYPE citext")
        for function in CITEXT_FUNCTIONS:
            connection.execute(f"CREATE FUNCTION {function}".encode())
        connection.execute("CREATE TYPE citext (INPUT = i, OUTPUT = o, RECEIVE = r, SEND = s, LIKE = text)")
        connection.execute("CREATE TABLE mails (id int, mail citext, upper text GENERATED ALWAYS AS ('x') STORED)")
        connection.execute("INSERT INTO mails VALUES (1, 'bob@example.com')")
        snapshot = asyncio.run(read_catalog(dsn, "db"))
        yield connection, replace(snapshot, extensions=("citext",))
        connection.execute("DROP SCHEMA typed CASCADE")


def through_copy(
    typed: tuple[psycopg.Connection[Any], CatalogSnapshot], source: str, options: str, *masks: OutputMask
) -> bytes:
    """What leaves of `COPY source`, with what the snapshot tells of types."""
    connection, snapshot = typed
    engine = MaskingEngine(KEY)
    engine.learn(snapshot)
    table = source.partition("(")[0].split(".")[-1]
    relation = next(one for one in snapshot.relations if (one.schema, one.name) == ("typed", table))
    statement = f"COPY {source} TO STDOUT {options}"
    chunks = copied(connection, statement)
    columns = len(STORED) if table == "typed" else 2
    code = int("binary" in options)
    obligations = StatementObligations(0, output_count=columns, masks=masks, tables=(relation.oid,))
    rewriter = engine.of("db").for_copy(obligations, statement.encode(), 0, Formats(code, (code,) * columns))
    assert rewriter is not None
    return b"".join([*map(rewriter.feed, chunks), rewriter.finish()])


@pytest.mark.postgres
@pytest.mark.parametrize("method", [MaskMethod.FULL, MaskMethod.EMAIL, MaskMethod.HASH])
@pytest.mark.parametrize("options", COPY_FORMS)
def test_masked_copy_of_a_table_can_be_loaded_whatever_its_types(
    typed: tuple[psycopg.Connection[Any], CatalogSnapshot], options: str, method: MaskMethod
) -> None:
    """COPY FROM takes every column back, as the constant of its type or NULL."""
    connection, _ = typed
    fitting = [MaskMethod.FULL if "char(20)" in expression else method for expression in STORED]  # 32 digits don't fit
    masks = tuple(OutputMask(number, one, "r") for number, one in enumerate(fitting, 1))
    left = through_copy(typed, "typed", options, *masks)
    assert b"secret" not in left and b"4711" not in left
    connection.execute("CREATE TABLE back (LIKE typed)")
    try:
        with connection.cursor() as cursor, cursor.copy(f"COPY back FROM STDIN {options}") as copy:
            copy.write(left)
        (row,) = connection.execute("SELECT * FROM back").fetchall()
    finally:
        connection.execute("DROP TABLE back")
    if method is MaskMethod.FULL:
        for value, expression in zip(row, STORED, strict=True):
            expected = TYPES[expression]
            found = value.rstrip() if isinstance(value, str) else value  # char(n) is padded
            assert same(found, expected) if expected is not None else found is None, expression


@pytest.mark.postgres
@pytest.mark.parametrize("source", ["mails", "typed.mails", "mails(id, mail)"])
@pytest.mark.parametrize("options", COPY_FORMS)
def test_copied_citext_is_masked_as_text(
    typed: tuple[psycopg.Connection[Any], CatalogSnapshot], source: str, options: str
) -> None:
    """A number beside it becomes a number, and a generated column is no part of COPY."""
    source = source.replace(" ", "")
    left = through_copy(
        typed, source, options, OutputMask(1, MaskMethod.FULL, "r"), OutputMask(2, MaskMethod.EMAIL, "r")
    )
    assert b"b***@example.com" in left and b"bob" not in left
    assert left.startswith({"text": b"0\t", "csv": b'"0",', "binary": b"PGCOPY"}[options[8:-1]])


@pytest.mark.postgres
@pytest.mark.parametrize("code", [0, 1])
def test_selected_citext_is_masked_as_text(typed: tuple[psycopg.Connection[Any], CatalogSnapshot], code: int) -> None:
    """Its OID is known from the catalog of its own database, and of no other."""
    connection, snapshot = typed
    result = connection.pgconn.exec_params(b"SELECT mail FROM mails", [], result_format=code)
    fields = [Described("mail", 0, 0, result.ftype(0), code)]
    message = row_message([result.get_value(0, 0)])
    obligations = StatementObligations(0, output_count=1, masks=(OutputMask(1, MaskMethod.EMAIL, "rule"),))
    engine = MaskingEngine(KEY)
    engine.learn(snapshot)
    found = []
    for masks in (engine.of("db"), engine.of("other")):
        rewriter = masks.for_rows(obligations, fields, ())
        assert rewriter is not None
        found += fields_of(rewriter.rewrite(message, 0, len(message))[0])
    assert found == [b"b***@example.com", None]


@pytest.mark.postgres
def test_copied_csv_is_what_other_readers_take(people: psycopg.Connection[Any]) -> None:
    """Python's own reader agrees with the server about masked csv."""
    statement = "COPY (SELECT id, email, note FROM people WHERE note IS NOT NULL) TO STDOUT (FORMAT csv, HEADER)"
    obligations = StatementObligations(0, output_count=3, masks=(OutputMask(2, MaskMethod.FULL, "r"),))
    rewriter = ENGINE.for_copy(obligations, statement.encode(), 0, Formats(0, (0,) * 3))
    assert rewriter is not None
    out = b"".join(map(rewriter.feed, copied(people, statement)))
    lines = list(csv.reader(io.StringIO(out.decode(), newline="")))
    assert lines[0] == ["id", "email", "note"]
    assert [line[1] for line in lines[1:]] == ["***", "***", "", "***", "***", "***", "***"]
    assert [line[2] for line in lines[1:]] == [row[2] for row in ROWS if row[2] is not None]


@pytest.mark.postgres
def test_binary_copy_without_known_types_gives_nulls(people: psycopg.Connection[Any]) -> None:
    """NULL is the one binary field that is valid for every type."""
    statement = "COPY people TO STDOUT (FORMAT binary)"
    obligations = StatementObligations(0, output_count=3, masks=(OutputMask(2, MaskMethod.EMAIL, "r"),))
    rewriter = ENGINE.for_copy(obligations, statement.encode(), 0, Formats(1, (1,) * 3))
    assert rewriter is not None
    out = b"".join(map(rewriter.feed, copied(people, statement)))
    assert b"example" not in out
    people.execute("TRUNCATE back")
    with people.cursor() as cursor, cursor.copy("COPY back FROM STDIN (FORMAT binary)") as copy:
        copy.write(out)
    assert people.execute("SELECT count(*), count(email) FROM back").fetchone() == (8, 0)


@pytest.mark.postgres
@pytest.mark.parametrize("options", ["(FORMAT text, ENCODING 'sjis')", "(FORMAT text, ENCODING 'latin1')"])
def test_copy_in_another_encoding_is_refused(people: psycopg.Connection[Any], options: str) -> None:
    """In some of them a delimiter's byte may be half of a character."""
    obligations = StatementObligations(0, output_count=3, masks=(OutputMask(2, MaskMethod.EMAIL, "r"),))
    with pytest.raises(ObligationUnfulfillable):
        ENGINE.for_copy(obligations, f"COPY people TO STDOUT {options}".encode(), 0, Formats(0, (0,) * 3))


@pytest.mark.postgres
def test_a_guessed_null_string_asks_nothing(people: psycopg.Connection[Any]) -> None:
    """COPY … (NULL 'guess') must not tell which rows hold the guess: text refuses it, csv always looks alike."""
    obligations = StatementObligations(0, output_count=3, masks=(OutputMask(2, MaskMethod.EMAIL, "r"),))
    with pytest.raises(ObligationUnfulfillable, match="null string"):
        statement = b"COPY people TO STDOUT (NULL 'bob@example.com')"
        ENGINE.for_copy(obligations, statement, 0, Formats(0, (0,) * 3))
    found = []
    for guess in ("bob@example.com", "nobody@example.com"):
        statement = f"COPY (SELECT * FROM people WHERE id < '3') TO STDOUT (FORMAT csv, NULL '{guess}')".encode()
        rewriter = ENGINE.for_copy(obligations, statement, 0, Formats(0, (0,) * 3))
        assert rewriter is not None
        found.append(b"".join(map(rewriter.feed, copied(people, statement.decode()))))
    assert found[0] == found[1]
