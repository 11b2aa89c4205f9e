"""PostgreSQL's own regression statements, run through a real server and through our analysis: `python -m
tests.differential.corpus [FILE…] [--report PATH]`.

Each file runs in a database of its own, made from one that the suite's set-up files have filled. The suite may be of a
newer PostgreSQL than the packaged server: what fails there is analysed, and not compared. Figures without SQL are kept
in tests/differential/corpus.json; `--report` writes the misses with their statements.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from decision.analysis.result import Analysis
from decision.model.errors import Denied
from tests.differential.oracle.compare import Claim, claim_of, compare
from tests.differential.oracle.script import Script
from tests.differential.oracle.server import OracleServer, Outcome, oracle_server
from tests.differential.oracle.subject import CatalogSource, Pair
from tests.differential.oracle.tally import Tally
from tests.support import system_postgres, toolchains

SETUP = ("test_setup", "create_misc", "create_type", "create_index")
KEPT = Path(__file__).with_name("corpus.json")
LATER = {"tcl"}  # statements that make happen what earlier ones deferred
# Sessions that wait for others, or settings and files of the whole server: not for a server that is shared.
LEFT_OUT = frozenset({"infinite_recurse"})


def corpus() -> Path | None:
    """The folder with the suite's files; `make fetch` brings it."""
    return toolchains.regression_sql()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.sql") if path.stem not in LEFT_OUT)


@dataclass(slots=True)
class Run:
    """One file in one database."""

    pair: Pair
    name: str
    tally: Tally = field(default_factory=Tally)
    earlier: Claim = field(default_factory=Claim)

    def script(self, path: Path) -> None:
        script = Script(path.read_text(encoding="utf-8", errors="replace"), {"USER": "postgres"})
        for step in script.steps():
            if step.connect is not None:
                self._reconnect(step.connect)
                continue
            outcome = self.message(step.line, step.message, step.data)
            if step.then == "gset" and len(outcome.rows) == 1:
                named = zip(outcome.names, outcome.rows[0], strict=True)
                script.variables.update({step.argument + name: value or "" for name, value in named})
            elif step.then == "gexec":
                for row in outcome.rows:
                    for text in filter(None, row):
                        self.message(step.line, text)

    def _reconnect(self, role: str) -> None:
        try:
            self.pair.reconnect(role)
        except ConnectionError:
            self.pair.reconnect()

    def message(self, line: int, text: str, data: str = "") -> Outcome:
        """One message through both; what it comes to goes into the tally."""
        if not self.pair.session.alive:
            self._reconnect("")
        try:
            analysis, outcome = self.pair.run(text, data)
        except Exception:
            self.tally.crashes.append(f"{self.name}:{line}: {traceback.format_exc(limit=-3)}")
            return self.pair.session.run(text, data)
        if outcome.status_before == "I":
            self.earlier = Claim()
        if outcome.sqlstate:
            self.tally.failed += 1
        elif isinstance(analysis, Denied):
            self.tally.refusals.append(f"{self.name} {line}: {analysis.message}")
        else:
            self._compare(line, text, analysis, outcome)
        return outcome

    def _compare(self, line: int, text: str, analysis: Analysis, outcome: Outcome) -> None:
        claim = claim_of(analysis)
        earlier = self.earlier if claim.kinds & LATER else None
        made = compare(claim, outcome, self.pair.names, earlier)
        self.tally.add(self.name, line, text, made, claim.kinds, claim.closed)
        for statement in analysis.facts.statements:
            self.earlier.add(statement)
            self.tally.reasons.update({unresolved.why for unresolved in statement.unresolved})


