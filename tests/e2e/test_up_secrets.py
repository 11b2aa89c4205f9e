"""After the scenarios, no masked value, literal or token lies in any file that Airlock wrote."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.e2e.support import Running, eventually

LITERAL = "zq-needle-literal-81723"
PARAMETER = "zq-needle-parameter-55120"
COMMENT = "zq-needle-comment-33177"
BROKEN = "zq-needle-broken-99127"
DOLLAR = "zq-needle-dollar-44101"


def files_of(data_dir: Path) -> list[Path]:
    """Everything under the data folder but the demo server's own files and the keys."""
    skipped = {data_dir / "demo", data_dir / "keys", data_dir / "issuer"}
    return [path for path in data_dir.rglob("*") if path.is_file() and not any(one in skipped for one in path.parents)]


def analysts_view(up: Running) -> bytes:
    """All that the views hold: the store's files are compressed, so their bytes alone would prove little."""
    listed = json.loads(up.airlock("query", "--list", "--format", "json").stdout)
    views = [str(row["name"]) for row in listed if row["kind"] == "view"]
    assert "decisions" in views
    return b"".join(repr(up.query(f"select * from {view}")).encode() for view in views)


def test_nothing_sensitive_is_found_in_any_file(up: Running, agent: str, human: str) -> None:
    """Literals, bound values, comments, text that does not parse, masked values, errors with values, tokens."""
    outputs: list[str] = []
    with psycopg.connect(up.conninfo(agent), autocommit=True) as connection:
        for statement in (
            f"SELECT '{LITERAL}', email FROM customers LIMIT 3 /* {COMMENT} */",
            f"SELECT $q${DOLLAR}$q$",
            f"UPDATE customers SET email = '{LITERAL}'",
            f"SELEC '{BROKEN}'",
            "SELECT email::int FROM customers LIMIT 1",
            "SELECT CAST(phone AS int) FROM customers LIMIT 1",
        ):
            try:
                outputs.append(str(connection.execute(statement).fetchall()))
            except psycopg.Error as error:
                outputs.append(f"{error} {error.diag.message_detail} {error.diag.context}")
        connection.execute("SELECT %s::text", (PARAMETER,))
    with psycopg.connect(up.conninfo(human), autocommit=True) as connection:
        connection.execute("UPDATE products SET name = %s WHERE id = -1", (PARAMETER,))
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute(f"SELECT '{LITERAL}'::int")
    # What clients get back holds no customer's address or phone either, errors included.
    upstream_emails = demo_values(up)
    assert not [value for value in upstream_emails for out in outputs if value in out]
    eventually(lambda: up.query("select count(*) as n from executions")[0]["n"] > 3, what="the executions in the store")
    needles = [LITERAL, PARAMETER, COMMENT, BROKEN, DOLLAR, agent, human, *upstream_emails]
    contents = {path.name: path.read_bytes() for path in [*files_of(up.data_dir), up.log]}
    contents["the views"] = analysts_view(up)
    found = [(name, index) for name, content in contents.items() for index, one in enumerate(needles)
             if one.encode() in content]  # fmt: skip
    assert found == []


def demo_values(up: Running) -> list[str]:
    """Real emails and phones, read past Airlock from the demo server."""
    with psycopg.connect(up.demo_dsn()) as connection:
        rows = connection.execute("SELECT email, phone FROM customers ORDER BY id LIMIT 50").fetchall()
    return [value for row in rows for value in row if value]
