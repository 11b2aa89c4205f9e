"""`airlock proxy`: the enforcement point alone, asking a decision service over gRPC."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import click

from airlock.commands.node import folder_option, listen_option, log_option
from airlock.commands.up import chosen_settings
from airlock.compose import remote_service
from airlock.host import Host, run
from airlock.metrics import metrics_option, shown_metrics
from airlock.parts import begin_proxy
from airlock.runtime import RunningDatabase, Runtime, remove_runtime, sole_instance, write_runtime
from decision.model.errors import SettingsError

RUNTIME_FILE = "runtime-proxy.json"


@click.command("proxy")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings file (default: airlock.toml)."
)
@folder_option
@listen_option
@metrics_option
@log_option
def proxy(config: Path | None, data_dir: str | None, listen: str | None, metrics: str | None) -> None:
    """Run an enforcement point for PostgreSQL next to an application or a database.

    It asks the decision service that [proxy] decision_service names; while none answers, statements are denied.
    """
    settings = chosen_settings(config, {"data_dir": data_dir, "listen": listen, "grpc": None, "metrics": metrics})
    if not settings.proxy.decision_service:
        raise SettingsError("no decision service is named", hint='set decision_service = "HOST:PORT" in [proxy]')
    if not settings.database:
        raise SettingsError("no database is known", hint="add [[database]] entries to the settings file")

    async def body(host: Host) -> None:
        host.stack.enter_context(shown_metrics(settings, None, "proxy", host.measured))
        port = remote_service(settings)
        host.stack.push_async_callback(port.close)
        address = await begin_proxy(host, settings, settings.database, port)
        known = tuple(RunningDatabase(one.name, one.environment.value) for one in settings.database)
        runtime = Runtime(os.getpid(), "proxy", address, None, "", known, version("airlock"))
        write_runtime(settings.data_dir, runtime, RUNTIME_FILE)
        host.stack.callback(remove_runtime, settings.data_dir, RUNTIME_FILE)
        click.echo(f"enforcement point on {address}, decisions from {settings.proxy.decision_service}; Ctrl-C ends it")

    with sole_instance(settings.data_dir, "proxy"):
        run(body)
