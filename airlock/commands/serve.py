"""`airlock serve`: the decision service alone, over gRPC."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import click

from airlock.backbone import alone, begin_relay, connected
from airlock.commands.node import folder_option, grpc_option, log_option
from airlock.commands.up import chosen_settings, run_through_poison
from airlock.compose import database_entries
from airlock.host import Host
from airlock.metrics import metrics_option, shown_metrics
from airlock.parts import begin_grpc, begin_service, local_token_file
from airlock.pruning import begin_pruning
from airlock.runtime import RunningDatabase, Runtime, remove_runtime, sole_instance, write_runtime
from decision.model.errors import SettingsError


@click.command("serve")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings file (default: airlock.toml)."
)
@folder_option
@grpc_option
@metrics_option
@log_option
def serve(config: Path | None, data_dir: str | None, grpc: str | None, metrics: str | None) -> None:
    """Run the decision service for enforcement points elsewhere.

    With `[kafka]` it relays its journal there and shares approvals with the other decision services; without, its
    journal is projected by `airlock ingest` on the same machine.
    """
    settings = chosen_settings(config, {"data_dir": data_dir, "listen": None, "grpc": grpc, "metrics": metrics})
    if not settings.database:
        raise SettingsError("no database is known", hint="add [[database]] entries to the settings file")

    async def body(host: Host) -> None:
        host.stack.enter_context(shown_metrics(settings, None, "serve", host.measured))
        backbone = connected(settings, host) if settings.kafka.enabled else alone(settings)
        if settings.kafka.enabled:
            begin_relay(host, settings, config)
        running = await begin_service(host, settings, database_entries(settings.database), backbone)
        begin_pruning(host, settings, running.journal, relayed=settings.kafka.enabled)
        address = await begin_grpc(host, settings, running.service, running.texts)
        known = tuple(RunningDatabase(one.name, one.environment.value) for one in settings.database)
        token_file = str(local_token_file(settings.data_dir))
        runtime = Runtime(os.getpid(), "serve", None, address, token_file, known, version("airlock"))
        write_runtime(settings.data_dir, runtime)
        host.stack.callback(remove_runtime, settings.data_dir)
        click.echo(f"decision service on {address}, data in {settings.data_dir}; Ctrl-C ends it")

    with sole_instance(settings.data_dir, "serve"):
        run_through_poison(body)
