"""What really flows: a statement is put to two databases that differ in nothing but one sensitive column's values.

Whichever output differs between the two was reached by that column, by a value or by what decides about rows; analysis
must have said so. A second witness is the server's own record of the columns that a temporary view depends on.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import pq, sql

from decision.analysis import Analyzer, SessionState
from decision.model.errors import AnalysisError
from decision.model.facts import Statement, Usage
from enforcement.catalog import read_catalog
from tests.support.sql_schema import SCHEMA, SENSITIVE

Key = tuple[str, str, str]
Rows = list[tuple[bytes | None, ...]]
INFERENCE = {Usage.FILTER, Usage.JOIN, Usage.GROUP, Usage.ORDER, Usage.WINDOW, Usage.CHECK}
KIN: dict[Key, set[Key]] = {  # other names of the same values: of partitions and children
    ("public", "events", "payload"): {("public", "events_1", "payload"), ("public", "events_2", "payload")},
    ("public", "documents", "body"): {("public", "contracts", "body")},
}
_DEPENDENCIES = """
SELECT DISTINCT n.nspname, c.relname, coalesce(a.attname, '')
FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
JOIN pg_class c ON c.oid = d.refobjid AND c.relkind <> 'c' JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
WHERE r.ev_class = 'pg_temp.witness'::regclass
"""


@dataclass(frozen=True)
class Outcome:
    """`state` is the SQLSTATE of a failure, empty for none."""

    state: str
    names: tuple[str, ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    message: str = ""


class World:
    """One database as it is and a copy of it for each sensitive column, and the analysis of the first."""

    def __init__(self, dsn: str, schema: str = SCHEMA, sensitive: dict[Key, str] = SENSITIVE) -> None:
        self.analyzer = Analyzer()
        self.databases: list[str] = []
        self._dsn = dsn
        with psycopg.connect(dsn, autocommit=True) as admin:
            base = self._create(admin, "template1")
            with psycopg.connect(self._reach(base), autocommit=True) as connection:
                connection.execute(schema.encode())
                connection.execute("VACUUM FULL ANALYZE")
            others = {key: self._create(admin, base) for key in sensitive}
        self.catalog = asyncio.run(read_catalog(self._reach(base), "lineage"))
        self.base = self._connect(base)
        self.others = {key: self._connect(name) for key, name in others.items()}
        for key, change in sensitive.items():
            self.others[key].execute(change.encode())
            self.others[key].execute("VACUUM FULL")  # in the order of the first

    def _create(self, admin: psycopg.Connection, template: str) -> str:
        name = f"lineage_{uuid.uuid4().hex[:12]}"
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        self.databases.append(name)
        return name

    def _reach(self, database: str) -> str:
        return psycopg.conninfo.make_conninfo(self._dsn, dbname=database)

    def _connect(self, database: str) -> psycopg.Connection:
        connection = psycopg.connect(self._reach(database), autocommit=True, prepare_threshold=None)
        for setting in ("statement_timeout = '5s'", "max_parallel_workers_per_gather = 0", "jit = off"):
            connection.execute(f"SET {setting}".encode())
        return connection

    def close(self) -> None:
        for connection in (self.base, *self.others.values()):
            connection.close()
        with psycopg.connect(self._dsn, autocommit=True) as admin:
            for name in self.databases:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def misses(self, key: Key, messages: Sequence[str], session: Sequence[Statement], strict: bool) -> list[str]:
        """What the facts hide. Seen twice, the second time over tables packed anew: what earlier statements left behind
        in them makes the planner take rows in another order."""
        found = misses(session, key, run(self.base, messages), run(self.others[key], messages), strict)
        if not found:
            return []
        for connection in (self.base, self.others[key]):
            connection.execute("VACUUM FULL ANALYZE")
        return misses(session, key, run(self.base, messages), run(self.others[key], messages), strict)

    def facts(self, messages: Sequence[str]) -> list[Statement]:
        """The facts of each message, in one session. Raises AnalysisError."""
        state = SessionState()
        found: list[Statement] = []
        for message in messages:
            analysis = self.analyzer.analyze(message.encode(), self.catalog, state)
            state = state.advance(analysis, "T")
            found += analysis.facts.statements
        return found

    def bound(self, text: str) -> set[Key] | None:
        """The columns that the server bound for a query; None where it can't be a view."""
        try:
            with self.base.transaction(force_rollback=True):
                self.base.execute(f"CREATE TEMP VIEW witness AS {text}".encode())
                return {(r[0], r[1], r[2]) for r in self.base.execute(_DEPENDENCIES).fetchall()}
        except psycopg.Error:
            return None


