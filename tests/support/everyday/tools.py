"""PostgreSQL's own programs: psql with its backslash commands and completion, pgbench, pg_dump and their relatives."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import tempfile
import time
from pathlib import Path

from airlock.demo.postgres import bin_folder

COMMANDS = Path(__file__).parents[2] / "cases" / "analysis" / "psql_commands.txt"
# What is typed before the Tab key, each on a line that is then thrown away.
TYPED = (
    "SELECT * FROM cu", "SELECT * FROM public.or", "INSERT INTO pay", "UPDATE cust", "UPDATE customers SET em",
    "DELETE FROM or", "SELECT count(*) FROM customers WHERE ema", "ALTER TABLE cust",
    "ALTER TABLE customers DROP COLUMN ",
    "ALTER TABLE customers ALTER COLUMN ci", "DROP TABLE ", "DROP VIEW ", "DROP INDEX cust", "CREATE INDEX ON ord",
    "ALTER TYPE order_st", "DROP FUNCTION touch", "GRANT SELECT ON ", "GRANT SELECT ON customers TO ", "SET search_",
    "SET search_path TO ", "SHOW work", "COPY cust", "VACUUM ord", "ANALYZE ", "LOCK TABLE ", "TRUNCATE ",
    "REINDEX TABLE ",
    "COMMENT ON COLUMN customers.", "DROP ROLE ", "\\d cu", "\\d+ public.", "\\df cust", "\\sv cus", "\\c sh", "\\dn ",
    "REFRESH MATERIALIZED VIEW ", "CLUSTER ", "ALTER SEQUENCE ", "DROP EXTENSION ", "CREATE EXTENSION pg",
    "DROP TRIGGER cust", "DROP SCHEMA ", "ALTER DATABASE ", "EXECUTE ", "TABLE cu", "MERGE INTO cu", "CALL ",
)  # fmt: skip


def run(tool: str, *arguments: str, given: str = "") -> str:
    """Standard output of a program of the bundled PostgreSQL 18; AssertionError where it fails."""
    environment = {**os.environ, "PAGER": "cat", "PSQLRC": "/dev/null"}
    done = subprocess.run(
        [str(bin_folder(18) / tool), *arguments], input=given, text=True, capture_output=True, timeout=60, check=False,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def psql(dsn: str) -> None:
    """Every backslash command of the list, in one session."""
    run("psql", "-X", dsn, given=COMMANDS.read_text())


def psql_completion(dsn: str) -> None:
    """The Tab key, pressed twice behind the beginnings of statements, in a terminal of psql's own."""
    with tempfile.NamedTemporaryFile("w", prefix="airlock-inputrc-") as settings:
        settings.write("set page-completions off\nset completion-query-items 0\nset enable-bracketed-paste off\n")
        settings.flush()
        _type(dsn, settings.name)


def _type(dsn: str, inputrc: str) -> None:
    program, terminal = pty.fork()
    if program == 0:
        os.environ.update(TERM="dumb", PAGER="cat", INPUTRC=inputrc)
        os.execv(bin_folder(18) / "psql", ["psql", "-X", "-q", dsn])
    try:
        _until(terminal, b"=# ")
        for text in TYPED:
            os.write(terminal, text.encode() + b"\t\t\x15\\echo next-line\r")  # ^U throws the line away
            # Before the next prompt stands there, psql reads no keys: the terminal itself would take the ^U.
            _until(terminal, b"\r\nnext-line\r\n", b"=# ")
        os.write(terminal, b"\\q\r")
        _until(terminal, b"")
    finally:
        os.close(terminal)
        os.waitpid(program, 0)


def _until(terminal: int, wanted: bytes, then: bytes = b"", deadline_s: float = 20.0) -> None:
    """Read what the terminal shows until `wanted` stands there, and `then` behind it; to its end for nothing wanted."""
    shown, end = b"", time.monotonic() + deadline_s
    while not wanted or then not in shown.partition(wanted)[2] or wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"psql did not show {wanted!r} but {shown[-300:]!r}"
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the terminal was closed at its other end
            part = b""
        if not part:
            assert not wanted, f"psql ended at {shown[-300:]!r}"
            return
        shown = (shown + part)[-100_000:]


def pgbench_made(dsn: str) -> None:
    """pgbench's tables made, in partitions first and then plain, with foreign keys, filled by server and by COPY."""
    run("pgbench", "-q", "-i", "-I", "dtGvpf", "--partitions=3", "--partition-method=hash", dsn)
    run("pgbench", "-q", "-i", "-I", "dtgvpf", dsn)


def pgbench_run(dsn: str) -> None:
    """Every built-in script in every query mode."""
    for script in ("tpcb-like", "simple-update", "select-only"):
        for mode in ("simple", "extended", "prepared"):
            run("pgbench", "-n", "-b", script, "-M", mode, "-t", "2", dsn)


def pg_dump(dsn: str) -> None:
    """The whole database, its schema alone, one table as statements; the roles of the server."""
    run("pg_dump", "-d", dsn)
    run("pg_dump", "-d", dsn, "--schema-only", "--create")
    run("pg_dump", "-d", dsn, "-t", "orders", "--inserts", "--on-conflict-do-nothing")
    run("pg_dumpall", "-d", dsn, "--globals-only")


def emptied(dsn: str) -> None:
    """A dump kept beside, and everything dropped."""
    run("pg_dump", "-Fc", "-d", dsn, "-f", _kept(dsn))
    run("psql", "-X", "-q", "-d", dsn, given="DROP SCHEMA public CASCADE; CREATE SCHEMA public;")


def pg_restore(dsn: str) -> None:
    """Everything made again, with its rows, from the dump of `emptied`."""
    run("pg_restore", "-d", dsn, _kept(dsn))
    Path(_kept(dsn)).unlink()


def _kept(dsn: str) -> str:
    return f"{tempfile.gettempdir()}/airlock-{dsn.rpartition('/')[2]}.dump"


def maintenance(dsn: str) -> None:
    """vacuumdb, reindexdb, clusterdb."""
    run("vacuumdb", "--analyze", dsn)
    run("vacuumdb", "--analyze-in-stages", dsn)
    run("reindexdb", "-t", "orders", dsn)
    run("clusterdb", dsn)
