"""`airlock up`: everything on one machine."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path

import click
import psycopg
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from airlock.backbone import alone
from airlock.commands.common import default_data_dir, why_unreachable
from airlock.commands.node import console_option, folder_option, grpc_option, listen_option, log_option
from airlock.compose import database_entries
from airlock.demo.postgres import BundledPostgres
from airlock.demo.shop import FULL, SHOP_TAGS, load_shop
from airlock.host import Body, Host, run
from airlock.metrics import metrics_option, shown_metrics
from airlock.pages import address_of, begin_pages
from airlock.parts import begin_grpc, begin_proxy, begin_service, local_token_file
from airlock.pruning import begin_pruning
from airlock.runtime import RunningDatabase, Runtime, remove_runtime, sole_instance, write_runtime
from airlock.settings import DatabaseSettings, Settings, load_settings, split_address
from decision.endpoint import is_loopback
from decision.model.errors import JournalPoisoned, JournalUnavailable, SettingsError
from decision.model.policy import Environment

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
UPSTREAM_PATIENCE_S = 5


def upstream_database(dsn: str, environment: str) -> DatabaseSettings:
    """An entry for `--upstream`, named after the database itself."""
    try:
        name = str(conninfo_to_dict(dsn).get("dbname") or "")
    except ProgrammingError:
        hint = "postgresql://USER:PASSWORD@HOST:PORT/DB"
        raise SettingsError("--upstream is no connection string", hint=hint) from None
    if not name:
        raise SettingsError("--upstream names no database", hint="postgresql://USER:PASSWORD@HOST:PORT/DB")
    return DatabaseSettings(name=name, environment=Environment(environment), upstream=SecretStr(dsn))


async def demo_databases(host: Host, data_dir: Path) -> tuple[DatabaseSettings, ...]:
    """Start the bundled server and load `shop` (labelled production) and `shop_dev`."""
    server = BundledPostgres(data_dir / "demo" / "postgres")
    click.echo("starting the bundled demo PostgreSQL …")
    await asyncio.to_thread(server.start)
    host.stack.push_async_callback(asyncio.to_thread, server.stop)
    admin = server.dsn("postgres")
    shop = await asyncio.to_thread(load_shop, admin, "shop", FULL, told=click.echo)
    dev = await asyncio.to_thread(load_shop, admin, "shop_dev", told=click.echo)
    return (
        DatabaseSettings(name="shop", environment=Environment.PROD, upstream=SecretStr(shop), tags=SHOP_TAGS),
        DatabaseSettings(name="shop_dev", environment=Environment.DEV, upstream=SecretStr(dev), tags=SHOP_TAGS),
    )


def chosen_settings(config: Path | None, given: dict[str, str | None]) -> Settings:
    """The settings, with what the command line says on top."""
    settings = load_settings(config, data_dir=given["data_dir"])
    changes: dict[str, object] = {"data_dir": settings.data_dir.resolve()}
    split_address(given["listen"] or settings.proxy.listen, "proxy.listen")  # before anything starts
    if given["listen"] is not None:
        changes["proxy"] = settings.proxy.model_copy(update={"listen": given["listen"]})
    if given["grpc"] is not None:
        host, port = split_address(given["grpc"], "--grpc")
        changes["grpc"] = settings.grpc.model_copy(update={"host": host, "port": port})
    if given.get("metrics") is not None:
        changes["metrics"] = settings.metrics.model_copy(update={"listen": given["metrics"]})
    if given.get("console") not in (None, "off"):
        changes["console"] = settings.console.model_copy(update={"listen": given["console"]})
    return settings.model_copy(update=changes)


async def begin(
    host: Host, settings: Settings, config: Path | None, upstream: str | None, environment: str, console: str | None
) -> Runtime:
    """Start every part, the ones that others need first."""
    databases = settings.database
    demo = False
    if upstream is not None:
        databases = (*databases, upstream_database(upstream, environment))
    elif not databases:
        demo = True
        databases = await demo_databases(host, settings.data_dir)
    running = await begin_service(host, settings, database_entries(databases), alone(settings))
    begin_pruning(host, settings, running.journal, relayed=False)
    chosen = ("--config", str(config)) if config else ()
    host.keep_child("ingest", "--data-dir", str(settings.data_dir), *chosen, log_file=settings.data_dir / "ingest.log")
    pages = begin_pages(host, settings, config, console)
    grpc = await begin_grpc(host, settings, running.service, running.texts)
    proxy = await begin_proxy(host, settings, databases, running.service)
    if not demo:
        await asyncio.to_thread(warn_of_unreachable, databases)
    known = tuple(RunningDatabase(one.name, one.environment.value, demo) for one in databases)
    token_file = str(local_token_file(settings.data_dir))
    return Runtime(os.getpid(), "up", proxy, grpc, token_file, known, version("airlock"), pages)


def warn_of_unreachable(databases: tuple[DatabaseSettings, ...]) -> None:
    """Say which database does not answer now; it may later, so this is no reason not to start."""
    for database in databases:
        try:
            psycopg.connect(database.upstream_database().reading_dsn(), connect_timeout=UPSTREAM_PATIENCE_S).close()
        except psycopg.OperationalError as error:
            reason = why_unreachable(error, database.upstream_database().reading_dsn())
            click.echo(f"warning: the database {database.name} can't be reached: {reason}", err=True)


def banner(runtime: Runtime, settings: Settings, data_dir_option: str) -> str:
    """Where to connect, as lines to copy and paste."""
    assert runtime.proxy is not None
    data_dir = settings.data_dir
    program = Path(sys.argv[0])
    airlock = os.path.relpath(program) if program.name == "airlock" else "airlock"
    database = runtime.databases[0].name
    # On loopback libpq's default (TLS where psql has it) will do; anything else must not fall back to plaintext.
    tls = "" if is_loopback(runtime.proxy.host) else " sslmode=require"
    conninfo = f"host={runtime.proxy.host} port={runtime.proxy.port} dbname={database}{tls}"
    token = f"{airlock} token{data_dir_option}"
    lines = [
        "",
        f"Airlock {runtime.version} is up: PostgreSQL on {runtime.proxy}, gRPC on {runtime.grpc}, data in {data_dir}",
        "databases: " + ", ".join(f"{one.name} ({one.environment})" for one in runtime.databases),
        "",
        "as a person:",
        f'  PGPASSWORD=$({token} --subject alice --kind human) psql "{conninfo} user=alice"',
        "as an agent that acts for her:",
        f"  PGPASSWORD=$({token} --subject report-bot --kind agent --on-behalf-of alice) "
        f'psql "{conninfo} user=report-bot"',
        f"  (no psql here? {airlock} psql{data_dir_option} --subject alice brings its own)",
        "",
        "what happened:",
        f'  {airlock} query{data_dir_option} "select * from denials order by time desc limit 5"',
        f"  {airlock} tail{data_dir_option}",
    ]
    if runtime.console is not None:
        lines += [
            "",
            f"in a browser: {address_of(settings, runtime.console)}  with the token of",
            f"  {token} --subject carol --groups dba",
        ]
    if runtime.databases[0].demo:
        lines.append(f"a story that shows it all:\n  {airlock} demo{data_dir_option}")
    lines.append("\nCtrl-C ends it.")
    return "\n".join(lines)


@click.command("up")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings file (default: airlock.toml)."
)
@folder_option
@click.option("--upstream", metavar="DSN", help="Your PostgreSQL; without it and without [[database]], a demo starts.")
@click.option(
    "--environment",
    type=click.Choice([one.value for one in Environment]),
    default="prod",
    show_default=True,
    help="What --upstream is.",
)
@listen_option
@grpc_option
@console_option
@metrics_option
@log_option
def up(
    config: Path | None,
    data_dir: str | None,
    upstream: str | None,
    environment: str,
    listen: str | None,
    grpc: str | None,
    console: str | None,
    metrics: str | None,
) -> None:
    """Run everything on this machine: decision service, enforcement point, projection, console.

    With no database given, a bundled PostgreSQL with the demo database shop starts behind it.
    """
    given = {"data_dir": data_dir, "listen": listen, "grpc": grpc, "console": console, "metrics": metrics}
    settings = chosen_settings(config, given)
    found_here = Path(os.environ.get("AIRLOCK_DATA_DIR") or default_data_dir()).resolve() == settings.data_dir
    option = "" if found_here else f" --data-dir {shlex.quote(data_dir or str(settings.data_dir))}"

    async def body(host: Host) -> None:
        host.stack.enter_context(shown_metrics(settings, None, "up", host.measured))
        runtime = await begin(host, settings, config, upstream, environment, console)
        write_runtime(settings.data_dir, runtime)
        host.stack.callback(remove_runtime, settings.data_dir)
        click.echo(banner(runtime, settings, option))

    with sole_instance(settings.data_dir, "up"):
        run_through_poison(body)
    click.echo("stopped.")


def run_through_poison(body: Body) -> None:
    """Run; after a failed commit start again, which verifies the journal before it is written to.

    While the disk gives no room to open it, this waits and tries again: nobody can connect, so nothing passes.
    """
    pause_s, poisoned = FIRST_PAUSE_S, False
    while True:
        try:
            run(body)
            return
        except JournalPoisoned as error:
            log.error("the journal failed (%s); starting again through verification", error.message)
            pause_s, poisoned = FIRST_PAUSE_S, True
        except JournalUnavailable as error:
            if not poisoned:
                raise
            log.error("the journal can't be opened (%s); trying again in %s s", error.message, pause_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
