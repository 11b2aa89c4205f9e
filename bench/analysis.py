"""Analysis of PostgreSQL statements: microseconds a statement, fresh and from the cache, beside the bare parser.

    python -m bench.analysis [--catalog FILE] [--corpus FOLDER] [--seconds S] [--json FILE]

Prints one line a statement and the percentiles; with --catalog, over a dump made by `airlock catalog dump`; with
--corpus, also over every statement of the *.sql files in a folder, such as PostgreSQL's own regression tests.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import orjson
from pglast import parser

from decision.analysis import Analyzer, Limits, SessionState, snapshot_json
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot, ForeignKey
from decision.model.errors import AnalysisError
from decision.model.facts import RelationKind

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


def corpus(folder: Path, snapshot: CatalogSnapshot) -> dict[str, float]:
    """Percentiles in microseconds, uncached, over the statements that parse and are not refused; best of three each."""
    analyzer, state = Analyzer(limits=Limits(cached_text_bytes=0)), SessionState()
    samples: list[float] = []
    refused = 0
    for path in sorted(folder.glob("*.sql")):
        lines = path.read_text(errors="replace").splitlines()
        try:
            texts = parser.split("\n".join(line for line in lines if not line.startswith("\\")), with_parser=False)
        except parser.ParseError:
            continue
        for text in texts:
            best = float("inf")
            try:
                for _ in range(3):
                    start = time.perf_counter_ns()
                    analyzer.analyze(text.encode(), snapshot, state)
                    best = min(best, (time.perf_counter_ns() - start) / 1000)
            except AnalysisError:
                refused += 1
                continue
            samples.append(best)
    samples.sort()
    points = {f"p{p}": samples[min(len(samples) - 1, len(samples) * p // 100)] for p in (50, 90, 99)}
    return {"statements": len(samples), "refused": refused, **points, "worst": samples[-1]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--catalog", type=Path)
    options.add_argument("--corpus", type=Path)
    options.add_argument("--seconds", type=float, default=0.3, help="a statement and variant")
    options.add_argument("--json", type=Path, help="write the figures here, too")
    given = options.parse_args()
    snapshot = snapshot_json.load(given.catalog.read_bytes()) if given.catalog else catalog()
    fresh, cached = Analyzer(limits=Limits(cached_text_bytes=0)), Analyzer()
    state = SessionState()
    figures: dict[str, dict[str, float]] = {}
    print(f"{'statement':<14}{'parse':>9}{'fresh':>9}{'cached':>9}   µs, median")
    for name, text in STATEMENTS.items():
        raw = text.encode()
        row = {
            "parse": measure(lambda text=text: orjson.loads(parser.parse_sql_json(text)), given.seconds),
            "fresh": measure(lambda raw=raw: fresh.analyze(raw, snapshot, state), given.seconds),
            "cached": measure(lambda raw=raw: cached.analyze(raw, snapshot, state), given.seconds),
        }
        figures[name] = row
        print(f"{name:<14}{row['parse']:>9.1f}{row['fresh']:>9.1f}{row['cached']:>9.1f}")
    ordered = sorted(row["fresh"] for row in figures.values())
    print(f"median {statistics.median(ordered):.1f} µs, worst {ordered[-1]:.1f} µs over {len(ordered)} statements")
    if given.corpus:
        figures["corpus"] = corpus(given.corpus, snapshot)
        print("corpus " + ", ".join(f"{name} {value:.1f}" for name, value in figures["corpus"].items()))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
