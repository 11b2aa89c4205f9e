"""Analysis of PostgreSQL statements: microseconds a statement, fresh and cached, beside the bare parser and sqlglot.

    python -m bench.analysis [--catalog FILE] [--corpus FOLDER] [--seconds S] [--sample N]

Prints one line a statement, then percentiles over every statement of the *.sql files in a folder (PostgreSQL's own
regression tests, where `make fetch` got them), then, on each Nth of these, sqlglot's parse and qualify. Writes
results/analysis.json; a part that was not measured stays as it was. `--catalog` takes what `airlock catalog dump` made.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson
import sqlglot
from pglast import parser
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from bench.measure import machine, percentile, write
from decision.analysis import Analyzer, Limits, SessionState, snapshot_json
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot, ForeignKey
from decision.model.errors import AnalysisError
from decision.model.facts import RelationKind
from tests.support.toolchains import regression_sql

STATEMENTS = {
    "point select": "SELECT id, email FROM customers WHERE id = $1",
    "select star": "SELECT * FROM customers WHERE id = 42",
    "join": "SELECT c.id, c.email, o.total FROM customers c JOIN orders o ON o.customer_id = c.id "
    "WHERE c.id = 42 AND o.status = 'paid' ORDER BY o.created_at DESC LIMIT 10",
    "insert": "INSERT INTO orders (customer_id, total, status) VALUES ($1, $2, 'new') RETURNING id",
    "update": "UPDATE customers SET phone = $1 WHERE id = $2",
    "delete": "DELETE FROM orders WHERE id = 7",
    "aggregate": "SELECT status, count(*), sum(total) FROM orders GROUP BY status HAVING count(*) > 5 ORDER BY 2 DESC",
    "report": "WITH paid AS (SELECT customer_id, sum(total) AS s FROM orders WHERE status = 'paid' GROUP BY 1) "
    "SELECT c.name, p.s, rank() OVER (ORDER BY p.s DESC) FROM customers c JOIN paid p ON p.customer_id = c.id "
    "WHERE c.created_at > now() - interval '30 days' AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
    "begin": "BEGIN",
    "set": "SET statement_timeout = '5s'",
}


def catalog() -> CatalogSnapshot:
    def relation(name: str, columns: str, *keys: ForeignKey) -> CatalogRelation:
        found = tuple(CatalogColumn(c, n, 25, "text", tags=("pii",) if c == "email" else ())
                      for n, c in enumerate(columns.split(), 1))  # fmt: skip
        return CatalogRelation("public", name, 1, RelationKind.TABLE, found, keys=(("id",),), foreign_keys=keys)

    return CatalogSnapshot("bench", 180000, "bench", relations=(
        relation("customers", "id email phone name ssn city country created_at updated_at note"),
        relation("orders", "id customer_id total status created_at shipped_at",
                 ForeignKey("fk", ("customer_id",), "public", "customers", ("id",))),
    ))  # fmt: skip


def measure(call: object, seconds: float) -> float:
    """The median microseconds of one call."""
    assert callable(call)
    call()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < 20:
        start = time.perf_counter_ns()
        call()
        samples.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(samples)


def texts(folder: Path) -> list[str]:
    """Every statement of the *.sql files in a folder; psql's own commands left out."""
    found: list[str] = []
    for path in sorted(folder.glob("*.sql")):
        lines = path.read_text(errors="replace").splitlines()
        try:
            found += parser.split("\n".join(line for line in lines if not line.startswith("\\")), with_parser=False)
        except parser.ParseError:
            continue
    return found


def best(call: Callable[[], object], rounds: int = 3) -> float:
    """The least microseconds of a few calls."""
    least = float("inf")
    for _ in range(rounds):
        start = time.perf_counter_ns()
        call()
        least = min(least, (time.perf_counter_ns() - start) / 1000)
    return least


def points(samples: list[float], **more: float) -> dict[str, float]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {"statements": len(samples), **more} | {
        **{name: round(percentile(samples, share), 1) for name, share in shares.items()},
        "worst": round(max(samples), 1),
    }


