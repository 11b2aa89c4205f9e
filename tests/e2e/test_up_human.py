"""A person with psql and pg_dump notices nothing, until something is denied."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import termios
from pathlib import Path

import psycopg
import pytest

from airlock.demo.postgres import bin_folder
from tests.e2e.support import Running, eventually
from tests.support.require import require


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
    assert "ERROR:  42703" in done.stderr
    assert "nonsense" in done.stderr
    assert "still here" in done.stdout


def test_watch_repeats_a_statement(up: Running, human: str) -> None:
    r"""\watch runs it again and again."""
    done = up.psql(human, "-At", stdin="SELECT 'tick' \\watch i=0.1 c=3\n")
    assert done.stdout.count("tick") == 3, done.stderr


def test_ctrl_c_cancels_what_runs(up: Running, human: str) -> None:
    """Ctrl-C at psql during pg_sleep ends it at once with 57014, and the session goes on."""
    with Terminal(up, human) as terminal:
        terminal.type("SELECT pg_sleep(60);\n")
        eventually(lambda: sleeping(up), what="pg_sleep runs upstream")
        terminal.type("\x03")
        terminal.expect(rb"canceling statement due to user request")
        terminal.type("SELECT 'goes' || ' on';\n")
        terminal.expect(rb"goes on")


def sleeping(up: Running) -> bool:
    """Whether the sleep has begun, asked past Airlock."""
    with psycopg.connect(up.demo_dsn()) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'"
        ).fetchone()
    return row != (0,)


def test_tab_completes_a_table(up: Running, human: str) -> None:
    """In a terminal, Tab after `FROM produ` completes the table's name by a catalog query."""
    with Terminal(up, human) as terminal:
        terminal.type("SELECT * FROM produ\t")
        terminal.expect(rb"FROM produ\x07?cts")


class Terminal:
    """psql as a person has it: in a terminal, with line editing."""

    def __init__(self, up: Running, token: str) -> None:
        program = shutil.which("psql")
        found = require("psql with line editing", program, "apt-get install postgresql-client")
        self._command = [found, "-X", f"host={up.host} port={up.port} dbname=shop user=me"]
        self._environment = {**os.environ, "PGPASSWORD": token, "TERM": "xterm", "PAGER": "cat"}
        self._seen = b""

    def __enter__(self) -> Terminal:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 120))
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.expect(rb"shop=[#>]")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, keys: str) -> None:
        self._seen = b""
        os.write(self._master, keys.encode())

    def expect(self, pattern: bytes) -> None:
        def shown() -> bool:
            while select.select([self._master], [], [], 0.05)[0]:
                self._seen += os.read(self._master, 65536)
            return re.search(pattern, self._seen) is not None

        try:
            eventually(shown, what=f"{pattern!r} in the terminal")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._seen[-2000:]!r}") from None


def test_pg_dump_of_an_allowed_table(up: Running, human: str) -> None:
    """pg_dump gives schema and rows of a table without masked columns."""
    done = subprocess.run(
        [str(bin_folder(18) / "pg_dump"), "-t", "products", f"host={up.host} port={up.port} dbname=shop user=me"],
        env={**os.environ, "PGPASSWORD": human}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE public.products" in done.stdout
    assert "COPY public.products" in done.stdout
