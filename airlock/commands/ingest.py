"""`airlock ingest`: what takes events onward. Alone: the journal's projection into the analytics store on one machine;
its subcommands are the services of the distributed form."""

from __future__ import annotations

import importlib
import signal
import threading
from pathlib import Path
from typing import Any, cast

import click

from airlock.commands.common import config_option
from airlock.commands.node import folder_option, log_option, nice_option
from airlock.metrics import NODE, service_metrics_option, shown_metrics
from airlock.runtime import sole_instance
from airlock.settings import load_settings
from decision.model.metrics import Measured
from ingest.priority import step_back

SERVICES: tuple[str, ...] = ("relay", "sequencer", "sink", "worker")
"""Of each, `airlock.commands.ingest_NAME` has the command NAME."""


class Services(click.Group):
    """A subcommand's module is imported only when it runs: each brings libraries of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in SERVICES if self.get_command(ctx, name) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SERVICES:
            return None
        module: Any = importlib.import_module(f"airlock.commands.ingest_{cmd_name}")
        return cast(click.Command, getattr(module, cmd_name))


@click.group("ingest", cls=Services, invoke_without_command=True)
@config_option
@folder_option
@nice_option
@service_metrics_option
@log_option
@click.pass_context
def ingest(context: click.Context, config: Path | None, data_dir: str | None, nice: int, metrics: str | None) -> None:
    """Fold the journal's events into DuckDB and Parquet until told to stop (`airlock up` runs this by itself).

    It runs at a lower priority than what decides, so a saturated machine delays what analysts see, never a statement;
    `airlock doctor` shows how far behind it is.
    """
    if context.invoked_subcommand is not None:
        return
    from ingest.local import run_local  # brings DuckDB, which the relay and the sequencer go without

    settings = load_settings(config, data_dir=data_dir)
    step_back(nice)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    measured: list[Measured] = []
    with (
        sole_instance(settings.data_dir, "ingest"),
        shown_metrics(settings, metrics or NODE, "ingest", measured),  # beside a node that shows them
    ):
        run_local(
            settings.data_dir,
            stopping,
            log_settings=settings.log,
            detection_settings=settings.detections,
            measured=measured,
        )
