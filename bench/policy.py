"""Microseconds of one evaluation on each engine: `.venv/bin/python bench/policy.py [--count N] [--opa PATH]`.

The inputs are what analysis really makes: a message of three statements by an agent that acts for a person (chain of
two), one statement by a person, and a denial. Uncached, then from the cache; OPA over REST one by one and 32 in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from decision.clock import SystemClock
from decision.model.policy import Environment, Phase, Resource
from decision.policy.embedded import EmbeddedEngine
from decision.policy.input import InputBuilder, principal_json, resource_json
from decision.policy.opa import OpaEngine
from decision.policy.reload import BundleReloader
from tests.support.opa import opa_server
from tests.support.policy import PRINCIPALS, REGO, analysed, context
from tests.support.toolchains import opa as find_opa

JOIN = (
    "SELECT c.id, c.email, sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id "
    "WHERE o.created_at > now() GROUP BY c.id, c.email LIMIT 100"
)
INPUTS = {
    "3 statements, chain of 2": (f"{JOIN}; SELECT id, note FROM orders WHERE id = 7; SET statement_timeout = 5",
                                 "agent_for_human"),
    "1 join, 1 person": (JOIN, "human"),
    "a denied DROP, 1 agent": ("DROP TABLE payments", "agent"),
}  # fmt: skip


def percentiles(spent: Sequence[int]) -> dict[str, float]:
    ordered = sorted(spent)
    return {f"p{share}": round(ordered[len(ordered) * share // 100] / 1_000, 1) for share in (50, 99)}


def built(builder: InputBuilder, sql: str, who: str) -> tuple[bytes, bytes]:
    resource = resource_json(Resource("shop", "postgres", Environment.PROD))
    return builder.build(Phase.STATEMENT, principal_json(PRINCIPALS[who]), "query", resource, analysed(sql), context())


def embedded(engine: EmbeddedEngine, document: bytes, key: bytes, count: int) -> dict[str, float]:
    spent = []
    for _ in range(count):
        started = time.perf_counter_ns()
        engine.evaluate_now(document, key)
        spent.append(time.perf_counter_ns() - started)
    return percentiles(spent)


async def over_rest(engine: OpaEngine, document: bytes, count: int, in_flight: int) -> dict[str, float]:
    spent: list[int] = []

    async def worker() -> None:
        for _ in range(count // in_flight):
            started = time.perf_counter_ns()
            await engine.evaluate(document)
            spent.append(time.perf_counter_ns() - started)

    started = time.perf_counter_ns()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    rate = len(spent) / (time.perf_counter_ns() - started) * 1e9
    return {**percentiles(spent), "per_s": round(rate)}


async def measure(count: int, opa: Path | None) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in INPUTS}
    engine = EmbeddedEngine(SystemClock())
    await BundleReloader(REGO, engine).load()
    builder = InputBuilder(engine.reads)
    for name, (sql, who) in INPUTS.items():
        document, key = built(builder, sql, who)
        found[name]["bytes"] = {"input": len(document)}
        found[name]["embedded"] = embedded(engine, document, b"", count)
        found[name]["embedded, cached"] = embedded(engine, document, key, count)
    if opa is not None:
        with opa_server(opa) as server:
            rest = OpaEngine(server.url, SystemClock(), timeout_s=30)
            await BundleReloader(REGO, rest).load()
            for name, (sql, who) in INPUTS.items():
                document, _ = built(builder, sql, who)
                found[name]["OPA over REST"] = await over_rest(rest, document, count, 1)
                found[name]["OPA over REST, 32 in flight"] = await over_rest(rest, document, count * 4, 32)
            await rest.close()
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=1_000)
    arguments.add_argument("--opa", type=Path, default=find_opa())
    given = arguments.parse_args()
    found = asyncio.run(measure(given.count, given.opa))
    for name, engines in found.items():
        print(name)
        for engine, numbers in engines.items():
            print(f"  {engine:30}", "  ".join(f"{key} {value}" for key, value in numbers.items()))
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "policy.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
