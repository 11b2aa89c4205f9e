"""Parts of the dialects' analysis by themselves: the lexer's places and texts, names through views and sessions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlglot.tokenizer_core import Token, TokenType

from decision.analysis import Analyzer, SessionState
from decision.analysis.dialects import lexical
from decision.analysis.dialects.traits import TRAITS
from decision.analysis.effects import RelationAltered, SearchPathSet
from decision.analysis.limits import Limits
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot, ForeignKey
from decision.model.errors import LimitExceeded, SyntaxRefused, TextRefused
from decision.model.facts import Access, RelationKind, Statement, Via


def scan(dialect: str, text: str, limits: Limits | None = None) -> lexical.Scanned:
    return lexical.scan(text, TRAITS[dialect], limits or Limits())


def table(name: str, definition: str = "", schema: str = "public", columns: str = "id ssn") -> CatalogRelation:
    found = tuple(CatalogColumn(one, number, 0, "text") for number, one in enumerate(columns.split(), 1))
    kind = RelationKind.VIEW if definition else RelationKind.TABLE
    return CatalogRelation(schema, name, 0, kind, found, definition)


def facts(dialect: str, text: str, *relations: CatalogRelation, state: SessionState | None = None) -> Statement:
    snapshot = CatalogSnapshot("app", 0, "parts", (), relations)
    analysis = Analyzer(dialect).analyze(text.encode(), snapshot, state or SessionState())
    return analysis.facts.statements[-1]


def touched(statement: Statement, via: Via = Via.DIRECT) -> dict[str, set[Access]]:
    return {one.name: set(one.access) for one in statement.relations if one.via is via}


@pytest.mark.parametrize(("dialect", "text", "comments"), [
    ("mysql", "SELECT 1 # a\n, 2 -- b\n, 3 /* c */", ["# a", "-- b", "/* c */"]),
    ("mysql", "SELECT /*+ MAX_EXECUTION_TIME(1) */ 1", []),
    ("snowflake", "SELECT 1 // a", ["// a"]),
    ("bigquery", "SELECT 1 # a", ["# a"]),
    ("sqlite", "SELECT '/* no */' -- yes", ["-- yes"]),
])  # fmt: skip
def test_places_of_comments(dialect: str, text: str, comments: list[str]) -> None:
    """Comments have their places, hints and texts are none, and the length is the text's."""
    scanned = scan(dialect, text)
    assert [text[start:end] for start, end in scanned.comments] == comments
    assert scanned.length == len(text)
    assert not {piece.text for piece in scanned.pieces} & set(comments)


def token(kind: TokenType, text: str, start: int, end: int) -> Token:
    return Token(kind, text, 1, 1, start, end - 1)


@pytest.mark.parametrize("tokens", [
    [token(TokenType.SELECT, "SELECT", 0, 6), token(TokenType.VAR, "a", 10, 11)],  # within the comment
    [token(TokenType.SELECT, "SELECT", 0, 6), token(TokenType.STRING, "x", 15, 17)],  # half of the text
    [token(TokenType.SELECT, "SELECT", 0, 6), token(TokenType.VAR, "x", 16, 17)],  # from within the text
    [token(TokenType.SELECT, "SELECT", 0, 6)],  # without the text
    [token(TokenType.STRING, "x", 15, 18)],  # without the word
])  # fmt: skip
def test_lexers_that_disagree(tokens: list[Token]) -> None:
    """Another lexer that reads a comment, cuts a text elsewhere or leaves a word out refuses the statement."""
    scanned = scan("sqlite", "SELECT /* a */ 'x'")
    with pytest.raises(TextRefused, match="the text can be cut into tokens in more than one way"):
        lexical.check_against_sqlglot(scanned, tokens)


def test_lexers_that_agree() -> None:
    """The same places are no reason to refuse; a hint is nobody's but the server's."""
    scanned = scan("sqlite", "SELECT /* a */ 'x'")
    word, text = token(TokenType.SELECT, "SELECT", 0, 6), token(TokenType.STRING, "x", 15, 18)
    lexical.check_against_sqlglot(scanned, [word, text])
    lexical.check_against_sqlglot(scanned, [word, token(TokenType.HINT, "/*+", 7, 10), text])


def test_brackets_count_to_the_limit() -> None:
    """As deep as the limit is read, one deeper is not; closed ones don't count."""
    limits = replace(Limits(), depth=3)
    assert scan("mysql", "((([{}])))"[:3] + ")))" + "(((" + ")))", limits).pieces
    for opening in ("((((", "[[[[", "{{{{"):
        with pytest.raises(LimitExceeded, match="brackets nest deeper than 3"):
            scan("mysql", opening, limits)


