"""A typing error reads like PostgreSQL's own: state, message, line and caret as on a direct connection."""

from __future__ import annotations

import os
import subprocess

import pytest

from airlock.demo.postgres import bin_folder
from tests.e2e.support import Running

SAME = [
    "select * from nope",
    "select n.x from nope n where n.x = 1",
    "select * from nope.customers",
    "select nope from customers",
    "select 'é', nope from customers",
    'select "Nope" from customers',
    "select x.id from customers c",
    "select id from customers order by nope",
    "with a as (select 1) select b from a",
    "select 1; select * from nope",
    "explain select * from nope",
    "selekt 1",
    "select * form customers",
    "select 'é' form x",
    "select 1 +",
    "select (1",
    "select * from customers where",
    "select length(1, 2, 3)",
    "select 1::nope",
    "select id, count(*) from customers",
    "set nope = 1",
    "close nope",
]
WRITING = [
    "insert into nope values (1)",
    "insert into customers (id, nope) values (1, 2)",
    "update customers set nope = 1 where id = 1",
    "delete from nope where id = 1",
]


def said(conninfo: str, password: str, statement: str) -> list[str]:
    """What psql says of the statement, but for what Airlock adds below it."""
    done = subprocess.run(
        [bin_folder(18) / "psql", "-X", "-v", "VERBOSITY=verbose", conninfo, "-c", statement],
        env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return [line for line in done.stderr.splitlines() if not line.startswith(("DETAIL:", "HINT:", "LOCATION:"))]


def compare(up: Running, token: str, statement: str) -> None:
    through = f"host={up.host} port={up.port} dbname=shop user=me sslmode=disable"
    direct = said(up.demo_dsn(), "", statement)
    assert direct and said(through, token, statement) == direct


@pytest.mark.parametrize("statement", SAME)
def test_a_typing_error_reads_like_postgresqls_own(up: Running, human: str, agent: str, statement: str) -> None:
    """To a person and to an agent."""
    compare(up, human, statement)
    compare(up, agent, statement)


@pytest.mark.parametrize("statement", WRITING)
def test_a_persons_writing_errors_read_so_too(up: Running, human: str, statement: str) -> None:
    """An agent that may not write is told that instead."""
    compare(up, human, statement)


def test_a_function_that_does_not_exist_is_hinted_at(up: Running, human: str) -> None:
    """What is not known is denied as what it might do, and the hint says that it may not exist at all."""
    done = up.psql(human, "-c", "select nope(1)")
    assert "HINT:  the catalog of this database holds no function nope" in done.stderr


def test_a_word_of_a_botched_literal_is_not_recorded(up: Running, human: str) -> None:
    """The parser's message, which may quote it, is for who typed it; the audit says only that it is no SQL."""
    done = up.psql(human, "-c", "select 'it's needle4711 x'")
    assert "syntax error" in done.stderr
    assert "needle4711" not in str(up.query("select * from denials order by time desc limit 5"))


def test_an_unknown_database_is_said_with_the_known_ones(up: Running, human: str) -> None:
    """At sign-in, as PostgreSQL would refuse it."""
    done = up.psql(human, "-c", "select 1", database="nope")
    assert "FATAL:  there is no database entry 'nope'" in done.stderr and "known are: shop" in done.stderr
