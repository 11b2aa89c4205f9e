"""The numbers of the distributed form: every process shows its own and those of its children."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.support import world_reachable_folder
from tests.support.composition import Composition, Part
from tests.support.eventually import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.kafka]
LITERAL = "zebra-4711"
Numbers = dict[str, float]


@pytest.fixture(scope="module")
def composition(shop: str, kafka_jars: Path) -> Iterator[Composition]:
    folder = world_reachable_folder()
    more = '[metrics]\nlisten = "127.0.0.1:0"\n'
    made = Composition(folder, shop, services=1, workers=1, more=more)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def scraped(part: Part, name: str) -> tuple[Numbers, str]:
    """The numbers of a process, added up over their labels, and the answer as it was."""
    address = json.loads((part.data_dir / "metrics" / f"{name}.json").read_text())["address"]
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: Numbers = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found[one.name] = found.get(one.name, 0) + one.value
    return found, text


def test_every_process_shows_its_numbers_and_those_of_its_children(composition: Composition) -> None:
    """What one client does is seen from the enforcement point to the log; nobody's name and no literal is."""
    token = composition.credential("alice")
    conninfo = f"host=127.0.0.1 port={composition.proxy_port} dbname=shop user=me password={token} sslmode=prefer"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for number in range(20):
            connection.execute(f"SELECT id FROM products WHERE name <> '{LITERAL}' LIMIT {number}")
    names = {"serve": composition.services[0], "proxy": composition.proxy, "sink": composition.sink,
             "worker": composition.workers[0], "sequencer": composition.sequencer}  # fmt: skip

    def arrived() -> bool:
        seen = {name: scraped(part, name)[0] for name, part in names.items()}
        durable = seen["serve"]["airlock_journal_appends_total"]
        return (
            durable >= 42
            and seen["serve"].get("airlock_relay_sent_events_total", 0) >= durable
            and seen["serve"]["airlock_relay_lag_events"] == 0
            and seen["sink"].get("airlock_sink_events_total", 0) >= durable
            and seen["worker"].get("airlock_worker_events_total", 0) >= durable
            and seen["sequencer"].get("airlock_sequencer_events", 0) >= durable
        )

    eventually(arrived, 40, every_s=0.3, what="every number")
    for name, part in names.items():
        numbers, text = scraped(part, name)
        assert numbers["airlock_build_info"] == 1
        assert numbers["airlock_metrics_dropped_total"] == numbers["airlock_metrics_failures_total"] == 0, name
        assert not [word for word in (LITERAL, "alice", "products", "SELECT") if word in text], name
    serve = scraped(composition.services[0], "serve")[0]
    assert serve["airlock_executions_total"] == 20
    assert serve["airlock_approvals_away"] == 0
    assert serve["airlock_handed_age_seconds"] < 20
    assert scraped(composition.sequencer, "sequencer")[0]["airlock_relay_sent_events_total"] >= 0
