"""`airlock ingest sink`: Kafka's events into the audit store."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import click

from airlock.commands.common import config_option
from airlock.commands.node import folder_option, log_option
from airlock.metrics import NODE, service_metrics_option, shown_metrics
from airlock.settings import load_settings
from ingest.priority import step_back


@click.command("sink")
@config_option
@folder_option
@click.option(
    "--accept-loss",
    is_flag=True,
    help="Go on where records are missing or the topic was made again; the view gaps shows what is lost.",
)
@click.option("--parent", type=int, default=0, hidden=True, help="End when this is no longer the parent process.")
@click.option(
    "--nice",
    type=click.IntRange(0, 19),
    default=0,
    show_default=True,
    envvar="AIRLOCK_INGEST_NICE",
    help="How far to step back behind other processes when processors are short: 0 not at all, 19 the furthest.",
)
@service_metrics_option
@log_option
def sink(
    config: Path | None, data_dir: str | None, accept_loss: bool, parent: int, nice: int, metrics: str | None
) -> None:
    """Fold Kafka's events and alerts into DuckDB and Parquet in DATA_DIR/analytics until told to stop.

    One sink writes a data folder. How far it has read stands in the store, in the same transaction as the rows: killed
    at any moment it goes on exactly there. Sinks with folders of their own may read the same topics side by side. It
    refuses to go on where records are missing, and waits where Kafka is away.
    """
    settings = load_settings(config, data_dir=data_dir)
    settings.kafka.demand()
    from analytics.iceberg import publishing
    from analytics.settings import FOLDER
    from ingest.kafka_clients import quiet
    from ingest.sink import KafkaSink

    quiet()
    step_back(nice)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    if parent:
        threading.Thread(target=_watch, args=(parent, stopping), daemon=True).start()
    folder = settings.data_dir.resolve()
    running = KafkaSink(folder, settings.kafka, accept_loss=accept_loss)
    given = metrics or (NODE if parent else None)  # a child shows its numbers by its parent
    with publishing(folder, settings.iceberg) as copies, shown_metrics(settings, given, "sink", [running, *copies]):
        if not parent:
            click.echo(f"the audit store is written in {folder / FOLDER}; Ctrl-C ends it")
        running.run(stopping)


def _watch(parent: int, stopping: threading.Event) -> None:
    """End with the parent."""
    while not stopping.wait(0.5):
        if os.getppid() != parent:
            stopping.set()
