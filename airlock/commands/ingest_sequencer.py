"""`airlock ingest sequencer`: the log over all events, of one journal or of Kafka's topic."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

import click

from airlock.commands.common import config_option
from airlock.commands.node import folder_option, log_option
from airlock.compose import private_folder
from airlock.host import Host, run
from airlock.metrics import service_metrics_option, shown_metrics
from airlock.metrics_handed import HandedSamples
from airlock.pruning import begin_pruning
from airlock.runtime import sole_instance
from airlock.settings import Settings, load_settings
from decision.clock import SystemClock, Uuid7Source
from decision.journal.checkpoint_tail import follow_checkpoints
from decision.journal.sqlite import SqliteJournal
from decision.journal.tiles import FOLDER
from decision.model.errors import SettingsError
from decision.model.metrics import Measured
from decision.recorder import Recorder
from decision.wire.events import ProtobufEventCodec
from ingest.sequencer_journal import LogThread
from ingest.sequencer_thread import KeeperThread

PRODUCER = "log-"
SOURCE = "log"


@click.command("sequencer")
@config_option
@folder_option
@service_metrics_option
@log_option
def sequencer(config: Path | None, data_dir: str | None, metrics: str | None) -> None:
    """Keep the tamper-evident log over Kafka's events topic: tiles, entries and signed checkpoints in DATA_DIR/log.

    Exactly one runs for a topic, in a data folder of its own; `airlock up` needs none. Its checkpoints become events
    too, by a journal and a relay of its own. Without Kafka in the settings it is the log of the journal in DATA_DIR.
    """
    settings = load_settings(config, data_dir=data_dir)
    folder = settings.data_dir.resolve()
    thread = _kafka_thread(folder, settings) if settings.kafka.enabled else LogThread(folder, settings.log)

    async def body(host: Host) -> None:
        if settings.kafka.enabled:
            await _begin_events(host, folder, settings, config)
        thread.start()
        host.stack.push_async_callback(asyncio.to_thread, thread.stop)
        click.echo(f"the log is kept in {folder / FOLDER}; Ctrl-C ends it")

    parts: tuple[Measured, ...] = (thread, HandedSamples(folder, "relay"))
    with sole_instance(folder, "sequencer"), shown_metrics(settings, metrics, "sequencer", parts):
        run(body)


def _kafka_thread(folder: Path, settings: Settings) -> KeeperThread:
    from ingest.kafka_clients import quiet
    from ingest.sequencer_kafka import open_keeper

    quiet()
    return KeeperThread(
        folder / FOLDER, lambda: open_keeper(folder, settings.kafka, settings.log, SystemClock(), os.urandom)
    )


async def _begin_events(host: Host, folder: Path, settings: Settings, config: Path | None) -> None:
    """Checkpoints as events: a small journal, and the relay that takes it to Kafka."""
    journal = SqliteJournal.open(
        private_folder(folder / "journal"), producer_id=_producer_id(folder), codec=ProtobufEventCodec(),
        settings=settings.journal, epoch_floor=SystemClock().time_unix_nano() // 1_000_000_000,
    )  # fmt: skip
    journal.on_poisoned = host.fail
    host.stack.push_async_callback(journal.close)
    begin_pruning(host, settings.model_copy(update={"data_dir": folder}), journal, relayed=True)
    recorder = Recorder(journal, SystemClock(), Uuid7Source(), "sequencer")
    following = asyncio.create_task(follow_checkpoints(folder / FOLDER, lambda signed: recorder.queue(signed, SOURCE)))

    async def end() -> None:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    host.stack.push_async_callback(end)
    given = ("--config", str(config)) if config is not None else ()
    host.keep_child(
        "ingest", "relay", "--data-dir", str(folder), "--parent", str(os.getpid()), *given,
        log_file=folder / "relay.log",
    )  # fmt: skip


def _producer_id(folder: Path) -> str:
    """The name of the log's own chain: made once. Raises SettingsError in the data folder of a decision service."""
    path = folder / "producer-id"
    try:
        with path.open("x") as file:
            file.write(f"{PRODUCER}{secrets.token_hex(4)}")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        pass
    found = path.read_text().strip()
    if not found.startswith(PRODUCER):
        raise SettingsError(
            f"{folder} is the data folder of the decision service {found}", hint="give the sequencer one of its own"
        )
    return found
