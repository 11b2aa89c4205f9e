"""The little that the enforcement point reads in texts, and what names stand for."""

from __future__ import annotations

import pytest

from enforcement.postgres.protocol.exchange import Exchange, Names, Statement, Unsettled
from enforcement.postgres.protocol.messages import Front, codes
from enforcement.postgres.protocol.table import ANY_TIME, STEPS, Expect, Step, step_of
from enforcement.postgres.protocol.text import deallocated, first_word, hides_names, inert, own_setting


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"SELECT 1", b"select"),
        (b"  -- note\n /* a /* b */ */ ; ((SELECT 1))", b""),
        (b" -- note\n\t/* plain ** / */;( ( VALUES (1)))", b"values"),
        (b"", b""),
        (b"1 + 1", b""),
        (b"--", b""),
    ],
)
def test_first_word(text: bytes, word: bytes) -> None:
    """Behind white space, comments and brackets; what is not understood (nested comments) has none."""
    assert first_word(text) == word


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        (b"select 1", True),
        (b"select 1;  ", True),
        (b"begin", True),
        (b"insert into t values (1)", True),
        (b"set search_path = x", False),
        (b"select set_config('search_path', 'x', false)", False),
        (b"select 1; set search_path = x", False),
        (b"copy t from stdin", False),
        (b"create table t (a int)", False),
        (b"do $$ begin end $$", False),
        (b"call p()", False),
        (b"", False),
        (b"/* /* */ */ set x = 1", False),
    ],
)
def test_inert(text: bytes, harmless: bool) -> None:
    """What may change the meaning of later texts is a barrier; so is what is not understood."""
    assert inert(text) is harmless


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"deallocate s1", b"s1"),
        (b"DEALLOCATE PREPARE S1;", b"s1"),
        (b'deallocate "A ""b"', b'A "b'),
        (b"deallocate all", None),
        (b"deallocate s1; prepare s1 as select 2", None),
    ],
)
def test_deallocated(text: bytes, name: bytes | None) -> None:
    """Only the plain form names one statement; anything else forgets them all."""
    assert deallocated(text) == name


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        (b"set airlock.intent = 'fix'", ("intent", "fix")),
        (b"SET SESSION airlock.ticket TO 'T''1';", ("ticket", "T'1")),
        (b"reset airlock.intent", ("intent", None)),
        (b"set airlock.intent = 'a'; drop table t", None),
        (b"set airlock.other = 'a'", None),
        (b"set local airlock.intent = 'a'", None),
    ],
)
def test_own_setting(text: bytes, setting: tuple[str, str | None] | None) -> None:
    """SET and RESET of our own settings in the simple form."""
    assert own_setting(text) == setting


def test_a_block_that_may_rename_is_seen() -> None:
    """DO with dynamic SQL or cursors may give a name to something else."""
    assert hides_names(b"do $$ begin execute 'deallocate all'; end $$")
    assert not hides_names(b"do $$ begin perform 1; end $$")
    assert not hides_names(b"insert into t values (1) on conflict do nothing")


def parse(name: bytes, segment: int) -> Exchange:
    exchange = Exchange(Front.PARSE, Expect.PARSE, b"")
    exchange.name, exchange.segment = name, segment
    exchange.statement = Statement(name, b"select 1", ())
    return exchange


def test_names_within_and_across_segments() -> None:
    """An announced name may be relied on in its own segment only; a retracted one stands for what it stood for."""
    names: Names[Statement] = Names()
    first, second = parse(b"s", 0), parse(b"s", 1)
    names.announce(b"s", first.statement, first)
    assert names.find(b"s", 0) is first.statement
    assert isinstance(names.find(b"s", 1), Unsettled)
    names.confirm(b"s", first.statement, first)
    assert names.find(b"s", 1) is first.statement
    names.announce(b"s", second.statement, second)
    names.retract(b"s", second)
    assert names.find(b"s", 1) is first.statement
    names.confirm(b"s", None, second)
    assert names.find(b"s", 2) is None


def test_every_expectation_has_its_steps() -> None:
    """The table covers every kind that is answered, and keeps asynchronous messages out."""
    assert set(STEPS) == codes(Expect) - {Expect.NOTHING, Expect.COPY_END}
    assert {step for row in STEPS.values() for step in row.values()} == codes(Step)
    assert all(step_of(kind, code) == STEPS.get(kind, {}).get(code, 0) for kind in codes(Expect) for code in range(256))
    assert all(not ANY_TIME & set(row) for row in STEPS.values())