def run(connection: psycopg.Connection, messages: Sequence[str]) -> Outcome:
    """The last message's rows as the server's text; nothing of it stays."""
    server = connection.pgconn
    server.exec_(b"BEGIN")
    try:
        outcome = Outcome("")
        for message in messages:
            outcome = _one(server, message)
            if outcome.state:
                break
        return outcome
    finally:
        server.exec_(b"ROLLBACK")
        server.exec_(b"DEALLOCATE ALL")


def _one(server: pq.abc.PGconn, message: str) -> Outcome:
    result = server.exec_(message.encode())
    if result.status == pq.ExecStatus.COPY_OUT:
        rows: Rows = []
        while True:
            size, data = server.get_copy_data(0)
            if size < 0:
                break
            rows.append(tuple(bytes(data).rstrip(b"\n").split(b"\t")))
        end = server.get_result()
        while server.get_result() is not None:
            pass
        if end is not None and end.status == pq.ExecStatus.FATAL_ERROR:
            return _failed(end)
        return Outcome("", (), tuple(rows))
    if result.status == pq.ExecStatus.FATAL_ERROR:
        return _failed(result)
    names = tuple((result.fname(n) or b"").decode() for n in range(result.nfields))
    rows = [tuple(result.get_value(r, n) for n in range(result.nfields)) for r in range(result.ntuples)]
    return Outcome("", names, tuple(rows))


def _failed(result: pq.abc.PGresult) -> Outcome:
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"XX000").decode()
    return Outcome(state, message=(result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode())


def moved(before: Outcome, after: Outcome) -> tuple[set[int], bool]:
    """Which outputs hold other values, in whatever order, and whether the number of rows differs."""
    width = max((len(row) for row in (*before.rows, *after.rows)), default=0)
    count = len(before.rows) == len(after.rows)
    found = set()
    for number in range(width):
        old, new = (Counter(row[number] for row in outcome.rows) for outcome in (before, after))
        if old != new if count else set(old) != set(new):
            found.add(number)
    return found, not count


def misses(session: Sequence[Statement], key: Key, before: Outcome, after: Outcome, strict: bool) -> list[str]:
    """What the facts of a session's statements hide of what was seen of the last one.

    `strict`: the statements let the column decide about no row, so what moved must have it among its sources.
    """
    facts, keys = session[-1], {key, *KIN.get(key, ())}
    used = [c for statement in session for c in statement.columns if (c.schema, c.table, c.column) in keys]
    inferred = any(INFERENCE & set(c.usage) for c in used)
    if before.state or after.state:
        if before.state == after.state and before.message == after.message:
            return []
        return (
            []
            if inferred or any(o.opaque for o in facts.output)
            else [f"fails by {key} only: {before.state or 'ok'} or {after.state or 'ok'}"]
        )
    outputs, rows = moved(before, after)
    found: list[str] = []
    if outputs and max(outputs) >= len(facts.output):
        return ["there are more outputs than analysis said"]
    for number in sorted(outputs):
        output = facts.output[number]
        sources = {(s.schema, s.table, s.column) for s in output.sources}
        if not (output.opaque or sources & keys or (inferred and not strict)):
            found.append(f"output {number + 1} ({output.name}) moves with {'.'.join(key)}")
    told = inferred or any(o.opaque or keys & {(s.schema, s.table, s.column) for s in o.sources} for o in facts.output)
    if not outputs and Counter(before.rows) != Counter(after.rows) and not told:
        found.append(f"{'.'.join(key)} decides which values stand together, and nothing says so")
    if rows and not inferred and not any(o.opaque for o in facts.output):
        found.append(f"{'.'.join(key)} decides about the rows, and no usage says so")
    return found


__all__ = ["INFERENCE", "AnalysisError", "Outcome", "World", "misses", "moved", "run"]
