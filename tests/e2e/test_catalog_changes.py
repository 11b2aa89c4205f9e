"""What one session changes of the catalog, the others are decided by at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from tests.e2e.support import Running

CLEAR = re.compile(r"[a-z]+\.[a-z]+\d+@")
PLAIN = "CREATE OR REPLACE VIEW changing AS SELECT id, segment AS category FROM customers"
TAGGED = "CREATE OR REPLACE VIEW changing AS SELECT id, email AS category FROM customers"
ASKED = "SELECT category FROM changing WHERE id = 1"


@pytest.fixture
def two(up: Running, human: str) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """Two sessions of one person in the development database, and a view that they change."""
    with (
        psycopg.connect(up.conninfo(human, "shop_dev"), autocommit=True) as one,
        psycopg.connect(up.conninfo(human, "shop_dev"), autocommit=True) as other,
    ):
        one.execute(PLAIN)
        yield one, other
        one.execute("DROP VIEW changing")


def read(connection: psycopg.Connection, text: str, parameters: tuple[int, ...] | None = None) -> str:
    try:
        return str(connection.execute(text, parameters).fetchall())
    except psycopg.errors.SerializationFailure as error:
        return str(error)


def test_a_view_that_another_session_replaced_is_masked_at_once(
    two: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    """The next statement waits until the changed catalog was read."""
    one, other = two
    for _ in range(8):
        one.execute(TAGGED)
        assert CLEAR.search(read(other, ASKED)) is None
        one.execute(PLAIN)
        assert read(other, ASKED) != ""


def test_so_it_is_when_the_change_comes_with_a_commit(two: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    """Until then the other session sees the old view, and none of the new one's values."""
    one, other = two
    for _ in range(4):
        with one.transaction():
            one.execute(TAGGED)
        assert CLEAR.search(read(other, ASKED)) is None
        one.execute(PLAIN)


def test_a_statement_prepared_before_is_masked_too(two: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    """Its execution is decided anew."""
    one, other = two
    other.prepare_threshold = 0
    asked = ASKED.replace("= 1", "= %s")
    for _ in range(4):
        assert read(other, asked, (1,)) != ""
        one.execute(TAGGED)
        assert CLEAR.search(read(other, asked, (1,))) is None
        one.execute(PLAIN)


def test_a_session_that_begins_meanwhile_waits_as_well(
    two: tuple[psycopg.Connection, psycopg.Connection], up: Running, human: str
) -> None:
    """It is told of the changes that are not read yet."""
    one, _ = two
    one.execute(TAGGED)
    with psycopg.connect(up.conninfo(human, "shop_dev"), autocommit=True) as late:
        assert CLEAR.search(read(late, ASKED)) is None
