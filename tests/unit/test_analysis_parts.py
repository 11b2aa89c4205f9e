"""Small parts of the analysis by themselves: flows, places of names, options, syntax errors, the cache."""

from __future__ import annotations

import pytest

from decision.analysis import Analyzer, Limits, SessionState
from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Item, Scope, Shape, either, merge
from decision.analysis.postgres.locate import position
from decision.analysis.postgres.order_of_ctes import referred_first
from decision.analysis.postgres.parse import Node, option_text, option_true, options, parse
from decision.analysis.session import parse_search_path
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import SyntaxRefused
from decision.model.facts import Transform

A, B = ("s", "t", "a"), ("s", "t", "b")
IDENTITY, EXPRESSION, AGGREGATE, ROW = (
    Transform.IDENTITY, Transform.EXPRESSION, Transform.AGGREGATE, Transform.WHOLE_ROW,
)  # fmt: skip


def flow(*keys: tuple[str, str, str], transform: Transform = IDENTITY, opaque: bool = False) -> Flow:
    return Flow(frozenset(keys), transform, opaque)


@pytest.mark.parametrize(
    ("flows", "transform", "want"),
    [
        ([], None, CONSTANT),
        ([CONSTANT, CONSTANT], None, CONSTANT),
        ([flow(A), flow(B)], None, flow(A, B, transform=EXPRESSION)),
        ([flow(A), OPAQUE], None, flow(A, transform=EXPRESSION, opaque=True)),
        ([flow(A, transform=AGGREGATE), flow(B)], None, flow(A, B, transform=AGGREGATE)),
        ([flow(A, transform=AGGREGATE), flow(B, transform=ROW)], None, flow(A, B, transform=ROW)),
        ([flow(A, transform=ROW), flow(B, transform=AGGREGATE)], None, flow(A, B, transform=ROW)),
        ([flow(A)], IDENTITY, flow(A)),
        ([flow(A)], AGGREGATE, flow(A, transform=AGGREGATE)),
        ([flow(A, transform=ROW)], AGGREGATE, flow(A, transform=ROW)),
        ([CONSTANT], AGGREGATE, Flow(transform=AGGREGATE)),
        ([OPAQUE], None, OPAQUE),
    ],
)
def test_a_value_computed_from_several(flows: list[Flow], transform: Transform | None, want: Flow) -> None:
    """It has all their sources and doubts; whole rows and aggregates in it stay visible."""
    assert merge(flows, transform) == want


@pytest.mark.parametrize(
    ("flows", "want"),
    [
        ([flow(A), flow(A)], flow(A)),
        ([flow(A), flow(B)], flow(A, B)),
        ([flow(A), CONSTANT], flow(A)),
        ([flow(A), OPAQUE], flow(A, transform=EXPRESSION, opaque=True)),
        ([flow(A), flow(B, transform=EXPRESSION)], flow(A, B, transform=EXPRESSION)),
        ([flow(A), flow(B, transform=AGGREGATE)], flow(A, B, transform=AGGREGATE)),
        ([flow(A, transform=AGGREGATE), flow(B, transform=ROW)], flow(A, B, transform=ROW)),
        ([CONSTANT, Flow()], CONSTANT),
    ],
)
def test_a_value_that_is_one_of_several(flows: list[Flow], want: Flow) -> None:
    """It stays a plain column where all of them are, constants aside."""
    assert either(flows) == want


def test_columns_of_one_name_are_either() -> None:
    """A name that two columns of a shape have may be either; renaming takes the leading ones."""
    shape = Shape(["x", "x", "y"], [flow(A), flow(B), CONSTANT])
    assert shape.lookup["x"] == flow(A, B)
    assert list(shape.renamed(["p"]).names) == ["p", "x", "y"]
    assert list(shape.renamed(["p", "q", "r", "s"]).names) == ["p", "q", "r"]
    assert shape.renamed([]) is shape
    assert shape.whole_row() == flow(A, B, transform=ROW)
    assert Shape(["x"], [flow(A)], is_open=True).whole_row().opaque
    assert Shape(["x"], [OPAQUE]).whole_row().opaque


