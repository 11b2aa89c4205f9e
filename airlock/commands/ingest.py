"""`airlock ingest`: the projection of the journal into the analytics store."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from airlock.commands.node import log_option
from airlock.runtime import sole_instance
from ingest.local import run_local
from ingest.priority import NICE, step_back


@click.command("ingest")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".airlock"),
    show_default=True,
    envvar="AIRLOCK_DATA_DIR",
    help="Whose journal is projected.",
)
@click.option(
    "--nice",
    type=click.IntRange(0, 19),
    default=NICE,
    show_default=True,
    envvar="AIRLOCK_INGEST_NICE",
    help="How far to step back behind decisions when processors are short: 0 not at all, 19 the furthest.",
)
@log_option
def ingest(data_dir: Path, nice: int) -> None:
    """Fold the journal's events into DuckDB and Parquet until told to stop (`airlock up` runs this by itself).

    It runs at a lower priority than what decides, so a saturated machine delays what analysts see, never a statement;
    `airlock doctor` shows how far behind it is.
    """
    step_back(nice)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with sole_instance(data_dir, "ingest"):
        run_local(data_dir, stopping)