class Suite:
    """The databases: `regression` is filled by the set-up files, each other file gets a copy."""

    def __init__(self, server: OracleServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._admin = psycopg.connect(server.dsn("postgres"), autocommit=True)
        self._admin.execute("CREATE DATABASE regression TEMPLATE template0")
        source = CatalogSource(server.dsn("regression"), "regression")
        self._system = source.system
        source.close()

    def set_up(self, *, compared: bool) -> Tally:
        """Runs the set-up files. Not `compared`: on the server alone, which takes a tenth of the time."""
        total = Tally()
        for name in SETUP:
            total.merge(self._run(name, "regression", compared=compared))
        return total

    def run(self, name: str) -> Tally:
        """One file, in a copy of its own."""
        database = f"file_{name.replace('.', '_')}"
        self._admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE regression").format(sql.Identifier(database)))
        try:
            return self._run(name, database, compared=True)
        finally:
            self._drop(database)

    def _drop(self, database: str) -> None:
        with suppress(psycopg.Error):  # a prepared transaction or a slot holds it; the server goes away at the end
            self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _run(self, name: str, database: str, *, compared: bool) -> Tally:
        path = self._folder / f"{name}.sql"
        if not compared:
            self._only_server(path, database)
            return Tally()
        run = Run(Pair(self._server, database, self._system, timeout_ms=2000), name)
        try:
            run.script(path)
        finally:
            run.pair.close()
        return run.tally

    def _only_server(self, path: Path, database: str) -> None:
        session = self._server.session(database)
        for step in Script(path.read_text(encoding="utf-8", errors="replace")).steps():
            if step.message:
                session.run(step.message, step.data)
        session.close()


def run_files(
    server: OracleServer, folder: Path, names: Iterable[str], *, whole: bool
) -> Iterator[tuple[str, Tally, float]]:
    """(file, tally, seconds) of each; the set-up files, compared when `whole`, are one."""
    suite = Suite(server, folder)
    names = list(names)
    begun = time.monotonic()
    yield "set-up", suite.set_up(compared=whole or not set(SETUP).isdisjoint(names)), time.monotonic() - begun
    for name in names:
        if name in SETUP:
            continue
        begun = time.monotonic()
        yield name, suite.run(name), time.monotonic() - begun


def share(installed: Path, folder: Path, names: list[str], whole: bool) -> Tally:
    """Some of the files, with a server of their own."""
    total = Tally()
    with oracle_server(installed) as server:
        for name, tally, seconds in run_files(server, folder, names, whole=whole):
            total.merge(tally)
            print(
                f"{seconds:6.1f} s  {name}: {tally.ran} ran, {tally.failed} failed, holes {dict(tally.missed)}",
                flush=True,
            )
    return total


def report(total: Tally) -> str:
    """Every hole and every superfluous relation, with its statement: for the eye, not to be kept."""
    lines = ["# holes", ""]
    for hole in total.holes:
        miss = hole.miss
        lines += [
            f"{hole.file}:{hole.line} {miss.what} {miss.name} [{miss.wanted}] depth {miss.depth}",
            f"    {hole.text!r}",
        ]
    lines += ["", "# not touched by the server", ""]
    for hole in total.extras:
        lines += [f"{hole.file}:{hole.line} {hole.miss.name}", f"    {hole.text!r}"]
    return "\n".join([*lines, "", "# crashes", "", *total.crashes, ""])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.corpus", description=__doc__)
    parser.add_argument("files", nargs="*", help="names without .sql; all when none is given")
    parser.add_argument("--report", type=Path, help="where to write the misses, with their statements")
    parser.add_argument("--jobs", type=int, default=2, help="servers at once")
    options = parser.parse_args(arguments)
    installed, folder = system_postgres.installation(), corpus()
    if installed is None or folder is None:
        print(f"needs a packaged PostgreSQL and its regression statements: {toolchains.FETCH}", file=sys.stderr)
        return 2
    total = Tally()
    names = options.files or [path.stem for path in files(folder)]
    shares = [names[number :: options.jobs] for number in range(options.jobs)]
    with ProcessPoolExecutor(options.jobs) as pool:
        whole = not options.files
        running = [pool.submit(share, installed, folder, part, whole and not n) for n, part in enumerate(shares)]
        for done in as_completed(running):
            total.merge(done.result())
    document = total.document()
    print(json.dumps({key: value for key, value in document.items() if key != "holes"}, indent=1))
    if options.report:
        options.report.write_text(report(total), encoding="utf-8")
    if not options.files:
        KEPT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 1 if total.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