def test_a_computed_value_is_no_plain_column() -> None:
    """A computation makes a plain column an expression, and leaves aggregates and doubts what they are."""
    assert flow(A).computed() == flow(A, transform=EXPRESSION)
    assert flow(A, opaque=True).computed().opaque
    assert flow(A, transform=AGGREGATE).computed() == flow(A, transform=AGGREGATE)
    row = Flow(frozenset({A}), ROW, row=Shape(["a"], [flow(A)])).computed()
    assert (row.transform, row.row) == (ROW, None)
    assert [column.column for column in flow(B, A).columns()] == ["a", "b"]


def test_common_table_expressions_are_found_outwards() -> None:
    """The innermost one of a name counts; parameters are known to everything inside of a body."""
    outer = Scope(parameters=True)
    outer.ctes["x"], outer.ctes["y"] = Shape(["a"], [CONSTANT]), Shape(["b"], [CONSTANT])
    inner = Scope(outer)
    inner.ctes["x"] = Shape(["c"], [CONSTANT])
    assert (inner.cte("x"), inner.cte("y"), inner.cte("z")) == (inner.ctes["x"], outer.ctes["y"], None)
    assert inner.parameters
    assert not Scope(Scope()).parameters
    assert Item("f", Shape(["f"], [OPAQUE]), whole=CONSTANT).row() is CONSTANT
    assert Item("t", Shape(["a"], [flow(A)])).row().transform is ROW


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT id FROM users", 16),
        ("SELECT 'ü', id FROM users", 21),
        ("SELECT id FROM other.users", 0),
        ("SELECT id FROM users a JOIN users b ON true", 16),
        ("SELECT id FROM public.users", 16),
        ("SELECT id FROM people", 0),
        ("SELECT id FRO users", 0),
        ("", 0),
    ],
)
def test_the_place_of_a_table(text: str, found: int) -> None:
    """The first one of its name in characters from 1, of its schema where one is asked for; 0 if it isn't there."""
    schema = "public" if "." in text else ""
    assert position(text, schema, "users") == found


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("SELECT id, ssn FROM users", "ssn", 12),
        ("SELECT u.ssn FROM users u", "ssn", 8),
        ("SELECT u.ssn, v.ssn FROM users u, users v", "v.ssn", 15),
        ("SELECT u.ssn FROM users u", "u", 8),
        ("SELECT 1, u.* FROM users u", "u", 11),
        ("SELECT * FROM users", "ssn", 0),
        ("SELECT id FROM users WHERE ssn = 'a'", "ssn", 28),
    ],
)
def test_the_place_of_a_column(text: str, name: str, found: int) -> None:
    """With its table where that is asked for; a star of the table is a place of the table."""
    assert position(text, "", name, column=True) == found


def test_the_place_of_a_column_that_is_written() -> None:
    """Where it gets its value, not where it is read."""
    assert position("UPDATE t SET b = a, a = 1", "", "a", target=True) == 21
    assert position("INSERT INTO t (b, a) VALUES (1, 2)", "", "a", target=True) == 19


def test_options_of_statements() -> None:
    """An option is on without a value, or with one that PostgreSQL takes for true; its text is any plain value's."""
    (node,) = parse(
        "EXPLAIN (a, b true, c false, d on, e off, f 1, g 0, h 'no', i 'none', j text, k 1.5, l 0.0) SELECT 1"
    )
    found = options(node["stmt"]["ExplainStmt"])
    assert [name for name in found if option_true(found, name)] == ["a", "b", "d", "f", "j", "k", "l"]
    assert not option_true(found, "z")
    told = {name: option_text(value) for name, value in found.items()}
    assert told == {
        "a": None, "b": "true", "c": "false", "d": "on", "e": "off", "f": "1", "g": "0", "h": "no", "i": "none",
        "j": "text", "k": "1.5", "l": "0.0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cursor", "shown"),
    [
        ("SELECT 1 FRM t", 14, 'syntax error at or near "t"'),
        ("SELECT 'ü' FRM t", 16, 'syntax error at or near "t"'),
        ("SELEC 1", 1, 'syntax error at or near "SELEC"'),
        ("SELECT (", 9, "syntax error at end of input"),
        ("SELECT 'abc", 8, "unterminated quoted string"),
        ('SELECT "abc', 8, "unterminated quoted identifier"),
        ("SELECT $$abc", 8, "unterminated dollar-quoted string"),
        ("SELECT /* abc", 8, "unterminated /* comment"),
        ("SELECT 1 'secret'", 10, "syntax error"),
        ('SELECT ""', 8, "zero-length delimited identifier"),
        ("SELECT 1abc", 8, "trailing junk after numeric literal"),
    ],
)
def test_a_syntax_error_says_where(text: str, cursor: int, shown: str) -> None:
    """By the character, as the server does, with the word that stands there if it is no literal."""
    with pytest.raises(SyntaxRefused) as raised:
        parse(text)
    assert (raised.value.cursor, raised.value.shown) == (cursor, shown)
    assert "secret" not in str(raised.value)


