"""The forms that facts and catalogs take outside: the policy document, the drawing for people, the catalog's file."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from decision.analysis.document import canonical, document
from decision.analysis.explain import explain
from decision.analysis.snapshot_json import dump, load
from decision.model.catalog import (
    CatalogColumn,
    CatalogDomain,
    CatalogFunction,
    CatalogRelation,
    CatalogSnapshot,
    ForeignKey,
    RelationIndex,
    RowPolicy,
    Rule,
    Trigger,
)
from decision.model.errors import SettingsError
from decision.model.facts import (
    Access,
    ColumnName,
    ColumnUse,
    Effect,
    Facts,
    FunctionUse,
    Kind,
    ObjectName,
    Operation,
    OutputColumn,
    Predicate,
    RelationKind,
    RelationUse,
    Statement,
    Transform,
    Unresolved,
    Usage,
    Via,
)

FULL = Statement(
    fingerprint="f00d", normalized_text="DELETE …", kinds=(Kind.DELETE, Kind.SELECT), parameter_count=2,
    operations=(Operation("drop", "table", (ObjectName("s", "o"), ObjectName("", "p")), ("cascade", "if_exists")),),
    relations=(RelationUse("s", "r", RelationKind.VIEW, (Access.READ, Access.WRITE), Via.TRIGGER, ("pii",), 7),),
    columns=(ColumnUse("s", "r", "c", (Usage.FILTER, Usage.OUTPUT), ("pii.c",)),),
    output=(
        OutputColumn(
            1, "a", (ColumnName("s", "r", "c"), ColumnName("", "", "d")), Transform.AGGREGATE, ("pii.c",), opaque=True
        ),
        OutputColumn(2, "b", (), Transform.EXPRESSION),
    ),
    functions=(FunctionUse("s", "f", (Effect.SLEEPS, Effect.OPAQUE)), FunctionUse("", "g"), FunctionUse("s", "h")),
    predicate=Predicate(True, False, ("c", "d"), True, 5), settings=("role",), files=("/f",), programs=("/p",),
    flags=("one", "two"), unresolved=(Unresolved("x", "because"),), estimated_rows=9, returns_rows=True, location=3,
    length=4,
)  # fmt: skip
FACTS = Facts("postgres", "17", "v1", (FULL,))


def test_the_document_names_every_fact() -> None:
    """Each fact stands under its own name; object ids and places in the text don't."""
    assert json.loads(canonical(FACTS)) == {
        "catalog_version": "v1", "complete": False, "dialect": "postgres", "multi_statement": False,
        "parser_version": "17",
        "statements": [
            {
                "columns": [
                    {"column": "c", "schema": "s", "table": "r", "tags": ["pii.c"], "usage": ["filter", "output"]}
                ],
                "estimated_rows": 9, "files": ["/f"], "fingerprint": "f00d", "flags": ["one", "two"],
                "functions": [
                    {"effects": ["sleeps", "opaque"], "name": "f", "schema": "s"},
                    {"effects": [], "name": "g", "schema": ""}, {"effects": [], "name": "h", "schema": "s"},
                ],
                "kinds": ["delete", "select"], "normalized_text": "DELETE …",
                "operations": [
                    {
                        "object_type": "table", "options": ["cascade", "if_exists"], "verb": "drop",
                        "objects": [{"name": "o", "schema": "s"}, {"name": "p", "schema": ""}],
                    }
                ],
                "output": [
                    {
                        "name": "a", "opaque": True, "ordinal": 1, "tags": ["pii.c"], "transform": "aggregate",
                        "sources": [
                            {"column": "c", "schema": "s", "table": "r"}, {"column": "d", "schema": "", "table": ""},
                        ],
                    },
                    {"name": "b", "opaque": False, "ordinal": 2, "tags": [], "transform": "expression", "sources": []},
                ],
                "parameter_count": 2,
                "predicate": {
                    "always_true": False, "limit": 5, "pinned": ["c", "d"], "pins_key": True, "present": True,
                },
                "programs": ["/p"],
                "relations": [
                    {
                        "access": ["read", "write"], "kind": "view", "name": "r", "schema": "s", "tags": ["pii"],
                        "via": "trigger",
                    }
                ],
                "settings": ["role"], "unresolved": [{"what": "x", "why": "because"}],
            }
        ],
    }  # fmt: skip


def test_a_document_says_whether_all_is_known() -> None:
    """It is complete where nothing is unresolved and no kind is unknown, in every statement."""
    plain = Statement("", "", (Kind.SELECT,))
    unknown = Statement("", "", (Kind.UNKNOWN,))
    for statements, complete, several in (
        ((), True, False), ((plain,), True, False), ((plain, plain), True, True), ((plain, unknown), False, True),
        ((FULL,), False, False),
    ):  # fmt: skip
        found = document(Facts("postgres", "17", "v1", statements))
        assert (found["complete"], found["multi_statement"]) == (complete, several)
    assert document(Facts("postgres", "17", "v1", (plain,)))["statements"][0]["predicate"] is None  # type: ignore[index, call-overload]


def test_keys_are_in_order() -> None:
    """Equal facts are equal bytes: the canonical form has sorted keys and no blanks."""
    text = canonical(FACTS)
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == text


