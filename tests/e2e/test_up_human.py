"""A person with psql and pg_dump notices nothing, until something is denied."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from airlock.demo.postgres import bin_folder
from tests.e2e.support import Running, eventually


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (r"\d", "customers"),
        (r"\dt+", "payments"),
        (r"\d customers", "Foreign-key|Referenced by|Indexes"),
        (r"\d+ orders", "Foreign-key"),
        (r"\dv", "view"),
        (r"\di", "customers_pkey"),
        (r"\df", "function|func"),
        (r"\dn", "public"),
        (r"\l", "shop"),
        (r"\du", "List of roles"),
        (r"\dp", "Access privileges"),
        (r"\conninfo", "shop"),
    ],
)
def test_psql_describes_the_database(up: Running, human: str, command: str, expected: str) -> None:
    """psql's backslash commands print what they print on a direct connection."""
    done = up.psql(human, "-c", command)
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout)
    assert "ERROR" not in done.stderr


def test_copy_from_the_client_and_back(up: Running, human: str, tmp_path: Path) -> None:
    r"""\copy loads a file into a temporary table and writes it out again."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("1,one\n2,two\n")
    script = (
        "CREATE TEMP TABLE numbers (id int, word text);\n"
        f"\\copy numbers FROM '{source}' WITH (FORMAT csv)\n"
        f"\\copy numbers TO '{target}' WITH (FORMAT csv)\n"
    )
    done = up.psql(human, "-v", "ON_ERROR_STOP=1", stdin=script)
    assert done.returncode == 0, done.stderr
    assert target.read_text() == source.read_text()


def test_a_transaction_commits_and_rolls_back(up: Running, human: str) -> None:
    """What psql does in a transaction is there after COMMIT and gone after ROLLBACK."""
    script = """
        BEGIN; UPDATE products SET name = name WHERE id = 1; SAVEPOINT a; SELECT 1/0; ROLLBACK TO a; COMMIT;
        BEGIN; UPDATE products SET stock = -77 WHERE id = 2; ROLLBACK;
        SELECT count(*) AS undone FROM products WHERE stock = -77;
    """
    done = up.psql(human, "-At", stdin=script)
    assert "division by zero" in done.stderr
    assert done.stdout.strip().endswith("0")


def test_an_error_of_the_server_reads_as_always(up: Running, human: str) -> None:
    """SQLSTATE, position and session are as on a direct connection."""
    done = up.psql(human, "-At", "-c", "SELECT nonsense FROM products", "-c", "SELECT 'still here'")
    assert "nonsense" in done.stderr
    assert "still here" in done.stdout


def test_watch_repeats_a_statement(up: Running, human: str) -> None:
    r"""\watch runs it again and again."""
    done = up.psql(human, "-At", stdin="SELECT 'tick' \\watch i=0.1 c=3\n")
    assert done.stdout.count("tick") == 3, done.stderr


def test_ctrl_c_cancels_what_runs(up: Running, human: str) -> None:
    """SIGINT to psql during pg_sleep ends it at once with 57014, and the session goes on."""
    process = subprocess.Popen(
        [str(bin_folder(18) / "psql"), "-X", f"host={up.host} port={up.port} dbname=shop user=me"],
        env={**os.environ, "PGPASSWORD": human, "PAGER": "cat"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("SELECT pg_sleep(60);\n")
    process.stdin.flush()
    started = time.monotonic()
    eventually(lambda: sleeping(up, human), what="pg_sleep runs upstream")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate("SELECT 'goes on';\n", timeout=30)
    assert "canceling statement due to user request" in out
    assert "goes on" in out
    assert time.monotonic() - started < 30


def sleeping(up: Running, human: str) -> bool:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
    return up.psql(human, "-At", "-c", sql).stdout.strip() not in ("", "0")


def test_tab_completes_a_table(up: Running, human: str) -> None:
    """In a terminal, Tab after `FROM prod` completes the table's name by a catalog query."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(bin_folder(18) / "psql"), "-X", f"host={up.host} port={up.port} dbname=shop user=me"],
        env={**os.environ, "PGPASSWORD": human, "TERM": "xterm", "PAGER": "cat"},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = b""

    def reads(pattern: bytes) -> bool:
        nonlocal seen
        while select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65536)
        return re.search(pattern, seen) is not None

    try:
        eventually(lambda: reads(rb"shop=[#>]"), what="psql's prompt")
        if not has_readline():
            pytest.skip("the bundled psql was built without readline")
        os.write(master, b"SELECT * FROM produ\t")
        eventually(lambda: reads(rb"FROM products"), what="the completed name")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def has_readline() -> bool:
    linked = subprocess.run(["ldd", str(bin_folder(18) / "psql")], capture_output=True, text=True, check=False).stdout
    return "readline" in linked or "libedit" in linked


def test_pg_dump_of_an_allowed_table(up: Running, human: str) -> None:
    """pg_dump gives schema and rows of a table without masked columns."""
    done = subprocess.run(
        [str(bin_folder(18) / "pg_dump"), "-t", "products", f"host={up.host} port={up.port} dbname=shop user=me"],
        env={**os.environ, "PGPASSWORD": human}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE public.products" in done.stdout
    assert "COPY public.products" in done.stdout
