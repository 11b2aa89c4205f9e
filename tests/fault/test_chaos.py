"""The distributed form under load, with every part and the broker killed at random: nothing acknowledged is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.storm import storm, told
from tests.e2e.support import world_reachable_folder

SECONDS = float(os.environ.get("AIRLOCK_TEST_CHAOS_S", "20"))
SEED = int(os.environ.get("AIRLOCK_TEST_SEED", "20261121"))


@pytest.fixture
def folder() -> Iterator[Path]:
    found = world_reachable_folder()
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.usefixtures("kafka_jars")
async def test_every_acknowledged_decision_is_everywhere_once(
    folder: Path, shop: str, record_property: pytest.RecordProperty
) -> None:
    """Two decision services, their relays, an enforcement point, two workers, the sink, the sequencer and the broker
    are killed; afterwards journals, Kafka, DuckDB and the verified tree hold the same events, in order."""
    account = await storm(folder, shop, seed=SEED, seconds=SECONDS)
    print(told(account))
    for name, figure in account.figures.items():
        record_property(name, figure)
    assert account.wrong == []
    assert all(times >= 1 for times in account.kills.values())
    assert len(account.kills) == 10
    assert account.figures["acknowledged decisions"] > 100
