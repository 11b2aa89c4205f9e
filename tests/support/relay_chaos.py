"""Load on a journal while its relay and the broker are killed or away; then the count of what arrived.

    python -m tests.support.relay_chaos [--seed N] [--rate 1000] [--kills 6]
    python -m tests.support.relay_chaos --away 60        the broker is down for a minute under load

The relay is the real process, killed by SIGKILL; so is the broker. The seed is printed and makes the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from decision.journal.sqlite import SqliteJournal
from decision.model.errors import JournalUnavailable
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import make_topics
from ingest.relay_cursor import relayed_seq
from tests.support.eventually import eventually_async
from tests.support.journal_load import CODEC, SMALL, append, draft, held
from tests.support.kafka import Broker, running_broker, settings_for
from tests.support.relaying import demand_all

ROOT = Path(__file__).parents[2]
BURST = 20


@dataclass
class Load:
    """Appends events at a rate until it is told to stop, as a decision service under load does. `refused` counts
    those that the journal did not take."""

    journal: SqliteJournal
    rate: float
    number: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    _task: asyncio.Task[None] | None = None
    _burst: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Load:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            if self._burst is not None:  # begun before the end, so part of it
                await asyncio.gather(self._burst, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                drafts = [draft(self.number + step) for step in range(BURST)]
                self._burst = asyncio.create_task(append(self.journal, drafts))
                await asyncio.shield(self._burst)
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            except JournalUnavailable:
                self.refused += BURST
            self.number += BURST
            await asyncio.sleep(max(0.001, BURST / self.rate - (time.monotonic() - began)))


@dataclass
class RelayProcess:
    """`airlock ingest relay`, as an operator starts it."""

    data_dir: Path
    settings: KafkaSettings
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.data_dir / "airlock.toml"
        given = self.settings
        config.write_text(
            f'data_dir = "{self.data_dir}"\n[kafka]\nbootstrap_servers = ["{given.bootstrap_servers[0]}"]\n'
            f'topic_prefix = "{given.topic_prefix}"\npartitions = {given.partitions}\nreplication = 1\n'
        )
        with (self.data_dir / "relay.log").open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airlock.main", "ingest", "relay", "--config", str(config)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)


@dataclass(frozen=True)
class Outcome:
    """Events acknowledged by the journal, copies beyond one on Kafka, the longest that an append took while it ran,
    and the time from the end of the load until all was relayed."""

    seed: int
    events: int
    duplicates: int
    slowest_append_s: float
    caught_up_s: float
    relay_kills: int = 0
    broker_kills: int = 0


@dataclass
class Stage:
    """What a story acts on."""

    broker: Broker
    relay: RelayProcess
    load: Load
    folder: Path
    rng: random.Random
    relay_kills: int = 0
    broker_kills: int = 0
    done: dict[str, float] = field(default_factory=dict)

    async def progress(self) -> None:
        """Until the relay got further."""
        before = relayed_seq(self.folder)

        async def further() -> bool:
            return relayed_seq(self.folder) > before

        await eventually_async(further, 60, what=f"a relay beyond {before}")

    def kill_relay(self) -> None:
        self.relay.end()
        self.relay_kills += 1

    def kill_broker(self) -> None:
        self.broker.kill()
        self.broker_kills += 1

    async def start_broker(self) -> None:
        await asyncio.to_thread(self.broker.start)


Story = Callable[[Stage], Awaitable[None]]


async def play(story: Story, *, seed: int, rate: float, broker: Broker, data_dir: Path) -> Outcome:
    """Tell the story under load, then wait until all is relayed, and demand that Kafka has all of it."""
    settings = settings_for(broker, f"chaos-{seed}")
    make_topics(settings)
    folder = data_dir / "journal"
    journal = SqliteJournal.open(folder, producer_id="node-1", codec=CODEC, settings=SMALL)
    relay = RelayProcess(data_dir, settings)
    relay.start()
    try:
        async with Load(journal, rate) as load:
            stage = Stage(broker, relay, load, folder, random.Random(seed))
            await stage.progress()
            await story(stage)
        assert load.refused == 0, f"{load.refused} events were refused while Kafka was away"
        began = time.monotonic()

        async def all_relayed() -> bool:
            return relayed_seq(folder) == journal.stats().head_seq

        await eventually_async(all_relayed, 120, what="the whole journal relayed")
        caught_up, head = time.monotonic() - began, journal.stats().head_seq
        await journal.close()
        assert relay.end(signal.SIGTERM) == 0, (data_dir / "relay.log").read_text()[-2000:]
    except BaseException:
        with contextlib.suppress(AssertionError, ProcessLookupError):
            relay.end()
        raise
    duplicates = demand_all(broker, settings, held(folder))
    return Outcome(seed, head, duplicates, load.slowest_s, caught_up, stage.relay_kills, stage.broker_kills)


async def kills(stage: Stage, rounds: int = 6) -> None:
    """Relay, broker or both are killed at random moments, and come back at random moments."""
    for turn in range(rounds):
        what = ("relay", "broker", "both")[turn % 3]
        await asyncio.sleep(stage.rng.uniform(0.0, 0.6))
        if what != "broker":
            stage.kill_relay()
        if what != "relay":
            stage.kill_broker()
            await asyncio.sleep(stage.rng.uniform(0.0, 0.6))
            await stage.start_broker()
        if what != "broker":
            stage.relay.start()
        await stage.progress()


def away(seconds: float) -> Story:
    """The broker is killed and stays away for so long."""

    async def story(stage: Stage) -> None:
        before = stage.load.number
        stage.kill_broker()
        await asyncio.sleep(seconds)
        assert stage.load.number - before > stage.load.rate * seconds / 4, "decisions did not go on"
        await stage.start_broker()

    return story


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--rate", type=float, default=1_000.0)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--away", type=float, default=0.0)
    chosen = parser.parse_args()
    print(f"replay with --seed {chosen.seed}", flush=True)

    async def story(stage: Stage) -> None:
        await (away(chosen.away)(stage) if chosen.away else kills(stage, chosen.kills))

    with running_broker() as broker, tempfile.TemporaryDirectory(prefix="airlock-relay-") as folder:
        outcome = asyncio.run(play(story, seed=chosen.seed, rate=chosen.rate, broker=broker, data_dir=Path(folder)))
    print(outcome)


if __name__ == "__main__":
    main()