def test_the_drawing_names_every_fact() -> None:
    """People see all of it, one fact a line, each kind under its label."""
    assert explain(FACTS) == (
        "DELETE …\n"
        "  does       delete, select; 2 parameters; returns rows\n"
        "  operation  drop table s.o, p (cascade, if_exists)\n"
        "  relation   s.r (view): read, write via trigger  [pii]\n"
        "  output     1. a <- s.r.c, .d, and what can't be known (aggregate)  [pii.c]\n"
        "             2. b <- no column (expression)\n"
        "  column     s.r.c: filter, output  [pii.c]\n"
        "  function   s.f: sleeps, opaque\n"
        "             g, s.h: no effect\n"
        "  rows       a whole key is pinned (c, d); at most 5; about 9 or fewer\n"
        "  setting    role\n"
        "  file       /f\n"
        "  program    /p\n"
        "  flag       one, two\n"
        "  unknown    x: because\n"
        "INCOMPLETE: not everything could be known; such a statement is denied unless a rule allows it\n"
    )


def test_the_drawing_leaves_out_what_is_not_there() -> None:
    """A statement without facts is its text and that it does nothing; several are counted."""
    one = Statement("", "SELECT 1", (), parameter_count=1)
    assert explain(Facts("postgres", "17", "")) == "an empty message\n"
    assert explain(Facts("postgres", "17", "", (one,))) == "SELECT 1\n  does       nothing; 1 parameter\n"
    assert explain(Facts("postgres", "17", "", (one, one))) == (
        "── statement 1 of 2 ──\nSELECT 1\n  does       nothing; 1 parameter\n"
        "── statement 2 of 2 ──\nSELECT 1\n  does       nothing; 1 parameter\n"
    )


@pytest.mark.parametrize(
    ("predicate", "rows", "said"),
    [
        (Predicate(), None, "no WHERE"),
        (Predicate(limit=0), 0, "no WHERE; at most 0; about 0 or fewer"),
        (Predicate(True, True, ("a",), True), None, "a WHERE that does not restrict"),
        (Predicate(True, False, ("a",), True), 1, "a whole key is pinned (a); about 1 or fewer"),
        (Predicate(True, False, ("a", "b")), None, "pinned: a, b"),
        (Predicate(True), 7, "restricted by a WHERE; about 7 or fewer"),
    ],
)
def test_the_drawing_says_how_rows_are_restricted(predicate: Predicate, rows: int | None, said: str) -> None:
    """What counts most is said: no WHERE, one that doesn't restrict, a whole key, some columns, any other."""
    drawn = explain(Facts("postgres", "17", "", (replace(FULL, predicate=predicate, estimated_rows=rows),)))
    assert f"  rows       {said}\n" in drawn


SNAPSHOT = CatalogSnapshot(
    "app", 180000, "v1", ("pg_catalog", "x"),
    relations=(
        CatalogRelation(
            "s", "r", 5, RelationKind.PARTITIONED,
            (CatalogColumn("c", 1, 23, "integer", True, True, True, ("t",), "1"),),
            "SELECT 1", (("c",), ("d", "e")), (ForeignKey("fk", ("c",), "s", "t", ("d",), "cascade", "restrict"),),
            (Trigger("tr", ("insert",), "s", "f", False, True),), (Rule("ru", "insert", True, "…"),),
            (RowPolicy("p", "all", "a", "b"),), True, (("s", "q"),), (("s", "u"),), 77, ("tag",),
            (RelationIndex("i", True, "e", "p"),), ("check",), "far",
        ),
    ),
    functions=(CatalogFunction("s", "f", 6, ("text",), "text", "sql", "stable", configuration=(("a", "b"),)),),
    domains=(CatalogDomain("s", "d", "text", ("VALUE <> ''",), "'x'"),), extensions=("citext",),
)  # fmt: skip


def test_a_catalog_comes_back_from_its_file() -> None:
    """What `dump` writes, `load` reads as it was; the file says its format and is for reading, too."""
    text = dump(SNAPSHOT)
    assert load(text) == SNAPSHOT
    written = json.loads(text)
    assert written["format"] == "airlock-catalog/1"
    assert text.decode() == json.dumps(written, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert dump(load(text)) == text


def _changed(**fields: object) -> bytes:
    written = json.loads(dump(SNAPSHOT))
    written["snapshot"] |= fields
    return json.dumps(written).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"", b"nonsense", b"[]", b"{}", b'{"format": "airlock-catalog/1"}', _changed(database=5),
        _changed(server_version="18"), _changed(relations=[{"schema": "s"}]), _changed(relations=5),
        _changed(other=1), _changed(search_path=[1]),
        _changed(relations=[json.loads(dump(SNAPSHOT))["snapshot"]["relations"][0] | {"kind": "pile"}]),
        _changed(relations=[json.loads(dump(SNAPSHOT))["snapshot"]["relations"][0] | {"parents": [["a", "b", "c"]]}]),
    ],
)  # fmt: skip
def test_what_is_no_catalog_is_refused(text: bytes) -> None:
    """Another shape of JSON is no catalog, and the error says how to make one."""
    with pytest.raises(SettingsError) as raised:
        load(text)
    assert raised.value.message == "this is no catalog dump"
    assert "airlock catalog dump" in raised.value.hint


def test_a_catalog_of_another_format_is_refused() -> None:
    """A file of a later format says which it has."""
    with pytest.raises(SettingsError, match="airlock-catalog/2"):
        load(b'{"format": "airlock-catalog/2", "snapshot": {}}')
