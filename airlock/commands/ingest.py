"""`airlock ingest`: the projection of the journal into the analytics store."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from airlock.commands.node import log_option
from airlock.runtime import sole_instance
from ingest.local import run_local


@click.command("ingest")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".airlock"),
    show_default=True,
    envvar="AIRLOCK_DATA_DIR",
    help="Whose journal is projected.",
)
@log_option
def ingest(data_dir: Path) -> None:
    """Fold the journal's events into DuckDB and Parquet until told to stop (`airlock up` runs this by itself)."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with sole_instance(data_dir, "ingest"):
        run_local(data_dir, stopping)
