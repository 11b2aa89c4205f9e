"""A PostgreSQL with the oracle's module, and sessions that run a statement and keep what was reported of it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg.pq import ConnStatus, ExecStatus, PGconn, TransactionStatus
from psycopg.pq.abc import PGconn as AnyConnection
from psycopg.pq.abc import PGresult

from airlock.demo.postgres import QUIET, BundledPostgres
from tests.differential.oracle.build import build

MARK = b"airlock_oracle "
WORDS = {TransactionStatus.IDLE: "I", TransactionStatus.INTRANS: "T"}
PERMISSIONS = ("select", "insert", "update", "delete")


@dataclass(frozen=True, slots=True)
class Touch:
    """A relation in a range table: the permissions asked for (none: a child, or only bound) and the columns."""

    oid: int
    schema: str
    name: str
    kind: str
    depth: int
    permissions: frozenset[str]
    selected: frozenset[str]
    inserted: frozenset[str]
    updated: frozenset[str]


@dataclass(frozen=True, slots=True)
class Definition:
    """A relation whose definition changed. `word`: create alter drop truncate."""

    oid: int
    schema: str
    name: str
    kind: str
    depth: int
    word: str


@dataclass(slots=True)
class Outcome:
    """What one message came to. `sqlstate` is empty on success; `rows` are the last result's, with its `names`."""

    sqlstate: str = ""
    status_before: str = "I"
    status_after: str = "I"
    touches: list[Touch] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    functions: list[tuple[str, str, int]] = field(default_factory=list)  # schema, name, depth
    names: list[str] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)


class Session:
    """One session with the module loaded; `role` is taken on by SET SESSION AUTHORIZATION."""

    def __init__(self, dsn: str, module: Path, role: str = "", timeout_ms: int = 4000) -> None:
        self._connection: AnyConnection = PGconn.connect(dsn.encode())
        if self._connection.status != ConnStatus.OK:
            raise ConnectionError(self._connection.error_message.decode(errors="replace"))
        self._reports: list[dict[str, Any]] = []
        self._connection.notice_handler = self._notice
        for text in (f"LOAD '{module}'", f"SET statement_timeout = {timeout_ms}", "SET lock_timeout = 1000"):
            self.run(text)
        if role:
            self.run('SET SESSION AUTHORIZATION "{}"'.format(role.replace('"', '""')))

    @property
    def alive(self) -> bool:
        return self._connection.status == ConnStatus.OK

    @property
    def status(self) -> str:
        """I, T or E, as the protocol says it."""
        return WORDS.get(TransactionStatus(self._connection.transaction_status), "E")

    def close(self) -> None:
        self._connection.finish()

    def run(self, text: str, data: str = "") -> Outcome:
        """Send one message; `data` goes to its COPY FROM STDIN. An error of the server is in the outcome."""
        self._reports.clear()
        outcome = Outcome(status_before=self.status)
        self._connection.send_query(text.encode("utf-8", "surrogateescape"))
        while (result := self._connection.get_result()) is not None:
            status = ExecStatus(result.status)
            if status is ExecStatus.COPY_IN:
                self._connection.put_copy_data(data.encode("utf-8", "surrogateescape"))
                self._connection.put_copy_end()
            elif status is ExecStatus.COPY_OUT:
                while self._connection.get_copy_data(0)[0] > 0:
                    pass
            elif status is ExecStatus.FATAL_ERROR:
                outcome.sqlstate = outcome.sqlstate or (result.error_field(ord("C")) or b"XX000").decode()
            elif status is ExecStatus.TUPLES_OK:
                _keep_rows(outcome, result)
        outcome.status_after = self.status
        for report in self._reports:
            _fold(outcome, report)
        return outcome

    def _notice(self, notice: PGresult) -> None:
        message = notice.error_field(ord("M")) or b""
        if message.startswith(MARK):
            self._reports.append(json.loads(message[len(MARK) :].decode("utf-8", "replace")))


def _keep_rows(outcome: Outcome, result: PGresult) -> None:
    """A few rows, for what a script does with them."""
    outcome.rows = []
    outcome.names = [(result.fname(n) or b"").decode() for n in range(result.nfields)]
    for row in range(min(result.ntuples, 50)):
        values = [result.get_value(row, number) for number in range(result.nfields)]
        outcome.rows.append([None if value is None else value.decode(errors="replace") for value in values])


def _fold(outcome: Outcome, report: dict[str, Any]) -> None:
    what, depth = report["what"], report["depth"]
    if what == "analyze":
        outcome.functions += [(f["schema"], f["name"], depth) for f in report["functions"]]
    elif what == "execute":
        outcome.touches += [
            Touch(
                found["oid"], schema_name(found["schema"]), found["name"], found["kind"], depth,
                frozenset(word for word in PERMISSIONS if found[word]),
                *(frozenset(found[word]) for word in ("selected", "inserted", "updated")),
            )
            for found in report["relations"]
        ]  # fmt: skip
    else:
        schema = schema_name(report["schema"])
        outcome.definitions.append(Definition(report["oid"], schema, report["name"], report["kind"], depth, what))


def schema_name(schema: str) -> str:
    """Every session has its own schema of temporary tables; in SQL its name is pg_temp."""
    return "pg_temp" if schema.startswith("pg_temp_") else schema


@dataclass(slots=True)
class OracleServer:
    """`dsn` of a database and the `module` that its sessions load."""

    postgres: BundledPostgres
    module: Path

    def dsn(self, database: str) -> str:
        return self.postgres.dsn(database)

    def session(self, database: str, role: str = "", timeout_ms: int = 4000) -> Session:
        return Session(self.dsn(database), self.module, role, timeout_ms)


@contextmanager
def oracle_server(installed: Path) -> Iterator[OracleServer]:
    """The packaged PostgreSQL at `installed` with the module built for it. Raises NotBuilt, PostgresFailed."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-oracle-"))
    folder.chmod(0o755)  # the server's account must get in when the tests run as root
    settings = {
        **QUIET, "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
        "max_prepared_transactions": "10", "wal_level": "logical", "max_wal_senders": "4",
    }  # fmt: skip
    postgres = BundledPostgres(folder / "postgres", installation=installed, settings=settings)
    try:
        module = build(installed, folder)
        postgres.start()
        yield OracleServer(postgres, module)
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