def corpus(found: list[str], snapshot: CatalogSnapshot) -> dict[str, dict[str, float]]:
    """Microseconds over the statements that parse and are not refused: fresh, and repeated with the cache."""
    fresh, cached, state = Analyzer(limits=Limits(cached_text_bytes=0)), Analyzer(), SessionState()
    first: list[float] = []
    again: list[float] = []
    refused = 0
    for text in found:
        raw = text.encode()
        try:
            first.append(best(partial(fresh.analyze, raw, snapshot, state)))
        except AnalysisError:
            refused += 1
            continue
        cached.analyze(raw, snapshot, state)
        again.append(best(partial(cached.analyze, raw, snapshot, state), 1))
    return {"fresh": points(first, refused=refused), "repeated": points(again)}


def beside(found: list[str], snapshot: CatalogSnapshot) -> dict[str, dict[str, float]]:
    """The same statements by sqlglot: parse, then qualify over the same tables. `raw`: it keeps the text as a command;
    `failed`: it raises, where PostgreSQL's parser does not."""
    schema: dict[str, object] = {r.name: {column.name: "text" for column in r.columns} for r in snapshot.relations}
    analyzer, state = Analyzer(limits=Limits(cached_text_bytes=0)), SessionState()
    ours: list[float] = []
    parsed: list[float] = []
    both: list[float] = []
    raw = failed = unqualified = 0
    for text in found:
        try:
            ours.append(best(partial(analyzer.analyze, text.encode(), snapshot, state)))
        except AnalysisError:
            continue
        try:
            tree = sqlglot.parse_one(text, read="postgres")
            took = best(partial(sqlglot.parse_one, text, read="postgres"), 2)
        except (SqlglotError, RecursionError):
            failed += 1
            continue
        parsed.append(took)
        raw += isinstance(tree, exp.Command)
        start = time.perf_counter_ns()
        try:
            qualify(tree, schema=schema, dialect="postgres", validate_qualify_columns=False)
        except (SqlglotError, RecursionError, AssertionError, LookupError, ValueError, AttributeError, TypeError):
            unqualified += 1
        both.append(took + (time.perf_counter_ns() - start) / 1000)
    return {
        "airlock": points(ours),
        "sqlglot parse": points(parsed, failed=failed, raw=raw),
        "sqlglot parse and qualify": points(both, not_qualified=unqualified),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--catalog", type=Path)
    options.add_argument("--corpus", type=Path, default=regression_sql())
    options.add_argument("--seconds", type=float, default=0.3, help="a statement and variant")
    options.add_argument("--sample", type=int, default=10, help="each Nth statement of the corpus goes to sqlglot, too")
    given = options.parse_args()
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each statement that it keeps as a command
    snapshot = snapshot_json.load(given.catalog.read_bytes()) if given.catalog else catalog()
    fresh, cached = Analyzer(limits=Limits(cached_text_bytes=0)), Analyzer()
    state = SessionState()
    result: dict[str, object] = {"machine": machine()}
    figures: dict[str, dict[str, float]] = {}
    print(f"{'statement':<14}{'parse':>9}{'fresh':>9}{'cached':>9}   µs, median")
    for name, text in STATEMENTS.items():
        raw = text.encode()
        row = {
            "parse": measure(lambda text=text: orjson.loads(parser.parse_sql_json(text)), given.seconds),
            "fresh": measure(lambda raw=raw: fresh.analyze(raw, snapshot, state), given.seconds),
            "cached": measure(lambda raw=raw: cached.analyze(raw, snapshot, state), given.seconds),
        }
        figures[name] = {key: round(value, 1) for key, value in row.items()}
        print(f"{name:<14}{row['parse']:>9.1f}{row['fresh']:>9.1f}{row['cached']:>9.1f}")
    ordered = sorted(row["fresh"] for row in figures.values())
    print(f"median {statistics.median(ordered):.1f} µs, worst {ordered[-1]:.1f} µs over {len(ordered)} statements")
    result["statements"] = figures
    if given.corpus:
        found = texts(given.corpus)
        result["corpus"] = corpus(found, snapshot)
        result["beside"] = beside(found[:: given.sample], snapshot)
        for part in (result["corpus"], result["beside"]):
            assert isinstance(part, dict)
            for name, row in part.items():
                print(f"{name:<28}" + ", ".join(f"{key} {value:g}" for key, value in row.items()))
    write("analysis", result, keep=True)


if __name__ == "__main__":
    main()
