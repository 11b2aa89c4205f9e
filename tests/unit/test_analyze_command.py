"""`airlock analyze` as scripts and people run it: one message or many, documents or drawings, errors by their codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from decision.analysis.dialects import DIALECTS
from decision.analysis.snapshot_json import dump
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.facts import RelationKind

PROGRAM = Path(sys.executable).with_name("airlock")


def run(*arguments: str, given: str | bytes = "") -> subprocess.CompletedProcess[bytes]:
    data = given.encode() if isinstance(given, str) else given
    return subprocess.run([PROGRAM, "analyze", *arguments], input=data, capture_output=True, check=False, timeout=60)


def documents(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    """A catalog file with one tagged column."""
    columns = (
        CatalogColumn("id", 1, 23, "integer", not_null=True),
        CatalogColumn("email", 2, 25, "text", tags=("pii.email",)),
    )
    relation = CatalogRelation("public", "users", 1, RelationKind.TABLE, columns, keys=(("id",),), estimated_rows=900)
    file = tmp_path / "catalog.json"
    file.write_bytes(dump(CatalogSnapshot("app", 180000, "v", relations=(relation,))))
    return str(file)


def test_one_document_holds_all_statements_of_a_message() -> None:
    """The whole input is one message, over several lines, with every statement in it."""
    done = run(given="begin;\ndelete from t\n  where id = 4711;\ncommit")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [one["kinds"] for one in document["statements"]] == [["tcl"], ["delete"], ["tcl"]]
    assert document["multi_statement"] and b"4711" not in done.stdout


def test_an_empty_message_is_understood() -> None:
    """No statement, no error."""
    done = run(given="-- nothing\n")
    assert (done.returncode, json.loads(done.stdout)["statements"]) == (0, [])


def test_a_refused_message_gives_its_code_on_both_sides() -> None:
    """The error's document on standard output, the words on standard error, status 1."""
    done = run(given="selec 'needle-4711'")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "syntax_refused"
    assert done.stderr.startswith(b"error (syntax_refused): ") and b"needle" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "code"),
    [(b"select '\xff'", "text_refused"), (b"select\0", "text_refused"), (b"(" * 20_000 + b"1", "limit_exceeded")],
)
def test_hostile_bytes_are_refused_with_their_code(given: bytes, code: str) -> None:
    """No traceback, whatever comes in."""
    done = run(given=given)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, code)
    assert b"Traceback" not in done.stderr


def test_lines_are_messages_of_their_own() -> None:
    """A document a line, in order, bad lines with their number among them; the status and standard error say so."""
    done = run("--lines", given="select 1\n\nselec 2\ndrop table t; drop table u\r\n")
    first, second, third = documents(done)
    assert first["statements"][0]["kinds"] == ["select"]
    assert (second["error"]["code"], second["error"]["line"]) == ("syntax_refused", 2)
    assert len(third["statements"]) == 2
    assert (done.returncode, done.stderr) == (1, b"1 of 3 messages refused\n")


def test_a_line_is_answered_before_the_next_one_is_written() -> None:
    """So that a program can keep it running and ask."""
    with subprocess.Popen([PROGRAM, "analyze", "--lines"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for verb in ("drop", "create"):
            process.stdin.write(f"{verb} schema s\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["statements"][0]["operations"][0]["verb"] == verb
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_session_knows_its_earlier_lines() -> None:
    """EXECUTE is what was prepared with --session, unknown without."""
    given = "prepare p as delete from t\nexecute p\n"
    alone, together = documents(run("--lines", given=given)), documents(run("--session", given=given))
    assert "delete" not in alone[1]["statements"][0]["kinds"]
    assert "delete" in together[1]["statements"][0]["kinds"]


def test_the_catalog_gives_names_their_meaning(snapshot: str) -> None:
    """Columns behind a star, their tags, keys and estimates come out of the file."""
    document = json.loads(run("--catalog", snapshot, given="select * from users where id = 1").stdout)
    statement = document["statements"][0]
    assert document["complete"]
    assert [(one["name"], one["tags"]) for one in statement["output"]] == [("id", []), ("email", ["pii.email"])]
    assert statement["predicate"]["pins_key"] and statement["estimated_rows"] == 1


def test_a_file_that_is_no_catalog_is_named_as_such(tmp_path: Path) -> None:
    """The error tree's code, a hint, nothing on standard output."""
    (tmp_path / "wrong.json").write_text("{}")
    done = run("--catalog", str(tmp_path / "wrong.json"), given="select 1")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error (settings_error): ") and b"airlock catalog dump" in done.stderr


def test_explain_draws_the_facts(snapshot: str) -> None:
    """Kinds, relations with access, columns with usage, lineage, rows, functions, flags and gaps, in this form."""
    text = "update users set email = upper(email) where id = $1 returning email; select pg_sleep(1), x from nosuch"
    done = run("--catalog", snapshot, "--explain", given=text)
    assert done.stdout.decode() == (
        "── statement 1 of 2 ──\n"
        "update users set email = upper(email) where id = $1 returning email\n"
        "  does       update; 1 parameter; returns rows\n"
        "  relation   public.users (table): read, write\n"
        "  output     1. email <- public.users.email (identity)  [pii.email]\n"
        "  column     public.users.email: output, write, inner  [pii.email]\n"
        "             public.users.id: filter\n"
        "  function   pg_catalog.upper: no effect\n"
        "  rows       a whole key is pinned (id); about 1 or fewer\n"
        "  flag       multi\n"
        "── statement 2 of 2 ──\n"
        "select pg_sleep($2), x from nosuch\n"
        "  does       select; returns rows\n"
        "  relation   nosuch (unknown): read\n"
        "  output     1. pg_sleep <- no column (expression)\n"
        "             2. x <- no column, and what can't be known (expression)\n"
        "  function   pg_catalog.pg_sleep: sleeps\n"
        "  rows       no WHERE\n"
        "  flag       dos, multi\n"
        "  unknown    nosuch: no relation of this name in the search path\n"
        "INCOMPLETE: not everything could be known; such a statement is denied unless a rule allows it\n"
    )


def test_explain_says_what_is_refused() -> None:
    """In its place among the others."""
    done = run("--explain", "--lines", given="selec 1\nselect 1\n")
    assert done.returncode == 1
    assert done.stdout.startswith(b"refused (syntax_refused): ") and b"does       select" in done.stdout


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read(dialect: str) -> None:
    """The same documents for all of them."""
    document = json.loads(run("--dialect", dialect, given="DELETE FROM t WHERE id = 4711").stdout)
    assert (document["dialect"], document["statements"][0]["kinds"]) == (dialect, ["delete"])


def test_an_unknown_dialect_is_a_usage_error() -> None:
    """Status 2 and the known ones."""
    done = run("--dialect", "cobol")
    assert done.returncode == 2 and b"postgres" in done.stderr


def test_it_starts_without_what_it_does_not_need() -> None:
    """Neither drivers nor servers nor the other dialects' parser are imported for a PostgreSQL message."""
    heavy = "['sqlglot', 'grpc', 'psycopg', 'duckdb', 'rich', 'asyncio', 'google.protobuf', 'pydantic', 'aiohttp']"
    code = (
        f"import sys; from airlock.main import run; run(['analyze']); print([n for n in {heavy} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"select 1", capture_output=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == b"[]"