def test_tokens_count_to_the_limit() -> None:
    """The last token that fits is read, one more is not."""
    assert len(scan("mysql", "a " * lexical.MAX_PIECES).pieces) == lexical.MAX_PIECES
    with pytest.raises(LimitExceeded, match="more than 30000 tokens"):
        scan("mysql", "a " * (lexical.MAX_PIECES + 1))


@pytest.mark.parametrize(("dialect", "text", "cursor"), [
    ("sqlite", "SELECT 'x", 8), ("sqlite", "SELECT /* x", 8), ("sqlite", "SELECT 1 */", 10), ("oracle", "'", 1),
])  # fmt: skip
def test_where_a_text_can_not_be_read(dialect: str, text: str, cursor: int) -> None:
    """The place that is told counts from one."""
    with pytest.raises(SyntaxRefused) as caught:
        scan(dialect, text)
    assert caught.value.cursor == cursor


@pytest.mark.parametrize(("dialect", "text", "wanted"), [
    ("mysql", "SELECT  a.b , 'x' ,f ( 1 )\nFROM `t`  /* c */ WHERE a=-2", "SELECT a.b, ?, f(?) FROM `t` WHERE a = - ?"),
    ("tsql", 'SELECT "x", "users" FROM [a b]', 'SELECT ?, "users" FROM [a b]'),
    ("duckdb", "SELECT a :: int, \"x\"", "SELECT a::int, \"x\""),
    ("mysql", "CREATE USER u IDENTIFIED BY hunter2", "CREATE USER u IDENTIFIED BY ?"),
    ("mysql", "CREATE USER u IDENTIFIED BY PASSWORD hunter2", "CREATE USER u IDENTIFIED BY PASSWORD ?"),
    ("oracle", "ALTER USER u IDENTIFIED BY VALUES abc x", "ALTER USER u IDENTIFIED BY VALUES ? x"),
    ("oracle", "SELECT a FROM t ORDER BY b", "SELECT a FROM t ORDER BY b"),
])  # fmt: skip
def test_text_without_literals(dialect: str, text: str, wanted: str) -> None:
    """One line, without comments, literals and passwords; names in double quotes stay where they are known."""
    found = lexical.normalized(scan(dialect, text).pieces, TRAITS[dialect], frozenset({"users"}))
    assert found == wanted


@pytest.mark.parametrize(("dialect", "text", "names", "count"), [
    ("tsql", "a.b.c d", ["a", "b", "c"], 5), ("tsql", "a..c", ["a", "", "c"], 4),
    ("tsql", "[a.b].[c]]d]", ["a.b", "c]d"], 3),
    ("mysql", "`a``b` . c", ["a`b", "c"], 3), ("mysql", "a b", ["a"], 1), ("mysql", "'a'", [], 0),
    ("mysql", ".a", [], 0),
])  # fmt: skip
def test_dotted_names(dialect: str, text: str, names: list[str], count: int) -> None:
    """The parts without their quotes, an empty one between two dots, and how many tokens they are."""
    assert lexical.dotted(scan(dialect, text).pieces) == (names, count)


def test_statements_between_semicolons() -> None:
    """Empty ones don't count, and a semicolon in a text or a name parts nothing."""
    parts = lexical.split(scan("mysql", ";a;;b 'x;y' `c;d`;").pieces)
    assert [[piece.text for piece in part] for part in parts] == [["a"], ["b", "'x;y'", "`c;d`"]]


def test_fingerprint() -> None:
    """Sixteen hexadecimal digits, letters' case aside."""
    assert lexical.fingerprint("SELECT A") == lexical.fingerprint("select a") != lexical.fingerprint("select b")
    assert len(lexical.fingerprint("x")) == 16
    assert int(lexical.fingerprint("x"), 16)


SCHEMAS = [
    ("mysql", "public"), ("mariadb", "public"), ("sqlite", "main"), ("sqlite", "temp"), ("sqlite", "public"),
    ("tsql", "dbo"),
    ("tsql", "public"), ("snowflake", "PUBLIC"), ("bigquery", "public"), ("duckdb", "main"), ("duckdb", "public"),
    ("oracle", "PUBLIC"),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "schema"), SCHEMAS)
def test_names_without_a_schema(dialect: str, schema: str) -> None:
    """Where nothing says better, each dialect looks into its own schemas."""
    found = facts(dialect, "SELECT ssn FROM people", table("people", schema=schema))
    assert [(one.schema, one.name) for one in found.relations] == [(schema, "people")]
    assert not found.unresolved


