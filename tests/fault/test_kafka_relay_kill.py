"""kill -9 of the relay and of the broker under load, and a broker that is away: nothing missing, order kept."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.kafka import Broker
from tests.support.relay_chaos import Outcome, Story, away, kills, play

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def told(story: Story, broker: Broker, folder: Path) -> Outcome:
    seed = int(os.environ.get("AIRLOCK_SIM_SEED", int.from_bytes(os.urandom(3), "big")))
    print(f"replay with AIRLOCK_SIM_SEED={seed}")
    outcome = asyncio.run(play(story, seed=seed, rate=1_000, broker=broker, data_dir=folder))
    print(outcome)
    return outcome


def test_kills_of_relay_and_broker_lose_nothing_and_keep_the_order(own_kafka: Broker, tmp_path: Path) -> None:
    """Each is killed at random moments under load, alone and together; Kafka then has every durable event, the first
    copies in order for each session, other copies byte for byte the same."""
    outcome = told(lambda stage: kills(stage, rounds=3), own_kafka, tmp_path)
    assert (outcome.relay_kills, outcome.broker_kills) == (2, 2)
    assert outcome.events > 0


def test_while_the_broker_is_away_decisions_go_on_and_then_all_is_relayed(own_kafka: Broker, tmp_path: Path) -> None:
    """Ten seconds without a broker under load: no append is refused, and afterwards nothing is missing. The log has one
    line of the outage, and one of its end."""
    outcome = told(away(10.0), own_kafka, tmp_path)
    assert outcome.broker_kills == 1
    said = (tmp_path / "relay.log").read_text()
    assert (said.count("events that wait in the journal"), said.count("Kafka is back")) == (1, 1), said
    assert len(said.splitlines()) == 2, said