def test_common_table_expressions_in_the_order_that_they_need() -> None:
    """Those that others refer to come first; of a circle, the first."""
    (node,) = parse(
        "WITH RECURSIVE a AS (SELECT 1 FROM b), b AS (SELECT 1 FROM public.a, c), c AS (SELECT 1 FROM c), "
        "d AS (SELECT 1 FROM e), e AS (SELECT 1 FROM d) SELECT 1"
    )
    ctes: list[Node] = [n["CommonTableExpr"] for n in node["stmt"]["SelectStmt"]["withClause"]["ctes"]]
    assert [entry["ctename"] for entry in referred_first(ctes)] == ["c", "b", "a", "d", "e"]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("", ()), ("a", ("a",)), (" A , b ", ("a", "b")), ('"$user", public', ("$user", "public")),
        ('"A""b", c', ('A"b', "c")),
        ('"a,b"', ("a,b",)), ('""', ()), ("a,,b", ("a", "b")), ('"a" , "b"', ("a", "b")),
    ],
)  # fmt: skip
def test_a_search_path_is_read_as_the_server_reads_it(value: str, path: tuple[str, ...]) -> None:
    """Names are folded unless quoted; two quotes are one; empty ones don't count."""
    assert parse_search_path(value) == path


def test_the_cache_keeps_what_was_asked_for_last() -> None:
    """An entry that is used again stays, the oldest one goes; a text that is too long is not kept."""
    analyzer = Analyzer(limits=Limits(cache_bytes=3 * 4800, cached_text_bytes=20))
    first = analyzer.analyze(b"SELECT 1", None, SessionState())
    analyzer.analyze(b"SELECT 2", None, SessionState())
    assert analyzer.analyze(b"SELECT 1", None, SessionState()) is first
    for number in (3, 4):
        analyzer.analyze(b"SELECT %d" % number, None, SessionState())
        assert analyzer.analyze(b"SELECT 1", None, SessionState()) is first
    kept = [text for text, _, _ in analyzer._cache]
    assert b"SELECT 2" not in kept
    assert b"SELECT 1" in kept
    long = b"SELECT 1234567890123"
    assert analyzer.analyze(long, None, SessionState()) is analyzer.analyze(long, None, SessionState())
    longer = long + b"4"
    assert analyzer.analyze(longer, None, SessionState()) is not analyzer.analyze(longer, None, SessionState())


def test_the_cache_is_of_one_catalog() -> None:
    """The same text under another catalog is another question; few catalogs are kept."""
    analyzer = Analyzer()
    catalogs = [CatalogSnapshot("app", 180000, f"v{number}") for number in range(17)]
    found = [analyzer.analyze(b"SELECT 1", catalog, SessionState()) for catalog in catalogs]
    assert len({id(analysis) for analysis in found}) == 17
    assert [analysis.facts.catalog_version for analysis in found] == [f"v{number}" for number in range(17)]
    assert len(analyzer._catalogs) == 16
    assert analyzer.analyze(b"SELECT 1", None, SessionState()).facts.catalog_version == ""


def test_places_of_statements_are_bytes() -> None:
    """Each statement's place and length in the message, whatever characters stand before it."""
    text = "SELECT 'ü'; SELECT 'ä' ;  SELECT 3".encode()
    statements = Analyzer().analyze(text, None, SessionState()).facts.statements
    spans = [text[s.location : s.location + s.length].decode().strip() for s in statements]
    assert spans == ["SELECT 'ü'", "SELECT 'ä'", "SELECT 3"]
    assert [statement.normalized_text for statement in statements] == ["SELECT $1", "SELECT $2", "SELECT $3"]


def test_facts_name_the_parser() -> None:
    """By the version of PostgreSQL whose grammar it has."""
    facts = Analyzer().analyze(b"SELECT 1", None, SessionState()).facts
    assert facts.parser_version.startswith("pg-18.")
