"""`airlock psql`: psql through the running enforcement point, signed in."""

from __future__ import annotations

import getpass
import os
import shutil
from pathlib import Path

import click

from airlock.commands.common import data_dir_option, own_token
from airlock.runtime import Runtime, read_runtime
from decision.model.errors import SettingsError


@click.command("psql", context_settings={"ignore_unknown_options": True})
@data_dir_option
@click.option("--database", default="", help="A database in the settings (default: the first).")
@click.option("--subject", default=getpass.getuser, show_default="your account", help="Who you are.")
@click.option(
    "--kind",
    type=click.Choice(["human", "agent", "service"]),
    default="human",
    show_default=True,
    help="What you are: a person, an AI agent, or a program such as a CI job.",
)
@click.option("--groups", default="", metavar="G,…", help="Your groups.")
@click.option("--on-behalf-of", default="", metavar="HUMAN", help="The human that an agent or a job acts for.")
@click.option("--intent", default="", help="Why; it is recorded.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(
    data_dir: Path,
    database: str,
    subject: str,
    kind: str,
    groups: str,
    on_behalf_of: str,
    intent: str,
    arguments: tuple[str, ...],
) -> None:
    """Run psql through Airlock, as the principal of AIRLOCK_TOKEN or of a token by the development issuer.

    Whatever psql takes may follow, best after `--`: airlock psql --subject alice -- -c "select 1"
    """
    runtime = read_runtime(data_dir)
    token = own_token(data_dir, subject, kind, [one for one in groups.split(",") if one], on_behalf_of)
    program, tls = find_psql()
    environment = {**os.environ, "PGPASSWORD": token}
    if intent:
        environment["PGOPTIONS"] = f"-c airlock.intent={_escaped(intent)}"
    command = [program, conninfo(runtime, database, subject, tls=tls), *arguments]
    os.execve(program, command, environment)


def conninfo(runtime: Runtime, database: str, subject: str, *, tls: bool) -> str:
    """libpq's connection string to the running enforcement point, without the password. Raises SettingsError."""
    if runtime.proxy is None:
        raise SettingsError("the running Airlock has no enforcement point", hint="start airlock up or airlock proxy")
    known = [one.name for one in runtime.databases]
    name = database or known[0]
    if name not in known:
        raise SettingsError(f"there is no database {name!r}", hint=f"there are: {', '.join(known)}")
    secure = " sslmode=require" if tls else ""
    return f"host={runtime.proxy.host} port={runtime.proxy.port} dbname={_quoted(name)} user={_quoted(subject)}{secure}"


def find_psql() -> tuple[str, bool]:
    """(psql's path, whether it can do TLS): the system's, else the bundled one, which can't and stays on loopback."""
    found = shutil.which("psql")
    if found is not None:
        return found, True
    from airlock.demo.postgres import bin_folder

    bundled = bin_folder(18) / "psql"
    if not bundled.exists():
        raise SettingsError("there is no psql", hint="install postgresql-client")
    return str(bundled), False


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _escaped(value: str) -> str:
    """For PGOPTIONS, where spaces separate."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
