"""How fast events become rows, and how fast the standard questions are answered. Writes bench/results/analytics.json.

    python -m bench.analytics [--rows 100000 1000000]

`fold` is the pure projection, `store` the whole way from decoded events to durable rows (in batches of a catch-up),
`projecting` what the projecting process does under load,
`insert` a bare DuckDB Arrow insert of the same rows, so that `store` has something to be compared with in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from analytics import ddl
from analytics.columns import to_arrow
from analytics.project import project
from analytics.query import CatalogReader
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.journal.reader import SqliteJournalReader
from decision.journal.sqlite import SqliteJournal
from decision.journal.verify import verify_journal
from decision.model.events import AuditEvent
from ingest.local import LocalRunner, LocalSettings
from tests.support.analytics_story import CODEC, story

RESULTS = Path(__file__).parent / "results" / "analytics.json"
BATCH = 8_192
QUESTIONS = {
    "latest denials": "SELECT * FROM denials ORDER BY time DESC LIMIT 5",
    "who read a table": "SELECT who, count(*) FROM table_access WHERE table_name = 'customers' AND access = 'read' "
    "GROUP BY who",
    "what did one principal do": "SELECT time, statement, outcome FROM statements WHERE principal = 'agent-7' "
    "ORDER BY time DESC LIMIT 100",
    "denials by rule and day": "SELECT rule, day, count(*) "
    "FROM (SELECT unnest(rules) AS rule, time::DATE AS day FROM denials) GROUP BY ALL",
    "duration percentiles": "SELECT quantile_cont(duration_ms, [0.5, 0.95, 0.99]) FROM executions",
    "first access": "SELECT min(time) FROM table_access WHERE table_name = 'payments' AND who LIKE 'agent%'",
    "one event by id": "SELECT * FROM events WHERE event_id = 'ep1.5000'",
    "who changed a column": "SELECT time, who FROM column_changes WHERE table_name = 'customers' "
    "AND column_name = 'email' AND row_keys['id'] = 'aa' ORDER BY time DESC LIMIT 20",
}


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def folding(events: int = 28_672) -> dict[str, float]:
    """Events per second of each stage, over the same events."""
    sample = story(events // 7)
    raws = [event.raw for event in sample]
    batches = [sample[start : start + BATCH] for start in range(0, len(sample), BATCH)]
    decode = timed(lambda: [CODEC.decode(raw) for raw in raws])
    fold = timed(lambda: [project(batch) for batch in batches])
    tables = [to_arrow(project(batch)) for batch in batches]
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(str(Path(folder) / "bare.duckdb"), config={"threads": 1})
        connection.execute(ddl.create_facts("hot"))

        def insert() -> None:
            for found in tables:
                connection.execute("BEGIN")
                for table, rows in found.items():
                    connection.register("incoming", rows)
                    connection.execute(f"INSERT INTO hot.{table} FROM incoming")
                    connection.unregister("incoming")
                connection.execute("COMMIT")

        bare = timed(insert)
        connection.close()
        with AnalyticsStore(Path(folder) / FOLDER, SystemClock(), Uuid7Source()) as store:
            taken = timed(lambda: [store.apply(batch, {"journal": batch[-1].seq}) for batch in batches])
    return {
        "decode_events_per_s": round(len(sample) / decode),
        "fold_events_per_s": round(len(sample) / fold),
        "bare_insert_events_per_s": round(len(sample) / bare),
        "store_events_per_s": round(len(sample) / taken),
        "store_to_bare_insert": round(bare / taken, 2),
    }


def projecting(arriving: int = 2_500, times: int = 10) -> dict[str, float]:
    """Microseconds of CPU an event costs the runner, from the journal's bytes to the published catalog, while so many
    arrive between two publications; and what the chain's verification costs."""
    events = story(arriving * times // 7 + 1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "journal").mkdir()
        journal = SqliteJournal.open(root / "journal", producer_id="p1", codec=CODEC)
        reader = SqliteJournalReader(root / "journal", CODEC)
        settings = LocalSettings(publish_s=0.0)
        spent = 0.0

        async def filled(part: list[AuditEvent]) -> None:
            await asyncio.gather(*(journal.append(event.draft) for event in part))

        async def all_of_it() -> None:
            nonlocal spent
            with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source()) as store:
                runner = LocalRunner(store, reader, SystemClock(), settings)
                runner.step()
                for start in range(0, arriving * times, arriving):
                    await filled(events[start : start + arriving])
                    started = time.process_time()
                    while store.position("journal") < start + arriving or store.dirty:
                        runner.step()
                    spent += time.process_time() - started

        asyncio.run(all_of_it())
        asyncio.run(journal.close())
        started = time.process_time()
        verified = verify_journal(root / "journal", CODEC).events
        verifying = time.process_time() - started
    return {
        "cpu_us_an_event": round(spent / (arriving * times) * 1e6, 1),
        "events_per_cpu_s": round(arriving * times / spent),
        "verified_events_per_cpu_s": round(verified / verifying),
    }


def freshness(publications: int = 20) -> dict[str, float]:
    """Milliseconds to take and publish seven new events."""
    events = story(200 + publications)
    with (
        tempfile.TemporaryDirectory() as folder,
        AnalyticsStore(Path(folder) / FOLDER, SystemClock(), Uuid7Source()) as store,
    ):
        store.apply(events[:1400], {"journal": 1400})
        store.publish()
        costs = []
        for start in range(1400, len(events), 7):
            part = events[start : start + 7]

            def once(part: list[object] = part, end: int = start + 7) -> None:  # type: ignore[assignment]
                store.apply(part, {"journal": end})  # type: ignore[arg-type]
                store.publish()

            costs.append(timed(once) * 1000)
    return {"take_and_publish_ms_median": round(statistics.median(costs), 1), "worst_ms": round(max(costs), 1)}


def questions(rows: int) -> dict[str, object]:
    """Milliseconds of each standard question over `rows` events, median of three, each with a fresh reader."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source()) as store:
            events = story(rows // 7)
            filling = timed(
                lambda: [
                    store.apply(events[start : start + BATCH], {"journal": start}) and store.compact()
                    for start in range(0, len(events), BATCH)
                ]
            )
            store.compact(wait=True)
            store.publish()
            files = len(store.segments)
        answers = {}
        for name, sql in QUESTIONS.items():
            costs = []
            for _ in range(3):
                with CatalogReader(root) as reader:
                    costs.append(timed(lambda sql=sql, reader=reader: reader.ask(sql, limit=100)) * 1000)  # type: ignore[misc]
            answers[name] = round(statistics.median(costs), 1)
    return {"filling_events_per_s": round(rows / filling), "segments": files, "milliseconds": answers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    chosen = parser.parse_args()
    results: dict[str, object] = {"fold": folding(), "projecting": projecting(), "freshness": freshness()}
    for rows in chosen.rows:
        results[f"questions_{rows}"] = questions(rows)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