def test_a_name_that_two_relations_have() -> None:
    """Letters' case decides where it can, and where it can't, the name is not known."""
    both = (table("People"), table("people"))
    assert not facts("mysql", "SELECT ssn FROM People", *both).unresolved
    assert facts("mysql", "SELECT ssn FROM PEOPLE", *both).unresolved


def test_views_that_refer_to_each_other() -> None:
    """They end, and are not known."""
    found = facts(
        "mysql", "SELECT ssn FROM a", table("a", "SELECT id, ssn FROM b"), table("b", "SELECT id, ssn FROM a")
    )
    assert ("a", "views refer to each other") in {(one.what, one.why) for one in found.unresolved}
    assert all(one.opaque for one in found.output)


@pytest.mark.parametrize("definition", ["SELECT id FROM t", "SELECT (", "DROP TABLE t", "SELECT 1; SELECT 2"])
def test_a_view_whose_definition_is_no_query_of_its_columns(definition: str) -> None:
    """Its own columns stay known, as ones that may hold anything."""
    found = facts("mysql", "SELECT ssn FROM v", table("v", definition), table("t"))
    assert ("v", "the view's definition can't be read") in {(one.what, one.why) for one in found.unresolved}
    (output,) = found.output
    assert output.opaque
    assert [(one.table, one.column) for one in output.sources] == [("v", "ssn")]


def test_a_view_is_written_through() -> None:
    """What the view reads is written with it, what stands beside it is not."""
    relations = (table("v", "SELECT id, ssn FROM t"), table("t"), table("u"))
    found = facts("mysql", "INSERT INTO v SELECT id, ssn FROM u", *relations)
    assert Access.WRITE in touched(found)["v"]
    assert Access.WRITE in touched(found, Via.VIEW)["t"]
    assert touched(found)["u"] == {Access.READ}
    assert "t" not in touched(found)
    assert touched(facts("mysql", "SELECT ssn FROM v", *relations), Via.VIEW)["t"] == {Access.READ}


def test_what_the_session_changed() -> None:
    """A relation that was altered since, or a schema that was chosen, leaves the name in doubt."""
    altered = SessionState().apply([RelationAltered("public", "T")], "parts")
    (reason,) = facts("mysql", "SELECT ssn FROM t", table("t"), state=altered).unresolved
    assert (reason.what, reason.why) == ("t", "the session changed it after the catalog was read")
    assert not facts("mysql", "SELECT ssn FROM u", table("u"), state=altered).unresolved
    chosen = SessionState().apply([SearchPathSet(None)], "parts")
    assert facts("mysql", "SELECT ssn FROM t", table("t"), state=chosen).unresolved
    assert not facts("mysql", "SELECT ssn FROM public.t", table("t"), state=chosen).unresolved


FIRES = [  # the manuals: MySQL and SQLite do both, SQL Server too, Oracle deletes only, the others do neither
    ("mysql", "du"), ("sqlite", "du"), ("tsql", "du"), ("oracle", "d"), ("snowflake", ""), ("bigquery", ""),
    ("duckdb", ""),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "fires"), FIRES)
@pytest.mark.parametrize("action", ["cascade", "set_null", "set_default", "no_action", "restrict"])
def test_foreign_keys_that_cascade(dialect: str, fires: str, action: str) -> None:
    """What DELETE and UPDATE set off is written for the key's sake, and what that sets off in turn."""
    acts = action in ("cascade", "set_null", "set_default")
    for event, letter, text in (("on_delete", "d", "DELETE FROM a"), ("on_update", "u", "UPDATE a SET id = 1")):
        key = ForeignKey("k", ("id",), "public", "a", ("id",), **{event: action})
        further = ForeignKey("k", ("id",), "public", "b", ("id",), **{event: action})
        relations = (table("a"), replace(table("b"), foreign_keys=(key,)), replace(table("c"), foreign_keys=(further,)))
        written = {name for name, how in touched(facts(dialect, text, *relations), Via.FOREIGN_KEY).items() if how}
        assert written == ({"b", "c"} if acts and letter in fires else set()), text
        assert not touched(facts(dialect, "INSERT INTO a (id) VALUES (1)", *relations), Via.FOREIGN_KEY)


def test_the_dialect_that_was_asked_for_is_told() -> None:
    """MariaDB is read as MySQL is, under its own name."""
    analysis = Analyzer("mariadb").analyze(b"SELECT 1", None, SessionState())
    assert analysis.facts.dialect == "mariadb"
    with pytest.raises(ValueError, match="'db9' is not known; known: bigquery, duckdb, mariadb, mysql, oracle"):
        Analyzer("db9")
