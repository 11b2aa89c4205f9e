"""psql and psycopg through the enforcement point: encryption, sign-in, allow and deny by the simple protocol."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from decision.model.session import MessageKind
from tests.clients.harness import RunningPoint, psql, running
from tests.clients.port import Rule

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def point(postgres: BundledPostgres) -> Iterator[RunningPoint]:
    with running({"shop": postgres.dsn("postgres")}) as one:
        yield one


@pytest.fixture(autouse=True)
def fresh(point: RunningPoint) -> None:
    point.port.rules = []
    point.port.failing = None


def test_psql_signs_in_and_selects(point: RunningPoint) -> None:
    """psql with a token as password gets rows."""
    done = psql(point.dsn(), "-Atc", "select 1 + 1")
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_psycopg_signs_in_over_tls(point: RunningPoint) -> None:
    """libpq gets TLS 1.3 by SSLRequest, and the decision service is told so."""
    with point.connect() as connection:
        assert connection.pgconn.ssl_in_use
    assert point.port.opened[-1].client.tls == "TLSv1.3"


def test_a_denied_statement_names_rule_and_way_out_and_the_session_goes_on(point: RunningPoint) -> None:
    """A denial is an error 42501 with detail and hint; the next statement of the same session works."""
    point.port.rules = [Rule("drop table", message="critical tables stay", hint="ask an administrator")]
    with point.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            connection.execute("DROP TABLE payments")
        assert caught.value.diag.message_primary == "critical tables stay"
        assert caught.value.diag.message_hint == "ask an administrator"
        assert "test.rule" in (caught.value.diag.message_detail or "")
        assert connection.execute("select 7").fetchone() == (7,)


def test_certificate_is_verified_by_a_strict_client(point: RunningPoint) -> None:
    """sslmode=verify-full accepts the development certificate as its own root; its key is private."""
    with point.connect(sslmode="verify-full", sslrootcert=str(point.certificate), host="localhost") as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert (point.folder / "development-key.pem").stat().st_mode & 0o777 == 0o600


def test_direct_tls_is_accepted(point: RunningPoint) -> None:
    """A client that begins with TLS at once (sslnegotiation=direct) is served."""
    with point.connect(sslnegotiation="direct") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_wrong_token_is_refused_with_reason_and_hint(point: RunningPoint) -> None:
    """A bad credential ends the connection with 28P01, the reason and what to do."""
    done = psql(point.dsn(password="nonsense"), "-c", "select 1")
    assert done.returncode == 2
    assert "the token is malformed" in done.stderr
    assert "airlock token" in done.stderr


def test_exact_bytes_are_asked_about(point: RunningPoint) -> None:
    """The decision service gets the very bytes of the message."""
    text = "select  /* odd   spacing */ 1 ;  select 2"
    with point.connect() as connection:
        connection.execute(text)
    assert text in point.port.texts(MessageKind.QUERY)


def test_a_denied_statement_fails_its_transaction(point: RunningPoint) -> None:
    """In a transaction a denial is an error like any other: what came before is rolled back."""
    point.port.rules = [Rule("forbidden")]
    with point.connect() as connection:
        connection.execute("create table if not exists t_denied(a int)")
        connection.execute("begin")
        connection.execute("insert into t_denied values (1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select 'forbidden'")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.execute("commit")
        assert connection.execute("select count(*) from t_denied").fetchone() == (0,)
        connection.execute("drop table t_denied")
