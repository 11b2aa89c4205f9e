"""What drivers do works through the enforcement point as it does directly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airlock.demo.postgres import BundledPostgres
from decision.model.session import Outcome
from tests.clients.harness import RunningPoint, psql, running
from tests.clients.scenarios import SCENARIOS
from tests.support.eventually import eventually

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def point(postgres: BundledPostgres, request: pytest.FixtureRequest) -> Iterator[RunningPoint]:
    plain = request.param == "asyncio"  # on uvloop decisions come without a task as well
    with running({"shop": postgres.dsn("postgres")}, plain_asyncio=plain, prompt=not plain) as one:
        yield one


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_driver_scenario_is_as_on_a_direct_connection(
    point: RunningPoint, postgres: BundledPostgres, name: str
) -> None:
    """The scenario sees the same through the enforcement point as without it, and every execution is reported."""
    scenario = SCENARIOS[name]
    direct = scenario(postgres.dsn("postgres"))
    before = len(point.port.ended)
    assert scenario(point.dsn()) == direct
    eventually(lambda: len(point.port.ended) > before, what="the session's end is recorded")
    assert point.port.reports
    assert not [one for one in point.port.reports if one.outcome is Outcome.UNKNOWN]


PSQL_SCRIPT = r"""
\set ON_ERROR_STOP 0
create temp table w (id int primary key, note text);
\copy w from stdin csv
1,one
2,"two, with comma"
\.
select * from w order by id;
begin;
insert into w values (3, 'three');
select 1/0;
select 1;
rollback;
select count(*) from w;
\copy (select * from w order by id) to stdout csv
prepare q(int) as select note from w where id = $1;
execute q(1);
\bind 2
select note from w where id = $1 \g
\d w
\dt pg_catalog.pg_class
begin; declare c cursor for select * from w order by id; fetch 1 from c; fetch 5 from c; commit;
select 'a' as x \gset
\echo :x
do $$ begin raise notice 'hello'; end $$;
select 1 \; select 2;
"""


def test_psql_session_is_as_on_a_direct_connection(point: RunningPoint, postgres: BundledPostgres) -> None:
    """A psql script with \\copy, \\d, errors, transactions and cursors prints the same."""
    direct = psql(postgres.dsn("postgres"), text=PSQL_SCRIPT)
    through = psql(point.dsn(), text=PSQL_SCRIPT)
    strip = lambda text: [line for line in text.splitlines() if "pg_temp_" not in line]  # noqa: E731
    assert strip(through.stdout) == strip(direct.stdout)
    assert through.stderr == direct.stderr
