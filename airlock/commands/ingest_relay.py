"""`airlock ingest relay`: the journal's events on Kafka too."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from airlock.commands.common import config_option
from airlock.commands.node import folder_option, log_option, nice_option
from airlock.metrics import NODE, service_metrics_option, shown_metrics
from airlock.runtime import sole_instance
from airlock.settings import load_settings
from decision.clock import SystemClock
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import BackboneError, ChainBroken, SettingsError
from decision.wire.events import ProtobufEventCodec
from ingest.priority import step_back

log = logging.getLogger(__name__)

LOCK_PATIENCE_S = 15.0
"""So long a relay waits for one before it that is about to end, because its decision service was killed."""
MENDED_S = 10.0
"""So often a relay that a decision service keeps looks whether what it refused was mended."""


@click.command("relay")
@config_option
@folder_option
@click.option("--again", is_flag=True, help="Begin anew: send all that the journal holds, whatever was sent before.")
@click.option("--parent", type=int, default=0, hidden=True, help="End when this is no longer the parent process.")
@nice_option
@service_metrics_option
@log_option
def relay(config: Path | None, data_dir: str | None, again: bool, parent: int, nice: int, metrics: str | None) -> None:
    """Send the journal's events to Kafka until told to stop (`airlock serve` runs this by itself).

    At least once and in order within each session: readers drop what comes twice. While Kafka is away it waits and
    decisions go on, until the journal's quota; `airlock doctor` shows how far behind it is.
    """
    settings = load_settings(config, data_dir=data_dir)
    settings.kafka.demand()
    from ingest.kafka_clients import quiet
    from ingest.relay import Relay
    from ingest.relay_cursor import CursorFile

    quiet()
    step_back(nice)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())

    def stopped(wait_s: float) -> bool:
        return stopping.wait(wait_s) if wait_s else stopping.is_set() or orphaned(parent)

    folder = settings.data_dir / "journal"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_relay(settings.data_dir, stopped):
        if again:
            CursorFile(folder).forget()
        reader = SqliteJournalReader(folder, ProtobufEventCodec())
        running = Relay(folder, reader, settings.kafka, SystemClock(), random.random)
        given = metrics or (NODE if parent else None)  # a child shows its numbers by its parent
        with shown_metrics(settings, given, "relay", [running]):
            run_mended(lambda: running.run(stopped), stopped, kept=parent != 0)


def orphaned(parent: int) -> bool:
    return parent != 0 and os.getppid() != parent


@contextmanager
def only_relay(data_dir: Path, stopped: Callable[[float], bool]) -> Iterator[None]:
    """Hold the relay's lock; wait a little for another one to end. Raises SettingsError where it does not."""
    end = time.monotonic() + LOCK_PATIENCE_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(sole_instance(data_dir, "relay"))
                break
            except SettingsError:
                if time.monotonic() > end or stopped(0.1):
                    raise
        yield


def run_mended(run: Callable[[], None], stopped: Callable[[float], bool], *, kept: bool) -> None:
    """Run. What has to be mended first ends it, or, where a decision service keeps it, is said and looked at again:
    that service goes on deciding, and doctor shows what is wrong."""
    said = ""
    while True:
        try:
            run()
            return
        except (BackboneError, ChainBroken) as error:
            if not kept:
                raise
            if error.message != said:
                said = error.message
                log.error("nothing is relayed: %s (%s)", error.message, error.hint)
            if stopped(MENDED_S):
                return
