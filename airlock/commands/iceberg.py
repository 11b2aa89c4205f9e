"""`airlock iceberg`: the audit store as Iceberg tables."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airlock.commands.common import config_option, format_option, show_rows
from airlock.commands.query import failed
from decision.model.errors import AirlockError

if TYPE_CHECKING:
    from analytics.iceberg import IcebergSink

data_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="AIRLOCK_DATA_DIR",
    help="Where Airlock keeps its data (default: data_dir in the settings).",
)


def _sink(config: Path | None, data_dir: Path | None) -> IcebergSink:
    from airlock.settings import load_settings
    from analytics.iceberg import IcebergSink

    settings = load_settings(config, data_dir=data_dir)
    return IcebergSink(settings.data_dir.resolve(), settings.iceberg)


@click.group("iceberg")
def iceberg() -> None:
    """The audit store as Iceberg tables, for analytics that outgrow one machine: Trino, Spark, Snowflake and others.

    Needs the extra `iceberg`. Without settings tables and catalog are made in the data folder.
    """


@iceberg.command("publish")
@config_option
@data_option
@click.option(
    "--every",
    type=click.FloatRange(min=1.0),
    metavar="SECONDS",
    help="Go on until stopped, appending what is new so often.",
)
def publish(config: Path | None, data_dir: Path | None, every: float | None) -> None:
    """Append what is new to the Iceberg tables: every event once, whatever was interrupted before."""
    try:
        sink = _sink(config, data_dir)
        if every is not None:
            _go_on(sink, every)
            return
        done = sink.publish()
    except AirlockError as error:
        raise failed(error) from error
    rows = sum(done.rows.values())
    click.echo(f"{done.events} events: {rows} rows in {len(done.rows)} tables, {done.commits} commits")


def _go_on(sink: IcebergSink, every: float) -> None:
    from analytics.iceberg import IcebergThread

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    thread = IcebergThread(sink, every)
    thread.start()
    click.echo(f"what is new is appended every {every:g} s; stop with Ctrl-C", err=True)
    stopping.wait()
    thread.stop(60.0)


@iceberg.command("status")
@config_option
@data_option
@format_option
def status(config: Path | None, data_dir: Path | None, form: str) -> None:
    """Of each table its rows, how far it is behind, and its metadata file."""
    try:
        rows = _sink(config, data_dir).status()
    except AirlockError as error:
        raise failed(error) from error
    show_rows(("table", "rows", "events_behind", "metadata"), rows, form)


@iceberg.command("files")
@config_option
@data_option
@click.argument("table")
def files(config: Path | None, data_dir: Path | None, table: str) -> None:
    """The data files of a table now, one a line: for what reads Parquet but no Iceberg."""
    try:
        found = _sink(config, data_dir).files(table)
    except AirlockError as error:
        raise failed(error) from error
    click.echo("\n".join(found))
